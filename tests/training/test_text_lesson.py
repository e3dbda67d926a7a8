import pytest
import torch
from torch.nn import functional

from compositional.errors import ConfigError
from compositional.models.language_model import LanguageModel
from compositional.models.second_mlp import SecondMlps
from compositional.preemption import PreemptedError
from compositional.training.text_lesson import TextTraining, learn_text, losses_by_slice
from tests.rounds_toy import toy_context

TEXT = "The mill of Alba stands at the river Vunda. It was built in 1712."


@pytest.mark.parametrize("slice_tokens", [1, 7, 32, 1000])
def test_slices_see_all_that_stands_before_them(toy, slice_tokens: int) -> None:
    model = LanguageModel(toy)
    ids = model.chat.text_ids(TEXT)
    with torch.no_grad():
        logits = toy.model(input_ids=torch.tensor([ids])).logits[0, :-1]
        whole = functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none")
        found = [float(loss) for loss in losses_by_slice(model, ids, slice_tokens)]
    expected = [float(part.mean()) for part in whole.split(slice_tokens)]
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("optimiser", "lr"), [("sgd", 0.5), ("adamw", 1e-2)])
def test_learns_and_counts_what_it_cost(toy, optimiser: str, lr: float) -> None:
    model, run = LanguageModel(toy), toy_context()
    second = SecondMlps(toy.model, 1)
    second.attach()
    parameters = list(second.named_parameters().values())
    training = TextTraining(lr, optimiser, slice_tokens=16)
    losses = learn_text("text", model, TEXT, 6, parameters, training, run)
    steps_a_pass = -(-(len(model.chat.text_ids(TEXT)) - 1) // 16)
    assert len(losses) == run.budget.steps == 6 * steps_a_pass
    assert sum(losses[-steps_a_pass:]) < sum(losses[:steps_a_pass])
    assert run.losses["text"] == losses
    assert not any(p.requires_grad for p in parameters)
    assert all(p.grad is None for p in toy.model.parameters())


def test_the_step_is_plain_sgd_with_clipping(toy) -> None:
    model = LanguageModel(toy)
    second = SecondMlps(toy.model, 1)
    second.attach()
    named = second.named_parameters()
    before = second.state_dict()
    ids = model.chat.text_ids(TEXT)
    for parameter in named.values():
        parameter.requires_grad_(True)
    (loss,) = losses_by_slice(model, ids, 1000)
    gradients = dict(zip(named, torch.autograd.grad(loss, list(named.values())), strict=True))
    norm = torch.stack([g.norm() for g in gradients.values()]).norm()
    training = TextTraining(0.1, slice_tokens=1000, max_grad_norm=0.01)
    learn_text("text", model, TEXT, 1, list(named.values()), training, toy_context())
    for name, parameter in named.items():
        expected = before[name] - 0.1 * gradients[name] * 0.01 / (norm + 1e-6)
        assert torch.allclose(parameter, expected, atol=1e-7)


def test_a_rate_too_high_and_a_signal_are_one_line(toy) -> None:
    model = LanguageModel(toy)
    second = SecondMlps(toy.model, 1)
    second.attach()
    parameters = list(second.named_parameters().values())
    parameters[0].data.fill_(float("nan"))  # as too high a rate leaves it
    training = TextTraining(0.1)
    with pytest.raises(ConfigError, match="the learning rate is too high"):
        learn_text("text", model, TEXT, 3, parameters, training, toy_context())
    second.load_state_dict(second.initial)
    run = toy_context()
    run.stop.number = 15
    with pytest.raises(PreemptedError):
        learn_text("text", model, TEXT, 1, parameters, TextTraining(0.1), run)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="adam"):
        TextTraining(0.1, "adam")
    with pytest.raises(ConfigError, match="slice_tokens is 0"):
        TextTraining(0.1, slice_tokens=0)
