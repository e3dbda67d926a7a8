from pathlib import Path
from typing import Any

import pytest
import yaml

from compositional.config import resolve
from compositional.errors import ResultsError
from compositional.identity import check_same_config, is_finished_run_of
from compositional.results import RunFolder

SETTINGS: dict[str, Any] = {"experiment": "e", "run": "r", "method": {"name": "lora", "lr": 0.25}}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run of SETTINGS that was started."""
    folder = RunFolder(tmp_path / "e" / "r")
    folder.start(resolve(SETTINGS), {"config": "c", "model": "m", "data": "d"}, [], {})
    return folder


def rewrite(folder: RunFolder, **settings: Any) -> None:
    path = folder.folder / "config.yaml"
    written = yaml.safe_load(path.read_text())
    written["method"] |= settings
    path.write_text(yaml.safe_dump(written))


def test_cosmetic_settings_do_not_count(folder: RunFolder) -> None:
    check_same_config(folder, resolve(SETTINGS))
    check_same_config(folder, resolve({**SETTINGS, "output": {"results_dir": "x"}, "run": "y"}))


def test_the_settings_that_differ_are_named(folder: RunFolder) -> None:
    other = resolve({**SETTINGS, "seed": 5, "method": {"name": "lora", "adapter": {"rank": 2}}})
    with pytest.raises(ResultsError) as caught:
        check_same_config(folder, other)
    assert "started run of another config (method.adapter.rank 8, now 2; " in str(caught.value)
    assert "method.lr 0.25, now 0.0005; seed 42, now 5)" in str(caught.value)


def test_a_setting_that_a_run_did_not_know_yet_has_its_default(folder: RunFolder) -> None:
    path = folder.folder / "config.yaml"
    written = yaml.safe_load(path.read_text())
    del written["method"]["use_replay_buffer"], written["evaluation"]["drift"]
    path.write_text(yaml.safe_dump(written))
    check_same_config(folder, resolve(SETTINGS))
    with pytest.raises(ResultsError, match="use_replay_buffer False, now True"):
        check_same_config(folder, resolve(SETTINGS, ["--method.use_replay_buffer"]))


def test_a_setting_that_this_program_does_not_know_is_another_config(folder: RunFolder) -> None:
    rewrite(folder, momentum=3)
    with pytest.raises(ResultsError, match="settings that this program does not know"):
        check_same_config(folder, resolve(SETTINGS))


def test_what_is_not_finished_is_no_finished_run(folder: RunFolder) -> None:
    assert not is_finished_run_of(folder, resolve(SETTINGS))
