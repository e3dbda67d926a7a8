import copy

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.settings import TrainingConfig
from compositional.streams import Streams
from compositional.training.batching import TokenSequence
from compositional.training.fit import ParameterGroup
from compositional.training.lesson import Lesson
from tests.toy import load_toy

ARCHS = ["llama", "gpt2", "qwen2", "gemma"]  # qwen2's head is untied, gemma scales embeddings
TEXT_IDS = torch.tensor([[5, 60, 7, 200, 9], [10, 11, 12, 13, 14]])
WIDTH = 32
NUM_ROWS = 3


def normal(seed: int, *shape: int) -> Tensor:
    return 0.3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def training_rows(first: int) -> list[TokenSequence]:
    """Six rows of several lengths; old rows (the first two) and new ones (the last three)."""
    return [
        TokenSequence((5, 6, 7), (first + 2, 30, 31, 2)),
        TokenSequence((8,), (first + 3, 40, first + 4, 41, 42, 2)),
        TokenSequence((9, 10, 11, 12, 13), (first + 4, 50, 2)),
        TokenSequence((14, 15), (first, 33, first + 3, 34, 2)),
        TokenSequence((16, 17, 18, 19), (first + 1, 35, first + 2, 36, 2)),
        TokenSequence((20,), (first + 2, 2)),
    ]


def naive_training(
    backbone: torch.nn.Module,
    steps: list[list[TokenSequence]],
    values: Tensor,
    num_old: int,
    lr: float,
) -> tuple[list[float], Tensor, Tensor]:
    """Train the last rows of a resized vocabulary by full-vocabulary gradients, no batching.

    Returns the losses and the rows of both sides.
    """
    num_text_ids = backbone.get_input_embeddings().weight.shape[0]
    backbone.resize_token_embeddings(num_text_ids + len(values), mean_resizing=False)
    tables = {id(t): t for t in (backbone.get_input_embeddings().weight, backbone.lm_head.weight)}
    for table in tables.values():
        with torch.no_grad():
            table[num_text_ids:] = values
        table.requires_grad_(True)
    optimiser = torch.optim.AdamW(tables.values(), lr=lr, weight_decay=0.0)
    losses = []
    for step in steps:
        total, count = torch.zeros(()), 0
        for row in step:
            ids = torch.tensor([row.prompt + row.target])
            logits = backbone(ids).logits[0, len(row.prompt) - 1 : -1]
            total = total + functional.cross_entropy(
                logits, torch.tensor(row.target), reduction="sum"
            )
            count += len(row.target)
        loss = total / count
        optimiser.zero_grad()
        loss.backward()
        for table in tables.values():
            table.grad[: num_text_ids + num_old] = 0
        optimiser.step()
        losses.append(loss.item())
    sides = (backbone.get_input_embeddings().weight, backbone.lm_head.weight)
    return losses, *(side[num_text_ids:].detach() for side in sides)


@pytest.mark.parametrize("arch", ARCHS)
def test_training_equals_a_full_vocabulary_reference(tmp_path, arch) -> None:
    """Tied models train one row for both sides; an untied one has decoupled rows."""
    model = LanguageModel(load_toy(tmp_path, arch))
    first = model.num_text_ids
    reference = copy.deepcopy(model.backbone)
    values = normal(3, 5, WIDTH)
    decoupled = arch == "qwen2"
    rows = model.add_rows(decoupled=decoupled)
    rows.load(["a", "b"], values[:2], values[:2])
    rows.begin(["c", "d", "e"], values[2:])
    training = TrainingConfig(
        batch_size=4, warmup_ratio=0.0, scheduler="constant", max_grad_norm=0.0
    )
    run = RunContext(Streams(0), training=training)
    sequences = training_rows(first)
    lesson = Lesson("k", model, sequences, 4, run)
    lesson.fit([ParameterGroup(rows.named_current(), lr=1e-2)])
    steps = [[sequences[index] for index in step] for step in lesson.steps]
    losses, by_input, by_head = naive_training(reference, steps, values, 2, lr=1e-2)
    assert len(losses) == 8
    assert run.losses["k"] == pytest.approx(losses, abs=1e-5)
    torch.testing.assert_close(rows.matrix("input"), by_input, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(rows.matrix("head"), by_head, atol=1e-6, rtol=1e-5)
    assert torch.equal(rows.matrix("input")[:2], values[:2])
    assert not torch.equal(rows.matrix("input")[2:], values[2:])
