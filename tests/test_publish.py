import json
from itertools import chain
from pathlib import Path

import pytest
import yaml

from compositional.config import read_experiment, resolve
from compositional.errors import CompositionalError, ResultsError
from compositional.files import read_json
from compositional.publish import publish
from compositional.report import write_report
from compositional.runner import run
from tests.runs_toy import interrupt_at, toy_settings

LORA = {"name": "lora", "adapter": {"rank": 2}}


@pytest.fixture
def results(tmp_path: Path, toy_model_folder: Path) -> Path:
    """An experiment of one finished run and one that was cut off."""
    run(resolve(toy_settings(tmp_path, toy_model_folder, method=LORA)), progress=False)
    with interrupt_at("learned tools1-2"):
        run(resolve(toy_settings(tmp_path, toy_model_folder, run="cut")), progress=False)
    return tmp_path / "results" / "e"


def everything(folder: Path) -> str:
    return "".join(p.read_text() for p in sorted(folder.rglob("*")) if p.is_file())


def test_finished_runs_are_kept_without_text_or_places(results: Path, tmp_path: Path) -> None:
    kept = tmp_path / "docs" / "x"
    assert publish(results, kept) == ["r"]
    assert [path.name for path in kept.iterdir()] == ["r"]
    text = everything(kept)
    assert "Ask ALPHA" not in text
    assert str(tmp_path) not in text
    assert "/" not in yaml.safe_load((kept / "r" / "config.yaml").read_text())["model"]["name"]
    assert not (kept / "r" / "predictions").exists()
    for path in sorted((results / "r" / "scores").iterdir()):
        cell, copied = read_json(path), read_json(kept / "r" / "scores" / path.name)
        assert copied["scores"] == cell["scores"]
        assert copied["example_ids"] == cell["example_ids"]
        pairs = zip(chain(*cell["base_ids"]), chain(*copied["base_ids"]), strict=True)
        groups = dict(pairs)
        assert len(set(groups.values())) == len(groups)
        assert all(len(name) == 16 and name not in groups for name in groups.values())
    assert read_json(kept / "r" / "result.json") == read_json(results / "r" / "result.json")
    config = resolve(read_experiment(kept / "r" / "config.yaml"))
    assert config.sha256() == resolve(read_experiment(results / "r" / "config.yaml")).sha256()


def test_a_report_is_made_of_what_is_kept(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_report(results)
    first = (results / "scores.md").read_text()
    publish(results, tmp_path / "kept")
    write_report(tmp_path / "empty", published=tmp_path / "kept")
    assert (tmp_path / "empty" / "scores.md").read_text().splitlines()[:8] == (
        first.splitlines()[:8]
    )


def test_what_stands_is_not_written_over(results: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    publish(results, kept)
    (kept / "r" / "result.json").write_text(json.dumps({"mine": True}))
    assert publish(results, kept) == []
    assert read_json(kept / "r" / "result.json") == {"mine": True}


def test_what_was_kept_by_half_is_kept_again(results: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    publish(results, kept)
    whole = everything(kept)
    (kept / "r" / "result.json").unlink()
    assert publish(results, kept) == ["r"]
    assert everything(kept) == whole


def test_nothing_to_keep_and_nowhere_to_keep_it_are_one_line(results: Path, tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="holds no finished run"):
        publish(tmp_path / "nowhere", tmp_path / "kept")
    (tmp_path / "file").touch()
    with pytest.raises(CompositionalError, match="cannot write"):
        publish(results, tmp_path / "file" / "x")
