"""Runs that several processes of this machine compute together, started as a user starts them."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.runs_toy import toy_settings

RUNS = {
    "lora": {"method": {"name": "lora", "adapter": {"rank": 2}, "use_replay_buffer": True}},
    "rows": {"method": {"name": "memory_tokens", "adapter": {"rank": 2}}},
}


def launch(folder: Path, *command: str, count: int = 2) -> "subprocess.Popen[str]":
    """Start processes on this machine, as a user does."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    launcher = [
        *(
            sys.executable,
            "-m",
            "accelerate.commands.launch",
            "--multi_gpu",
            "--num_processes",
            str(count),
        ),
        *("--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"),
        *("--num_cpu_threads_per_process", "1", "--main_process_port", str(port)),
    ]
    return subprocess.Popen(
        [*launcher, *command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Wait for the end; return the code, and what was printed."""
    out, error = process.communicate(timeout=220)
    return process.returncode, out, error


def write_experiment(
    folder: Path, model: Path, runs: Mapping[str, object] = RUNS, **over: object
) -> Path:
    settings = toy_settings(folder, model, **over)
    for key in ("run", "method"):
        del settings[key]
    path = folder / "e.yaml"
    path.write_text(json.dumps({**settings, "runs": runs}))
    return path
