"""Keys and values of sequences of different lengths side by side, a slot each."""

import torch
from torch import Tensor
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin

from compositional.models.parts import KeyValues


class Filling:
    """How many tokens each slot holds; all layers look at one of these.

    Args:
        num_slots: Sequences side by side.
        device: Where the buffers are.
    """

    def __init__(self, num_slots: int, device: torch.device) -> None:
        self.device = device
        self.set([0] * num_slots)

    def set(self, lengths: list[int]) -> None:
        """Set the number of every slot."""
        self.numbers = lengths
        self.longest = max(lengths)
        self.lengths = torch.tensor(lengths, device=self.device)
        self.slots = torch.arange(len(lengths), device=self.device)


class SlotLayer(CacheLayerMixin):
    """One layer's buffers, [slots, heads, capacity, d], each slot filled from its left.

    Args:
        keys: The buffer of keys.
        values: The buffer of values.
        filling: How far each slot is filled.
    """

    def __init__(self, keys: Tensor, values: Tensor, filling: Filling) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.keys: Tensor = keys
        self.values: Tensor = values
        self.filling = filling
        self.is_initialized = True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Do nothing: the buffers are there from the beginning."""

    def update(
        self, key_states: Tensor, value_states: Tensor, *_args: object, **_kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Write one token a slot behind what it holds; return what is filled in any slot."""
        slots, lengths = self.filling.slots, self.filling.lengths
        self.keys[slots, :, lengths] = key_states[:, :, 0]
        self.values[slots, :, lengths] = value_states[:, :, 0]
        filled = self.filling.longest + 1
        return self.keys[:, :, :filled], self.values[:, :, :filled]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return the length of the keys and their offset."""
        return self.filling.longest + query_length, 0

    def get_seq_length(self) -> int:
        """Return how many tokens the longest slot holds."""
        return self.filling.longest

    def get_max_length(self) -> int:
        """Return how many tokens a slot can hold."""
        return int(self.keys.shape[2])


class SlotCache(Cache):
    """A cache whose rows begin and end on their own.

    Args:
        like: Keys and values of any sequence, for the shapes.
        num_slots: Sequences side by side.
        capacity: The most tokens that one may hold.
    """

    def __init__(self, like: KeyValues, num_slots: int, capacity: int) -> None:
        def buffer(states: Tensor) -> Tensor:
            return states.new_zeros(num_slots, states.shape[1], capacity, states.shape[3])

        self.filling = Filling(num_slots, like[0][0].device)
        self.slot_layers = [SlotLayer(buffer(k), buffer(v), self.filling) for k, v in like]
        super().__init__(layers=list(self.slot_layers))

    @property
    def lengths(self) -> Tensor:
        """How many tokens each slot holds, [slots]."""
        return self.filling.lengths

    def fill(self, slot: int, states: KeyValues) -> None:
        """Put a new sequence's keys and values into a slot."""
        length = int(states[0][0].shape[2])
        for layer, (keys, values) in zip(self.slot_layers, states, strict=True):
            layer.keys[slot, :, :length] = keys[0]
            layer.values[slot, :, :length] = values[0]
        self._set(slot, length)

    def clear(self, slot: int) -> None:
        """Empty a slot."""
        self._set(slot, 0)

    def _set(self, slot: int, length: int) -> None:
        numbers = self.filling.numbers
        self.filling.set([*numbers[:slot], length, *numbers[slot + 1 :]])

    def keep(self, slots: list[int]) -> None:
        """Drop all slots but some, which move up in order."""
        chosen = torch.tensor(slots, device=self.lengths.device)
        for layer in self.slot_layers:
            layer.keys, layer.values = layer.keys[chosen], layer.values[chosen]
        self.filling.set([self.filling.numbers[slot] for slot in slots])

    def advance(self, slots: list[int]) -> None:
        """Count the token that was written into some slots."""
        self.filling.set([n + (i in slots) for i, n in enumerate(self.filling.numbers)])

    def mask(self, dtype: torch.dtype) -> Tensor:
        """Return the mask of one further token a slot, [slots, 1, 1, keys]: 0 where it may look."""
        keys = torch.arange(self.filling.longest + 1, device=self.lengths.device)
        hidden = keys > self.lengths[:, None]
        mask = torch.zeros(hidden.shape, dtype=dtype, device=self.lengths.device)
        return mask.masked_fill_(hidden, torch.finfo(dtype).min)[:, None, None]
