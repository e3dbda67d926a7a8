import resource
from collections.abc import Iterator

import pytest
import torch

from compositional.errors import CompositionalError, ResultsError
from compositional.files import canonical_json, write_text
from compositional.states import (
    Slot,
    State,
    load_state,
    save_state,
    state_bytes,
    tensors_sha256,
)

STATE = State(
    {
        "a.weight": torch.tensor([[1.5, -2.0]]),
        "half": torch.tensor([1.0, 0.1], dtype=torch.bfloat16),
        "index": torch.tensor([3, 4]),
        "none": torch.zeros(0, 5),
        "step": torch.tensor(7.0),
    },
    {"names": ["b", "a"], "text": "Zürich 😀", "losses": [0.1, 1e-300], "nested": {"x": None}},
)


def test_a_state_comes_back_bit_for_bit(tmp_path) -> None:
    path = tmp_path / "new" / "state.safetensors"
    save_state(path, STATE)
    back = load_state(path)
    assert back.metadata == STATE.metadata
    assert set(back.tensors) == set(STATE.tensors)
    for name, tensor in STATE.tensors.items():
        assert back.tensors[name].dtype == tensor.dtype
        assert torch.equal(back.tensors[name], tensor)
    assert [p.name for p in path.parent.iterdir()] == ["state.safetensors"]


def test_an_empty_state(tmp_path) -> None:
    save_state(tmp_path / "s", State())
    assert load_state(tmp_path / "s") == State()


def test_the_bytes_of_a_state(tmp_path) -> None:
    # 2 of 4 bytes, 2 of 2, 2 of 8, none, 1 of 4
    tensors = 8 + 4 + 16 + 4
    assert state_bytes(State(STATE.tensors)) == tensors
    text = len(canonical_json(STATE.metadata).encode())
    assert state_bytes(STATE) == tensors + text
    assert state_bytes(State({}, {"ü": 1})) == len('{"ü":1}') + 1
    assert state_bytes(State()) == 0
    save_state(tmp_path / "s", STATE)
    assert state_bytes(load_state(tmp_path / "s")) == tensors + text


def test_views_of_one_tensor_and_gradients_are_saved_as_values(tmp_path) -> None:
    base = torch.arange(6.0, requires_grad=True)
    save_state(tmp_path / "s", State({"all": base, "part": base[2:4], "t": base.view(2, 3).T}))
    back = load_state(tmp_path / "s").tensors
    assert back["part"].tolist() == [2.0, 3.0]
    assert back["t"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert not back["all"].requires_grad


def test_the_same_state_is_the_same_bytes(tmp_path) -> None:
    save_state(tmp_path / "one", STATE)
    save_state(tmp_path / "two", load_state(tmp_path / "one"))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.fixture
def tiny_files() -> Iterator[None]:
    """A disk that is full: no file grows over 4 KiB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_one_error_and_the_old_state_stays(tmp_path, tiny_files) -> None:
    path = tmp_path / "state"
    save_state(path, STATE)
    with pytest.raises(CompositionalError, match=r"cannot write .*state: File too large$"):
        save_state(path, State({"large": torch.zeros(10_000)}))
    assert load_state(path).metadata == STATE.metadata
    assert [p.name for p in tmp_path.iterdir()] == ["state"]


def test_a_path_below_a_file(tmp_path) -> None:
    write_text(tmp_path / "file", "x")
    with pytest.raises(CompositionalError, match="cannot write"):
        save_state(tmp_path / "file" / "state", STATE)


@pytest.mark.parametrize("content", [b"", b"not a state", b"\x80\x04."])
def test_another_file_is_no_state(tmp_path, content) -> None:
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(ResultsError, match="not a saved state of this program"):
        load_state(tmp_path / "s")


def test_a_state_that_was_cut_short(tmp_path) -> None:
    save_state(tmp_path / "s", STATE)
    (tmp_path / "s").write_bytes((tmp_path / "s").read_bytes()[:-4])
    with pytest.raises(ResultsError, match="not a saved state"):
        load_state(tmp_path / "s")


def test_safetensors_of_another_program(tmp_path) -> None:
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "s")
    with pytest.raises(ResultsError, match="not a saved state"):
        load_state(tmp_path / "s")


def test_a_missing_state_and_a_folder(tmp_path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(ResultsError, match="cannot be read"):
            load_state(path)


def test_a_slot_keeps_the_last_state(tmp_path) -> None:
    slot = Slot(tmp_path / "slot")
    assert slot.load() is None
    slot.clear()  # nothing to remove
    slot.save(STATE)
    slot.save(State({}, {"key": "later"}))
    found = slot.load()
    assert found is not None
    assert found.metadata == {"key": "later"}
    slot.clear()
    assert slot.load() is None


def test_a_slot_without_a_file_keeps_nothing() -> None:
    slot = Slot()
    slot.save(STATE)
    assert slot.load() is None
    slot.clear()


def test_a_digest_is_of_names_and_of_every_bit() -> None:
    digest = tensors_sha256(STATE.tensors.items())
    assert tensors_sha256(STATE.tensors.items()) == digest
    others = [
        {**STATE.tensors, "step": torch.tensor(7.0).nextafter(torch.tensor(8.0))},
        {**STATE.tensors, "half": torch.tensor([1.0, 0.1])},
        {f"{name}x": tensor for name, tensor in STATE.tensors.items()},
    ]
    assert digest not in [tensors_sha256(other.items()) for other in others]
