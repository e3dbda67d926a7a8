import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from compositional.cli.main import INTERRUPTED
from compositional.files import read_json
from compositional.main_sequential import main
from tests.runs_toy import error_line, interrupting, toy_flags, tree
from tests.tasks.toy_rows import records

Go = Callable[..., int]
SMALL = ("--lora_r", "2")


@pytest.fixture
def go(tmp_path: Path, toy_model_folder: Path) -> Go:
    """Runs the entry point on the toy model and data, with further flags."""
    return lambda *more: main(toy_flags(tmp_path, toy_model_folder, *SMALL, *more))


def written(folder: Path, run: str = "memory_tokens") -> dict:
    return yaml.safe_load((folder / "results" / "e" / run / "config.yaml").read_text())


def test_it_runs_shows_its_matrix_and_leaves_a_page(
    go: Go, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert go("--demo", "1", "--log_file", str(tmp_path / "logs" / "run.log")) == 0
    shown = capsys.readouterr()
    assert "memory_tokens" in shown.out
    assert "tools1-2" in shown.out
    assert shown.out.count("  expected  {") == 2  # an example a round
    assert "memory_tokens: learned tools3-4 in" in shown.err
    log = (tmp_path / "logs" / "run.log").read_text()
    assert "memory_tokens: after round 2, tools1-2: tool F1" in log
    assert (tmp_path / "results" / "e" / "report.html").exists()
    result = read_json(tmp_path / "results" / "e" / "memory_tokens" / "result.json")
    assert result["status"] == "finished"
    assert not (tmp_path / "checkpoints").exists()


def test_flags_have_the_seeds_names_and_reach_the_config(go: Go, tmp_path: Path) -> None:
    assert (
        go(
            *("--run", "flags", "--batch_size", "3", "--lr", "1e-2", "--init=mean"),
            *("--decouple_embeddings", "--renorm_active_tools=True", "--end_of_call", "true"),
            *("--merge_lora", "--lora_lr=1e-3", "--lora_alpha", "4", "--lora_dropout", "0.1"),
            *("--lora_target_modules", "q_proj,v_proj", "--lora_layer_indices", "-1"),
            *("--rehearsal_vectors", "5", "--rehearsal_vectors_per_step", "2"),
            *("--rehearsal_weight", "0.5", "--curriculum_learning", "--use_ground_truth_tools"),
            *("--max_length", "900", "--eval_after_each_round", "--no_eval_all_previous"),
            *("--no_eval_next_round", "--no_eval_first_row", "--save_checkpoints"),
            *("--train_max_function_calls_per_round", "2,1"),
            *("--test_max_function_calls_per_round", "1", "--num_mixed", "2"),
        )
        == 0
    )
    settings = written(tmp_path, "flags")
    method = settings["method"]
    assert method["name"] == "memory_tokens"
    assert (method["lr"], method["init"], method["lora_lr"]) == (0.01, "mean", 0.001)
    assert all(
        method[name]
        for name in (
            *("decouple_embeddings", "renorm_active_tools", "end_of_call"),
            "use_ground_truth_tools",
        )
    )
    assert (method["adaptation"], method["after_adaptation"]) == ("first_round", "merge")
    assert method["adapter"] == {
        "rank": 2,
        "alpha": 4.0,
        "dropout": 0.1,
        "target_modules": ["q_proj", "v_proj"],
        "layer_indices": [-1],
    }
    assert method["rehearsal"] == {"vectors_per_round": 5, "vectors_per_step": 2, "weight": 0.5}
    assert settings["training"]["batch_size"] == 3
    assert settings["training"]["curriculum_learning"] is True
    assert settings["model"]["max_length"] == 900
    evaluation = settings["evaluation"]
    assert not any(evaluation[name] for name in ("past_rounds", "next_round", "first_row", "drift"))
    assert settings["data"]["train_max_function_calls_per_round"] == [2, 1]
    cells = {p.stem for p in (tmp_path / "results" / "e" / "flags" / "scores").iterdir()}
    assert cells == {"row1_tools1-2", "row2_tools3-4", "row2_mixed"}
    assert len(list((tmp_path / "checkpoints" / "e" / "flags").iterdir())) == 2


@pytest.mark.parametrize(
    ("flags", "adaptation"),
    [
        ((), "first_round"),
        (("--no_use_lora",), "none"),
        (("--no_freeze_lora_after_first",), "every_round"),
        (("--adaptation_tools", "5-6:1"), "own_range"),
    ],
)
def test_when_lora_trains(go: Go, tmp_path: Path, flags: tuple[str, ...], adaptation: str) -> None:
    assert go("--dry_run", *flags) == 0
    assert go(*flags, "--no_eval_first_row", "--no_eval_after_each_round") == 0
    assert written(tmp_path)["method"]["adaptation"] == adaptation


def test_a_config_file_stands_under_the_flags(
    go: Go, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "flags.yaml"
    path.write_text("batch_size: 6\nlr: 1e-2\nno_such: 1\n")
    assert go("--config", str(path)) == 2
    assert "unknown setting no_such; Choices: adaptation_tools" in error_line(capsys)
    path.write_text("batch_size: 6\nlr: 1e-2\nlora_target_modules: q_proj,v_proj\n")
    assert go("--batch_size", "3", "--config", str(path)) == 0
    settings = written(tmp_path)
    assert settings["training"]["batch_size"] == 3
    assert settings["method"]["lr"] == 0.01
    assert settings["method"]["adapter"]["target_modules"] == ["q_proj", "v_proj"]


def test_a_dry_run_prints_the_plan_and_writes_nothing(
    go: Go, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert go("--dry_run", "--log_file", str(tmp_path / "log")) == 0
    shown = capsys.readouterr().out
    assert "round 1 (tools1-2): 2 tools, 12 rows x 1 epochs, 3 steps" in shown
    assert "7 cells, 28 answers" in shown
    assert "on this machine, one after the other" in shown
    assert {path.name for path in tmp_path.iterdir()} == {"toy.jsonl"}


def test_a_finished_run_is_shown_and_another_is_refused(
    go: Go, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert go() == 0
    before = tree(tmp_path / "results" / "e" / "memory_tokens")
    capsys.readouterr()
    assert go() == 0
    assert capsys.readouterr().out.startswith("shown from finished runs of ")
    assert go("--lr", "0.125") == 2
    error = error_line(capsys)
    assert "holds a finished run of another config (method.lr 0.005, now 0.125)" in error
    assert tree(tmp_path / "results" / "e" / "memory_tokens") == before


def test_a_started_run_goes_on_where_asked(
    go: Go, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with interrupting("learned tools1-2"):
        assert go() == INTERRUPTED
    assert "interrupted: --resume goes on from here" in capsys.readouterr().err
    assert go() == 2
    assert "--resume goes on with it" in error_line(capsys)
    assert go("--lr", "0.125", "--resume") == 2
    assert "started run of another config (method.lr 0.005, now 0.125)" in error_line(capsys)
    assert go("--resume") == 0


FILES = {
    "training": "training/function_calling_train_tools{}_2calls.json",
    "test": "test/function_calling_test_tools{}_2calls.json",
}


def by_hand(folder: Path, kind: str, tools: str, rows: list) -> Path:
    path = folder / "data" / FILES[kind].format(tools)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=0))
    return path


def row(tool: str = "alpha", **over: object) -> dict:
    return {"user_input": "Ask", "tools": [tool], "function_calls": ['{"number": 1}'], **over}


@pytest.fixture
def hand_made(tmp_path: Path) -> Path:
    """A folder of two rounds made by hand, without a manifest."""
    for tools, name in (("1-2", "alpha"), ("3-4", "delta")):
        for kind in FILES:
            by_hand(tmp_path, kind, tools, [row(name)])
    return tmp_path


def test_files_made_by_hand_are_taken(go: Go, hand_made: Path) -> None:
    assert go() == 0
    assert len(list((hand_made / "results" / "e" / "memory_tokens" / "scores").iterdir())) == 6


@pytest.mark.parametrize(
    ("kind", "rows", "words"),
    [
        ("training", None, "function_calling_train_tools3-4_2calls.json is missing"),
        ("test", None, "function_calling_test_tools3-4_2calls.json is missing"),
        ("test", [], "the test set is empty"),
        ("training", [], "the training set is empty"),
        ("test", [row("delta"), row("zulu")], "record 2 calls 'zulu', which no round teaches"),
        ("training", [row("delta"), {"user_input": 5}], "(record 2): malformed row: user_input"),
        ("test", [row("delta", function_calls=["{"])], "(record 1): malformed row"),
        ("test", [row("delta", tools=[])], "(record 1): malformed row: it names 0 tools"),
        ("training", [row("alpha")], "tool 'alpha' is taught by tools1-2 and again by tools3-4"),
        ("training", {"a": 1}, "must hold a list of records"),
    ],
)
def test_bad_files_are_one_line_before_anything_is_written(
    go: Go,
    hand_made: Path,
    kind: str,
    rows: object,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if rows is None:
        (hand_made / "data" / FILES[kind].format("3-4")).unlink()
    else:
        by_hand(hand_made, kind, "3-4", rows)  # type: ignore[arg-type]
    assert go() == 2
    error = error_line(capsys)
    assert words in error
    if rows is not None and "taught by" not in words:
        assert FILES[kind].format("3-4") in error
    assert not (hand_made / "results").exists()
    assert not (hand_made / "checkpoints").exists()


def test_a_file_that_is_no_json_is_named_with_its_line(
    go: Go, hand_made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = by_hand(hand_made, "test", "3-4", [row("delta")])
    path.write_text("[\n{]\n")
    assert go() == 2
    assert f"{path}: line 2: not JSON" in error_line(capsys)


def test_a_malformed_row_of_the_source_is_named(
    go: Go, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "rows.jsonl"
    lines = [json.dumps(record) for record in records((6, 6, 6, 6))]
    lines[3] = json.dumps({"query": "Ask", "answers": "[", "tools": "[]"})
    source.write_text("\n".join(lines))
    assert go("--source", str(source)) == 2
    error = error_line(capsys)
    assert f"{source}: line 4" in error
    assert not (tmp_path / "data" / "training").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--training_rounds", "1-2,2-3"), "ranges 1-2 and 2-3 overlap"),
        (("--training_rounds", "1-2,4-9"), "range 4-9 reaches beyond the 6 tools"),
        (("--training_rounds", "1-2,3"), "range '3' is malformed"),
        (("--training_rounds", "1-2:0"), "the epochs after ':' must be 1 or more"),
        (("--adaptation_tools", "4-5"), "ranges 3-4 and 4-5 overlap"),
        (("--adaptation_tools", "5-6", "--no_use_lora"), "adaptation_tools"),
        (("--rehearsal_vectors", "5", "--no_freeze_lora_after_first"), "every_round"),
        (("--source", "nowhere.jsonl"), "nowhere.jsonl: no such file"),
        (("--source", "bflc"), "unknown source 'bflc': did you mean 'bfcl'?"),
        (("--init", "descripton"), "unknown init 'descripton'; did you mean 'description'?"),
        (("--max_length", "30"), "over the window of 30"),
        (("--model_name", "no/such-model"), "is not in the Hub's cache"),
        (("--model_name", "smollm"), "unknown model 'smollm': did you mean 'smollm2'?"),
        (("--dtype", "float8"), "dtype is float8; it must be one of auto, float32"),
        (("--device", "tpu"), "device 'tpu' is none"),
        (("--tracker", "wandbb"), "unknown tracker 'wandbb'; did you mean 'wandb'?"),
        (("--lr", "-0.1"), "lr is -0.1; it must be 0 or more"),
        (("--max_length", "0"), "max_length is 0; it must be 1 or more"),
        (("--demo", "-1"), "--demo is -1; it must be 0 or more"),
        (("--batch_size", "0"), "training.batch_size is 0; it must be 1 or more"),
        (("--eval_batch_size", "0"), "evaluation.batch_size is 0; it must be 1 or more"),
        (("--run", "a/b"), "must be a plain folder name"),
        (("--results_dir", "FILE/x"), "cannot write"),
        (("--checkpoint_dir", "FILE/x"), "cannot write"),
        (("--data_dir", "FILE/x"), "cannot write data folder"),
        (("--log_file", "FILE/x"), "cannot write the log file"),
        (("--log_file", "FOLDER"), "cannot write the log file"),
        (("--replay_ratio", "0.5"), "unknown flag --replay_ratio"),
        (("--eval_all_previos",), "did you mean 'eval_all_previous'?"),
        (("--eval_all",), "unknown flag --eval_all"),
        (("--train_file", "x.json"), "leave out train_file"),
    ],
)
def test_bad_flags_are_one_line_before_any_training(
    go: Go,
    tmp_path: Path,
    flags: tuple[str, ...],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").touch()
    flags = tuple(
        word.replace("FILE", str(tmp_path / "file")).replace("FOLDER", str(tmp_path))
        for word in flags
    )
    assert go(*flags) == 2
    assert words in error_line(capsys)
    assert not (tmp_path / "results").exists()
    assert not (tmp_path / "checkpoints").exists()


def test_a_single_round_is_read_from_two_files(
    tmp_path: Path, toy_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("function_calling_train.json").write_text(json.dumps([row("alpha"), row("bravo")]))
    Path("function_calling_test.json").write_text(json.dumps([row("bravo")]))
    flags = ["--model_name", str(toy_model_folder), "--device", "cpu", "--max_new_tokens", "3"]
    assert main([*flags, *SMALL, "--no_drift"]) == 0
    result = read_json(Path("results/default/memory_tokens/result.json"))
    assert [column["name"] for column in result["columns"]] == ["single"]
    Path("other.json").write_text(json.dumps([row("alpha")]))
    assert main([*flags, *SMALL, "--no_drift", "--test_file", "other.json", "--run", "two"]) == 0


def test_without_rounds_or_files_it_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([]) == 2
    assert "function_calling_train.json: no such file" in error_line(capsys)
    assert list(tmp_path.iterdir()) == []
