import logging
from pathlib import Path

import pytest

from compositional.errors import ConfigError
from compositional.logs import LOGGER, log_to, show_log


def test_lines_go_to_standard_error_and_to_the_file_while_the_block_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new" / "run.log"
    path.parent.mkdir()
    path.write_text("earlier\n")
    with log_to(path):
        LOGGER.info("first %d", 1)
    LOGGER.info("second")
    lines = path.read_text().splitlines()
    assert lines[0] == "earlier"
    assert len(lines) == 2
    assert lines[1].endswith(" first 1")
    assert capsys.readouterr().err == "first 1\nsecond\n"


def test_the_log_is_shown_once_however_often_it_is_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_log()
    with log_to(None):
        show_log()
        LOGGER.info("once")
    assert capsys.readouterr().err == "once\n"
    assert LOGGER.level == logging.INFO


def test_the_file_is_let_go_of_where_the_block_fails(tmp_path: Path) -> None:
    before = list(LOGGER.handlers)
    with pytest.raises(ZeroDivisionError), log_to(tmp_path / "log"):
        _ = 1 // 0
    assert set(LOGGER.handlers) - set(before) <= {
        h for h in LOGGER.handlers if not hasattr(h, "baseFilename")
    }


@pytest.mark.parametrize("place", ["file/log", "folder"])
def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="cannot write the log file"), log_to(tmp_path / place):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full disk")
def test_a_disk_that_fills_up_ends_the_file_and_not_the_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with log_to(Path("/dev/full")):
        LOGGER.info("first")
        LOGGER.info("second")
    lines = capsys.readouterr().err.splitlines()
    assert sorted(lines) == [
        "cannot write the log file /dev/full; the run goes on without it",
        "first",
        "second",
    ]
