from pathlib import Path

import numpy as np
import pytest

from compositional.cells import cell_json, means, prediction_json, read_cell, scores_by_name
from compositional.columns import Column
from compositional.files import canonical_json
from compositional.tasks.types import Call, Prediction
from tests.rounds_toy import example

EXAMPLES = (example(1, ("get_time",), 1), example(1, ("get_time", "set_alarm"), 2))
COLUMN = Column("tools1", "round", 1, EXAMPLES)


def test_scores_that_do_not_apply_are_empty_and_enter_no_mean() -> None:
    scores = scores_by_name([{"a": 1.0, "b": 0.5}, {"a": 0.0}])
    assert scores == {"a": [1.0, 0.0], "b": [0.5, None]}
    assert means(scores) == {"a": 0.5, "b": 0.5}
    assert means({"c": [None, None]}) == {}


def test_a_cell_is_read_as_it_was_written(tmp_path: Path) -> None:
    scores = {"a": [1.0, 0.25], "b": [None, 0.5], "c": [None, None]}
    path = tmp_path / "cell.json"
    path.write_text(canonical_json(cell_json(2, COLUMN, scores)))
    cell = read_cell(path)
    assert (cell.row, cell.column) == (2, "tools1")
    assert cell.example_ids == [e.id for e in EXAMPLES]
    assert cell.base_ids == [("get_time-1",), ("get_time-2", "set_alarm-2")]
    assert cell.num_calls == [1, 2]
    np.testing.assert_array_equal(cell.scores["b"], [np.nan, 0.5])
    assert cell.mean("a") == pytest.approx(0.625)
    assert cell.mean("b") == 0.5
    assert cell.mean("c") is None
    assert cell.mean("none") is None


def test_a_prediction_keeps_its_raw_text_and_what_was_begun() -> None:
    call = Call("get_time", {"what": "é"})
    prediction = Prediction("raw", None, ("get_time", "x"), 9, (call, None))
    assert prediction_json(EXAMPLES[0], prediction) == {
        "id": "get_time-1",
        "calls": None,
        "tools": ["get_time", "x"],
        "raw": "raw",
        "num_tokens": 9,
        "parts": [{"name": "get_time", "arguments": {"what": "é"}}, None],
    }
    parsed = prediction_json(EXAMPLES[0], Prediction("raw", (call,), ("get_time",)))
    assert parsed["calls"] == [{"name": "get_time", "arguments": {"what": "é"}}]
