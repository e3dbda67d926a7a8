"""The scripts that run rounds: their variables, their two steps, and how they fail."""

import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from compositional.cli.flags import parse_flags
from compositional.files import read_json
from compositional.icl_baseline import IclBaselineFlags
from compositional.lora_sequential import LoraSequentialFlags
from compositional.main_sequential import MainSequentialFlags
from compositional.xlam_datasets import XlamDatasetsFlags
from tests.runs_toy import ROWS_PER_TOOL
from tests.tasks.toy_rows import source_file

SCRIPTS = Path(__file__).parent.parent / "scripts"
ENTRY_POINTS: dict[str, tuple[str, type]] = {
    "run_n_rounds_main.sh": ("main_sequential", MainSequentialFlags),
    "run_n_rounds_lora.sh": ("lora_sequential", LoraSequentialFlags),
    "icl_baseline.sh": ("icl_baseline", IclBaselineFlags),
}
SEED_VARIABLES = {
    "common": (
        "NUM_ROUNDS TOOLS_PER_ROUND START_TOOL EPOCHS_PER_ROUND SAMPLES_PER_TOOL TRAIN_SIZE "
        "TEST_SIZE TRAIN_MAX_CALLS TEST_MAX_CALLS TRAIN_MAX_CALLS_PER_ROUND "
        "TEST_MAX_CALLS_PER_ROUND MODEL EVAL_BATCH_SIZE SAVE_CHECKPOINTS EVAL_ALL_PREVIOUS SEED"
    ),
    "run_n_rounds_main.sh": (
        "BATCH_SIZE LR LORA_LR USE_LORA FREEZE_LORA_AFTER_FIRST CURRICULUM_LEARNING "
        "RENORM_ACTIVE_TOOLS"
    ),
    "run_n_rounds_lora.sh": (
        "BATCH_SIZE LR REINIT_LORA USE_REPLAY_BUFFER REPLAY_BUFFER_SIZE REPLAY_RATIO"
    ),
    "icl_baseline.sh": "USE_RAG RETRIEVAL_K",
}


def variables(script: str) -> dict[str, str]:
    """The variables of a script with their defaults."""
    text = (SCRIPTS / script).read_text()
    return dict(re.findall(r"^([A-Z_]+)=\$\{\1:?-(.*?)\}", text, re.MULTILINE))


def call(
    script: str, *arguments: str, cwd: Path, python: Path | str = sys.executable, **given: object
) -> subprocess.CompletedProcess[str]:
    """Run a script from a folder, with variables and arguments."""
    kept = {k: v for k, v in os.environ.items() if k not in variables(script)}
    environment = {**kept, "PYTHON": str(python), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        ["bash", str(SCRIPTS / script), *arguments],
        cwd=cwd, env={**environment, **{k: str(v) for k, v in given.items()}},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    """An interpreter that lists what it is called with, and fails where FAIL says so."""
    path = tmp_path / "listing"
    path.write_text(
        '#!/usr/bin/env bash\nprintf "%q " "$@" >>"$CALLS"; echo >>"$CALLS"\n'
        'case "$1" in *"${FAIL:-nothing}".py) exit 7 ;; esac\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def listed(folder: Path) -> list[tuple[str, list[str]]]:
    """The entry points that were called, with their flags."""
    path = folder / "calls"
    lines = path.read_text().splitlines() if path.exists() else []
    calls = [shlex.split(line) for line in lines]
    return [(Path(call[0]).stem, call[1:]) for call in calls]


def list_calls(
    script: str, listing: Path, *arguments: str, **given: object
) -> tuple[list[XlamDatasetsFlags], object]:
    """What a script would build and run, as the entry points understand it."""
    folder = listing.parent
    (folder / "calls").unlink(missing_ok=True)
    done = call(script, *arguments, cwd=folder, python=listing, CALLS=folder / "calls", **given)
    assert done.returncode == 0, done.stderr
    *built, (name, argv) = listed(folder)
    entry_point, kind = ENTRY_POINTS[script]
    assert name == entry_point
    assert {step for step, _ in built} == {"xlam_datasets"}
    return [parse_flags(XlamDatasetsFlags, a, "x", "") for _, a in built], parse_flags(
        kind, argv, "x", ""
    )


@pytest.mark.parametrize("script", list(ENTRY_POINTS))
def test_the_seeds_variables_stand_at_the_top(script: str) -> None:
    wanted = f"{SEED_VARIABLES['common']} {SEED_VARIABLES[script]}".split()
    assert set(wanted) <= set(variables(script))
    text = (SCRIPTS / script).read_text()
    assert text.index("CHECKPOINT_DIR=") < text.index("source ")


def test_what_the_scripts_share_has_one_default() -> None:
    shared = [variables(script) for script in ENTRY_POINTS]
    for name in set.intersection(*map(set, shared)):
        assert len({found[name] for found in shared}) == 1, name


@pytest.mark.parametrize("script", list(ENTRY_POINTS))
def test_the_defaults_are_three_rounds_in_the_project(script: str, listing: Path) -> None:
    built, flags = list_calls(script, listing)
    assert [b.top_k for b in built] == ["1-5", "6-10", "11-15"]
    assert flags.training_rounds == "1-5:2,6-10:2,11-15:2"
    root = SCRIPTS.parent
    assert {b.output_dir for b in built} == {flags.data_dir} == {root / "data" / "bfcl-seed42"}
    assert (flags.results_dir, flags.checkpoint_dir) == (root / "results", root / "checkpoints")
    assert flags.source == built[0].source == "bfcl"
    assert flags.train_size == built[0].train_size == 80
    assert flags.samples_per_tool == built[0].max_samples_per_tool == 10


@pytest.mark.parametrize("script", list(ENTRY_POINTS))
def test_every_variable_is_taken_from_the_environment(script: str, listing: Path) -> None:
    built, flags = list_calls(
        script,
        listing,
        *("--max_length", "99"),
        NUM_ROUNDS=4,
        TOOLS_PER_ROUND=2,
        START_TOOL=3,
        EPOCHS_PER_ROUND="1,3",
        SAMPLES_PER_TOOL="",
        TRAIN_SIZE=11,
        TEST_SIZE=12,
        TRAIN_MAX_CALLS_PER_ROUND="1, 2,3",
        TEST_MAX_CALLS=4,
        SOURCE="owner/rows",
        MODEL="some/model",
        DEVICE="cpu",
        DTYPE="float32",
        EVAL_BATCH_SIZE=5,
        MAX_NEW_TOKENS=6,
        EVAL_ALL_PREVIOUS="false",
        SAVE_CHECKPOINTS="true",
        SEED=7,
        EXPERIMENT="mine",
        RUN="one",
        RESUME="True",
        TRACKER="wandb",
        LOG_FILE="run.log",
        RESULTS_DIR="r s",
        CHECKPOINT_DIR="c",
    )
    assert [b.top_k for b in built] == ["3-4", "5-6", "7-8", "9-10"]
    assert [b.train_max_function_calls for b in built] == [1, 2, 3, 3]
    assert {b.test_max_function_calls for b in built} == {4}
    assert {(b.train_size, b.test_size, b.max_samples_per_tool) for b in built} == {(11, 12, None)}
    assert {(b.source, b.seed) for b in built} == {("owner/rows", 7)}
    assert flags.training_rounds == "3-4:1,5-6:3,7-8:3,9-10:3"
    assert flags.train_max_function_calls_per_round == (1, 2, 3)
    assert flags.test_max_function_calls_per_round == (4,)
    assert (flags.train_size, flags.test_size, flags.samples_per_tool) == (11, 12, None)
    assert (flags.model_name, flags.device, flags.dtype) == ("some/model", "cpu", "float32")
    assert (flags.eval_batch_size, flags.max_new_tokens, flags.max_length) == (5, 6, 99)
    assert (flags.eval_all_previous, flags.save_checkpoints, flags.resume) == (False, True, True)
    assert (flags.seed, flags.experiment, flags.run, flags.tracker) == (7, "mine", "one", "wandb")
    assert flags.log_file == Path("run.log")
    assert (flags.results_dir, flags.checkpoint_dir) == (Path("r s"), Path("c"))
    assert flags.data_dir == SCRIPTS.parent / "data" / "owner-rows-seed7"


def test_variables_of_memory_tokens(listing: Path) -> None:
    _, flags = list_calls(
        "run_n_rounds_main.sh",
        listing,
        **{"BATCH_SIZE": 3, "LR": "1e-3", "LORA_LR": "1e-4", "USE_LORA": "false"},
        **{"FREEZE_LORA_AFTER_FIRST": "false", "CURRICULUM_LEARNING": "true"},
        RENORM_ACTIVE_TOOLS="false",
    )
    assert isinstance(flags, MainSequentialFlags)
    assert (flags.batch_size, flags.lr, flags.lora_lr, flags.use_lora) == (3, 1e-3, 1e-4, False)
    assert (flags.freeze_lora_after_first, flags.curriculum_learning) == (False, True)
    assert flags.renorm_active_tools is False


def test_variables_of_lora(listing: Path) -> None:
    _, flags = list_calls(
        "run_n_rounds_lora.sh",
        listing,
        **{"BATCH_SIZE": 3, "LR": "1e-3", "REINIT_LORA": "true", "CURRICULUM_LEARNING": "true"},
        **{"USE_REPLAY_BUFFER": "true", "REPLAY_BUFFER_SIZE": 9, "REPLAY_RATIO": 0.5},
        FREEZE_LORA_AFTER_FIRST="true",
    )
    assert isinstance(flags, LoraSequentialFlags)
    assert (flags.batch_size, flags.lr, flags.replay_buffer_size) == (3, 1e-3, 9)
    assert flags.reinit_lora_after_each_round
    assert flags.curriculum_learning
    assert flags.freeze_lora_after_first
    assert (flags.use_replay_buffer, flags.replay_ratio) == (True, 0.5)


def test_variables_of_icl_and_rag(listing: Path) -> None:
    _, rag = list_calls("icl_baseline.sh", listing, RETRIEVAL_K=7, RETRIEVER="dense")
    assert isinstance(rag, IclBaselineFlags)
    assert (rag.use_rag, rag.retrieval_k, rag.retriever, rag.demonstrations) == (
        True,
        7,
        "dense",
        0,
    )
    _, icl = list_calls(
        "icl_baseline.sh",
        listing,
        **{"USE_RAG": "false", "DEMONSTRATIONS": 2, "MAX_SAMPLES": 3},
        **{"TOOL_FORMAT": "full", "OUTPUT": "o.json"},
    )
    assert isinstance(icl, IclBaselineFlags)
    assert (icl.use_rag, icl.demonstrations, icl.max_samples) == (False, 2, 3)
    assert (icl.tool_format, icl.output) == ("full", Path("o.json"))


@pytest.mark.parametrize("script", list(ENTRY_POINTS))
def test_a_step_that_fails_ends_the_script(script: str, listing: Path) -> None:
    folder = listing.parent
    for failing, num_calls in (("xlam_datasets", 1), (ENTRY_POINTS[script][0], 4)):
        (folder / "calls").unlink(missing_ok=True)
        done = call(script, cwd=folder, python=listing, CALLS=folder / "calls", FAIL=failing)
        assert done.returncode == 7
        assert len(listed(folder)) == num_calls


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"NUM_ROUNDS": 0}, "NUM_ROUNDS is '0'; it must be a whole number from 1"),
        ({"NUM_ROUNDS": "two"}, "NUM_ROUNDS is 'two'"),
        ({"TRAIN_SIZE": "-5"}, "TRAIN_SIZE is '-5'"),
        ({"SAMPLES_PER_TOOL": "all"}, "SAMPLES_PER_TOOL is 'all'"),
        ({"EPOCHS_PER_ROUND": "1,x"}, "EPOCHS_PER_ROUND is '1,x'; it must be whole numbers"),
        ({"EPOCHS_PER_ROUND": ","}, "EPOCHS_PER_ROUND is ','; it must be whole numbers"),
        ({"TEST_MAX_CALLS_PER_ROUND": "0"}, "TEST_MAX_CALLS_PER_ROUND is '0'"),
        ({"TRAIN_MAX_CALLS_PER_ROUND": "2,2,0"}, "TRAIN_MAX_CALLS_PER_ROUND is '2,2,0'"),
        ({"RESUME": "yes"}, "RESUME is 'yes'; it must be true or false"),
        ({"USE_LORA": "1"}, "USE_LORA is '1'; it must be true or false"),
        ({"SOURCE": "nowhere/rows.jsonl"}, "SOURCE is 'nowhere/rows.jsonl': no such file"),
    ],
)
def test_bad_variables_are_one_line_before_anything_is_built(
    listing: Path, given: dict[str, object], words: str
) -> None:
    folder = listing.parent
    done = call("run_n_rounds_main.sh", cwd=folder, python=listing, CALLS=folder / "calls", **given)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {words}")
    assert done.stderr.count("\n") == 1
    assert listed(folder) == []


@pytest.fixture
def toy(tmp_path: Path, toy_model_folder: Path) -> dict[str, object]:
    """Variables of tiny rounds on the toy model; their paths are relative to the folder."""
    source_file(tmp_path, ROWS_PER_TOOL)
    shutil.copytree(toy_model_folder, tmp_path / "model")
    return {
        "NUM_ROUNDS": 2, "TOOLS_PER_ROUND": 2, "SAMPLES_PER_TOOL": 3, "TRAIN_SIZE": 8,
        "TEST_SIZE": 4, "SOURCE": "toy.jsonl", "MODEL": "./model", "DEVICE": "cpu",
        "MAX_NEW_TOKENS": 3, "DATA_DIR": "data", "RESULTS_DIR": "results",
        "CHECKPOINT_DIR": "checkpoints", "EPOCHS_PER_ROUND": "2,1",
        "TRAIN_MAX_CALLS_PER_ROUND": "1,2",
    }  # fmt: skip


def test_memory_tokens_on_toy_rounds(tmp_path: Path, toy: dict[str, object]) -> None:
    done = call("run_n_rounds_main.sh", "--no_drift", cwd=tmp_path, **toy)
    assert done.returncode == 0, done.stderr
    assert "== step 1, round 2 of 2: the files of tools 3-4" in done.stdout
    assert "== step 2: main_sequential on rounds 1-2:2,3-4:1" in done.stdout
    result = read_json(tmp_path / "results" / "rounds" / "memory_tokens" / "result.json")
    assert result["status"] == "finished"
    # Round 1: six one-call rows twice, round 2: eight rows once; two rows a step.
    assert result["budget"]["steps"] == 2 * 3 + 4


def test_a_single_round_of_lora(tmp_path: Path, toy: dict[str, object]) -> None:
    done = call("run_n_rounds_lora.sh", "--no_drift", cwd=tmp_path, **{**toy, "NUM_ROUNDS": 1})
    assert done.returncode == 0, done.stderr
    result = read_json(tmp_path / "results" / "rounds" / "lora" / "result.json")
    assert [column["name"] for column in result["columns"]] == ["tools1-2"]


def test_rag_on_toy_rounds_then_a_source_with_too_few_tools(
    tmp_path: Path, toy: dict[str, object]
) -> None:
    output = {"OUTPUT": "answers.json"}
    done = call("icl_baseline.sh", "--no_drift", cwd=tmp_path, **toy, **output)
    assert done.returncode == 0, done.stderr
    assert read_json(tmp_path / "answers.json")["method"]["name"] == "rag"
    done = call("icl_baseline.sh", cwd=tmp_path, **{**toy, "START_TOOL": 5})
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: range 7-8 reaches beyond the 6 tools")
    assert "step 2" not in done.stdout
