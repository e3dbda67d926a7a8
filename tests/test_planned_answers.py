"""Prompts and batches of a plan, against those of a run and counted by hand."""

from pathlib import Path
from typing import Any

import pytest

from compositional.config import RunConfig, resolve
from compositional.methods.icl import Icl, IclConfig
from compositional.methods.own_document import OwnDocument
from compositional.planned_answers import planned_answers, tokens_read
from compositional.runner import Prepared, prepare_run, run
from tests.prompts_counted import tokens_by_hand
from tests.runs_toy import toy_settings


def prepared_with(folder: Path, model: Path, **over: Any) -> tuple[Prepared, RunConfig]:
    config = resolve(toy_settings(folder, model, **over))
    return prepare_run(config), config


def prompts_of_tests(prepared: Prepared) -> list[list[int]]:
    """The tokens of every test query, round after round."""
    queries = [e.query for round_ in prepared.benchmark.rounds for e in round_.test]
    return [prepared.model.chat.prompt_ids(query) for query in queries]


def test_tokens_that_all_prompts_begin_with_are_read_once() -> None:
    shared = list(range(40))
    prompts = [[*shared, 50], [*shared, 51, 52]]
    assert tokens_read(prompts, once=True) == 40 + 1 + 2
    assert tokens_read(prompts, once=False) == 41 + 42
    assert tokens_read([[1, 2], [1, 3]], once=True) == 4  # too few to be worth it
    assert tokens_read([], once=True) == 0


def test_a_trained_method_reads_the_queries_of_every_row(tmp_path, toy_model_folder) -> None:
    lora = {"name": "lora", "adapter": {"rank": 2}}
    prepared, config = prepared_with(tmp_path, toy_model_folder, method=lora)
    asked = planned_answers(prepared, config)
    prompts = prompts_of_tests(prepared)
    # Rows 0, 1 (with the next round) and 2 ask both rounds.
    assert asked.prompt_tokens == 3 * tokens_by_hand(prompts)
    assert (asked.num_cells, asked.num_answers, asked.num_batches) == (6, 24, 3 * 4)
    assert asked.knows_prompts


def test_memory_tokens_read_nothing_before_their_first_row(tmp_path, toy_model_folder) -> None:
    rows = {"name": "memory_tokens", "adapter": {"rank": 2}}
    prepared, config = prepared_with(tmp_path, toy_model_folder, method=rows)
    asked = planned_answers(prepared, config)
    prompts = prompts_of_tests(prepared)
    assert asked.prompt_tokens == 2 * tokens_by_hand(prompts)
    assert (asked.num_answers, asked.num_batches) == (24, 2 * 4)


def test_icl_reads_the_tools_so_far(tmp_path, toy_model_folder) -> None:
    settings = {"name": "icl", "demonstrations": 1}
    prepared, config = prepared_with(tmp_path, toy_model_folder, method=settings)
    asked = planned_answers(prepared, config)
    rounds = prepared.benchmark.rounds
    by_hand = Icl(IclConfig(demonstrations=1), prepared.model)
    expected = 0
    for row in (0, 1, 2):
        for round_ in rounds[row - 1 : row] if row else ():
            by_hand.toolbox.take(round_)
        expected += tokens_by_hand([by_hand.prompt(e) for r in rounds for e in r.test])
    assert asked.prompt_tokens == expected
    assert asked.num_batches == 3 * 4
    assert isinstance(prepared.method, Icl)
    assert prepared.method.toolbox.skills == []  # as it was


@pytest.mark.parametrize("method", ["icl", {"name": "rag", "k": 1}, "zero_shot"])
def test_as_many_answers_are_planned_as_a_run_does_not_reuse(
    tmp_path, toy_model_folder, method
) -> None:
    evaluation = {"batch_size": 1}
    alone = {"share_answers": False}
    prepared, config = prepared_with(
        tmp_path, toy_model_folder, method=method, evaluation=evaluation, output=alone
    )
    asked = planned_answers(prepared, config)
    timings = run(config, progress=False).timings()
    cells = [timing for name, timing in timings.items() if name.startswith("row")]
    assert asked.num_cells == len(cells)
    assert asked.num_answers == sum(cell["num_examples"] for cell in cells)
    fresh = sum(cell["num_examples"] - cell["num_reused"] for cell in cells)
    assert asked.num_batches == fresh


def test_choices_are_read_in_every_row_and_answers_once(tmp_path, toy_model_folder) -> None:
    settings = toy_settings(tmp_path, toy_model_folder, method="own_document")
    del settings["data"]
    settings["documents"] = {
        "source": "synthetic", "num_rounds": 2, "documents_per_round": 1, "num_facts": 4,
        "questions_per_document": 3, "untaught": 0, "epochs": 1, "general": False,
    }  # fmt: skip
    config = resolve(settings)
    prepared = prepare_run(config)
    model, (first, second) = prepared.model, prepared.benchmark.rounds
    own = OwnDocument(model)
    expected = 0
    # A round is answered in its own row and in the last one, the first round alike in both.
    for taught, answered in ((None, ()), (first, first.test), (second, second.test)):
        if taught is not None:
            own.take(taught)
        expected += tokens_by_hand([own.prompt(example) for example in answered])
        for example in (*first.test, *second.test):
            choices = [model.chat.target_ids(text) for text in example.choices]
            expected += (len(own.prompt(example)) if choices else 0) + sum(map(len, choices))
    asked = planned_answers(prepared, config)
    assert any(example.choices for example in first.test)
    assert (asked.prompt_tokens, asked.num_batches) == (expected, 2 + 2)
