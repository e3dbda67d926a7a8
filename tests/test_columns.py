from dataclasses import replace

import pytest

from compositional.columns import Column, columns_of, due
from compositional.errors import DataError
from compositional.settings import EvaluationConfig
from tests.rounds_toy import toy_benchmark

BENCHMARK = toy_benchmark(3)
PLAIN = EvaluationConfig()


def names(row: int, **settings) -> list[str]:
    evaluation = EvaluationConfig(**settings)
    columns = columns_of(BENCHMARK, evaluation)
    return [column.name for column in due(columns, row, 3, evaluation)]


def test_columns_stand_in_the_order_taught_then_those_outside_the_matrix() -> None:
    columns = columns_of(BENCHMARK, PLAIN)
    assert [(c.name, c.kind, c.index) for c in columns] == [
        ("tools1", "round", 1), ("tools2", "round", 2), ("tools3", "round", 3),
        ("mixed", "mixed", 0), ("unanswerable", "unanswerable", 0),
    ]  # fmt: skip
    assert columns[0].examples == BENCHMARK.rounds[0].test
    without = columns_of(replace(BENCHMARK, mixed=(), unanswerable=()), PLAIN)
    assert [c.name for c in without] == ["tools1", "tools2", "tools3"]


def test_the_lower_triangle_and_the_cell_above_each_diagonal_cell() -> None:
    assert [names(row) for row in range(4)] == [
        ["tools1", "tools2", "tools3", "unanswerable"],  # row 0 takes every column
        ["tools1", "tools2", "unanswerable"],
        ["tools1", "tools2", "tools3", "unanswerable"],
        ["tools1", "tools2", "tools3", "mixed", "unanswerable"],
    ]


def test_without_the_next_round_the_lower_triangle_alone() -> None:
    assert [names(row, next_round=False) for row in (1, 2, 3)] == [
        ["tools1", "unanswerable"],
        ["tools1", "tools2", "unanswerable"],
        ["tools1", "tools2", "tools3", "mixed", "unanswerable"],
    ]


def test_all_future_rounds_where_asked() -> None:
    assert names(1, future_rounds=True) == ["tools1", "tools2", "tools3", "unanswerable"]
    assert names(1, future_rounds=True, next_round=False) == names(1, future_rounds=True)


def test_past_rounds_may_be_left_out() -> None:
    assert names(2, past_rounds=False) == ["tools2", "tools3", "unanswerable"]
    assert names(3, past_rounds=False) == ["tools3", "mixed", "unanswerable"]


def test_rows_may_be_left_out_but_not_the_last() -> None:
    assert names(0, first_row=False) == []
    assert names(1, first_row=False) == names(1)
    assert [names(row, every_round=False) for row in (1, 2)] == [[], []]
    assert names(0, every_round=False) == names(0)
    assert names(3, every_round=False) == names(3)


def test_one_round() -> None:
    benchmark = replace(toy_benchmark(1), mixed=())
    columns = columns_of(benchmark, PLAIN)
    found = [[c.name for c in due(columns, row, 1, PLAIN)] for row in (0, 1)]
    assert found == [["tools1", "unanswerable"]] * 2


def test_the_validation_split_and_the_first_examples() -> None:
    columns = columns_of(BENCHMARK, EvaluationConfig(split="validation", max_examples=1))
    assert [c.examples for c in columns[:3]] == [r.validation[:1] for r in BENCHMARK.rounds]
    assert [len(c.examples) for c in columns] == [1] * 5


def test_distinct_base_queries_are_counted() -> None:
    examples = BENCHMARK.rounds[0].test  # get_time-6, set_alarm-7, get_time-8 with set_alarm-8
    column = Column("c", "round", 1, (*examples, examples[0]))
    assert column.num_base_queries == 4


def test_an_empty_test_set_is_an_error_that_names_it() -> None:
    rounds = (BENCHMARK.rounds[0], replace(BENCHMARK.rounds[1], validation=()))
    benchmark = replace(BENCHMARK, rounds=rounds)
    with pytest.raises(DataError, match="the validation set of tools2 is empty"):
        columns_of(benchmark, EvaluationConfig(split="validation"))
