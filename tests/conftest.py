"""Fixtures that many tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch reads it, here and in subprocesses
os.environ["HF_HUB_OFFLINE"] = "1"  # no test asks the Hub
os.environ["TOKENIZERS_PARALLELISM"] = "false"  # some tests fork
os.environ["TRITON_INTERPRET"] = "1"  # before torch imports Triton: kernels run on a CPU

import pytest
import transformers

from compositional.logs import LOGGER
from compositional.models.loading import LoadedModel, load_model
from compositional.models.model_config import ModelConfig
from tests.memories_toy import TEXTS
from tests.toy import toy_model

transformers.utils.logging.disable_progress_bar()


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """What a test shows of the log is hidden again after it, as in a new process."""
    handlers, level = list(LOGGER.handlers), LOGGER.level
    yield
    LOGGER.handlers[:] = handlers
    LOGGER.setLevel(level)


@pytest.fixture(scope="session")
def toy_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random Llama (tied head) and a byte-level ChatML tokenizer."""
    return toy_model(tmp_path_factory.mktemp("toy-llama"))


@pytest.fixture
def toy(toy_model_folder: Path) -> LoadedModel:
    """The tiny Llama, freshly loaded: a test may change it."""
    return load_model(ModelConfig(name=str(toy_model_folder), device="cpu"))


@pytest.fixture(scope="session")
def llama_url(toy_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a llama.cpp server that runs the tiny Llama."""
    from tests.servers_toy import llama_cpp, toy_gguf

    path = toy_gguf(toy_model_folder, tmp_path_factory.mktemp("gguf") / "toy.gguf")
    with llama_cpp(path) as url:
        yield url


@pytest.fixture(scope="session")
def ollama_url(llama_url: str) -> Iterator[str]:
    """The address of Ollama's protocol in front of that server."""
    from tests.ollama_shim import ollama_shim

    with ollama_shim(llama_url) as server:
        yield server.url


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two documents."""
    monkeypatch.chdir(tmp_path)
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text)
    return tmp_path
