from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from compositional.files import read_json
from compositional.lora_sequential import LoraSequentialFlags, main
from tests.runs_toy import error_line, toy_flags

Go = Callable[..., int]


@pytest.fixture
def go(tmp_path: Path, toy_model_folder: Path) -> Go:
    """Runs the entry point on the toy model and data, with further flags."""
    return lambda *more: main(toy_flags(tmp_path, toy_model_folder, "--lora_r", "2", *more))


def test_replay_runs_and_flags_reach_the_config(go: Go, tmp_path: Path) -> None:
    assert (
        go(
            *("--run", "replay", "--batch_size", "1", "--lr=1e-2", "--lora_alpha", "4"),
            *("--lora_dropout", "0.1", "--lora_target_modules", "q_proj"),
            *("--lora_layer_indices=0", "--use_replay_buffer", "--replay_buffer_size", "7"),
            *("--replay_ratio", "0.25", "--curriculum_learning", "True"),
        )
        == 0
    )
    folder = tmp_path / "results" / "e" / "replay"
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    assert settings["method"] == {
        "name": "lora",
        "lr": 0.01,
        "weight_decay": 0.01,
        "between_rounds": "continue",
        "adapter": {
            "rank": 2,
            "alpha": 4.0,
            "dropout": 0.1,
            "target_modules": ["q_proj"],
            "layer_indices": [0],
        },
        "use_replay_buffer": True,
        "replay_buffer_size": 7,
        "replay_ratio": 0.25,
    }
    assert settings["training"]["batch_size"] == 1
    assert settings["training"]["curriculum_learning"] is True
    budget = read_json(folder / "result.json")["budget"]
    # Twelve new rows in round 2: floor(12 x 0.25 / 0.75) replayed ones beside them.
    assert (budget["replayed_rows"], budget["rows"], budget["steps"]) == (4, 28, 24)


@pytest.mark.parametrize(
    ("flags", "between"),
    [
        ({}, "continue"),
        ({"reinit_lora_after_each_round": True}, "merge"),
        ({"reinit_lora_after_each_round": True, "merge_lora": False}, "drop"),
        ({"freeze_lora_after_first": True}, "freeze"),
    ],
)
def test_what_happens_between_rounds(flags: dict[str, bool], between: str) -> None:
    assert LoraSequentialFlags(**flags).between_rounds == between


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--freeze_lora_after_first", "--reinit_lora_after_each_round"), "exclude each other"),
        (("--renorm_active_tools",), "unknown flag --renorm_active_tools"),
        (("--lora_lr", "1"), "unknown flag --lora_lr"),
        (("--use_replay_bufer",), "did you mean 'use_replay_buffer'?"),
        (("--use_replay_buffer", "--replay_ratio", "1"), "the replay ratio is 1.0"),
        (("--use_replay_buffer", "--replay_ratio", "-0.5"), "the replay ratio is -0.5"),
        (("--use_replay_buffer", "--replay_buffer_size", "0"), "size is 0; it must be 1 or more"),
        (("--lr", "fast"), "lr is fast; it must be a number"),
        (("--train_size", "1"), "train_size 1 is below the 2 tools"),
    ],
)
def test_bad_flags_are_one_line_before_any_training(
    go: Go, tmp_path: Path, flags: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert go(*flags) == 2
    assert words in error_line(capsys)
    assert not (tmp_path / "results").exists()


def test_a_dry_run_counts_what_would_be_trained(go: Go, capsys: pytest.CaptureFixture[str]) -> None:
    assert go("--dry_run", "--freeze_lora_after_first", "--batch_size", "5") == 0
    shown = capsys.readouterr().out
    assert "round 1 (tools1-2): 2 tools, 12 rows x 1 epochs, 3 steps" in shown
    assert "round 2 (tools3-4): 2 tools\n" in shown
