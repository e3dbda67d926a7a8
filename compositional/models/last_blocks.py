"""The last blocks of a frozen decoder by themselves: what enters them, and what they make of it.

Where only the last blocks are changed, what enters them never changes: it is computed once and
kept, and a training step costs these blocks alone.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from compositional.errors import ConfigError
from compositional.models.blocks import blocks_of, mlp_of, output_of
from compositional.models.low_rank import LowRank


class LastBlocks:
    """The last blocks of a model. Legend: n sequences of s tokens, t places whose logits count.

    Args:
        backbone: Any decoder whose blocks have an MLP.
        num_blocks: K, how many of the last blocks.

    Raises:
        ConfigError: If the model has fewer.
        ModelError: If the model's family is not known.
    """

    def __init__(self, backbone: PreTrainedModel, num_blocks: int) -> None:
        blocks = blocks_of(backbone)
        if not 1 <= num_blocks <= len(blocks):
            raise ConfigError(
                f"num_blocks is {num_blocks}; the model has {len(blocks)} blocks, it must be from "
                f"1 to {len(blocks)}"
            )
        self.backbone = backbone
        self.num_blocks = num_blocks
        self._below, self._blocks = blocks[:-num_blocks], blocks[-num_blocks:]
        self._outputs = [output_of(mlp_of(block)) for block in self._blocks]

    @property
    def widths(self) -> tuple[int, int]:
        """What the last matrices of the MLPs read and write: d_in and d."""
        weight = self._outputs[0].get_parameter("weight")
        # transformers' Conv1D is transposed.
        is_linear = isinstance(self._outputs[0], nn.Linear)
        written, read = weight.shape if is_linear else weight.shape[::-1]
        return int(read), int(written)

    @contextmanager
    def watched(self) -> Iterator[list[Tensor]]:
        """Let a pass add what enters each block, [n, s, d], to a list, in the order of the blocks.

        The list is to be emptied between passes.
        """
        seen: list[Tensor] = []

        def note(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            seen.append(_hidden(args, kwargs).detach())

        with ExitStack() as stack:
            for block in self._blocks:
                handle = block.register_forward_pre_hook(note, with_kwargs=True)
                stack.callback(handle.remove)
            yield seen

    @contextmanager
    def updated(self, update: LowRank | None) -> Iterator[None]:
        """Add an update to the last matrices for a while.

        Args:
            update: Of all sequences alike, [K, r, ...], or of each, [n, K, r, ...]; None for none.
        """
        with ExitStack() as stack:
            for place, output in enumerate(self._outputs if update is not None else ()):
                assert update is not None
                handle = output.register_forward_hook(_adding(update.part(place)))
                stack.callback(handle.remove)
            yield

    def logits(
        self, ids: Tensor, entering: Tensor, update: LowRank | None, places: Tensor
    ) -> Tensor:
        """Return logits of the model whose last blocks are updated, by these blocks alone.

        Args:
            ids: Token ids, [n, s], padded behind their ends: nothing before sees the padding.
            entering: What enters the first of the blocks, [n, s, d].
            update: As in `updated`; gradients flow to it.
            places: Places among the n * s tokens, [t].

        Returns:
            The logits behind these tokens, [t, V].
        """
        first = self._blocks[0].register_forward_pre_hook(_entering(entering), with_kwargs=True)
        head = self.backbone.get_output_embeddings()
        last = head.register_forward_pre_hook(
            lambda _module, inputs: (inputs[0].flatten(0, 1)[places][None],)
        )
        try:
            with self._skipped(), self.updated(update):
                found: Tensor = self.backbone(input_ids=ids, use_cache=False).logits
        finally:
            first.remove()
            last.remove()
        return found[0]

    @contextmanager
    def _skipped(self) -> Iterator[None]:
        """Let the blocks below hand on what they are given."""
        below: list[Any] = list(self._below)
        for block in below:
            block.forward = _passed_on
        try:
            yield
        finally:
            for block in below:
                del block.forward


def _passed_on(*args: Any, **kwargs: Any) -> Tensor:
    return _hidden(args, kwargs)


def _hidden(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Return the hidden states among a block's arguments."""
    found: Tensor = args[0] if args else kwargs["hidden_states"]
    return found


def _entering(states: Tensor) -> Any:
    """Return the hook that puts states in the place of what enters a block."""

    def replace(
        _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if args:
            return (states, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": states}

    return replace


def _adding(part: LowRank) -> Any:
    """Return the hook that adds an update to what a last matrix writes."""

    def add(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        written = inputs[0].float() @ part.a.mT @ part.b
        return output + written.to(output.dtype)

    return add
