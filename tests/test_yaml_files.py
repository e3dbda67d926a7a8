from pathlib import Path

import pytest

from compositional.errors import ConfigError
from compositional.yaml_files import read_settings


def test_a_mapping_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("a: &shared {b: 1}\nc: {<<: *shared, d: é}\n", encoding="utf-8")
    assert read_settings(path) == {"a": {"b": 1}, "c": {"b": 1, "d": "é"}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: 1\na: 2\n", "key 'a' stands twice in"),
        (b"runs: {a: 1, a: 2}\n", "key 'a' stands twice in"),
        (b"a: [\n", "not YAML"),
        (b"a: !!python/object:os.system x\n", "not YAML: could not determine a constructor"),
        (b"- a\n", "must hold a mapping of settings"),
        (b"", "must hold a mapping of settings"),
        (b"a: \xff\n", "cannot be read"),
    ],
)
def test_anything_else_is_one_line_with_the_file(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_settings(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file of settings"):
        read_settings(tmp_path / "x.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_settings(tmp_path)
