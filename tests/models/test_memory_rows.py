from pathlib import Path

import pytest
import torch
from torch import Tensor

from compositional.models.language_model import LanguageModel
from compositional.models.loading import load_model
from compositional.models.memory_rows import MemoryRows
from compositional.models.model_config import ModelConfig
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


def hidden_by_hand(model: LanguageModel, ids: Tensor, input_rows: Tensor) -> Tensor:
    """The hidden states of ids beyond the vocabulary, from one big table of embeddings."""
    embedding = model.backbone.get_input_embeddings()
    scale = getattr(embedding, "embed_scale", torch.tensor(1.0))
    table = torch.cat([embedding.weight.float(), input_rows]) * scale.float()
    embeds = table[ids].to(model.backbone.dtype)
    return model.backbone.base_model(inputs_embeds=embeds).last_hidden_state


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("decoupled", [False, True])
def test_without_rows_no_bit_of_the_logits_changes(tmp_path, arch, decoupled) -> None:
    model = LanguageModel(load_toy(tmp_path, arch))
    with torch.no_grad():
        before = model.backbone(TEXT_IDS).logits
        model.add_rows(decoupled=decoupled)
        assert torch.equal(model.backbone(TEXT_IDS).logits, before)


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("decoupled", [False, True])
def test_logits_are_those_of_one_big_vocabulary(tmp_path, arch, decoupled) -> None:
    model = LanguageModel(load_toy(tmp_path, arch))
    first = model.num_text_ids
    ids = torch.tensor([[5, first, 7, first + 2, 9], [first + 1, 11, 12, 13, first]])
    input_rows = normal(1, NUM_ROWS, WIDTH)
    head_rows = normal(2, NUM_ROWS, WIDTH) if decoupled else input_rows
    with torch.no_grad():
        head = model.backbone.get_output_embeddings().weight
        hidden = hidden_by_hand(model, ids, input_rows)
        expected = hidden @ torch.cat([head, head_rows]).T
        model.add_rows(decoupled=decoupled).load(["a", "b", "c"], input_rows, head_rows)
        found = model.backbone(ids).logits
        text_only = model.backbone(TEXT_IDS).logits
    assert found.shape == (2, 5, first + NUM_ROWS)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)
    assert text_only[..., :first].isfinite().all()


@pytest.mark.parametrize("arch", ARCHS)
def test_rows_change_no_text_logit_of_a_text(tmp_path, arch) -> None:
    model = LanguageModel(load_toy(tmp_path, arch))
    with torch.no_grad():
        before = model.backbone(TEXT_IDS).logits
        rows = model.add_rows(decoupled=False)
        rows.begin(["a", "b"], normal(1, 2, WIDTH))
        assert torch.equal(model.backbone(TEXT_IDS).logits[..., : model.num_text_ids], before)


def test_rows_stay_fp32_over_a_bf16_backbone(toy_model_folder: Path) -> None:
    config = ModelConfig(name=str(toy_model_folder), dtype="bfloat16", device="cpu")
    model = LanguageModel(load_model(config))
    first = model.num_text_ids
    ids = torch.tensor([[5, first, 7, first + 1]])
    values = normal(1, 2, WIDTH)
    hidden = hidden_by_hand(model, ids, values).detach()
    rows = model.add_rows(decoupled=False)
    rows.begin(["a", "b"], values)
    assert rows.matrix("input").dtype == torch.float32
    embedded = model.backbone.get_input_embeddings()(ids)
    assert embedded.dtype == torch.bfloat16
    logits = model.backbone(ids).logits
    assert logits.dtype == torch.float32
    assert torch.equal(logits[..., first:], hidden.float() @ values.T)  # no bf16 in the rows' part

    # Steps far below bf16's resolution (2^-8 of a value) add up.
    row = TokenSequence((5, 6), (first, 7, first + 1, 2))
    steady = TrainingConfig(batch_size=1, warmup_ratio=0, scheduler="constant")
    lesson = Lesson("k", model, [row], 3, RunContext(Streams(0), training=steady))
    lesson.fit([ParameterGroup(rows.named_current(), lr=1e-5)])
    moved = (rows.matrix("input") - values).abs()
    assert rows.current_input.dtype == torch.float32
    assert moved.max().item() == pytest.approx(3e-5, rel=0.05)
    rows.finish()
    assert rows.matrix("head").dtype == torch.float32


@pytest.mark.parametrize("decoupled", [False, True])
def test_only_current_rows_get_gradients(toy, decoupled) -> None:
    model = LanguageModel(toy)
    rows = model.add_rows(decoupled=decoupled)
    rows.begin(["a", "b"], normal(1, 2, WIDTH))
    rows.finish()
    rows.begin(["c"], normal(2, 1, WIDTH))
    first = model.num_text_ids
    ids = torch.tensor([[5, first, 7, first + 2, 9]])
    model.backbone(ids).logits.logsumexp(-1).sum().backward()
    current = rows.named_current()
    assert set(current) == ({"rows.input", "rows.head"} if decoupled else {"rows.input"})
    with_gradient = [p for p in model.backbone.parameters() if p.grad is not None]
    assert {id(p) for p in with_gradient} == {id(p) for p in current.values()}
    assert all(p.shape == (1, WIDTH) and p.grad.any() for p in current.values())
    assert not rows.finished_input.requires_grad
    assert rows.finished_input.grad is None


def test_renormalisation_is_equations_5_and_6() -> None:
    rows = MemoryRows(2, decoupled=False, device=torch.device("cpu"))
    rows.begin(["a"], torch.tensor([[3.0, 4.0]]))
    rows.renormalise_current()  # no existing row: nothing happens in the first round
    assert rows.matrix("head").tolist() == [[3.0, 4.0]]
    rows.finish()
    rows.begin(["b"], torch.tensor([[6.0, 8.0]]))
    rows.finish()
    rows.begin(["c", "d"], torch.tensor([[0.0, 0.5], [-30.0, 40.0]]))
    rows.renormalise_current()
    # norms 5 and 10 exist, so n = 7.5; each new row m becomes m * n / |m|
    expected = [[3.0, 4.0], [6.0, 8.0], [0.0, 7.5], [-4.5, 6.0]]
    for side in ("input", "head"):
        torch.testing.assert_close(rows.matrix(side), torch.tensor(expected))


def test_renormalisation_of_decoupled_rows_is_on_the_head_side_only() -> None:
    rows = MemoryRows(2, decoupled=True, device=torch.device("cpu"))
    rows.load(["a"], torch.tensor([[100.0, 0.0]]), torch.tensor([[0.0, 2.0]]))
    rows.begin(["b"], torch.tensor([[3.0, 4.0]]))
    rows.renormalise_current()
    torch.testing.assert_close(rows.matrix("input"), torch.tensor([[100.0, 0.0], [3.0, 4.0]]))
    torch.testing.assert_close(rows.matrix("head"), torch.tensor([[0.0, 2.0], [1.2, 1.6]]))


def test_a_row_of_zeros_stays_finite() -> None:
    rows = MemoryRows(2, decoupled=False, device=torch.device("cpu"))
    rows.load(["a"], torch.ones(1, 2), torch.ones(1, 2))
    rows.begin(["b"], torch.zeros(1, 2))
    rows.renormalise_current()
    assert rows.matrix("head")[1].tolist() == [0.0, 0.0]


def test_load_and_drop() -> None:
    rows = MemoryRows(2, decoupled=True, device=torch.device("cpu"))
    rows.begin(["x"], torch.ones(1, 2))
    source, head = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])
    rows.load(["a"], source, head)
    source.zero_()  # what was loaded is a copy
    assert (rows.names, rows.num_finished) == (["a"], 1)
    assert rows.matrix("input").tolist() == [[1.0, 2.0]]
    assert rows.matrix("head").tolist() == [[3.0, 4.0]]
    assert all(p.numel() == 0 for p in rows.named_current().values())
    rows.drop()
    assert (rows.names, rows.num_finished) == ([], 0)
    assert rows.matrix("input").shape == rows.matrix("head").shape == (0, 2)


@pytest.mark.parametrize("arch", ARCHS)
def test_a_shared_row_gets_the_sum_of_both_sides_gradients(tmp_path, arch) -> None:
    gradients = []
    for decoupled in (False, True):
        model = LanguageModel(load_toy(tmp_path, arch))
        rows = model.add_rows(decoupled=decoupled)
        rows.begin(["a", "b"], normal(1, 2, WIDTH))
        first = model.num_text_ids
        run = RunContext(Streams(0), training=TrainingConfig(batch_size=1, max_grad_norm=0))
        row = TokenSequence((5, 6), (first, 7, first + 1, 2))
        lesson = Lesson("k", model, [row], 1, run)
        taken = []
        group = ParameterGroup(rows.named_current(), lr=0.0)
        lesson.fit(
            [group], lambda g=group, t=taken: t.extend(p.grad for p in g.parameters.values())
        )
        gradients.append(taken)
    (shared,), (by_input, by_head) = gradients
    assert by_input.any()
    assert by_head.any()
    torch.testing.assert_close(shared, by_input + by_head, atol=1e-6, rtol=1e-5)
