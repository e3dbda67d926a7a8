import hashlib
import json

import pytest

from compositional.errors import DataError
from compositional.tasks.rows import xlam_row
from compositional.tasks.split import rank_tools, split_rows
from tests.tasks.toy_rows import record, row


def _rows(n: int) -> list:
    return [row(f"Ask {i}", "alpha", {"number": i}, row_id=str(i)) for i in range(n)]


@pytest.mark.parametrize(
    ("n", "test", "validation"),
    [(2, 1, 0), (4, 1, 0), (9, 1, 0), (10, 2, 1), (14, 2, 1), (19, 3, 1), (94, 18, 9)],
)
def test_a_fifth_is_test_and_a_tenth_validation(n: int, test: int, validation: int) -> None:
    split = split_rows("alpha", _rows(n), 42)
    assert (len(split.test), len(split.validation)) == (test, validation)
    assert len(split.train) == n - test - validation
    assert {r.id for part in (split.train, split.validation, split.test) for r in part} == {
        str(i) for i in range(n)
    }


def test_the_order_is_that_of_the_hash_of_seed_query_and_calls() -> None:
    def digest(i: int, seed: int) -> str:
        calls = [{"arguments": {"number": i}, "name": "alpha"}]
        text = json.dumps(
            {"calls": calls, "query": f"Ask {i}"}, sort_keys=True, separators=(",", ":")
        )
        return hashlib.sha256(f"{seed}\n{text}".encode()).hexdigest()

    for seed in (1, 2):
        split = split_rows("alpha", _rows(20), seed)
        ordered = sorted(range(20), key=lambda i: digest(i, seed))
        assert [r.id for r in (*split.test, *split.validation, *split.train)] == [
            str(i) for i in ordered
        ]


def test_the_split_depends_neither_on_ids_nor_on_the_order_of_rows() -> None:
    renamed = [row(f"Ask {i}", "alpha", {"number": i}, row_id=f"x{i}") for i in reversed(range(20))]
    one, other = split_rows("alpha", _rows(20), 42), split_rows("alpha", renamed, 42)
    assert [r.query for r in one.test] == [r.query for r in other.test]
    assert [r.query for r in one.train] == [r.query for r in other.train]


def test_a_tool_with_one_row_cannot_be_split() -> None:
    with pytest.raises(DataError, match="'alpha' has 1 row"):
        split_rows("alpha", _rows(1), 42)


def test_tools_rank_by_rows_and_ties_by_name() -> None:
    rows = [row(f"q{i}", name) for i, name in enumerate(["b", "c", "a", "c", "b", "d"])]
    assert [tool.skill.name for tool in rank_tools(rows)] == ["b", "c", "a", "d"]


def test_a_tools_schema_is_the_union_of_its_rows() -> None:
    definitions = [{"x": {"type": "int"}}, {"x": {"type": "int"}, "y": {"type": "str"}}]
    rows = [
        xlam_row(record(f"q{i}", "a", {}, definition), str(i))
        for i, definition in enumerate(definitions)
    ]
    (tool,) = rank_tools(rows)
    assert tool.skill.parameters["required"] == ["x"]
    assert set(tool.skill.parameters["properties"]) == {"x", "y"}
    assert tool.parameters_differ
    assert not rank_tools(rows[:1])[0].parameters_differ
