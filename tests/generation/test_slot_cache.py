import torch

from compositional.generation.slot_cache import SlotCache

LOWEST = torch.finfo(torch.float32).min


def states(*values: float) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Two layers of one head of size 1, keys as given, values their negatives."""
    keys = torch.tensor(values, dtype=torch.float32).reshape(1, 1, -1, 1)
    return [(keys, -keys), (10 * keys, -10 * keys)]


def written(cache: SlotCache, layer: int, *values: float) -> list[list[float]]:
    new = torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1, 1)
    keys, held = cache.update(new, -new, layer)
    assert torch.equal(held, -keys)
    return keys[:, 0, :, 0].tolist()


def test_slots_of_different_lengths_by_hand() -> None:
    cache = SlotCache(states(1.0), num_slots=3, capacity=4)
    cache.fill(0, states(1, 2))
    cache.fill(2, states(3))
    assert cache.lengths.tolist() == [2, 0, 1]
    assert written(cache, 0, 7, 8, 9) == [[1, 2, 7], [8, 0, 0], [3, 9, 0]]
    assert written(cache, 1, 7, 8, 9) == [[10, 20, 7], [8, 0, 0], [30, 9, 0]]
    assert cache.mask(torch.float32)[:, 0, 0].tolist() == [
        [0, 0, 0],
        [0, LOWEST, LOWEST],
        [0, 0, LOWEST],
    ]
    cache.advance([0, 2])
    assert cache.lengths.tolist() == [3, 0, 2]
    cache.clear(0)
    cache.fill(0, states(5))
    cache.keep([0, 2])
    assert cache.lengths.tolist() == [1, 2]
    assert written(cache, 0, 6, 6) == [[5, 6, 7], [3, 9, 6]]  # what stands behind is masked
    assert cache.mask(torch.float32)[:, 0, 0].tolist() == [[0, 0, LOWEST], [0, 0, 0]]
    assert cache.get_seq_length() == 2
    assert cache.layers[0].get_max_length() == 4
