from dataclasses import replace

import pytest
import torch

from compositional.errors import ConfigError
from compositional.methods.base import Method, MethodConfig
from compositional.methods.bounds import Joint, JointConfig, Oracle, OracleConfig
from compositional.methods.icl import IclConfig
from compositional.methods.lora import LoraConfig
from compositional.methods.memory_tokens import MemoryTokensConfig
from compositional.methods.rehearsal import RehearsalSettings
from compositional.methods.stored import stored_bytes
from compositional.states import State
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.types import Example
from tests.methods_toy import SMALL, fresh_model
from tests.rounds_toy import toy_benchmark, toy_context, toy_round

WRAPPED: dict[str, MethodConfig] = {
    "lora": LoraConfig(adapter=replace(SMALL, dropout=0.2)),
    "lora_merge_replay": LoraConfig(adapter=SMALL, between_rounds="merge", use_replay_buffer=True),
    "memory_tokens": MemoryTokensConfig(
        adapter=SMALL, renorm_active_tools=True,
        rehearsal=RehearsalSettings(vectors_per_round=3),
    ),
    "memory_tokens_merge": MemoryTokensConfig(adapter=SMALL, after_adaptation="merge"),
}  # fmt: skip


@pytest.fixture(params=list(WRAPPED))
def config(request: pytest.FixtureRequest) -> MethodConfig:
    return WRAPPED[request.param]


def hidden(method: Method, index: int) -> list[Example]:
    return [example.hidden(method.traits.sees) for example in toy_round(index).test]


def assert_same(one: State, other: State) -> None:
    assert one.metadata == other.metadata
    assert list(one.tensors) == list(other.tensors)
    for name, tensor in one.tensors.items():
        assert torch.equal(other.tensors[name], tensor), name


def test_joint_is_one_training_on_all_rounds_so_far(toy_model_folder, config) -> None:
    benchmark = toy_benchmark(3)
    joint, run = (
        JointConfig(config).build(fresh_model(toy_model_folder), benchmark),
        toy_context(),
    )
    assert isinstance(joint, Joint)
    for index in (1, 2, 3):
        joint.learn(benchmark.rounds[index - 1], run)
        rounds = benchmark.rounds[:index]
        joined = replace(
            rounds[-1],
            skills=tuple(skill for r in rounds for skill in r.skills),
            train=tuple(example for r in rounds for example in r.train),
        )
        alone = config.build(fresh_model(toy_model_folder), benchmark)
        alone_run = toy_context()
        alone.learn(joined, alone_run)
        assert_same(joint.method.state_dict(), alone.state_dict())
        assert run.losses[f"round {index}"] == alone_run.losses[f"round {index}"]
        for column in range(1, index + 1):
            expected = alone.answer(hidden(alone, column), alone_run)
            assert joint.answer(hidden(joint, column), run) == expected
    assert run.budget.steps == 2 + 4 + 6
    every_row = [example for r in benchmark.rounds for example in r.train]
    assert run.budget.buffer_bytes >= stored_bytes(every_row)


def test_the_oracles_columns_are_trainings_on_their_round_alone(toy_model_folder, config) -> None:
    benchmark = toy_benchmark(3)
    oracle = OracleConfig(config).build(fresh_model(toy_model_folder), benchmark)
    run = toy_context()
    assert isinstance(oracle, Oracle)
    assert oracle.traits.sees == {"round"}
    assert oracle.model is None
    untaught = oracle.answer(hidden(oracle, 2), run)
    for index in (1, 2, 3):
        oracle.learn(benchmark.rounds[index - 1], run)
        for column in range(1, index + 1):
            alone = config.build(fresh_model(toy_model_folder), benchmark)
            alone.learn(benchmark.rounds[column - 1], toy_context())
            expected = alone.answer(hidden(alone, column), toy_context())
            assert oracle.answer(hidden(oracle, column), run) == expected
        if index == 1:  # a round to come is answered by the untrained state
            assert oracle.answer(hidden(oracle, 2), run) == untaught


def test_the_oracle_answers_a_mix_in_order(toy_model_folder) -> None:
    benchmark = toy_benchmark(3)
    config = MemoryTokensConfig(adaptation="none", init="orthogonal")
    oracle = OracleConfig(config).build(fresh_model(toy_model_folder), benchmark)
    run = toy_context()
    for round_ in benchmark.rounds:
        oracle.learn(round_, run)
    columns = {index: hidden(oracle, index) for index in (1, 2, 3)}
    answers = {index: oracle.answer(column, run) for index, column in columns.items()}
    order = [(3, 0), (1, 2), (2, 1), (1, 0), (3, 2)]
    mixed = oracle.answer([columns[index][place] for index, place in order], run)
    assert mixed == [answers[index][place] for index, place in order]
    no_round = [replace(example, round=None) for example in columns[3]]
    assert oracle.answer(no_round, run) == answers[3]  # the last state
    raw = {index: "".join(answer.raw for answer in answers[index]) for index in columns}
    assert "get_time" not in raw[2] + raw[3]  # no state knows another round's rows
    assert "turn_on" not in raw[1] + raw[2]


def own_range() -> Benchmark:
    benchmark = toy_benchmark(3)
    rounds = tuple(replace(r, index=r.index - 1) for r in benchmark.rounds[1:])
    adaptation = replace(toy_round(1), index=0, name="adaptation")
    return replace(benchmark, rounds=rounds, adaptation=adaptation)


@pytest.mark.parametrize("bound", [JointConfig, OracleConfig])
@pytest.mark.parametrize("after", ["freeze", "merge"])
def test_an_adaptation_lesson_is_kept(toy_model_folder, bound, after) -> None:
    benchmark, run = own_range(), toy_context()
    config = MemoryTokensConfig(adapter=SMALL, adaptation="own_range", after_adaptation=after)
    method = bound(config).build(fresh_model(toy_model_folder), benchmark)
    assert method.traits.learns_adaptation
    alone = config.build(fresh_model(toy_model_folder), benchmark)
    alone.learn(benchmark.adaptation, toy_context())
    for lesson in (benchmark.adaptation, *benchmark.rounds):
        method.learn(lesson, run)
    last = benchmark.rounds[1]
    if bound is JointConfig:
        both = benchmark.rounds
        last = replace(
            last, skills=both[0].skills + both[1].skills, train=both[0].train + both[1].train
        )
    alone.learn(last, toy_context())
    examples = [example.hidden() for example in last.test]
    asked = [replace(example, round=2) for example in examples]
    assert method.answer(asked, run) == alone.answer(examples, toy_context())
    assert_same(method.method.state_dict(), alone.state_dict())


def test_the_oracle_counts_the_bytes_of_its_states(toy_model_folder) -> None:
    benchmark, run = toy_benchmark(2), toy_context()
    config = LoraConfig(adapter=SMALL)
    oracle = OracleConfig(config).build(fresh_model(toy_model_folder), benchmark)
    sizes = []
    for round_ in benchmark.rounds:
        oracle.learn(round_, run)
        sizes.append(run.budget.buffer_bytes)
    one = sum(t.nbytes for t in oracle.method.state_dict().tensors.values())
    assert sizes == [one, 2 * one]
    assert run.budget.trained_parameters == 2 * one // 4


def test_bounds_of_a_method_without_gradients(toy_model_folder) -> None:
    benchmark, run = toy_benchmark(2), toy_context()
    for bound, expected in ((JointConfig, 4), (OracleConfig, 2)):
        method = bound(IclConfig()).build(fresh_model(toy_model_folder), benchmark)
        for round_ in benchmark.rounds:
            method.learn(round_, run)
        method.answer(hidden(method, 2), run)
        assert len(method.method.toolbox.skills) == expected


def test_states_are_not_shared_between_bounds_and_their_method(toy_model_folder) -> None:
    """What a bound keeps of a round is not moved by a later training."""
    benchmark, run = toy_benchmark(2), toy_context()
    config = MemoryTokensConfig(adapter=SMALL, rehearsal=RehearsalSettings(vectors_per_round=4))
    oracle = OracleConfig(config).build(fresh_model(toy_model_folder), benchmark)
    oracle.learn(benchmark.rounds[0], run)
    kept = {name: tensor.clone() for name, tensor in oracle.state_dict().tensors.items()}
    oracle.learn(benchmark.rounds[1], run)
    oracle.answer(hidden(oracle, 1), run)
    now = oracle.state_dict().tensors
    assert all(torch.equal(now[name], tensor) for name, tensor in kept.items())


def test_joint_refuses_rounds_of_different_epochs(toy_model_folder) -> None:
    benchmark = toy_benchmark(2)
    first, second = benchmark.rounds
    uneven = replace(benchmark, rounds=(first, replace(second, epochs=first.epochs + 1)))
    with pytest.raises(ConfigError, match="give every round the same number"):
        JointConfig(LoraConfig()).build(fresh_model(toy_model_folder), uneven)


@pytest.mark.parametrize("bound", [JointConfig, OracleConfig])
def test_a_bound_of_a_bound_is_refused(toy_model_folder, bound) -> None:
    model = fresh_model(toy_model_folder)
    with pytest.raises(ConfigError, match="no bound itself"):
        bound(of=JointConfig(of=LoraConfig(adapter=SMALL))).build(model, toy_benchmark())
