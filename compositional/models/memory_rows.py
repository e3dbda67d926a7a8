"""Trainable rows beyond a model's vocabulary: one token a skill.

The rows extend the input embedding and the output head by modules that stand in the model's
own places, so the model's forward pass and `generate` work as they are, with any tokenizer and
without reserved tokens. Row `i` has token id `vocabulary size + i`. Rows are fp32 over any
backbone dtype. Rows of finished rounds are plain tensors; only the rows of the current round are
parameters, so an optimiser never sees an old row and a step costs no full-vocabulary gradient.
"""

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel


class MemoryRows(nn.Module):
    """The matrix of rows, as input embeddings and as head.

    Legend: m rows in all, c rows of the current round, d hidden size.

    Args:
        hidden_size: d.
        decoupled: Whether the head has rows of its own; else one matrix serves both sides.
        device: Where the rows live.
    """

    finished_input: Tensor
    finished_head: Tensor

    def __init__(self, hidden_size: int, decoupled: bool, device: torch.device) -> None:
        super().__init__()
        self.decoupled = decoupled
        self.names: list[str] = []
        empty = torch.zeros(0, hidden_size, dtype=torch.float32, device=device)
        self.register_buffer("finished_input", empty)
        self.register_buffer("finished_head", empty.clone() if decoupled else empty)
        self.current_input = nn.Parameter(empty.clone(), requires_grad=False)
        self.current_head = (
            nn.Parameter(empty.clone(), requires_grad=False) if decoupled else self.current_input
        )

    @property
    def num_finished(self) -> int:
        """Number of rows that no longer change."""
        return int(self.finished_head.shape[0])

    def begin(self, names: Iterable[str], initial: Tensor) -> None:
        """Add trainable rows for a round.

        Args:
            names: c names of rows.
            initial: [c, d], their first values, for both sides.
        """
        self.names.extend(names)
        self.current_input = nn.Parameter(initial.detach().float().clone())
        self.current_head = (
            nn.Parameter(initial.detach().float().clone()) if self.decoupled else self.current_input
        )

    def finish(self) -> None:
        """Freeze the current round's rows: they join the finished ones."""
        self._set_finished(self.matrix("input").detach(), self.matrix("head").detach())

    def drop(self) -> None:
        """Remove all rows."""
        self.names = []
        self._set_finished(self.finished_input[:0], self.finished_head[:0])

    def load(self, names: list[str], input_rows: Tensor, head_rows: Tensor) -> None:
        """Replace all rows by finished ones, each [m, d]."""
        self.names = list(names)
        device = self.finished_input.device
        self._set_finished(input_rows.to(device), head_rows.to(device))

    def _set_finished(self, input_rows: Tensor, head_rows: Tensor) -> None:
        self.finished_input = input_rows.clone()
        self.finished_head = head_rows.clone() if self.decoupled else self.finished_input
        empty = input_rows.new_zeros(0, input_rows.shape[1])
        self.current_input = nn.Parameter(empty, requires_grad=False)
        self.current_head = (
            nn.Parameter(empty.clone(), requires_grad=False)
            if self.decoupled
            else self.current_input
        )

    def matrix(self, side: str) -> Tensor:
        """Return all rows of one side (`input` or `head`), [m, d], in fp32."""
        if side == "input":
            return torch.cat([self.finished_input, self.current_input])
        return torch.cat([self.finished_head, self.current_head])

    def named_current(self) -> dict[str, nn.Parameter]:
        """Return the parameters that train in this round."""
        rows = {"rows.input": self.current_input}
        if self.decoupled:
            rows["rows.head"] = self.current_head
        return rows

    @torch.no_grad()
    def renormalise_current(self, epsilon: float = 1e-8) -> None:
        """Scale the current round's head rows to the mean norm of the finished ones.

        TokMem, equations 5 and 6: n = mean_j ||m_j|| over existing rows; a new row m_i becomes
        m_i * n / (||m_i|| + epsilon). Its direction stays. Without finished rows nothing happens.
        Decoupled rows are scaled on the head side only.
        """
        if self.num_finished:
            target = self.finished_head.norm(dim=1).mean()
            norms = self.current_head.norm(dim=1, keepdim=True)
            self.current_head.mul_(target / (norms + epsilon))


class ExtendedEmbedding(nn.Module):
    """An input embedding whose ids beyond the vocabulary are memory rows.

    Args:
        base: The model's own input embedding, V ids.
        rows: The rows that continue it.
    """

    def __init__(self, base: nn.Module, rows: MemoryRows) -> None:
        super().__init__()
        self.base = base
        self.rows = rows
        self.weight = cast(nn.Parameter, base.weight)
        self.num_text_ids = int(self.weight.shape[0])

    def forward(self, ids: Tensor) -> Tensor:
        """Return the embeddings of ids, [..., d], in the backbone's dtype."""
        matrix = self.rows.matrix("input")
        text: Tensor = self.base(ids.clamp(max=self.num_text_ids - 1))
        if matrix.shape[0] == 0:
            return text
        embedded = functional.embedding((ids - self.num_text_ids).clamp(min=0), matrix)
        scale = getattr(self.base, "embed_scale", 1.0)
        is_row = (ids >= self.num_text_ids).unsqueeze(-1)
        return torch.where(is_row, (embedded * scale).to(text.dtype), text)


class ExtendedHead(nn.Module):
    """An output head whose logits go on with one for each memory row.

    Args:
        base: The model's own output head.
        rows: The rows that continue it.
    """

    def __init__(self, base: nn.Module, rows: MemoryRows) -> None:
        super().__init__()
        self.base = base
        self.rows = rows
        self.weight = cast(nn.Parameter, base.weight)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return logits, [..., V + m], the rows' part computed in fp32."""
        text: Tensor = self.base(hidden)
        matrix = self.rows.matrix("head")
        if matrix.shape[0] == 0:
            return text
        return torch.cat([text.float(), hidden.float() @ matrix.T], dim=-1)


def attach_rows(model: PreTrainedModel, rows: MemoryRows) -> None:
    """Put the rows behind a model's vocabulary, on both sides. Without rows no bit changes."""
    model.set_input_embeddings(ExtendedEmbedding(model.get_input_embeddings(), rows))
    model.set_output_embeddings(ExtendedHead(model.get_output_embeddings(), rows))
