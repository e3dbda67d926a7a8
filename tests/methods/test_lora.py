import json
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from compositional.errors import ConfigError, ModelError
from compositional.methods.lora import Lora, LoraConfig
from compositional.methods.prompts import text_sequence
from compositional.models.adapters import LoraSettings
from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.settings import EvaluationConfig, TrainingConfig
from compositional.streams import Streams
from compositional.tasks.types import Call
from tests.methods_toy import SMALL, fresh_model
from tests.rounds_toy import toy_benchmark, toy_context, toy_round

IDS = torch.tensor([[5, 60, 7, 200, 9]])


def build(model: LanguageModel, between_rounds: str = "continue", **settings) -> Lora:
    config = LoraConfig(adapter=SMALL, between_rounds=between_rounds, **settings)
    return config.build(model, toy_benchmark(3))


def tensors(method: Lora) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in method.lora.state_dict().items()}


def logits(method: Lora) -> Tensor:
    with torch.no_grad():
        return method.model.backbone(IDS).logits


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return list(one) == list(other) and all(torch.equal(other[n], t) for n, t in one.items())


def under(kind: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of one adapter, by layer."""
    return {n.removeprefix(kind): t for n, t in state.items() if n.startswith(kind)}


def after_two(method: Lora, epochs: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Learn round 1, then round 2 for some epochs; return the states after each."""
    run = toy_context()
    method.learn(toy_round(1), run)
    first = tensors(method)
    method.learn(toy_round(2, epochs), run)
    return first, tensors(method)


def test_continue_trains_one_adapter_on(model) -> None:
    first, second = after_two(build(model), epochs=0)
    assert {name.split(".")[0] for name in first} == {"adapter"}
    assert same(first, second)  # nothing but training changes it


def test_continue_trains_in_every_round(model) -> None:
    first, second = after_two(build(model), epochs=1)
    assert list(first) == list(second)
    assert not same(first, second)


def test_merge_keeps_the_old_adapter_below_a_new_one(model) -> None:
    method, run = build(model, "merge"), toy_context()
    method.learn(toy_round(1), run)
    first, answered = tensors(method), logits(method)
    assert {name.split(".")[0] for name in first} == {"adapter"}  # merged when the next begins
    method.learn(toy_round(2, epochs=0), run)
    second = tensors(method)
    assert same(under("adapter.", first), under("merged.0.", second))
    new = under("adapter.", second)
    assert not any(t.any() for name, t in new.items() if "lora_B" in name)
    assert all(
        not torch.equal(t, first[f"adapter.{name}"]) for name, t in new.items() if "lora_A" in name
    )
    torch.testing.assert_close(logits(method), answered, atol=1e-5, rtol=1e-5)
    method.learn(toy_round(3), run)
    third = tensors(method)
    assert same(under("merged.0.", second), under("merged.0.", third))
    assert under("merged.1.", third)
    size = sum(t.numel() for t in first.values())
    assert run.budget.trained_parameters == 3 * size


def test_drop_loses_the_old_adapter(model, toy_model_folder) -> None:
    method, plain = build(model, "drop"), logits(build(fresh_model(toy_model_folder)))
    _, second = after_two(method, epochs=0)
    assert {name.split(".")[0] for name in second} == {"adapter"}
    assert torch.equal(logits(method), plain)
    method.learn(toy_round(3), toy_context())
    alone = build(fresh_model(toy_model_folder))
    alone.learn(toy_round(3), toy_context())
    assert same(tensors(method), tensors(alone))  # as if rounds 1 and 2 had never been


def test_freeze_trains_in_round_1_only(model) -> None:
    method = build(model, "freeze")
    first, second = after_two(method, epochs=1)
    assert same(first, second)
    run = toy_context()
    method.learn(toy_round(3), run)
    assert same(first, tensors(method))
    assert (run.budget.steps, run.budget.trained_parameters) == (0, 0)


@pytest.mark.parametrize("between_rounds", ["continue", "merge", "drop", "freeze"])
def test_round_1_is_the_same_whatever_follows(toy_model_folder, between_rounds) -> None:
    states = []
    for name in ("continue", between_rounds):
        method = build(fresh_model(toy_model_folder), name)
        method.learn(toy_round(1), toy_context())
        states.append(tensors(method))
    assert same(*states)


def test_the_loss_covers_the_response_only(model) -> None:
    """The loss of the first step is the mean over target tokens of the untrained model's."""
    method, run = build(model), toy_context(batch_size=4)
    rows = [text_sequence(model, example) for example in toy_round(1).train]
    total, count = 0.0, 0
    for row in rows:
        ids = torch.tensor([row.prompt + row.target])
        with torch.no_grad():
            scores = model.backbone(ids).logits[0, len(row.prompt) - 1 : -1]
        total += functional.cross_entropy(scores, torch.tensor(row.target), reduction="sum").item()
        count += len(row.target)
    method.learn(toy_round(1), run)
    assert run.losses["round 1"] == pytest.approx([total / count], abs=1e-5)
    assert run.budget.target_tokens == count
    text = model.text(list(rows[2].target))
    assert text == (
        '{"name": "get_time", "arguments": {"what": "x2"}}\n'
        '{"name": "set_alarm", "arguments": {"what": "x2"}}<|im_end|>'
    )
    assert model.text(list(rows[2].prompt)).endswith(
        "user\nget time x2 and set alarm x2<|im_end|>\n<|im_start|>assistant\n"
    )


def test_the_eval_batch_size_changes_no_trained_bit(toy_model_folder) -> None:
    states = []
    for batch_size in (1, 2, 7):
        run = replace(toy_context(), evaluation=EvaluationConfig(8, batch_size))
        config = LoraConfig(
            adapter=replace(SMALL, dropout=0.2), between_rounds="merge", use_replay_buffer=True,
            replay_buffer_size=3, replay_ratio=0.5,
        )  # fmt: skip
        method = config.build(fresh_model(toy_model_folder), toy_benchmark(3))
        for round_ in toy_benchmark(3).rounds:
            method.learn(round_, run)
            method.answer([e.hidden() for e in round_.test], run)
        states.append(tensors(method))
    assert same(states[0], states[1])
    assert same(states[0], states[2])


def test_it_can_learn_its_training_rows_by_heart(model) -> None:
    benchmark = toy_benchmark(1, epochs=80)
    evaluation = EvaluationConfig(max_new_tokens=110, batch_size=4)
    run = RunContext(Streams(0), training=TrainingConfig(batch_size=2), evaluation=evaluation)
    method = LoraConfig(5e-3, adapter=LoraSettings(16, 32)).build(model, benchmark)
    method.learn(benchmark.rounds[0], run)
    predictions = method.answer([e.hidden() for e in benchmark.rounds[0].train], run)
    for example, prediction in zip(benchmark.rounds[0].train, predictions, strict=True):
        gold = tuple(Call(step.skill, json.loads(step.response)) for step in example.steps)
        assert prediction.calls == gold


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"between_rounds": "merged"}, "did you mean 'merge'"),
        ({"lr": -1.0}, "lr is -1.0"),
        ({"replay_ratio": 1.0}, "replay ratio is 1.0"),
        ({"replay_buffer_size": 0}, "size is 0"),
        ({"adapter": LoraSettings(target_modules=("q",))}, "no linear layer 'q'"),
        ({"adapter": LoraSettings(layer_indices=(2,))}, "no layer 2"),
    ],
)
def test_what_cannot_work_is_refused_before_any_training(model, settings, message) -> None:
    with pytest.raises(ConfigError, match=message):
        LoraConfig(**settings).build(model, toy_benchmark(1))


@pytest.mark.parametrize("name", ["mixed", "unanswerable"])
def test_a_row_over_the_window_is_refused(model, name) -> None:
    benchmark = toy_benchmark(1)
    long = replace(getattr(benchmark, name)[0], query="x" * 3000)
    with pytest.raises(ModelError, match="over the window of 2048"):
        LoraConfig().build(model, replace(benchmark, **{name: (long,)}))
    train = (replace(benchmark.rounds[0].train[0], query="x" * 3000),)
    rounds = (replace(benchmark.rounds[0], train=train),)
    with pytest.raises(ModelError, match="over the window of 2048"):
        LoraConfig().build(model, replace(benchmark, rounds=rounds))
