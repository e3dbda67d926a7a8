import json
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compositional.errors import CompositionalError, DataError
from compositional.files import (
    atomic_path,
    canonical_json,
    check_writable,
    read_json,
    read_json_lines,
    read_json_list,
    sha256_file,
    sha256_text,
    write_json,
    write_json_lines,
    write_text,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=4), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class CrashError(Exception):
    pass


@pytest.mark.parametrize("error", [CrashError, KeyboardInterrupt, SystemExit])
def test_a_crash_in_the_block_leaves_the_old_file(tmp_path, error) -> None:
    path = tmp_path / "file"
    write_text(path, "old")

    def crash() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half of the n")
            raise error

    with pytest.raises(error):
        crash()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_crash_before_a_first_file_leaves_none(tmp_path) -> None:
    with pytest.raises(CrashError), atomic_path(tmp_path / "new" / "file"):
        raise CrashError
    assert names(tmp_path / "new") == []


def test_a_kill_in_the_block_leaves_the_old_file(tmp_path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    killed = (
        "import os, pathlib, sys\n"
        "from compositional.files import atomic_path\n"
        "with atomic_path(pathlib.Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    child = subprocess.run([sys.executable, "-c", killed, path], check=False)
    assert child.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    write_text(path, "new")
    assert path.read_text() == "new"


def test_a_reader_sees_the_old_file_until_the_block_ends(tmp_path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    with atomic_path(path) as temporary:
        assert temporary.parent == path.parent  # one file system: the name changes in one step
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["file"]


@pytest.fixture
def tiny_files() -> Iterator[None]:
    """A disk that is full: no file grows over 1 KiB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_one_error_and_the_old_file_stays(tmp_path, tiny_files) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    for write in (
        lambda: write_text(path, "x" * 5000),
        lambda: write_json(path, ["x" * 5000]),
        lambda: write_json_lines(path, ["x" * 5000]),
    ):
        with pytest.raises(CompositionalError, match=r"^cannot write .*file: File too large$"):
            write()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_path_below_a_file_is_one_error(tmp_path) -> None:
    write_text(tmp_path / "file", "x")
    with pytest.raises(CompositionalError, match=r"^cannot write .*below: "):
        write_text(tmp_path / "file" / "below", "y")
    with pytest.raises(CompositionalError, match=r"^cannot write .*deeper: "):
        write_text(tmp_path / "file" / "below" / "deeper", "y")
    assert (tmp_path / "file").read_text() == "x"


@pytest.mark.parametrize("length", [250, 300])
def test_a_name_that_is_too_long_is_one_error(tmp_path, length) -> None:
    with pytest.raises(CompositionalError, match="File name too long"):
        write_text(tmp_path / ("n" * length), "x")
    with pytest.raises(CompositionalError, match="File name too long"):
        write_text(tmp_path / ("n" * 300) / "file", "x")


def test_a_folder_in_the_way_is_one_error(tmp_path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(CompositionalError, match="cannot write"):
        write_text(tmp_path / "file", "x")
    assert names(tmp_path) == ["file"]


def test_what_can_be_written_is_found_out_without_a_trace(tmp_path) -> None:
    write_text(tmp_path / "old", "old")
    for path in (tmp_path / "new", tmp_path / "a" / "b" / "new", tmp_path / "old"):
        check_writable(path)
    assert names(tmp_path) == ["old"]
    assert (tmp_path / "old").read_text() == "old"
    for path in (tmp_path / "old" / "new", tmp_path / "old" / "a" / "new", tmp_path):
        with pytest.raises(CompositionalError, match=r"^cannot write "):
            check_writable(path)
    assert names(tmp_path) == ["old"]


def test_values_that_are_no_json_are_refused_and_the_old_file_stays(tmp_path) -> None:
    write_json(tmp_path / "f", {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "f", float("nan"))
    assert read_json(tmp_path / "f") == {"a": 1}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=JSON)
def test_json_comes_back(tmp_path, value) -> None:
    write_json(tmp_path / "one", value)
    assert read_json(tmp_path / "one") == value
    write_json_lines(tmp_path / "lines", [value, value])
    assert read_json_lines(tmp_path / "lines") == [(1, value), (2, value)]
    assert json.loads(canonical_json(value)) == value


def test_canonical_json_is_one_text_for_equal_values() -> None:
    assert canonical_json({"b": [1, "ü"], "a": {"d": 1, "c": 2}}) == (
        '{"a":{"c":2,"d":1},"b":[1,"ü"]}'
    )
    assert canonical_json({"a": 1, "b": 2}) == canonical_json({"b": 2, "a": 1})


def test_hashes(tmp_path) -> None:
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_text("abc") == abc
    write_text(tmp_path / "f", "abc")
    assert sha256_file(tmp_path / "f") == abc


def test_read_errors_name_the_file_and_the_line(tmp_path) -> None:
    (tmp_path / "bad").write_text('{"a": 1,\n oops}')
    with pytest.raises(DataError, match="bad: line 2: not JSON"):
        read_json(tmp_path / "bad")
    (tmp_path / "lines").write_text('{"a": 1}\n\n{oops\n')
    with pytest.raises(DataError, match="lines: line 3: not JSON"):
        read_json_lines(tmp_path / "lines")
    (tmp_path / "latin").write_bytes(b'1\n"\xe9"')
    (tmp_path / "deep").write_text("[" * 100_000)
    (tmp_path / "long").write_text("9" * 5000)
    for read in (read_json, read_json_lines):
        with pytest.raises(DataError, match="missing: no such file"):
            read(tmp_path / "missing")
        with pytest.raises(DataError, match="latin: line 2: not UTF-8: byte 0xe9"):
            read(tmp_path / "latin")
        with pytest.raises(DataError, match="is a folder, not a file"):
            read(tmp_path)
        with pytest.raises(DataError, match="deep: line 1: JSON that is nested too deeply"):
            read(tmp_path / "deep")
        with pytest.raises(DataError, match="long: line 1: Exceeds the limit"):
            read(tmp_path / "long")


def test_lines_are_counted_as_an_editor_counts_them(tmp_path) -> None:
    """Other separators that `splitlines` knows are legal inside a JSON string."""
    (tmp_path / "f").write_text('"a\u2028b"\n\n  \n"\x85"\r\n')
    assert read_json_lines(tmp_path / "f") == [(1, "a\u2028b"), (4, "\x85")]


@given(st.lists(JSON), st.sampled_from([None, 0, 2]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_items_of_a_list_come_back_in_order(tmp_path, items, indent) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps(items, indent=indent, ensure_ascii=False), encoding="utf-8")
    found = read_json_list(path)
    assert [item for _, item in found] == items
    numbers = range(1, len(items) + 1)
    ends = [place.endswith(f"(record {n})") for n, (place, _) in zip(numbers, found, strict=True)]
    assert all(ends)


def test_items_of_a_list_are_placed_by_the_line_they_begin_on(tmp_path) -> None:
    path = tmp_path / "list.json"
    path.write_text('\n[ {"a": "[,\\n"}, 5\n\n , [\n1,\n2] , "x"]\n', encoding="utf-8")
    places = [place for place, _ in read_json_list(path)]
    assert places == [
        "line 2 (record 1)", "line 2 (record 2)", "line 4 (record 3)", "line 6 (record 4)",
    ]  # fmt: skip
    path.write_text('{"a": []}', encoding="utf-8")
    with pytest.raises(DataError, match="must hold a list of records, not dict"):
        read_json_list(path)
