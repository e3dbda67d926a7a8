"""Tiny runs of the whole program: settings, flags, and what a run wrote."""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from compositional.logs import LOGGER
from compositional.preemption import PreemptedError
from compositional.selection import merge
from tests.tasks.toy_rows import source_file

ROWS_PER_TOOL = (20, 19, 18, 17, 16, 15)
NOT_COMPARED = ("environment.json", "timings", "wandb")


def toy_settings(folder: Path, model: Path, /, **over: Any) -> dict[str, Any]:
    """Settings of a run of two rounds of two tools that takes a second.

    Args:
        folder: Takes the source, the data, results and states.
        model: Folder of the toy model.
        **over: Sections or settings laid over the rest.
    """
    base = {
        "experiment": "e",
        "run": "r",
        "seed": 3,
        "model": {"name": str(model), "device": "cpu"},
        "data": {
            "source": str(source_file(folder, ROWS_PER_TOOL)),
            "data_dir": str(folder / "data"),
            "num_mixed": 0,
            "training_rounds": "1-2,3-4",
            "train_size": 12,
            "samples_per_tool": 4,
            "test_size": 4,
            "train_max_function_calls": 2,
            "test_max_function_calls": 2,
        },
        "evaluation": {"max_new_tokens": 4, "batch_size": 2, "drift": False},
        "output": {
            "results_dir": str(folder / "results"),
            "checkpoint_dir": str(folder / "checkpoints"),
        },
        "method": {"name": "icl"},
    }
    return merge(base, over)


def toy_flags(folder: Path, model: Path, *more: str) -> list[str]:
    """The same run as flags of an entry point."""
    return [
        *("--model_name", str(model), "--device", "cpu", "--seed", "3", "--experiment", "e"),
        *("--source", str(source_file(folder, ROWS_PER_TOOL)), "--data_dir", str(folder / "data")),
        *("--training_rounds", "1-2,3-4", "--train_size", "12", "--samples_per_tool", "4"),
        *("--test_size", "4", "--train_max_function_calls", "2", "--test_max_function_calls=2"),
        *("--max_new_tokens", "4", "--eval_batch_size", "2", "--no_drift"),
        *("--results_dir", str(folder / "results")),
        *("--checkpoint_dir", str(folder / "checkpoints"), *more),
    ]


def tree(folder: Path) -> dict[str, bytes]:
    """What a run wrote, by path in its folder, less times, the machine and trackers' files."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part in NOT_COMPARED for part in path.parts)
    }


def assert_same_tree(found: Path, expected: Path) -> None:
    """Two runs wrote the same, but for their configs, which name other folders."""
    ours, theirs = tree(found), tree(expected)
    assert list(ours) == list(theirs)
    for file in set(theirs) - {"config.yaml"}:
        assert ours[file] == theirs[file], f"{found}/{file}"


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on standard error."""
    error = capsys.readouterr().err
    assert error.startswith("error: "), error
    assert error.count("\n") == 1, error
    return error


class InterruptAt(logging.Handler):
    """Interrupts the program, as Ctrl-C does, when it logs a line with these words."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words

    def emit(self, record: logging.LogRecord) -> None:
        if self.words in record.getMessage():
            raise KeyboardInterrupt


@contextmanager
def interrupting(words: str) -> Iterator[None]:
    """Interrupt what the block does at a line of the log."""
    handler = InterruptAt(words)
    level = LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(level)


@contextmanager
def interrupt_at(words: str) -> Iterator[None]:
    """Let the block be interrupted at a line of the log."""
    with interrupting(words), pytest.raises(KeyboardInterrupt):
        yield


class SignalAt(logging.Handler):
    """Sends this process a signal, once, when it logs a line with these words."""

    def __init__(self, words: str, number: int) -> None:
        super().__init__()
        self.words = words
        self.number: int | None = number

    def emit(self, record: logging.LogRecord) -> None:
        if self.number is not None and self.words in record.getMessage():
            number, self.number = self.number, None
            os.kill(os.getpid(), number)


@contextmanager
def preempted_at(words: str, number: int = signal.SIGUSR1) -> Iterator[None]:
    """Let the block be asked to stop at a line of the log, and stop."""
    handler = SignalAt(words, number)
    level = LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    try:
        with pytest.raises(PreemptedError):
            yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(level)
