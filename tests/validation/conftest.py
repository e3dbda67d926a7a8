from pathlib import Path

import pytest

from compositional.config import resolve
from compositional.validation.facts import invented_facts
from compositional.validation.trial import Bench
from tests.validation.words import word_facts, word_model


@pytest.fixture(scope="session")
def word_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model that can read a word of its context."""
    return word_model(tmp_path_factory.mktemp("words"))


def made(factory: pytest.TempPathFactory) -> Path:
    """A folder for what strategies need made."""
    return factory.mktemp("made")


@pytest.fixture(scope="session")
def bench(word_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """What the milestones of these tests share; each trial loads the model anew."""
    model = {"name": str(word_folder), "device": "cpu", "dtype": "float32"}
    return Bench(
        resolve({"method": "zero_shot", "model": model}), word_facts(), made(tmp_path_factory)
    )


@pytest.fixture(scope="session")
def letter_bench(toy_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Facts of sentences and a tiny random model that can write any letter."""
    model = {"name": str(toy_model_folder), "device": "cpu", "dtype": "float32"}
    config = resolve({"method": "zero_shot", "model": model})
    return Bench(config, invented_facts(42), made(tmp_path_factory))
