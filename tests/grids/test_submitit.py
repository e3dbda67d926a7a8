"""submitit's executors, of local processes and of Slurm, run points of a grid and requeue them."""

import os
import signal
from pathlib import Path

import pytest

from compositional.cli.main import main
from compositional.errors import ConfigError
from compositional.files import read_json
from compositional.grids.command import GridCommand
from compositional.grids.submitit_launcher import FOLDER, minutes_of, submit_grid
from tests.grids.slurm_toy import asked, held, restarts, send_signal, wait_until
from tests.grids.test_slurm import change, write_grid
from tests.runs_toy import assert_same_tree

LESSON = "1-2:150,3-4:1"


def assert_equals_one_that_ran_here(path: Path, results: Path) -> None:
    """The grid's first run is that of a process that nobody stopped."""
    here = ["--output.results_dir", "here", "--output.checkpoint_dir", "states"]
    assert main(["grid", str(path), "--task", "0", *here]) == 0
    assert_same_tree(results, Path("here") / "e" / "lora_seed1")


@pytest.mark.timeout(600)
def test_a_job_that_is_preempted_saves_goes_on_and_equals_one_that_ran_here(
    tmp_path, toy_model_folder, monkeypatch
) -> None:
    path = write_grid(tmp_path, toy_model_folder, rounds=LESSON)
    change(path, training={"checkpoint_seconds": 1e6})  # nothing is saved but for the signal
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    monkeypatch.chdir(tmp_path)
    (job,) = submit_grid(GridCommand(path), [0], threads=1, cluster="local")
    wait_until("it learns", lambda: "next: learn tools1-2" in (job.stderr() or ""))
    children = Path(f"/proc/{job.job_id}/task/{job.job_id}/children").read_text().split()
    for child in children:  # the job itself, below submitit's controller
        os.kill(int(child), signal.SIGUSR2)
    state = tmp_path / "checkpoints" / "e" / "lora_seed1" / "training.safetensors"
    wait_until("it saves", state.exists, seconds=10)
    results = tmp_path / "results" / "e" / "lora_seed1"
    assert Path(job.result()) == results
    assert "Requeued job" in job.stdout()
    assert "stopped by SIGUSR2: what was computed is saved" in job.stderr()
    assert (tmp_path / "results" / "e" / FOLDER).is_dir()
    assert_equals_one_that_ran_here(path, results)


@pytest.mark.timeout(600)
def test_on_slurm_a_job_is_requeued_and_not_submitted_again(
    slurm, tmp_path, toy_model_folder, monkeypatch, capsys
) -> None:
    for name, value in {**slurm, "PYTHONPATH": str(Path.cwd())}.items():
        monkeypatch.setenv(name, value)
    path = write_grid(tmp_path, toy_model_folder, rounds=LESSON)
    change(path, training={"checkpoint_seconds": 1e6})
    monkeypatch.chdir(tmp_path)
    words = ["grid", str(path), "--launcher", "submitit", "--workers", "1"]
    assert main(words) == 0
    first = capsys.readouterr().out.removeprefix("submitted 4 of 4 runs as jobs of submitit: ")
    job = first.partition("_")[0]
    assert first == f"{job}_0, {job}_1, {job}_2, {job}_3\n"
    folder = tmp_path / "results" / "e" / FOLDER
    log, error = folder / f"{job}_0_0_log.out", folder / f"{job}_0_0_log.err"
    wait_until("it learns", lambda: error.exists() and "next: learn" in error.read_text())
    with held(f"{job}_0"):
        assert main(words) == 0
        assert capsys.readouterr().out == (
            f"job {job} of this grid is still in the queue (3 pending, 1 running): 4 runs not "
            "submitted again\n"
        )
        send_signal(f"{job}_0", "USR2")
    wait_until("it is requeued", lambda: restarts(f"{job}_0") >= 1)
    assert f"Requeued job {job}_0" in log.read_text()
    assert "stopped by SIGUSR2: what was computed is saved" in error.read_text()
    state = tmp_path / "checkpoints" / "e" / "lora_seed1" / "training.safetensors"
    assert state.exists()
    wait_until("the end", lambda: not asked("squeue", "--noheader").strip())
    results = tmp_path / "results" / "e"
    for name in ("lora_seed1", "lora_seed2", "rows_seed1", "rows_seed2"):
        assert read_json(results / name / "result.json")["status"] == "finished"
    assert_equals_one_that_ran_here(path, results / "lora_seed1")


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("90", 90),
        ("1:30", 2),
        ("02:00:00", 120),
        ("1-12", 2160),
        ("1-0:30", 1470),
        ("0-01:00:01", 61),
    ],
)
def test_limits_are_read_as_sbatch_reads_them(text, minutes) -> None:
    assert minutes_of(text) == minutes


@pytest.mark.parametrize("text", ["", "two hours", "1:2:3:4", "-5"])
def test_what_is_no_limit_is_one_line(text) -> None:
    with pytest.raises(ConfigError, match="it must be such as 90"):
        minutes_of(text)
