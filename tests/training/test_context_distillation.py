import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from compositional.errors import ConfigError
from compositional.models.hypernetwork import Hypernetwork
from compositional.models.language_model import LanguageModel
from compositional.models.last_blocks import LastBlocks
from compositional.models.low_rank import LowRank, compose
from compositional.preemption import PreemptedError
from compositional.run_context import RunContext
from compositional.states import Slot
from compositional.training.context_distillation import (
    DistillationObjective,
    distil,
    divergence,
    standardise,
)
from compositional.training.distillation_batch import answer_logits, updates_of, with_bias
from compositional.training.distillation_cache import DistillationCache, check_room
from compositional.training.distillation_evaluation import (
    CONTROLS,
    IN_CONTEXT,
    MEAN,
    NO_LORA,
    OWN,
    SHUFFLED,
    evaluate,
)
from compositional.training.distillation_set import (
    DistillationItem,
    DistillationSet,
    chunks_of,
)
from tests.hypernetwork_toy import disturbed, toy_shape
from tests.rounds_toy import toy_context


def tokens(*texts: str) -> tuple[int, ...]:
    return tuple(ord(character) - 20 for character in "".join(texts))


def toy_set(chunk_tokens: int = 100) -> DistillationSet:
    """Five contexts, the second of them longer, with one question each and two of the first."""
    texts = ["code 12", "the code is 34", "code 56", "code 78", "code 90"]
    items = [
        DistillationItem(place, tokens("which"), tokens(text, "which"), tokens(text[-2:], "!"))
        for place, text in enumerate(texts)
    ]
    items.append(DistillationItem(0, tokens("and"), tokens(texts[0], "and"), tokens("1!")))
    contexts = tuple(chunks_of(tokens(text), chunk_tokens) for text in texts)
    return DistillationSet(contexts, tuple(items))


@pytest.fixture
def model(toy) -> LanguageModel:
    return LanguageModel(toy)


def filled(model: LanguageModel, folder: Path, data: DistillationSet) -> DistillationCache:
    cache = DistillationCache(folder, model, LastBlocks(model.backbone, 2), data, 5)
    cache.fill(toy_context())
    return cache


def test_a_text_is_cut_into_even_chunks_and_nothing_is_left_out() -> None:
    assert chunks_of([1, 2, 3, 4, 5, 6, 7], 3) == ((1, 2), (3, 4), (5, 6, 7))
    assert chunks_of([1, 2, 3], 3) == ((1, 2, 3),)


def test_the_divergence_is_the_whole_one_where_all_tokens_are_known() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 4, 11, generator=generator)
    logs = teacher.log_softmax(-1)
    expected = functional.kl_div(student.log_softmax(-1), logs, log_target=True, reduction="none")
    known = logs.topk(11)
    found = divergence(student, known.values, known.indices)
    assert torch.allclose(found, expected.sum(-1), atol=1e-4)


def test_tokens_that_are_not_known_count_as_one() -> None:
    teacher, student = [0.6, 0.3, 0.06, 0.04], [0.2, 0.5, 0.2, 0.1]
    known = torch.tensor([teacher]).log().topk(2)
    found = divergence(torch.tensor([student]).log(), known.values, known.indices)
    expected = sum(p * math.log(p / q) for p, q in [(0.6, 0.2), (0.3, 0.5), (0.1, 0.3)])
    assert float(found[0]) == pytest.approx(expected, abs=1e-6)
    same = divergence(torch.tensor([teacher]).log(), known.values, known.indices)
    assert float(same[0]) == pytest.approx(0, abs=1e-6)


def test_what_is_kept_is_what_the_model_computes(model, tmp_path) -> None:
    data = toy_set(chunk_tokens=8)
    cache = filled(model, tmp_path, data)
    item = data.items[1]
    with torch.no_grad():
        ids = torch.tensor([[*item.in_context, *item.target[:-1]]])
        logs = model.backbone(input_ids=ids).logits[0, -len(item.target) :].log_softmax(-1)
    kept = cache.question(1)
    best = logs.topk(5)
    assert torch.allclose(kept.teacher, best.values, atol=1e-4)
    assert torch.equal(kept.teacher_ids, best.indices)
    target = torch.tensor(item.target)
    assert torch.allclose(kept.teacher_target, logs[torch.arange(3), target], atol=1e-4)
    assert [c.shape[1] for c in cache.context(1)] == [7, 7]
    files = sorted(path.name for path in cache.folder.iterdir())
    assert files == ["contexts-000000.safetensors", "questions-000000.safetensors"]
    size = sum(path.stat().st_size for path in cache.folder.iterdir())
    assert cache.num_bytes() <= size < cache.num_bytes() + 8000
    with pytest.raises(ConfigError, match="over cache_mib 0"):
        check_room([cache], 0)
    without = DistillationCache(tmp_path, model, LastBlocks(model.backbone, 2), data, 0)
    without.fill(toy_context())
    assert torch.equal(without.question(1).entering, kept.entering)
    assert without.question(1).teacher.shape == (3, 0)
    assert without.num_bytes() < cache.num_bytes()


def test_other_data_or_another_model_have_a_cache_of_their_own(model, tmp_path) -> None:
    data = toy_set()
    blocks = LastBlocks(model.backbone, 2)
    one = DistillationCache(tmp_path, model, blocks, data, 5)
    fewer = DistillationSet(data.contexts, data.items[:2])
    others = [
        DistillationCache(tmp_path, model, blocks, fewer, 5),
        DistillationCache(tmp_path, model, blocks, data, 4),
        DistillationCache(tmp_path, model, LastBlocks(model.backbone, 1), data, 5),
    ]
    model.sha256 = "0" * 64
    others.append(DistillationCache(tmp_path, model, blocks, data, 5))
    assert len({cache.folder for cache in (one, *others)}) == 5


def test_updates_of_several_contexts_stand_side_by_side(model, tmp_path) -> None:
    cache = filled(model, tmp_path, toy_set(chunk_tokens=8))
    network = disturbed(toy_shape(model))
    alone = {c: updates_of(network, cache, [[c]]) for c in (0, 1, 2)}
    assert [alone[c].rank for c in (0, 1, 2)] == [2, 4, 2]
    found = with_bias(network, updates_of(network, cache, [[0, 1], [2]]))
    assert found.a.shape[:3] == (2, 2, 7)
    bias = network.bias()
    assert bias is not None
    for row, contexts in enumerate([[0, 1], [2]]):
        parts = [LowRank(alone[c].a[0], alone[c].b[0]) for c in contexts]
        expected = compose([*parts, bias])
        for place in range(2):
            own = LowRank(found.a[row], found.b[row]).part(place)
            by_hand = expected.part(place)
            assert torch.allclose(own.b.T @ own.a, by_hand.b.T @ by_hand.a, atol=1e-5)


def test_an_untrained_network_answers_as_the_model_alone(model, tmp_path) -> None:
    cache = filled(model, tmp_path, toy_set())
    blocks, network = LastBlocks(model.backbone, 2), Hypernetwork(toy_shape(model))
    update = with_bias(network, updates_of(network, cache, [[0], [1]]))
    with torch.no_grad():
        found, _ = answer_logits(blocks, cache, [0, 1], update)
        expected, _ = answer_logits(blocks, cache, [0, 1], None)
    assert torch.equal(found, expected)
    item = cache.data.items[1]
    with torch.no_grad():
        ids = torch.tensor([[*item.prompt, *item.target[:-1]]])
        alone = model.backbone(input_ids=ids).logits[0, -len(item.target) :]
    assert torch.allclose(found[3:], alone, atol=1e-4)


def test_conditions_differ_in_what_is_added_alone(model, tmp_path) -> None:
    cache = filled(model, tmp_path, toy_set())
    network, blocks = disturbed(toy_shape(model), 1.0), LastBlocks(model.backbone, 2)
    scores = evaluate(network, blocks, cache)
    assert set(scores) == {OWN, *CONTROLS, IN_CONTEXT}
    assert all(len(own) == 6 for own in scores.values())
    item = cache.data.items[2]

    def expected(update: LowRank | None) -> float:
        with blocks.updated(update), torch.no_grad():
            ids = torch.tensor([[*item.prompt, *item.target[:-1]]])
            logits = model.backbone(input_ids=ids).logits[0, -len(item.target) :]
        return float(functional.cross_entropy(logits, torch.tensor(item.target)))

    def of(context: int) -> LowRank:
        made = with_bias(network, updates_of(network, cache, [[context]]))
        return LowRank(made.a[0], made.b[0])

    def found(name: str) -> float:
        return scores[name][2].cross_entropy

    assert found(OWN) == pytest.approx(expected(of(2)), abs=1e-3)
    assert found(SHUFFLED) == pytest.approx(expected(of(3)), abs=1e-3)
    assert found(NO_LORA) == pytest.approx(expected(None), abs=1e-3)
    assert len({round(found(name), 3) for name in scores}) == 5
    assert found(MEAN) != found(OWN)
    kept = cache.question(2)
    assert found(IN_CONTEXT) == pytest.approx(-float(kept.teacher_target.mean()))


def trained(
    model: LanguageModel, cache: DistillationCache, run: RunContext, stop_after: int | None = None
) -> tuple[Hypernetwork, list[float]]:
    network = Hypernetwork(toy_shape(model))
    standardise(network, cache)
    objective = DistillationObjective(lr=1e-2, kl=1.0, ce=0.5, l1=0.1, distractors=1)
    seen = 0

    def after_step() -> None:
        nonlocal seen
        seen += 1
        if seen == stop_after:
            run.stop.number = 15

    blocks = LastBlocks(model.backbone, 2)
    losses = distil("toy", network, blocks, cache, 8, objective, run, after_step)
    return network, losses


def test_a_training_that_was_cut_off_ends_as_one_that_was_not(model, tmp_path) -> None:
    cache = filled(model, tmp_path, toy_set())
    expected, losses = trained(model, cache, toy_context())
    assert losses[-1] < losses[0]
    slot = Slot(tmp_path / "state.safetensors")
    with pytest.raises(PreemptedError):
        trained(model, cache, replace(toy_context(), slot=slot), stop_after=3)
    found, again = trained(model, cache, replace(toy_context(), slot=slot))
    assert again == losses
    for name, tensor in expected.state_dict().items():
        assert found.state_dict()[name].equal(tensor), name


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"kl": 0}, "kl and ce are both 0"), ({"lr": -1}, "lr is -1"),
     ({"distractors": -1}, "distractors is -1")],
)  # fmt: skip
def test_objectives_that_cannot_be_are_refused(settings, message) -> None:
    with pytest.raises(ConfigError, match=message):
        DistillationObjective(**settings)
