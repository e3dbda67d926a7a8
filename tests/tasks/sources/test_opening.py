from pathlib import Path

import pytest

from compositional.errors import ConfigError, DataError
from compositional.tasks.sources.opening import SourceName
from tests.tasks.toy_rows import source_file


def test_names_tell_bfcl_files_and_hub_ids_apart(tmp_path: Path) -> None:
    assert SourceName("bfcl").slug == "bfcl"
    assert SourceName("owner/name", "v1").slug == "owner-name"
    path = tmp_path / "hwu64" / "calls.jsonl"
    assert SourceName(str(path)).path == path
    assert SourceName(str(path)).slug == "hwu64-calls"
    assert SourceName(str(path)).label == "calls.jsonl"


def test_names_of_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'bfcl'"):
        SourceName("bfc")
    with pytest.raises(ConfigError, match="revision 'v1' is for Hub ids"):
        SourceName("bfcl", "v1")


def test_a_file_is_read_by_its_path(tmp_path: Path) -> None:
    assert len(SourceName(str(source_file(tmp_path, [2, 1]))).read().rows) == 3
    with pytest.raises(DataError, match="no such file"):
        SourceName(str(tmp_path / "none.jsonl")).read()
