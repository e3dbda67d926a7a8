"""One run by several tasks of a real Slurm job, stopped together and requeued."""

import json
from pathlib import Path

import pytest

from compositional.experiment import run_experiment
from compositional.files import read_json
from tests.grids.slurm_toy import asked, restarts, send_signal, wait_until
from tests.runs_toy import toy_settings, tree

LESSON = "lesson_tools1-2.json"
SCRIPT = Path("scripts/slurm/nodes.sbatch").resolve()


@pytest.mark.timeout(600)
def test_two_tasks_are_stopped_together_and_requeued(
    slurm, tmp_path, toy_model_folder, monkeypatch
) -> None:
    for name, value in {**slurm, "PYTHONPATH": str(Path.cwd())}.items():
        monkeypatch.setenv(name, value)
    settings = toy_settings(
        tmp_path,
        toy_model_folder,
        method={"name": "memory_tokens", "adapter": {"rank": 2}},
        training={"checkpoint_seconds": 0.0},
        data={"training_rounds": "1-2:60,3-4:60"},
    )
    path = tmp_path / "e.yaml"
    path.write_text(json.dumps(settings))
    monkeypatch.chdir(tmp_path)
    job = asked("sbatch", "--parsable", "--nodes=1", "--ntasks=2", str(SCRIPT), str(path)).strip()
    log = tmp_path / f"slurm-{job}.log"
    state = tmp_path / "checkpoints" / "e" / "r" / "training.safetensors"
    wait_until("it learns", state.exists)
    send_signal(job, "USR1")
    wait_until("it is requeued", lambda: restarts(job) >= 1)
    wait_until("the end", lambda: not asked("squeue", "--noheader").strip())
    results = tmp_path / "results" / "e" / "r"
    assert read_json(results / "result.json")["status"] == "finished", log.read_text()
    assert log.read_text().count("stopped by SIGUSR1") == 2
    run_experiment(path, overrides=["--output.results_dir", "here"], progress=False)
    here = tmp_path / "here" / "e" / "r"
    assert list(tree(results)) == list(tree(here))
    found, expected = (read_json(run / "training" / LESSON) for run in (results, here))
    for key, wanted in expected.items():
        assert found[key] == pytest.approx(wanted, abs=1e-4)
