"""Batches of questions: the updates that a hypernetwork makes, and the logits with them."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from compositional.models.hypernetwork import Hypernetwork
from compositional.models.last_blocks import LastBlocks
from compositional.models.low_rank import LowRank, compose
from compositional.training.distillation_cache import DistillationCache, Question


def updates_of(
    network: Hypernetwork, cache: DistillationCache, contexts: Sequence[Sequence[int]]
) -> LowRank:
    """Return for each question the update of its contexts, composed by rank, without the bias.

    Each context is read once, however many questions name it; where one question has more chunks
    than another, the other's ranks are filled up with zeros.

    Args:
        network: The hypernetwork.
        cache: Holds the contexts.
        contexts: For each of n questions the places of its contexts.

    Returns:
        a [n, K, m * r, d_in] and b [n, K, m * r, d], m being the most chunks of a question.
    """
    distinct = sorted({place for places in contexts for place in places})
    read = {place: cache.context(place) for place in distinct}
    first: dict[int, int] = {}
    chunks: list[Tensor] = []
    for place in distinct:
        first[place] = len(chunks)
        chunks += read[place]
    made = network(*padded_chunks(chunks))
    numbers = [
        [first[place] + n for place in places for n in range(len(read[place]))]
        for places in contexts
    ]
    most = max(map(len, numbers))
    index = torch.tensor([own + [len(chunks)] * (most - len(own)) for own in numbers])
    a, b = (_gathered(matrix, index.to(matrix.device)) for matrix in (made.a, made.b))
    return LowRank(a, b)


def _gathered(matrices: Tensor, index: Tensor) -> Tensor:
    """Return the matrices of each question side by side, [n, K, m * r, width].

    Args:
        matrices: Of every chunk, [c, K, r, width].
        index: The chunks of each question, [n, m]; c stands for a matrix of zeros.
    """
    zeros = torch.zeros_like(matrices[:1])
    found = torch.cat([matrices, zeros])[index]
    return found.transpose(1, 2).flatten(2, 3)


def padded_chunks(chunks: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return chunks [K, T, d] of several lengths as a batch [n, K, T, d] with its mask [n, T]."""
    rows = pad_sequence([chunk.transpose(0, 1) for chunk in chunks], batch_first=True)
    lengths = torch.tensor([chunk.shape[1] for chunk in chunks], device=rows.device)
    is_token = torch.arange(rows.shape[1], device=rows.device) < lengths[:, None]
    return rows.transpose(1, 2), is_token


def with_bias(network: Hypernetwork, made: LowRank) -> LowRank:
    """Return updates [..., K, r, width] with the learned one beside each."""
    bias = network.bias()
    if bias is None:
        return made
    shape = made.a.shape[:-3]
    beside = LowRank(bias.a.expand(*shape, -1, -1, -1), bias.b.expand(*shape, -1, -1, -1))
    return compose([made, beside])


def answer_logits(
    blocks: LastBlocks, cache: DistillationCache, items: Sequence[int], update: LowRank | None
) -> tuple[Tensor, list[Question]]:
    """Return the updated model's logits at every token of some questions' answers, [t, V].

    Args:
        blocks: The last blocks.
        cache: Holds the questions.
        items: Places of n questions.
        update: Of all alike or of each, as in `LastBlocks.updated`; None for none.
    """
    questions = [cache.question(place) for place in items]
    rows = [cache.data.items[place] for place in items]
    device = questions[0].entering.device
    entering = pad_sequence([question.entering for question in questions], batch_first=True)
    ids = pad_sequence(
        [torch.tensor((*row.prompt, *row.target[:-1])) for row in rows], batch_first=True
    )
    length = entering.shape[1]
    places = [
        number * length + len(row.prompt) - 1 + token
        for number, row in enumerate(rows)
        for token in range(len(row.target))
    ]
    wanted = torch.tensor(places, device=device)
    return blocks.logits(ids.to(device), entering, update, wanted).float(), questions
