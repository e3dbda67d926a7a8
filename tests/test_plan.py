import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compositional.config import resolve
from compositional.drift import plain_prompts
from compositional.plan import Plan, Rates, measure_rates, plan_of, print_plan
from compositional.runner import prepare_run
from tests.prompts_counted import tokens_by_hand
from tests.runs_toy import toy_settings

RATES = Rates(
    training_tokens_per_second=100.0,
    prompt_tokens_per_second=math.inf,
    seconds_per_batch_token=0.5,
)
LORA = {"name": "lora", "adapter": {"rank": 2}}
DOCUMENTS = {
    "source": "synthetic", "num_rounds": 2, "documents_per_round": 1, "num_facts": 4,
    "questions_per_document": 3, "untaught": 0, "epochs": 2, "general": False,
}  # fmt: skip


def planned(folder: Path, model: Path, rates: Rates = RATES, **over: Any) -> Plan:
    config = resolve(toy_settings(folder, model, **over))
    return plan_of(prepare_run(config), config, rates)


def test_rounds_steps_cells_and_time(tmp_path: Path, toy_model_folder: Path) -> None:
    plan = planned(
        tmp_path,
        toy_model_folder,
        method=LORA,
        data={"training_rounds": "1-2:3,3-4"},
        training={"batch_size": 5},
    )
    lines = plan.lines
    assert lines[0] == "e/r: method lora"
    assert lines[1].startswith("  round 1 (tools1-2): 2 tools, 12 rows x 3 epochs, 9 steps, ")
    assert lines[2].startswith("  round 2 (tools3-4): 2 tools, 12 rows x 1 epochs, 3 steps, ")
    assert lines[3] == "  6 cells, 24 answers"
    tokens = sum(int(line.split(", ")[-1].split()[0]) for line in lines[1:3])
    # 8 answers a row in batches of 2, four tokens each at half a second.
    assert plan.seconds == pytest.approx(tokens / 100 + 3 * 4 * 4 * 0.5)
    assert lines[4] == f"  about {plan.seconds:.0f} seconds"


def test_batches_are_those_of_each_row(tmp_path: Path, toy_model_folder: Path) -> None:
    evaluation = {"first_row": False, "next_round": False, "batch_size": 3}
    plan = planned(tmp_path, toy_model_folder, method=LORA, evaluation=evaluation)
    training = planned(
        tmp_path,
        toy_model_folder,
        replace(RATES, seconds_per_batch_token=0.0),
        method=LORA,
        evaluation=evaluation,
    )
    # Four answers, then eight, in batches of three: two and three batches of four tokens.
    assert plan.seconds - training.seconds == pytest.approx((2 + 3) * 4 * 0.5)


def test_a_method_that_trains_nothing_is_asked_once_what_it_asks_again(
    tmp_path: Path, toy_model_folder: Path
) -> None:
    plan = planned(tmp_path, toy_model_folder, method="zero_shot")
    assert "steps" not in "\n".join(plan.lines)
    assert plan.lines[1] == "  round 1 (tools1-2): 2 tools"
    assert plan.lines[3] == "  6 cells, 24 answers"
    # Row 0 asks eight prompts; the other rows ask the same of the same model.
    assert plan.seconds == 4 * 4 * 0.5


def test_the_constant_answer_has_no_row_0_and_needs_no_time(
    tmp_path: Path, toy_model_folder: Path
) -> None:
    plan = planned(tmp_path, toy_model_folder, method="constant")
    assert "  4 cells, 16 answers" in plan.lines
    assert plan.seconds == 0
    assert plan.not_estimated == []


def test_joint_training_sees_all_rows_so_far(tmp_path: Path, toy_model_folder: Path) -> None:
    joint = planned(tmp_path, toy_model_folder, method={"name": "joint", "of": LORA})
    assert "round 2 (tools3-4): 2 tools, 24 rows x 1 epochs, 6 steps" in joint.lines[2]
    oracle = planned(tmp_path, toy_model_folder, method={"name": "oracle", "of": LORA})
    assert "round 2 (tools3-4): 2 tools, 12 rows x 1 epochs, 3 steps" in oracle.lines[2]
    assert joint.seconds > oracle.seconds


def test_a_range_of_its_own_stands_as_round_0(tmp_path: Path, toy_model_folder: Path) -> None:
    method = {"name": "memory_tokens", "adaptation": "own_range", "adapter": {"rank": 2}}
    plan = planned(tmp_path, toy_model_folder, method=method, data={"adaptation_tools": "5-6"})
    assert plan.lines[1].startswith("  round 0 (tools5-6): 2 tools, 12 rows")


def test_only_cells_asked_for_are_counted(tmp_path: Path, toy_model_folder: Path) -> None:
    evaluation = {"first_row": False, "next_round": False, "max_examples": 1}
    assert (
        "  3 cells, 3 answers" in planned(tmp_path, toy_model_folder, evaluation=evaluation).lines
    )


def test_documents_are_not_estimated(tmp_path: Path, toy_model_folder: Path) -> None:
    settings = toy_settings(tmp_path, toy_model_folder, method="dual_mlp")
    del settings["data"]
    config = resolve({**settings, "documents": DOCUMENTS})
    plan = plan_of(prepare_run(config), config, RATES)
    assert plan.lines[1] == "  round 1 (documents1-1): 1 documents"
    assert plan.not_estimated == ["learning documents is not estimated"]
    assert plan.lines[-1].endswith("; learning documents is not estimated")


def test_what_a_method_puts_before_a_question_is_counted_or_said_not_to_be(
    tmp_path: Path, toy_model_folder: Path
) -> None:
    rates = replace(RATES, prompt_tokens_per_second=50.0)
    icl = planned(tmp_path, toy_model_folder, rates, method="icl")
    bare = planned(tmp_path, toy_model_folder, rates, method="zero_shot")
    assert icl.not_estimated == bare.not_estimated == []
    assert icl.seconds > bare.seconds
    oracle = planned(tmp_path, toy_model_folder, method={"name": "oracle", "of": {"name": "icl"}})
    assert oracle.not_estimated == ["what oracle puts before a question is not counted"]


def test_the_rates_are_this_machines(tmp_path: Path, toy_model_folder: Path) -> None:
    config = resolve(toy_settings(tmp_path, toy_model_folder, method=LORA))
    prepared = prepare_run(config)
    rates = measure_rates(prepared, config)
    assert rates.training_tokens_per_second > 0
    assert rates.prompt_tokens_per_second > 0
    assert rates.seconds_per_batch_token >= 0
    assert rates.reads_prefix_once
    parameters = list(prepared.model.backbone.parameters())
    assert not any(p.requires_grad or p.grad is not None for p in parameters)


def test_the_plan_of_several_runs_ends_in_their_sum(
    tmp_path: Path, toy_model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configs = [
        resolve(toy_settings(tmp_path, toy_model_folder, run=name, method=name))
        for name in ("icl", "constant")
    ]
    print_plan(configs)
    shown = capsys.readouterr().out
    assert shown.count("tools1-2 test: 4 examples of ") == 1  # the data of both, once
    assert "\ne/icl: method icl\n" in shown
    assert "\ne/constant: method constant\n" in shown
    assert "\n2 runs, about " in shown
    assert shown.endswith(" on this machine, one after the other\n")


def test_a_plan_leaves_nothing_behind(
    tmp_path: Path, toy_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = toy_settings(tmp_path, toy_model_folder, data={"data_dir": None})
    before = sorted(tmp_path.rglob("*"))
    print_plan([resolve(settings)])
    assert sorted(tmp_path.rglob("*")) == before


def test_drift_takes_its_time(tmp_path: Path, toy_model_folder: Path) -> None:
    rates = replace(RATES, prompt_tokens_per_second=50.0)
    settings = toy_settings(tmp_path, toy_model_folder, evaluation={"batch_size": 10})
    without = resolve(settings)
    within = replace(without, evaluation=replace(without.evaluation, drift=True))
    prepared = prepare_run(within)
    found = plan_of(prepared, within, rates).seconds - plan_of(prepared, without, rates).seconds
    prompts = [prepared.model.chat.prompt_ids(prompt) for prompt in plain_prompts()]
    read = sum(map(len, prompts)) + 50 * 32
    # 5 batches of 32 tokens; answers with their prompts before and after each of two rounds
    assert found == pytest.approx(5 * 32 * 0.5 + (tokens_by_hand(prompts) + 3 * read) / 50)
