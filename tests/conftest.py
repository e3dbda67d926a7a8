"""Fixtures that many tests share."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch reads it, here and in subprocesses
os.environ["HF_HUB_OFFLINE"] = "1"  # no test asks the Hub
os.environ["TOKENIZERS_PARALLELISM"] = "false"  # some tests fork

import pytest
import transformers

from compositional.models.loading import LoadedModel, load_model
from compositional.models.model_config import ModelConfig
from tests.toy import toy_model

transformers.utils.logging.disable_progress_bar()


@pytest.fixture(scope="session")
def toy_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random Llama (tied head) and a byte-level ChatML tokenizer."""
    return toy_model(tmp_path_factory.mktemp("toy-llama"))


@pytest.fixture
def toy(toy_model_folder: Path) -> LoadedModel:
    """The tiny Llama, freshly loaded: a test may change it."""
    return load_model(ModelConfig(name=str(toy_model_folder), device="cpu"))
