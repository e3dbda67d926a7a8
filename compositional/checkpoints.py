"""The states of a run in progress: one after every lesson, and one of the training under way."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from compositional.errors import CompositionalError, ResultsError
from compositional.methods.base import Method
from compositional.run_context import RunContext
from compositional.states import Slot, State, load_state, save_state, state_bytes

IDENTITY = "identity"


class StampedSlot(Slot):
    """A slot whose states carry the identity of their run, and that takes no other run's.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.identity: dict[str, str] = {}

    def save(self, state: State) -> None:
        """Replace the saved state."""
        super().save(_stamped(state, self.identity))

    def load(self) -> State | None:
        """Return the saved state, or None where there is none.

        Raises:
            ResultsError: If it is damaged or another run's.
        """
        if self.path is None or not self.path.exists():
            return None
        return load_own_state(self.path, self.identity)


class Checkpoints:
    """A run's folder of states.

    Args:
        folder: `checkpoints/<experiment>/<run>`.
        keep_all: Whether the state of every lesson stays, also when the run completes.
    """

    def __init__(self, folder: Path, keep_all: bool) -> None:
        self.folder = folder
        self.keep_all = keep_all
        self.slot = StampedSlot(folder / "training.safetensors")

    def _paths(self) -> list[tuple[int, Path]]:
        """Return the lessons whose states stand, with their files, in order."""
        paths = self.folder.glob("lesson_*.safetensors")
        return sorted((int(path.stem.removeprefix("lesson_")), path) for path in paths)

    @property
    def answers(self) -> Path:
        """The folder of the answers that the run has generated so far."""
        return self.folder / ".answers"

    def exist(self) -> bool:
        """Whether anything stands in the folder's place."""
        return self.folder.is_file() or (self.folder.is_dir() and any(self.folder.iterdir()))

    def claim(self, identity: Mapping[str, str]) -> None:
        """Make the folder that of a run, and check what stands there of it.

        Args:
            identity: Hashes of the run's config, model and data.

        Raises:
            ResultsError: If a state is damaged or another run's.
            CompositionalError: If the folder cannot be made.
        """
        self.slot.identity = dict(identity)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CompositionalError(
                f"cannot write {self.folder}: {error.strerror or error}"
            ) from error
        for unfinished in self.folder.glob(".*.tmp"):
            unfinished.unlink()
        for _, path in self._paths()[-1:]:
            load_own_state(path, identity)
        self.slot.load()

    def save(self, position: int, method: Method, run: RunContext) -> None:
        """Save the method after a lesson and count its bytes; the training's own state is over."""
        state = method.state_dict()
        run.budget.state_bytes = state_bytes(state)
        metadata = {"method": state.metadata, "budget": run.budget.counters()}
        earlier = self._paths()
        path = self.folder / f"lesson_{position}.safetensors"
        save_state(path, _stamped(State(state.tensors, metadata), self.slot.identity))
        self.slot.clear()
        if not self.keep_all:
            for _, old in earlier:
                old.unlink()

    def restore(self, method: Method, run: RunContext) -> int:
        """Load the last saved state into the method.

        Returns:
            The number of lessons that it has learned; 0 where nothing was saved.

        Raises:
            ResultsError: If the state is damaged or another run's.
        """
        paths = self._paths()
        if not paths:
            return 0
        position, path = paths[-1]
        saved = load_own_state(path, self.slot.identity)
        state = State(saved.tensors, saved.metadata["method"])
        run.budget.set_counters(saved.metadata["budget"])
        run.budget.state_bytes = state_bytes(state)
        method.load_state_dict(state)
        return position

    def finish(self) -> None:
        """Remove what a completed run does not keep."""
        self.slot.clear()
        left = self.answers if self.keep_all else self.folder
        if left.exists():
            shutil.rmtree(left)


def load_own_state(path: Path, identity: Mapping[str, str]) -> State:
    """Read a state of the run with an identity.

    Raises:
        ResultsError: If the file is damaged, or another run's.
    """
    try:
        state = load_state(path)
    except ResultsError as error:
        raise ResultsError(f"{error}; remove it, and --resume goes on without it") from error
    found = state.metadata.get(IDENTITY, identity)
    differing = [name for name, value in identity.items() if found.get(name) != value]
    if differing:
        raise ResultsError(
            f"{path} is a state of a run with another {' and '.join(differing)}: remove it, and "
            "--resume goes on without it"
        )
    return state


def _stamped(state: State, identity: Mapping[str, str]) -> State:
    return State(state.tensors, {**state.metadata, IDENTITY: dict(identity)})
