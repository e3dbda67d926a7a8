"""The environment and the process of peers from the package index."""

import json
import subprocess
import sys
import venv
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from compositional.errors import CompositionalError
from compositional.files import sha256_text
from compositional.packages import cached_folder

# Those that this project has too, in its own versions without the suffix of a build (+cpu).
SHARED = ("torch", "transformers", "peft", "accelerate", "datasets")
PACKAGES = (*(f"{name}=={version(name).partition('+')[0]}" for name in SHARED), "trl==1.16.0")


class Peers:
    """The process that trains as a user would without this project; started once, asked often.

    Raises:
        CompositionalError: If the peers' packages cannot be installed.
    """

    def __init__(self) -> None:
        script = Path(__file__).with_name("peer_process.py")
        self._folder = TemporaryDirectory()
        self._said = (Path(self._folder.name) / "said").open("w+")
        self._process = subprocess.Popen(
            [str(peers_python()), str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )

    def train(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run a training; see `peer_process.py` for what a request holds.

        Returns:
            Its `seconds` and its `losses`, one a step.

        Raises:
            CompositionalError: If the process fails; with its last line.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        message = {**request, "folder": self._folder.name}
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._said.seek(0)
            said = self._said.read().strip().splitlines()
            raise CompositionalError(f"the peers' process failed: {said[-1] if said else 'killed'}")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
        self._said.close()
        self._folder.cleanup()


def peers_python() -> Path:
    """Return the interpreter of the peers' environment, which the first call makes."""
    folder = cached_folder(f"peers-{sha256_text(' '.join(PACKAGES))[:12]}", _make_environment)
    return folder / "bin" / "python"


def _make_environment(folder: Path) -> None:
    """Install the peers into a virtual environment."""
    print(f"Installing {', '.join(PACKAGES)} for comparison, once", file=sys.stderr, flush=True)
    venv.create(folder, with_pip=True)
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *PACKAGES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise CompositionalError(f"cannot install the peers: {said[-1] if said else 'pip failed'}")
