from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from compositional.errors import CompositionalError, ConfigError, DataError
from compositional.files import read_json, sha256_file, write_json
from compositional.tasks.file_sets import Content, ensure
from compositional.tasks.manifests import VERSION, FileSet

SIZES = {"source_sha256": None, "size": 2}


def _set(name: str = "one", **settings: object) -> FileSet:
    return FileSet(name, SIZES | settings, (f"{name}/train.json", f"{name}/test.json"), ("tools",))


def _content(file_set: FileSet) -> Content:
    size = file_set.settings["size"]
    files = {name: [size] * size for name in file_set.required}
    return Content(files, file_set.settings | {"source_sha256": "abc"}, {"licence": "mine"})


def _refuse(file_set: FileSet) -> Content:
    raise AssertionError(f"{file_set.name} was built")


def _ensure(
    folder: Path,
    *sets: FileSet,
    build: Callable[[FileSet], Content] = _content,
    by_hand: bool = True,
) -> list:
    return ensure(folder, sets, build, accept_by_hand=by_hand)


def _snapshot(folder: Path) -> dict[Path, tuple[str, int]]:
    return {
        path: (sha256_file(path), path.stat().st_mtime_ns)
        for path in folder.rglob("*.json")
        if path.is_file()
    }


def test_missing_sets_are_built_with_a_manifest(tmp_path: Path) -> None:
    (manifest,) = _ensure(tmp_path, _set())
    assert read_json(tmp_path / "manifest_one.json") == manifest
    assert manifest["version"] == VERSION
    assert manifest["settings"] == {"source_sha256": "abc", "size": 2}
    assert manifest["licence"] == "mine"
    assert manifest["files"]["one/test.json"] == sha256_file(tmp_path / "one/test.json")
    assert not (tmp_path / ".building").exists()


def test_files_that_match_stay_untouched(tmp_path: Path) -> None:
    built = _ensure(tmp_path, _set())
    before = _snapshot(tmp_path)
    assert _ensure(tmp_path, _set(), build=_refuse) == built
    _ensure(tmp_path, _set(), _set("two"))
    assert before.items() <= _snapshot(tmp_path).items()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"size": 3}, "asked for size 3 and found size 2"),
        ({"source_sha256": "abd"}, 'asked for source_sha256 "abd" and found source_sha256 "abc"'),
        ({"size": None}, "asked for size null and found size 2"),
    ],
)
def test_other_settings_stop_with_both_named(tmp_path: Path, settings: dict, words: str) -> None:
    _ensure(tmp_path, _set())
    with pytest.raises(DataError, match=words):
        _ensure(tmp_path, _set(**settings))


def test_a_manifest_of_another_version_is_refused(tmp_path: Path) -> None:
    (manifest,) = _ensure(tmp_path, _set())
    write_json(tmp_path / "manifest_one.json", manifest | {"version": 0})
    with pytest.raises(DataError, match=f"asked for version {VERSION} and found 0"):
        _ensure(tmp_path, _set())


def test_a_file_that_was_changed_or_removed_is_named(tmp_path: Path) -> None:
    _ensure(tmp_path, _set())
    write_json(tmp_path / "one/test.json", [])
    with pytest.raises(DataError, match=r"one/test.json was changed"):
        _ensure(tmp_path, _set())
    (tmp_path / "one/test.json").unlink()
    with pytest.raises(DataError, match=r"one/test.json is missing; remove .*manifest_one.json"):
        _ensure(tmp_path, _set())


def test_files_made_by_hand_are_taken_as_they_are(tmp_path: Path) -> None:
    for name in _set().required:
        write_json(tmp_path / name, [1])
    (manifest,) = _ensure(tmp_path, _set(size=9), build=_refuse)
    assert manifest["by_hand"]
    assert list(manifest["files"]) == list(_set().required)
    assert not (tmp_path / "manifest_one.json").exists()


def test_a_file_missing_among_files_made_by_hand_is_named(tmp_path: Path) -> None:
    write_json(tmp_path / "one/train.json", [1])
    with pytest.raises(DataError, match=r"one/test.json is missing beside"):
        _ensure(tmp_path, _set(), build=_refuse)
    write_json(tmp_path / "one/test.json", [1])
    with pytest.raises(DataError, match=r"two/train.json is missing beside"):
        _ensure(tmp_path, _set(), _set("two"), build=_refuse)


def test_other_content_is_never_overwritten(tmp_path: Path) -> None:
    write_json(tmp_path / "one/train.json", [1])
    before = _snapshot(tmp_path)
    with pytest.raises(DataError, match=r"one/train.json is there and holds other rows"):
        _ensure(tmp_path, _set(), by_hand=False)
    assert _snapshot(tmp_path) == before


def test_a_file_shared_with_another_set_names_both_requests(tmp_path: Path) -> None:
    _ensure(tmp_path, _set())
    shared = FileSet("other", SIZES | {"size": 5}, ("one/train.json",))
    with pytest.raises(DataError, match=r"one/train.json: asked for size 5 and found size 2"):
        _ensure(tmp_path, shared)


def test_sets_of_two_sources_are_not_set_side_by_side(tmp_path: Path) -> None:
    _ensure(tmp_path, _set())

    def build(file_set: FileSet) -> Content:
        return replace(_content(file_set), settings=file_set.settings | {"source_sha256": "xyz"})

    with pytest.raises(DataError, match="sha256 abc and the one asked for has xyz"):
        _ensure(tmp_path, _set(), _set("two"), build=build)
    assert not (tmp_path / "two").exists()


def test_nothing_is_written_where_one_set_cannot_be_built(tmp_path: Path) -> None:
    def build(file_set: FileSet) -> Content:
        if file_set.name == "two":
            raise ConfigError("cannot")
        return _content(file_set)

    with pytest.raises(ConfigError):
        _ensure(tmp_path, _set(), _set("two"), build=build)
    assert _snapshot(tmp_path) == {}
    assert not (tmp_path / ".building").exists()


def test_a_build_that_was_killed_is_finished(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    _ensure(whole, _set(), _set("two"))
    expected = {path.relative_to(whole): sha256_file(path) for path in whole.rglob("*.json")}
    cut_off = tmp_path / "cut"
    write_json(cut_off / "one/train.json", [2, 2])
    (cut_off / ".building").touch()
    _ensure(cut_off, _set(), _set("two"))
    assert {path.relative_to(cut_off): sha256_file(path) for path in cut_off.rglob("*.json")} == (
        expected
    )
    assert not (cut_off / ".building").exists()


def _build_in_process(folder: Path) -> list:
    return _ensure(folder, _set(), _set("two"), _set("three"))


def test_parallel_builders_share_a_folder(tmp_path: Path) -> None:
    with get_context("spawn").Pool(3) as pool:
        results = pool.map(_build_in_process, [tmp_path] * 6)
    assert all(result == results[0] for result in results)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CompositionalError, match="cannot write data folder"):
        _ensure(tmp_path / "file" / "data", _set())
