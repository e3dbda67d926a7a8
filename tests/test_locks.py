import multiprocessing
import time
from pathlib import Path

import pytest

from compositional.errors import CompositionalError, ResultsError
from compositional.locks import hold

FORK = multiprocessing.get_context("fork")


def test_a_folder_is_held_once_and_free_again(tmp_path: Path) -> None:
    folder = tmp_path / "e" / "r"
    with hold(folder):
        with pytest.raises(ResultsError, match="another process runs"), hold(folder):
            pass
        with hold(tmp_path / "e" / "other"):
            pass
    with hold(folder):
        pass


def test_it_leaves_nothing_behind(tmp_path: Path) -> None:
    with hold(tmp_path / "a" / "e" / "r"):
        assert (tmp_path / "a" / "e").is_dir()
    assert list(tmp_path.iterdir()) == []
    with hold(tmp_path / "a" / "e" / "r"):
        (tmp_path / "a" / "e" / "r").mkdir()
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "e", "r"]


def test_an_error_inside_frees_it(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), hold(tmp_path / "r"):
        _ = 1 // 0
    with hold(tmp_path / "r"):
        pass


def hold_forever(folder: Path) -> None:
    with hold(folder):
        (folder.parent / "held").touch()
        time.sleep(60)


def test_it_goes_with_a_process_that_is_killed(tmp_path: Path) -> None:
    process = FORK.Process(target=hold_forever, args=(tmp_path / "r",))
    process.start()
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    with pytest.raises(ResultsError, match="another process"), hold(tmp_path / "r"):
        pass
    process.kill()
    process.join()
    with hold(tmp_path / "r"):
        pass


@pytest.mark.parametrize("folder", ["file/r", "file/e/r", "x" * 300])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CompositionalError, match="cannot write") as caught, hold(tmp_path / folder):
        pass
    assert "\n" not in str(caught.value)
