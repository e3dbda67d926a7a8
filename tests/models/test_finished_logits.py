"""Hidden states given to the head alone: their logits are those of the model's own forward pass."""

from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from compositional.models.finished_logits import finished_logits, finishes_logits
from compositional.models.language_model import LanguageModel
from compositional.models.loading import LoadedModel
from tests.models.toy_families import CONFIGS, FINISHED, IDS, logits

CPU = torch.device("cpu")
FAMILIES = CONFIGS | FINISHED


def made(name: str) -> PreTrainedModel:
    torch.manual_seed(0)
    found: PreTrainedModel = AutoModelForCausalLM.from_config(FAMILIES[name])
    return found.eval().requires_grad_(False)


def hidden_of(model: PreTrainedModel) -> torch.Tensor:
    with torch.no_grad():
        return model.base_model(input_ids=IDS, use_cache=False).last_hidden_state


@pytest.mark.parametrize("name", list(FAMILIES))
def test_what_is_done_behind_the_head_is_seen_and_done(name: str) -> None:
    model = made(name)
    assert finishes_logits(model, CPU) == (name in FINISHED)
    hidden, whole = hidden_of(model), logits(model)
    with torch.no_grad():
        assert torch.allclose(finished_logits(model, hidden), whole, atol=1e-6)
        assert torch.allclose(finished_logits(model, hidden[0, 3:5]), whole[0, 3:5], atol=1e-6)
        alone = model.get_output_embeddings()(hidden)
    assert torch.allclose(alone, whole, atol=1e-3) == (name not in FINISHED)
    assert torch.equal(logits(model), whole)  # no hook is left


@pytest.mark.parametrize("name", list(FINISHED))
def test_rows_are_finished_as_the_vocabulary_is_and_learn_through_it(
    toy: LoadedModel, name: str
) -> None:
    """Which is what routing rehearsal asks of the head."""
    backbone = made(name)
    model = LanguageModel(replace(toy, model=backbone))
    rows = model.add_rows(decoupled=False)
    # Small ones: a logit far over a cap has no gradient.
    rows.begin(["a", "b"], 0.01 * torch.randn(2, 32, generator=torch.Generator().manual_seed(1)))
    hidden = hidden_of(backbone)
    found = model.head(hidden)
    assert found.shape == (1, 8, 52)
    assert torch.allclose(found, logits(backbone), atol=1e-5)
    found[0, :, 50:].logsumexp(dim=-1).sum().backward()
    assert rows.current_head.grad is not None
    assert rows.current_head.grad.abs().sum() > 0
