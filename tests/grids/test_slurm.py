"""Job arrays on a real Slurm of this machine, and the lines where there is none or it refuses."""

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from compositional.cli.main import main
from compositional.files import read_json
from compositional.grids.slurm import requeue_this_job
from tests.grids.slurm_toy import (
    asked,
    awaits_or_heeded,
    held,
    restarts,
    send_signal,
    wait_until,
)
from tests.runs_toy import assert_same_tree, error_line, toy_settings, tree

SCRIPT = Path("scripts/slurm/preempted_array.sh").resolve()
SHORT, LONG = "1-2:40,3-4:40", "1-2:9000,3-4:40"
RUNS = {
    "lora": {"method": {"name": "lora", "adapter": {"rank": 2, "dropout": 0.1}}},
    "rows": {"method": {"name": "memory_tokens", "adapter": {"rank": 2}}},
}


def write_grid(folder: Path, model: Path, rounds: str = SHORT) -> Path:
    settings = toy_settings(folder, model)
    for key in ("run", "method", "seed"):
        del settings[key]
    del settings["data"]["data_dir"]
    settings["data"] |= {"source": str(folder / "toy.jsonl"), "training_rounds": rounds}
    settings["training"] = {"checkpoint_seconds": 0.0}
    path = folder / "g.yaml"
    path.write_text(json.dumps({**settings, "runs": RUNS, "grid": {"seeds": [1, 2]}}))
    return path


def change(path: Path, **over: object) -> None:
    """Replace parts of a grid file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | over))


def grid_in(
    folder: Path, slurm: dict[str, str], model: Path, monkeypatch, rounds: str = SHORT
) -> Path:
    """Go to a folder with a grid, where Slurm's commands find their Slurm."""
    for name, value in slurm.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    return write_grid(folder, model, rounds=rounds)


@pytest.mark.timeout(600)
def test_an_array_that_is_requeued_often_equals_a_grid_that_ran_here(
    slurm, tmp_path, toy_model_folder, monkeypatch, capsys
) -> None:
    path = grid_in(tmp_path, slurm, toy_model_folder, monkeypatch)
    assert main(["grid", str(path), "--launcher", "slurm", "--workers", "2"]) == 0
    job = capsys.readouterr().out.split("job array ")[1].split(";")[0]
    for task in (0, 1, 2, 3):
        name = f"{'lora' if task < 2 else 'rows'}_seed{task % 2 + 1}"
        state = tmp_path / "checkpoints" / "e" / name / "training.safetensors"
        wait_until(f"{name} learns", state.exists)
        asked("scontrol", "requeue", f"{job}_{task}")
        wait_until(f"{name} is requeued", lambda t=task: restarts(f"{job}_{t}") >= 1)
    wait_until("the end", lambda: not asked("squeue", "--noheader").strip())
    names = ["lora_seed1", "lora_seed2", "rows_seed1", "rows_seed2"]
    results = tmp_path / "results" / "e"
    logs = "\n".join(log.read_text() for log in sorted(tmp_path.glob("slurm-*.log")))
    for name in names:
        assert read_json(results / name / "result.json")["status"] == "finished", logs
    assert logs.count("stopped by SIGTERM") >= 3, logs
    assert "lora_seed1: next: learn tools1-2, round 1 of 2\n" in logs, logs
    here = ["--output.results_dir", "here", "--output.checkpoint_dir", "states"]
    assert main(["grid", str(path), "--workers", "2", *here]) == 0
    for name in names:
        assert_same_tree(results / name, tmp_path / "here" / "e" / name)
    assert main(["grid", str(path), "--launcher", "slurm"]) == 0
    assert "4 runs, 4 of them finished" in capsys.readouterr().err


@pytest.mark.timeout(600)
def test_the_script_that_preempts_an_array_finds_it_equal_to_a_grid_that_was_not_stopped(
    slurm, tmp_path, toy_model_folder, monkeypatch
) -> None:
    for name, value in {**slurm, "PYTHONPATH": str(Path.cwd())}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SECONDS_BETWEEN", "1")
    path = write_grid(tmp_path, toy_model_folder, "1-2:300,3-4:1")
    change(path, grid={}, training={})
    command = ["bash", str(SCRIPT), str(path), "2"]
    try:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    finally:
        asked("scancel", "--name=compositional")
    assert done.returncode == 0, done.stdout + done.stderr
    tasks = re.findall(r"^requeued \d+_(\d)$", done.stdout, re.MULTILINE)
    assert sorted(tasks) == ["0", "1"]  # one of each method
    assert done.stdout.splitlines()[-1].startswith(
        "requeued 2 times (2 stops in the logs), then equal, file by file, "
    )
    results = tmp_path / "results" / "preempted_array"
    lines = (results / "equal.md").read_text().splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    assert cells[0] == ["run", "files", "array", "not stopped", "stops"]
    for run, row in zip(("lora", "rows"), cells[2:], strict=True):
        num_files = len(tree(results / run).keys() - {"config.yaml"})
        assert (row[0], row[1], row[4]) == (run, str(num_files), "1")
        assert row[2] == row[3]
    listed = (results / "equal.sha256").read_text().splitlines()
    assert len(listed) == sum(int(row[1]) for row in cells[2:])
    whole = tmp_path / "results" / ".uninterrupted" / "preempted_array"
    check = ["sha256sum", "--check", "--quiet", str(results / "equal.sha256")]
    for folder in (results, whole):
        subprocess.run(check, cwd=folder, check=True)
        for run in ("lora", "rows"):
            assert read_json(folder / run / "result.json")["status"] == "finished"


@pytest.mark.timeout(600)
def test_what_is_in_the_queue_is_not_submitted_again(
    slurm, tmp_path, toy_model_folder, monkeypatch, capsys
) -> None:
    job, _ = submit(slurm, tmp_path, toy_model_folder, monkeypatch, capsys, rounds=LONG)
    again = ["grid", str(tmp_path / "g.yaml"), "--launcher", "slurm", "--workers", "1"]
    assert main(again) == 0
    assert capsys.readouterr().out == (
        f"job {job} of this grid is still in the queue (3 pending, 1 running): 4 runs not "
        "submitted again\n"
    )
    asked("scancel", f"{job}_2")
    grid = json.loads((tmp_path / "g.yaml").read_text())
    grid["grid"]["seeds"].append(3)  # other numbers for the points: tasks read the grid as it was
    (tmp_path / "g.yaml").write_text(json.dumps(grid))
    assert main(again) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"job {job} of this grid is still in the queue (2 pending, 1 ")
    other = lines[1].removeprefix("submitted 3 of 6 runs as job array ").split(";")[0]
    tasks = asked("squeue", "--noheader", "--array", "--format=%i").split()
    # Of lora's seeds 1, 2, 3 and rows' alike: lora's third, and rows' first, which was cancelled.
    new = [f"{other}_2", f"{other}_3", f"{other}_5"]
    assert sorted(tasks) == sorted([f"{job}_0", f"{job}_1", f"{job}_3", *new])
    assert main(again) == 0
    said = f"jobs {job}, {other} of this grid are still in the queue \\([^)]*\\): 6 runs not .*\n"
    assert re.fullmatch(said, capsys.readouterr().out)
    asked("scancel", job, other)
    wait_until("the end", lambda: not asked("squeue", "--noheader").strip())


@pytest.mark.timeout(600)
def test_before_its_limit_a_task_saves_is_requeued_and_ends_as_one_that_was_not_stopped(
    slurm, tmp_path, toy_model_folder, monkeypatch, capsys
) -> None:
    path = grid_in(tmp_path, slurm, toy_model_folder, monkeypatch)
    change(path, grid={}, runs={"lora": RUNS["lora"]})
    # Slurm looks every half minute: 120 s before the end of three are 30 to 60 s from the start.
    words = ["grid", str(path), "--launcher", "slurm", "--sbatch=--time=3"]
    assert main(words) == 0
    job = capsys.readouterr().out.split("job array ")[1].split(";")[0]
    state = tmp_path / "checkpoints" / "e" / "lora" / "training.safetensors"
    wait_until("it learns", state.exists)
    with held(f"{job}_0") as (process,):
        wait_until("Slurm sends its signal", lambda: awaits_or_heeded(process, signal.SIGUSR1))
    wait_until("it is requeued", lambda: restarts(f"{job}_0") >= 1)
    wait_until("the end", lambda: not asked("squeue", "--noheader").strip())
    log = (tmp_path / f"slurm-{job}_0.log").read_text()
    assert "stopped by SIGUSR1: what was computed is saved\n" in log
    assert "the job is requeued\n" in log
    results = tmp_path / "results" / "e" / "lora"
    assert read_json(results / "result.json")["status"] == "finished", log
    here = ["--output.results_dir", "here", "--output.checkpoint_dir", "states"]
    assert main(["grid", str(path), "--task", "0", *here]) == 0
    assert_same_tree(results, tmp_path / "here" / "e" / "lora")


def test_a_job_that_slurm_refuses_is_one_line(
    slurm, tmp_path, toy_model_folder, monkeypatch, capsys
) -> None:
    path = grid_in(tmp_path, slurm, toy_model_folder, monkeypatch)
    words = ["grid", str(path), "--launcher", "slurm", "--sbatch=--partition=none"]
    assert main(words) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: sbatch refuses (1): ")
    assert "invalid partition" in error
    assert not list((tmp_path / "results").rglob("result.json"))
    assert asked("squeue", "--noheader") == ""


@pytest.mark.parametrize("launcher", ["slurm", "submitit"])
def test_without_slurm_there_is_one_line_before_anything_is_done(
    tmp_path, toy_model_folder, monkeypatch, capsys, launcher
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_grid(tmp_path, toy_model_folder)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["grid", str(path), "--launcher", launcher]) == 2
    assert error_line(capsys) == (
        f"error: there is no sbatch here: --launcher {launcher} needs Slurm, --launcher local does "
        "not\n"
    )
    assert {found.name for found in tmp_path.iterdir()} == {"g.yaml", "toy.jsonl"}


def test_no_job_is_not_requeued(monkeypatch) -> None:
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    assert not requeue_this_job(3)


@pytest.mark.timeout(600)
def test_the_limit_of_requeues_is_one_line_and_the_state_is_kept(
    slurm, tmp_path, toy_model_folder, monkeypatch, capsys
) -> None:
    job, state = submit(slurm, tmp_path, toy_model_folder, monkeypatch, capsys, "--max_requeues=0")
    send_signal(f"{job}_0", "USR1", "--batch")
    log = tmp_path / f"slurm-{job}_0.log"
    wait_until("it says so", lambda: "the limit that was set" in log.read_text())
    asked("scancel", job)
    wait_until("the end", lambda: not asked("squeue", "--noheader").strip())
    assert state.exists()
    lines = [line for line in log.read_text().splitlines() if line.startswith("error: job")]
    assert lines == [
        f"error: job {job}_0 was requeued 0 times, the limit that was set: its state is "
        "kept, submit it again to go on"
    ]


@pytest.mark.timeout(600)
def test_a_job_that_is_cancelled_stays_so(
    slurm, tmp_path, toy_model_folder, monkeypatch, capsys
) -> None:
    job, _ = submit(slurm, tmp_path, toy_model_folder, monkeypatch, capsys)
    asked("scancel", job)
    wait_until("the end", lambda: not asked("squeue", "--noheader").strip())
    assert "stopped by SIGTERM" in (tmp_path / f"slurm-{job}_0.log").read_text()


def submit(
    slurm, folder, model, monkeypatch, capsys, *flags: str, rounds: str = SHORT
) -> tuple[str, Path]:
    """Submit a grid whose first task then learns; return its job's id and that task's state."""
    path = grid_in(folder, slurm, model, monkeypatch, rounds)
    assert main(["grid", str(path), "--launcher", "slurm", "--workers", "1", *flags]) == 0
    job = capsys.readouterr().out.split("job array ")[1].split(";")[0]
    state = folder / "checkpoints" / "e" / "lora_seed1" / "training.safetensors"
    wait_until("the first task learns", state.exists)
    return job, state
