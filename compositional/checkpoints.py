"""The states of a run in progress: one after every lesson, and one of the training under way."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compositional.errors import CompositionalError, ResultsError
from compositional.methods.base import Method
from compositional.run_context import RunContext
from compositional.states import Slot, State, load_state, save_state


class Checkpoints:
    """A run's folder of states.

    Args:
        folder: `checkpoints/<experiment>/<run>`.
        keep_all: Whether the state of every lesson stays, also when the run completes.
    """

    def __init__(self, folder: Path, keep_all: bool) -> None:
        self.folder = folder
        self.keep_all = keep_all
        self.slot = Slot(folder / "training.safetensors")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process; the lock goes with the process, however it ends.

        Raises:
            ResultsError: If another process holds it.
        """
        lock = self.folder.with_name(f".{self.folder.name}.lock")
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            file = lock.open("w")
        except OSError as error:
            raise CompositionalError(f"cannot write {lock}: {error.strerror or error}") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ResultsError(
                    f"another process runs {self.folder}: wait for it, or choose another --run"
                ) from error
            yield

    def _paths(self) -> list[tuple[int, Path]]:
        """Return the lessons whose states stand, with their files, in order."""
        found = [(int(p.stem.removeprefix("lesson_")), p) for p in self.folder.glob("lesson_*")]
        return sorted(found)

    def exist(self) -> bool:
        """Whether anything stands in the folder."""
        return self.folder.exists() and any(self.folder.iterdir())

    def save(self, position: int, method: Method, run: RunContext) -> None:
        """Save the method after a lesson; the training's own state is then over."""
        state = method.state_dict()
        metadata = {"method": state.metadata, "budget": run.budget.counters()}
        earlier = self._paths()
        path = self.folder / f"lesson_{position}.safetensors"
        save_state(path, State(state.tensors, metadata))
        self.slot.clear()
        if not self.keep_all:
            for _, old in earlier:
                old.unlink()

    def restore(self, method: Method, run: RunContext) -> int:
        """Load the last saved state into the method.

        Returns:
            The number of lessons that it has learned; 0 where nothing was saved.
        """
        paths = self._paths()
        if not paths:
            return 0
        position, path = paths[-1]
        state = load_state(path)
        run.budget.set_counters(state.metadata["budget"])
        method.load_state_dict(State(state.tensors, state.metadata["method"]))
        return position

    def finish(self) -> None:
        """Remove what a completed run does not keep."""
        self.slot.clear()
        if not self.keep_all and self.folder.exists():
            shutil.rmtree(self.folder)
        parent = self.folder.parent
        if parent.exists() and not any(p.is_dir() for p in parent.iterdir()):
            for lock in parent.glob(".*.lock"):
                if lock.name == f".{self.folder.name}.lock":
                    os.unlink(lock)
