"""What a grid notes beside its results."""

from pathlib import Path

import pytest

from compositional.config import resolve
from compositional.errors import ResultsError
from compositional.planned_runs import PLAN, PlannedRun, note_planned, read_planned
from tests.runs_toy import toy_settings


def test_a_plan_is_noted_once_or_anew(tmp_path: Path) -> None:
    of = {"name": "oracle", "of": {"name": "lora"}}
    configs = [
        resolve(toy_settings(tmp_path, tmp_path, run=name, method=method))
        for name, method in (("a", {"name": "icl"}), ("b", of))
    ]
    folder = tmp_path / "results" / "e"
    assert read_planned(folder) == []
    note_planned(configs, anew=False)
    assert read_planned(folder) == [PlannedRun("a", "icl"), PlannedRun("b", "oracle of lora")]
    note_planned(configs[:1], anew=False)
    assert len(read_planned(folder)) == 2
    note_planned(configs[:1], anew=True)
    assert read_planned(folder) == [PlannedRun("a", "icl")]


@pytest.mark.parametrize("content", ["[1]", '{"runs": []}', '[{"name": "a"}]', "3"])
def test_a_file_that_is_no_plan(content: str, tmp_path: Path) -> None:
    (tmp_path / PLAN).write_text(content)
    with pytest.raises(ResultsError, match=r"grid\.json is no plan of a grid: remove it"):
        read_planned(tmp_path)
