from dataclasses import replace
from pathlib import Path

import pytest

from compositional.columns import columns_of, due, is_generated
from compositional.documents.benchmark import general_questions, prepare_documents
from compositional.documents.config import DocumentsConfig
from compositional.errors import ConfigError, DataError
from compositional.settings import EvaluationConfig
from compositional.streams import Streams
from compositional.tasks.types import TEXT

SMALL = DocumentsConfig(
    source="synthetic", num_rounds=3, documents_per_round=2, num_facts=4, untaught=2
)


def test_each_round_teaches_its_documents_and_asks_about_them() -> None:
    benchmark = prepare_documents(SMALL, 7)
    assert [r.name for r in benchmark.rounds] == ["documents1-2", "documents3-4", "documents5-6"]
    taught = [document.name for r in benchmark.rounds for document in r.documents]
    assert len(set(taught)) == 6
    for round_ in benchmark.rounds:
        names = {document.name for document in round_.documents}
        assert {example.document for example in round_.test} == names
        assert len(round_.test) == 2 * SMALL.questions_per_document
        assert all(
            example.form == TEXT and example.round == round_.index for example in round_.test
        )
    assert not {example.document for example in benchmark.untaught} & set(taught)
    assert all(example.round is None for example in benchmark.untaught)


def test_an_order_moves_rounds_and_no_column_changes() -> None:
    plain = prepare_documents(SMALL, 7)
    turned = prepare_documents(replace(SMALL, order=[3, 1, 2]), 7)
    assert [r.name for r in turned.rounds] == ["documents5-6", "documents1-2", "documents3-4"]
    assert [r.index for r in turned.rounds] == [1, 2, 3]
    by_name = {r.name: r for r in turned.rounds}
    for round_ in plain.rounds:
        other = by_name[round_.name]
        assert other.documents == round_.documents
        assert [replace(e, round=None) for e in other.test] == [
            replace(e, round=None) for e in round_.test
        ]
    assert turned.untaught == plain.untaught
    assert turned.manifest_sha256 != plain.manifest_sha256


def test_skipped_documents_are_in_no_other_table() -> None:
    table = prepare_documents(SMALL, 7)
    trials = prepare_documents(replace(SMALL, skip=SMALL.num_needed), 7)
    tried, taught = (
        {document.text for round_ in benchmark.rounds for document in round_.documents}
        for benchmark in (trials, table)
    )
    assert len(tried) == len(taught) == 6
    assert not tried & taught
    asked = {example.id for example in table.untaught}
    assert not asked & {example.id for round_ in trials.rounds for example in round_.test}


def test_the_gold_answer_is_among_the_choices_and_hidden_from_methods() -> None:
    benchmark = prepare_documents(SMALL, 7)
    for example in (e for r in benchmark.rounds for e in r.test if e.choices):
        (step,) = example.steps or ()
        assert example.choices.count(step.response) == 1
        assert len(set(example.choices)) == 4
        hidden = example.hidden()
        assert (hidden.steps, hidden.round, hidden.kind, hidden.document) == (None, None, "", "")
        assert hidden.choices == example.choices
        assert example.hidden(frozenset({"document"})).document == example.document


def test_answers_are_known_by_round() -> None:
    benchmark = prepare_documents(SMALL, 7)
    assert benchmark.answers_until(0) == frozenset()
    assert benchmark.answers_until(1) == benchmark.taught_answers[1]
    assert benchmark.answers_until(3) == frozenset().union(*benchmark.taught_answers.values())


def test_columns_and_where_answers_are_generated() -> None:
    benchmark = prepare_documents(SMALL, 7)
    columns = columns_of(benchmark, EvaluationConfig())
    assert [column.name for column in columns][-2:] == ["untaught", "general"]
    settings = EvaluationConfig(next_round=False)
    rows = {row: [c.name for c in due(columns, row, 3, settings)] for row in range(4)}
    assert rows[0] == ["documents1-2", "documents3-4", "documents5-6", "untaught", "general"]
    assert rows[1] == ["documents1-2"]
    assert rows[3] == ["documents1-2", "documents3-4", "documents5-6", "untaught", "general"]
    generated = [
        [is_generated(column, row, 3, at_ends=True) for column in columns[:3]] for row in range(4)
    ]
    assert generated == [
        [False] * 3, [True, False, False], [False, True, False], [True, True, True],
    ]  # fmt: skip
    assert is_generated(columns[0], 0, 3, at_ends=False)


def test_general_questions_are_asked_by_choices_only() -> None:
    questions = general_questions(Streams(0))
    assert len(questions) == 100
    assert not any(question.generates for question in questions)
    assert all(len(question.choices) == 4 for question in questions)


def test_says_what_it_asks() -> None:
    lines = prepare_documents(SMALL, 7).summary()
    assert lines[0].startswith("documents1-2: 2 documents of ")
    assert (
        "10 questions (2 direct, 2 paraphrased, 2 reversed, 2 two_hop, 2 unanswerable)" in lines[0]
    )
    assert lines[-2:] == ["untaught: 10 questions", "general: 100 questions"]


def test_too_few_documents_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("A text without a question.")
    config = replace(SMALL, source=str(path))
    with pytest.raises(DataError, match=r"has 0 documents with questions, and 0 to skip, 3 x 2"):
        prepare_documents(config, 7)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_facts": 3}, "num_facts is 3; it must be 4 to 256"),
        ({"order": [1, 2]}, "order is .1, 2.; it must name each round from 1 to 3 once"),
        ({"source": "synthetik"}, "did you mean 'synthetic'"),
        ({"revision": "abc"}, "revision 'abc' is for Hub ids"),
        ({"generation": "nowhere"}, "nowhere"),
        ({"num_rounds": 1, "documents_per_round": 1, "untaught": 0}, "one document alone"),
    ],
)
def test_values_that_cannot_be_are_refused(settings, message) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(SMALL, **settings)
