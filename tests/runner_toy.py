"""Toy runs as the tests of the runner make, start, cut off and compare them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compositional.config import RunConfig, resolve
from compositional.errors import CompositionalError
from compositional.runner import run
from tests.runs_toy import interrupt_at, toy_settings

LORA = {"name": "lora", "adapter": {"rank": 2, "dropout": 0.1}}
ROWS = {"name": "memory_tokens", "adapter": {"rank": 2, "dropout": 0.1}}
Make = Callable[..., RunConfig]


def maker(folder: Path, model: Path) -> Make:
    """Makes configs of toy runs in a folder, their settings laid over the toy's."""
    return lambda **over: resolve(toy_settings(folder, model, **over))


def go(config: RunConfig, *, resume: bool = False) -> Path:
    return run(config, resume=resume, progress=False).folder


def refused(config: RunConfig, *, resume: bool = False) -> str:
    with pytest.raises(CompositionalError) as caught:
        go(config, resume=resume)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def everything(folder: Path) -> dict[str, bytes]:
    """Every file, by path; the data and the source apart."""
    return {
        str(path): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (folder / "data") not in path.parents
    }


def started(make: Make, **over: Any) -> None:
    with interrupt_at("learned tools1-2"):
        go(make(**over))


def assert_same_run(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    """But for the run's name, which two runs of one folder cannot share."""
    named = {
        name: content.replace(b"whole", b"r") if name in ("config.yaml", "result.json") else content
        for name, content in expected.items()
    }
    assert list(found) == list(named)
    for name, content in named.items():
        assert found[name] == content, name
