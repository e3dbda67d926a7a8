"""Routing rehearsal: the vectors that are kept stay true, and their loss is what it claims."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from compositional.errors import ConfigError
from compositional.methods.memory_tokens import MemoryTokens, MemoryTokensConfig
from compositional.methods.rehearsal import RehearsalSettings, RoutingMemory
from compositional.methods.row_text import row_sequence
from compositional.models.adapters import LoraSettings
from compositional.models.language_model import LanguageModel
from compositional.models.loading import load_model
from compositional.models.model_config import ModelConfig
from compositional.states import load_state, save_state
from compositional.streams import Streams
from compositional.tasks.types import Round
from compositional.training.batching import TokenSequence
from tests.methods_toy import SMALL
from tests.rounds_toy import toy_benchmark, toy_context, toy_round

ALL = RehearsalSettings(vectors_per_round=100, vectors_per_step=3, weight=0.5)
CONFIGS = {
    "none": MemoryTokensConfig(adaptation="none", rehearsal=ALL),
    "freeze": MemoryTokensConfig(adapter=SMALL, rehearsal=ALL),
    "merge": MemoryTokensConfig(adapter=SMALL, after_adaptation="merge", rehearsal=ALL),
    "end_of_call_decoupled": MemoryTokensConfig(
        adapter=replace(SMALL, dropout=0.3), rehearsal=ALL, end_of_call=True,
        decouple_embeddings=True, renorm_active_tools=True,
    ),
}  # fmt: skip


def build(folder, config: MemoryTokensConfig, dtype: str = "float32") -> MemoryTokens:
    loaded = load_model(ModelConfig(name=str(folder), dtype=dtype, device="cpu"))
    return config.build(LanguageModel(loaded), toy_benchmark(3))


def sequences(method: MemoryTokens, round_: Round) -> list[TokenSequence]:
    first = method.model.num_text_ids
    ids = {name: first + index for index, name in enumerate(method.rows.names)}
    return [row_sequence(method.model, example, ids) for example in round_.train]


def choices(method: MemoryTokens, round_: Round) -> dict[int, list[Tensor]]:
    """By target: the last hidden states of a round's rows where a row or the end comes next."""
    model = method.model
    found: dict[int, list[Tensor]] = {}
    for row in sequences(method, round_):
        ids = torch.tensor([row.prompt + row.target])
        with torch.no_grad():
            hidden = model.backbone.base_model(ids).last_hidden_state[0]
        for place, token in enumerate(row.target, start=len(row.prompt)):
            if token >= model.num_text_ids or token == model.chat.end_id:
                found.setdefault(token, []).append(hidden[place - 1].float())
    return found


def num_choices(method: MemoryTokens, round_: Round) -> int:
    return sum(map(len, choices(method, round_).values()))


@pytest.mark.parametrize("name", list(CONFIGS))
def test_kept_vectors_are_the_hidden_states_before_rows_and_ends(toy_model_folder, name) -> None:
    method, round_ = build(toy_model_folder, CONFIGS[name]), toy_round(1)
    method.learn(round_, toy_context())
    memory, expected = method.memory, choices(method, round_)
    # 4 rows of 1, 1, 2, 1 calls: 5 rows and 4 ends, and 5 ends of calls where there are any
    assert len(memory.targets) == (14 if CONFIGS[name].end_of_call else 9)
    assert memory.vectors.shape == (len(memory.targets), 32)
    for target, vectors in expected.items():
        kept = memory.vectors[memory.targets == target]
        assert len(kept) == len(vectors)
        distances = torch.cdist(kept, torch.stack(vectors))
        assert sorted(distances.argmin(dim=1).tolist()) == list(range(len(vectors)))
        assert distances.min(dim=1).values.max() < 1e-4


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", list(CONFIGS))
def test_what_later_rounds_recompute_is_the_same_bit_for_bit(toy_model_folder, name, dtype):
    """The claim that the method rests on: once the backbone is frozen, old choices stay."""
    method, run = build(toy_model_folder, CONFIGS[name], dtype), toy_context()
    kept: list[tuple[Tensor, Tensor]] = []
    for index in (1, 2, 3):
        before = len(method.memory.targets)
        method.learn(toy_round(index), run)
        kept.append((method.memory.vectors[before:].clone(), method.memory.targets[before:]))
    start = 0
    for index, (vectors, targets) in enumerate(kept, start=1):
        again = RoutingMemory(CONFIGS[name].rehearsal)
        rows = sequences(method, toy_round(index))
        again.keep(method.model, rows, f"round {index}", toy_context())
        assert torch.equal(again.vectors, vectors)
        assert torch.equal(again.targets, targets)
        stop = start + len(targets)
        assert torch.equal(method.memory.vectors[start:stop], vectors)  # nor were they touched
        start = stop


def test_a_draw_of_a_round_is_uniform_over_its_choices(toy_model_folder) -> None:
    settings = RehearsalSettings(vectors_per_round=4)
    config = MemoryTokensConfig(adaptation="none", rehearsal=settings)
    method, run = build(toy_model_folder, config), toy_context()
    method.learn(toy_round(1), run)
    method.learn(toy_round(2), run)
    assert len(method.memory.targets) == 8
    assert len(method.memory.vectors.unique(dim=0)) == 8
    total = num_choices(method, toy_round(1))
    everything = RoutingMemory(replace(settings, vectors_per_round=total))
    everything.keep(method.model, sequences(method, toy_round(1)), "all", run)
    drawn = np.zeros(total, dtype=int)
    rows = sequences(method, toy_round(1))
    for seed in range(40):
        memory = RoutingMemory(settings)
        memory.keep(method.model, rows, "k", replace(toy_context(), streams=Streams(seed)))
        nearest = torch.cdist(memory.vectors, everything.vectors).argmin(dim=1)
        assert len(set(nearest.tolist())) == 4
        drawn[nearest.numpy()] += 1
    assert drawn.min() > 0  # each of 9 is expected 17.8 times


def test_the_loss_by_hand_over_vocabulary_and_all_rows(toy_model_folder) -> None:
    method, run = build(toy_model_folder, CONFIGS["none"]), toy_context()
    method.learn(toy_round(1), run)
    rows, memory, model = method.rows, method.memory, method.model
    rows.begin(["new"], torch.full((1, 32), 0.2))
    for step in (0, 1):
        drawn = run.streams.generator("rehearsal", "draw", "round 2", step)
        chosen = drawn.choice(len(memory.targets), 3, replace=False)
        hidden, targets = memory.vectors[chosen], memory.targets[chosen]
        table = torch.cat([model.embedding, rows.finished_head, torch.full((1, 32), 0.2)])
        expected = 0.5 * functional.cross_entropy(hidden @ table.T, targets)
        found = memory.loss(model, "round 2", step, run)
        assert found.item() == pytest.approx(expected.item(), abs=1e-6)
    found.backward()
    # d loss / d row = weight * mean over vectors of p(row | h) h
    share = (hidden @ table.T).softmax(dim=1)[:, -1:]
    torch.testing.assert_close(
        rows.current_head.grad, 0.5 * (share * hidden).mean(dim=0, keepdim=True)
    )


def test_fewer_vectors_than_a_step_asks_for(toy_model_folder) -> None:
    config = MemoryTokensConfig(
        adaptation="none", rehearsal=RehearsalSettings(vectors_per_round=2, vectors_per_step=48)
    )
    method, run = build(toy_model_folder, config), toy_context()
    method.learn(toy_round(1), run)
    method.learn(toy_round(2), run)
    assert all(np.isfinite(run.losses["round 2"]))


def test_the_rehearsed_loss_is_part_of_each_step_from_round_2_on(toy_model_folder) -> None:
    losses = {}
    for weight in (0.0, 0.5):
        settings = replace(ALL, weight=weight)
        config = MemoryTokensConfig(adaptation="none", rehearsal=settings)
        method, run = build(toy_model_folder, config), toy_context()
        method.learn(toy_round(1), run)
        method.learn(toy_round(2), run)
        losses[weight] = run.losses
    assert losses[0.0]["round 1"] == losses[0.5]["round 1"]
    assert losses[0.5]["round 2"][0] > losses[0.0]["round 2"][0]


def test_bytes_are_counted_and_no_text_is_kept(toy_model_folder, tmp_path) -> None:
    method, run = build(toy_model_folder, CONFIGS["freeze"]), toy_context()
    method.learn(toy_round(1), run)
    assert run.budget.buffer_bytes == 9 * (32 * 4 + 8)
    method.learn(toy_round(2), run)
    assert run.budget.buffer_bytes == 18 * (32 * 4 + 8) == method.memory.num_bytes
    save_state(tmp_path / "state", method.state_dict())
    state = load_state(tmp_path / "state")
    assert state.metadata == {"names": list(method.rows.names), "num_learned": 2}
    others = {n for n in state.tensors if not n.startswith(("adapter.", "rows."))}
    assert others == {"rehearsal.vectors", "rehearsal.targets"}
    assert b"get time x0" not in (tmp_path / "state").read_bytes()


def test_vectors_are_drawn_from_a_stream_of_their_own(toy_model_folder) -> None:
    """Rehearsing at weight 0 changes no bit of a training."""
    states = []
    for rehearsal in (RehearsalSettings(), replace(ALL, weight=0.0)):
        config = MemoryTokensConfig(adapter=LoraSettings(rank=2, dropout=0.3), rehearsal=rehearsal)
        method, run = build(toy_model_folder, config), toy_context()
        for index in (1, 2):
            method.learn(toy_round(index), run)
        states.append(method.model.attached_state())
    for name, tensor in states[0].items():
        torch.testing.assert_close(states[1][name], tensor, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize(
    "settings", [{"vectors_per_round": -1}, {"vectors_per_step": 0}, {"weight": -0.1}]
)
def test_settings_that_no_rehearsal_can_have(settings) -> None:
    with pytest.raises(ConfigError, match=r"rehearsal\.\w+ is -?[\d.]+; it must be [01] or more"):
        RehearsalSettings(**settings)
