from pathlib import Path
from typing import Any

import pytest

from compositional.config import resolve
from compositional.plan import Rates, measure_rates, plan_lines, print_plan
from compositional.runner import prepare_run
from tests.runs_toy import toy_settings

RATES = Rates(
    training_tokens_per_second=100.0, seconds_per_prompts=3.0, seconds_per_batch_token=0.5
)
LORA = {"name": "lora", "adapter": {"rank": 2}}


def planned(folder: Path, model: Path, **over: Any) -> tuple[str, float]:
    config = resolve(toy_settings(folder, model, **over))
    lines, seconds = plan_lines(prepare_run(config), config, RATES)
    return "\n".join(lines), seconds


def test_rounds_steps_cells_and_time(tmp_path: Path, toy_model_folder: Path) -> None:
    text, seconds = planned(
        tmp_path,
        toy_model_folder,
        method=LORA,
        data={"training_rounds": "1-2:3,3-4"},
        training={"batch_size": 5},
    )
    lines = text.splitlines()
    assert lines[0] == "e/r: method lora"
    assert lines[1].startswith("  round 1 (tools1-2): 2 tools, 12 rows x 3 epochs, 9 steps, ")
    assert lines[2].startswith("  round 2 (tools3-4): 2 tools, 12 rows x 1 epochs, 3 steps, ")
    assert lines[3] == "  6 cells, 24 answers"
    tokens = sum(int(line.split(", ")[-1].split()[0]) for line in lines[1:3])
    # 24 answers in batches of 2: 3 seconds for the prompts, 4 tokens each at half a second.
    assert seconds == pytest.approx(tokens / 100 + 12 * (3 + 4 * 0.5))


def test_a_method_that_trains_nothing_has_no_steps(tmp_path: Path, toy_model_folder: Path) -> None:
    text, seconds = planned(tmp_path, toy_model_folder, method="zero_shot")
    assert "steps" not in text
    assert "  round 1 (tools1-2): 2 tools\n" in text
    assert seconds == 12 * (3 + 4 * 0.5)


def test_the_constant_answer_has_no_row_0_and_needs_no_time(
    tmp_path: Path, toy_model_folder: Path
) -> None:
    text, seconds = planned(tmp_path, toy_model_folder, method="constant")
    assert "  4 cells, 16 answers" in text
    assert seconds == 0


def test_joint_training_sees_all_rows_so_far(tmp_path: Path, toy_model_folder: Path) -> None:
    text, joint = planned(tmp_path, toy_model_folder, method={"name": "joint", "of": LORA})
    assert "round 2 (tools3-4): 2 tools, 24 rows x 1 epochs, 6 steps" in text
    text, oracle = planned(tmp_path, toy_model_folder, method={"name": "oracle", "of": LORA})
    assert "round 2 (tools3-4): 2 tools, 12 rows x 1 epochs, 3 steps" in text
    assert joint > oracle


def test_a_range_of_its_own_stands_as_round_0(tmp_path: Path, toy_model_folder: Path) -> None:
    method = {"name": "memory_tokens", "adaptation": "own_range", "adapter": {"rank": 2}}
    text, _ = planned(tmp_path, toy_model_folder, method=method, data={"adaptation_tools": "5-6"})
    assert "  round 0 (tools5-6): 2 tools, 12 rows" in text


def test_only_cells_asked_for_are_counted(tmp_path: Path, toy_model_folder: Path) -> None:
    evaluation = {"first_row": False, "next_round": False, "max_examples": 1}
    text, _ = planned(tmp_path, toy_model_folder, evaluation=evaluation)
    assert "  3 cells, 3 answers" in text


def test_the_rates_are_this_machines(tmp_path: Path, toy_model_folder: Path) -> None:
    config = resolve(toy_settings(tmp_path, toy_model_folder, method=LORA))
    prepared = prepare_run(config)
    rates = measure_rates(prepared, config)
    assert rates.training_tokens_per_second > 0
    assert rates.seconds_per_prompts > 0
    assert rates.seconds_per_batch_token >= 0
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


def test_a_plan_leaves_nothing_behind(
    tmp_path: Path, toy_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = toy_settings(tmp_path, toy_model_folder, data={"data_dir": None})
    before = sorted(tmp_path.rglob("*"))
    print_plan([resolve(settings)])
    assert sorted(tmp_path.rglob("*")) == before


def test_drift_takes_its_time(tmp_path: Path, toy_model_folder: Path) -> None:
    without = planned(tmp_path, toy_model_folder, evaluation={"drift": False, "batch_size": 10})[1]
    within = planned(tmp_path, toy_model_folder, evaluation={"drift": True, "batch_size": 10})[1]
    # 5 batches of 32 tokens, then 50 x 64 tokens read before and after each of two rounds
    assert within - without == pytest.approx(5 * (3 + 32 * 0.5) + 3 * 50 * 64 / 100)
