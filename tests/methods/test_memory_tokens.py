import json
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from compositional.methods.memory_tokens import MemoryTokensConfig
from compositional.methods.rehearsal import RehearsalSettings
from compositional.methods.row_text import END_OF_CALL, row_sequence
from compositional.models.adapters import LoraSettings
from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.settings import EvaluationConfig, TrainingConfig
from compositional.streams import Streams
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.types import Call, Example, Prediction, Step
from tests.methods_toy import ROWS_ALONE, SMALL, fresh_model, learned
from tests.rounds_toy import toy_benchmark, toy_context, toy_round


def weights(model: LanguageModel) -> dict[str, Tensor]:
    return {
        name.replace(".base_layer", ""): p.detach().clone()
        for name, p in model.backbone.named_parameters()
        if "lora_" not in name and "rows." not in name
    }


def test_the_target_is_row_arguments_row_arguments_end(model) -> None:
    method = learned(ROWS_ALONE, model)
    first, chat = model.num_text_ids, model.chat
    example = Example("e", "both", (Step("set_alarm", '{"what": "x"}'), Step("get_time", "{}")))
    row = row_sequence(method.model, example, {"get_time": first, "set_alarm": first + 1})
    assert list(row.prompt) == chat.prompt_ids("both")
    assert list(row.target) == [
        first + 1, *chat.target_ids('{"what": "x"}'), first, *chat.target_ids("{}"), chat.end_id,
    ]  # fmt: skip
    assert row.num_calls == 2
    text = model.text([*row.prompt, *row.target])
    assert text.endswith('assistant\n<|set_alarm|>{"what": "x"}<|get_time|>{}<|im_end|>')
    assert "more words" not in text.lower()  # no description


def test_the_end_of_call_row_ends_each_call_and_is_taught_first(model) -> None:
    method = learned(replace(ROWS_ALONE, end_of_call=True), model)
    after_first = method.rows.matrix("input")
    method.learn(toy_round(2), toy_context())
    assert method.rows.names == ["get_time", "set_alarm", END_OF_CALL, "play_song", "stop_song"]
    assert torch.equal(method.rows.matrix("input")[:3], after_first)
    first = model.num_text_ids
    ids = {name: first + index for index, name in enumerate(method.rows.names)}
    example = Example("e", "q", (Step("play_song", "{}"), Step("get_time", "{}")))
    tokens = [token for token in row_sequence(method.model, example, ids).target if token >= first]
    assert [method.rows.names[token - first] for token in tokens] == [
        "play_song", END_OF_CALL, "get_time", END_OF_CALL,
    ]  # fmt: skip


def test_an_example_without_calls_is_the_end_alone(model) -> None:
    row = row_sequence(model, Example("e", "q", ()), {})
    assert list(row.target) == [model.chat.end_id]


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("renorm", [False, True])
def test_finished_rows_and_the_backbone_never_change(model, decoupled, renorm) -> None:
    benchmark = toy_benchmark(3)
    config = replace(
        ROWS_ALONE, decouple_embeddings=decoupled, renorm_active_tools=renorm, end_of_call=True
    )
    method, run = config.build(model, benchmark), toy_context()
    before, known = weights(model), {"input": torch.zeros(0, 32), "head": torch.zeros(0, 32)}
    for round_ in benchmark.rounds:
        method.learn(round_, run)
        for side, rows in known.items():
            now = method.rows.matrix(side)
            assert torch.equal(now[: len(rows)], rows)
            assert not now.requires_grad
            known[side] = now.clone()
    assert len(known["input"]) == 7
    assert torch.equal(known["input"], known["head"]) != decoupled
    assert all(torch.equal(value, before[name]) for name, value in weights(model).items())


def test_renormalised_rows_have_the_mean_norm_of_the_finished_ones(model) -> None:
    rows = learned(replace(ROWS_ALONE, renorm_active_tools=True), model, 3).rows.matrix("head")
    norms = rows.norm(dim=1)
    torch.testing.assert_close(norms[2:4], norms[:2].mean().expand(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(norms[4:6], norms[:4].mean().expand(2), atol=1e-5, rtol=0)
    assert norms[0] != norms[1]  # nothing is scaled in the first round


@pytest.mark.parametrize("after", ["freeze", "merge"])
def test_the_first_round_adapts_and_later_ones_train_rows_alone(model, after) -> None:
    config = MemoryTokensConfig(adapter=SMALL, after_adaptation=after)
    run, benchmark = toy_context(), toy_benchmark(3)
    method = config.build(model, benchmark)
    clean = weights(model)
    method.learn(benchmark.rounds[0], run)
    adapter = {n: t.clone() for n, t in method.lora.state_dict().items()}
    assert any(t.any() for name, t in adapter.items() if "lora_B" in name)
    kind = "adapter" if after == "freeze" else "merged"
    assert {name.split(".")[0] for name in adapter} == {kind}
    backbone = weights(model)
    same = [torch.equal(backbone[name], value) for name, value in clean.items()]
    assert all(same) == (after == "freeze")
    for round_ in benchmark.rounds[1:]:
        method.learn(round_, run)
    assert all(torch.equal(t, adapter[n]) for n, t in method.lora.state_dict().items())
    assert all(torch.equal(t, backbone[n]) for n, t in weights(model).items())
    per_adapter = sum(t.numel() for t in adapter.values())
    assert run.budget.trained_parameters == 6 * 32 + per_adapter


def test_every_round_adapts_where_asked(model) -> None:
    run, benchmark = toy_context(), toy_benchmark(2)
    method = MemoryTokensConfig(adapter=SMALL, adaptation="every_round").build(model, benchmark)
    method.learn(benchmark.rounds[0], run)
    first = {n: t.clone() for n, t in method.lora.state_dict().items()}
    method.learn(benchmark.rounds[1], run)
    second = method.lora.state_dict()
    assert list(second) == list(first)
    assert any(not torch.equal(second[name], t) for name, t in first.items())
    per_adapter = sum(t.numel() for t in first.values())
    assert run.budget.trained_parameters == 4 * 32 + per_adapter  # one adapter, trained on


def own_range() -> Benchmark:
    """Rounds 2 and 3 of the toy, after an adaptation on the tools of its first."""
    benchmark = toy_benchmark(3)
    rounds = tuple(replace(r, index=r.index - 1) for r in benchmark.rounds[1:])
    adaptation = replace(toy_round(1), index=0, name="adaptation")
    return replace(benchmark, rounds=rounds, adaptation=adaptation)


@pytest.mark.parametrize("after", ["freeze", "merge"])
def test_adaptation_on_a_range_of_its_own_drops_the_rows_and_keeps_the_adapter(model, after):
    benchmark, run = own_range(), toy_context()
    config = MemoryTokensConfig(
        adapter=SMALL, adaptation="own_range", after_adaptation=after, end_of_call=True,
        renorm_active_tools=True, rehearsal=RehearsalSettings(vectors_per_round=9),
    )  # fmt: skip
    method = config.build(model, benchmark)
    assert method.traits.learns_adaptation
    method.learn(benchmark.adaptation, run)
    adapter = {n: t.clone() for n, t in method.lora.state_dict().items()}
    kind = "adapter" if after == "freeze" else "merged"
    assert {name.split(".")[0] for name in adapter} == {kind}
    assert any(t.any() for name, t in adapter.items() if "lora_B" in name)
    assert method.rows.names == []
    assert method.rows.matrix("input").shape == (0, 32)
    assert len(method.memory.targets) == 0
    per_adapter = sum(t.numel() for t in adapter.values())
    assert run.budget.trained_parameters == 3 * 32 + per_adapter  # the temporary rows count
    assert run.budget.steps == 2
    examples = [e.hidden() for e in benchmark.rounds[0].test]
    assert method.answer(examples, run) == [Prediction("", ())] * 3
    for round_ in benchmark.rounds:
        method.learn(round_, run)
    assert method.rows.names == ["play_song", "stop_song", END_OF_CALL, "turn_on", "turn_off"]
    assert all(torch.equal(t, adapter[n]) for n, t in method.lora.state_dict().items())
    assert run.budget.trained_parameters == 8 * 32 + per_adapter
    norms = method.rows.matrix("head").norm(dim=1)
    torch.testing.assert_close(norms[3:], norms[:3].mean().expand(2), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "config",
    [
        MemoryTokensConfig(adapter=LoraSettings(rank=2, dropout=0.2)),
        MemoryTokensConfig(
            adaptation="none", rehearsal=RehearsalSettings(vectors_per_round=20), end_of_call=True
        ),
    ],
)
def test_the_eval_batch_size_changes_no_trained_bit(toy_model_folder, config) -> None:
    states = []
    for batch_size in (1, 2, 7):
        run = replace(toy_context(), evaluation=EvaluationConfig(batch_size=batch_size))
        method = learned(config, fresh_model(toy_model_folder), 3, run)
        states.append(method.state_dict().tensors)
    for other in states[1:]:
        assert list(other) == list(states[0])
        for name, tensor in states[0].items():
            assert torch.equal(other[name], tensor), name


def test_it_can_learn_its_training_rows_by_heart(model) -> None:
    """End to end: rows with an adapter reach every training call, two-call rows included."""
    benchmark = toy_benchmark(1, epochs=60)
    training = TrainingConfig(batch_size=2)
    evaluation = EvaluationConfig(max_new_tokens=40, batch_size=4)
    run = RunContext(Streams(0), training=training, evaluation=evaluation)
    config = MemoryTokensConfig(lr=2e-2, lora_lr=1e-2, end_of_call=True)
    method = config.build(model, benchmark)
    method.learn(benchmark.rounds[0], run)
    predictions = method.answer([e.hidden() for e in benchmark.rounds[0].train], run)
    for example, prediction in zip(benchmark.rounds[0].train, predictions, strict=True):
        gold = tuple(Call(step.skill, json.loads(step.response)) for step in example.steps)
        assert prediction.calls == gold
        assert prediction.tools == tuple(call.name for call in gold)
