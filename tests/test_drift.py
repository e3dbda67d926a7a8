import pytest
import torch
from torch import Tensor

from compositional.drift import MAX_ANSWER_TOKENS, DriftProbe, plain_prompts
from compositional.generation.uncached import greedy
from compositional.methods.base import MethodConfig
from compositional.methods.icl import IclConfig
from compositional.methods.lora import LoraConfig
from compositional.methods.memory_tokens import MemoryTokensConfig
from compositional.methods.rag import RagConfig
from compositional.methods.zero_shot import ZeroShotConfig
from compositional.models.language_model import LanguageModel
from tests.methods_toy import SMALL
from tests.rounds_toy import toy_benchmark, toy_context
from tests.toy import load_toy

PROMPTS = ["How are you?", "Name a colour.", "Why?"]


def kl_by_hand(model: LanguageModel, base: LanguageModel, prompt: str) -> float:
    """Mean KL(base || model) along the base model's own answer, one prompt, no batch."""
    ids = base.chat.prompt_ids(prompt)
    answer = greedy(base, ids, MAX_ANSWER_TOKENS).ids
    total = torch.zeros(())
    for length in range(len(answer) + 1):  # where each token of the answer, or its end, is chosen
        context = torch.tensor([[*ids, *answer[:length]]])
        with torch.no_grad():
            before = base.backbone(context).logits[0, -1].double().softmax(dim=0)
            after = model.backbone(context).logits[0, -1].double().log_softmax(dim=0)
        total = total + (before * (before.log() - after[: len(before)])).sum()
    return float(total / (len(answer) + 1))


def spoil(model: LanguageModel) -> None:
    stack = model.add_lora(SMALL)
    stack.attach(1)
    generator = torch.Generator().manual_seed(2)
    for parameter in stack.named_parameters().values():
        parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)


@pytest.mark.parametrize("arch", ["llama", "gpt2"])
def test_it_is_the_kl_by_hand(tmp_path, arch) -> None:
    base, model = (LanguageModel(load_toy(tmp_path, arch)) for _ in range(2))
    probe = DriftProbe(model, toy_context(), PROMPTS)
    spoil(model)
    found = probe.measure(model)
    assert found == pytest.approx([kl_by_hand(model, base, p) for p in PROMPTS], abs=1e-5)
    assert min(found) > 1e-3


def test_rows_take_their_share_of_the_distribution(tmp_path) -> None:
    """A row that takes mass away moves the model, though no text logit changes."""
    base, model = (LanguageModel(load_toy(tmp_path)) for _ in range(2))
    rows = model.add_rows(decoupled=True)
    probe = DriftProbe(model, toy_context(), PROMPTS)
    rows.load(["a"], torch.zeros(1, 32), torch.zeros(1, 32))
    found = probe.measure(model)
    assert found == pytest.approx([kl_by_hand(model, base, p) for p in PROMPTS], abs=1e-5)
    # a logit of 0 beside 259 others: KL is the log of 1 / (1 - share)
    ids = torch.tensor([base.chat.prompt_ids(PROMPTS[0])])
    with torch.no_grad():
        share = model.backbone(ids).logits[0, -1].softmax(dim=0)[-1]
    assert 0 < float(share) < 0.2
    assert min(found) > 0


def learn(config: MethodConfig, model: LanguageModel, num_rounds: int) -> list[list[float]]:
    benchmark, run = toy_benchmark(2), toy_context()
    method = config.build(model, benchmark)
    probe = DriftProbe(model, run, PROMPTS)
    measured = [probe.measure(model)]
    for round_ in benchmark.rounds[:num_rounds]:
        method.learn(round_, run)
        assert method.model is model
        measured.append(probe.measure(model))
    return measured


@pytest.mark.parametrize("config", [ZeroShotConfig(), IclConfig(demonstrations=1), RagConfig()])
def test_a_method_that_trains_nothing_drifts_by_exactly_0(toy, config) -> None:
    assert learn(config, LanguageModel(toy), 2) == [[0.0] * 3] * 3


@pytest.mark.parametrize(
    "config",
    [
        LoraConfig(adapter=SMALL),
        LoraConfig(adapter=SMALL, between_rounds="merge"),
        MemoryTokensConfig(adapter=SMALL),
        MemoryTokensConfig(adaptation="none"),
    ],
)
def test_a_trained_method_drifts_from_the_base_model(toy, config) -> None:
    before, *after = learn(config, LanguageModel(toy), 2)
    assert before == [0.0] * 3
    assert all(value > 0 for row in after for value in row)


def test_the_answers_are_the_base_models_own(tmp_path) -> None:
    base, model = (LanguageModel(load_toy(tmp_path)) for _ in range(2))
    probe = DriftProbe(model, toy_context(), PROMPTS)
    seen: list[Tensor] = []
    model.backbone.register_forward_pre_hook(
        lambda _m, _a, kwargs: seen.append(kwargs["input_ids"]), with_kwargs=True
    )
    spoil(model)
    probe.measure(model)
    (batch,) = seen
    expected = []
    for prompt in PROMPTS:
        start = base.chat.prompt_ids(prompt)
        expected += [*start, *greedy(base, start, MAX_ANSWER_TOKENS).ids]  # an end predicts nothing
    assert batch.tolist() == [expected]


def test_fifty_plain_prompts_ship_with_the_project() -> None:
    prompts = plain_prompts()
    assert len(prompts) == len(set(prompts)) == 50
    assert all(isinstance(prompt, str) and prompt.strip() for prompt in prompts)
