import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from compositional.checkpoints import Checkpoints
from compositional.errors import CompositionalError, ResultsError
from compositional.run_context import RunContext
from compositional.states import State, load_state, save_state
from compositional.streams import Streams

IDENTITY = {"config": "1", "model": "2", "data": "3"}


class Counter:
    """The two verbs of a method that states need."""

    def __init__(self, value: int = 0) -> None:
        self.value = value

    def state_dict(self) -> State:
        return State({"value": torch.tensor([self.value])}, {"note": f"at {self.value}"})

    def load_state_dict(self, state: State) -> None:
        self.value = int(state.tensors["value"])
        assert state.metadata == {"note": f"at {self.value}"}


def context() -> RunContext:
    return RunContext(streams=Streams(0))


def claimed(folder: Path, keep_all: bool = False) -> Checkpoints:
    checkpoints = Checkpoints(folder, keep_all)
    checkpoints.claim(IDENTITY)
    return checkpoints


def test_the_last_state_is_restored_with_its_counters(tmp_path: Path) -> None:
    checkpoints, run = claimed(tmp_path / "r"), context()
    assert checkpoints.restore(Counter(), run) == 0
    for position in (1, 2, 10):
        run.budget.steps = 7 * position
        checkpoints.save(position, Counter(position), run)
    fresh, method = context(), Counter()
    assert claimed(tmp_path / "r").restore(method, fresh) == 10
    assert (method.value, fresh.budget.steps) == (10, 70)
    assert fresh.budget.counters() == run.budget.counters()
    # One number of 8 bytes, and {"note":"at 10"}.
    assert fresh.budget.state_bytes == 8 + 16


def test_a_state_from_before_its_bytes_were_counted_is_counted_as_it_is_loaded(
    tmp_path: Path,
) -> None:
    checkpoints = claimed(tmp_path / "r")
    checkpoints.save(1, Counter(7), context())
    path = tmp_path / "r" / "lesson_1.safetensors"
    state = load_state(path)
    del state.metadata["budget"]["state_bytes"]
    save_state(path, state)
    run = context()
    assert claimed(tmp_path / "r").restore(Counter(), run) == 1
    assert run.budget.state_bytes == 8 + 15


@pytest.mark.parametrize("keep_all", [True, False])
def test_states_are_kept_where_asked_and_removed_otherwise(tmp_path: Path, keep_all: bool) -> None:
    checkpoints, run = claimed(tmp_path / "e" / "r", keep_all), context()
    for position in (1, 2):
        checkpoints.slot.save(State({}, {"key": "x"}))
        checkpoints.save(position, Counter(position), run)
    names = sorted(path.name for path in (tmp_path / "e" / "r").iterdir())
    lessons = ["lesson_1.safetensors", "lesson_2.safetensors"]
    assert names == (lessons if keep_all else lessons[1:])
    checkpoints.finish()
    assert checkpoints.exist() == keep_all
    if keep_all:
        assert load_file(tmp_path / "e" / "r" / lessons[0])["value"] == 1
    else:
        assert not (tmp_path / "e" / "r").exists()


def test_the_state_of_a_training_ends_with_its_lesson(tmp_path: Path) -> None:
    checkpoints = claimed(tmp_path / "r")
    checkpoints.slot.save(State({"x": torch.ones(2)}, {"key": "round 1"}))
    kept = claimed(tmp_path / "r").slot.load()
    assert kept is not None
    assert kept.metadata["key"] == "round 1"
    checkpoints.save(1, Counter(1), context())
    assert claimed(tmp_path / "r").slot.load() is None


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "truncated":
        path.write_bytes(content[: len(content) - 3])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "garbage":
        path.write_bytes(b"\xff" * len(content))
    elif how == "of another program":
        save_file({"value": torch.ones(1)}, path)
    else:
        save_file({"value": torch.ones(1)}, path, metadata={"json": "{"})


@pytest.mark.parametrize("how", ["truncated", "empty", "garbage", "of another program", "not JSON"])
@pytest.mark.parametrize("name", ["lesson_1.safetensors", "training.safetensors"])
def test_a_damaged_state_is_one_line_before_anything_else(
    tmp_path: Path, how: str, name: str
) -> None:
    checkpoints = claimed(tmp_path / "r")
    checkpoints.save(1, Counter(1), context())
    checkpoints.slot.save(State({"x": torch.ones(2)}, {"key": "round 2"}))
    damage(tmp_path / "r" / name, how)
    with pytest.raises(ResultsError) as caught:
        claimed(tmp_path / "r")
    message = str(caught.value)
    assert str(tmp_path / "r" / name) in message
    assert "remove it, and --resume goes on without it" in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["lesson_1.safetensors", "training.safetensors"])
@pytest.mark.parametrize("part", list(IDENTITY))
def test_a_state_of_another_run_is_named(tmp_path: Path, name: str, part: str) -> None:
    other = Checkpoints(tmp_path / "r", keep_all=False)
    other.claim({**IDENTITY, part: "another"})
    if name.startswith("lesson"):
        other.save(1, Counter(1), context())
    else:
        other.slot.save(State({"x": torch.ones(2)}, {"key": "round 1"}))
    with pytest.raises(ResultsError, match=f"a state of a run with another {part}: remove it"):
        claimed(tmp_path / "r")


def test_only_tensors_and_json_stand_in_a_state(tmp_path: Path) -> None:
    claimed(tmp_path / "r").save(1, Counter(3), context())
    path = tmp_path / "r" / "lesson_1.safetensors"
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert set(header) == {"__metadata__", "value"}
    metadata = json.loads(header["__metadata__"]["json"])
    assert metadata["method"] == {"note": "at 3"}
    assert metadata["identity"] == IDENTITY


def test_what_a_killed_process_left_half_written_is_removed(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / ".lesson_1.safetensors.77.tmp").write_bytes(b"half")
    claimed(tmp_path / "r")
    assert list((tmp_path / "r").iterdir()) == []


def test_a_file_in_the_folders_place_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "r").touch()
    checkpoints = Checkpoints(tmp_path / "r", keep_all=False)
    assert checkpoints.exist()
    with pytest.raises(CompositionalError, match="cannot write"):
        checkpoints.claim(IDENTITY)
