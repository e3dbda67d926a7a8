"""Each milestone passes on the real strategy, and each of its checks fails on a broken one."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import pytest
import torch

from compositional.compare_documents import presets
from compositional.hypernetworks.data import HypernetworkData
from compositional.hypernetworks.settings import HypernetworkTraining
from compositional.methods.ace import Ace, AceConfig
from compositional.methods.base import MethodConfig, tasks_of
from compositional.methods.doc2lora import Doc2LoraConfig
from compositional.methods.dual_mlp import DualMlpConfig, save_initial
from compositional.methods.full_finetuning import FullFinetuning, FullFinetuningConfig
from compositional.methods.jitrl import JitrlConfig
from compositional.methods.knn_lm import KnnLm, KnnLmConfig
from compositional.methods.registry import METHODS, REFERENCES
from compositional.methods.sparse_memory import SparseMemory, SparseMemoryConfig
from compositional.methods.text_lora import TextLora, TextLoraConfig
from compositional.methods.text_rag import TextRag, TextRagConfig
from compositional.models.adapters import LoraSettings
from compositional.models.blocks import blocks_of, mlp_of
from compositional.models.product_keys import ProductKeySettings
from compositional.models.second_mlp import SecondMlps
from compositional.playbooks.playbook import Playbook
from compositional.states import State
from compositional.tasks.benchmark import TOOLS
from compositional.validation.checks import (
    ANSWERED,
    ATTACHED,
    ATTACHED_UNTRAINED,
    CAUSAL,
    DAMAGED,
    FORGOTTEN,
    LEARNED,
    NOTED,
    RESTORED,
    Check,
)
from compositional.validation.milestones import MILESTONES
from compositional.validation.recall import RECALLED, with_hypernetwork
from compositional.validation.trial import Bench
from compositional.validation.validate import Line, run_milestone
from tests.hypernetwork_toy import toy_hypernetwork

# The settings of milestones are for a model of millions of weights; these are for one of thousands.
CONFIGS: dict[str, MethodConfig] = {
    "text_lora": TextLoraConfig(lr=1e-2, adapter=LoraSettings(rank=4, alpha=8)),
    "dual_mlp": DualMlpConfig(lr=3e-3),
    "sparse_memory": SparseMemoryConfig(
        lr=3.0, share_of_blocks=1.0, num_slots=32, slots_per_token=8, background_batches=3
    ),
    "sparse_memory_product_keys": SparseMemoryConfig(
        slots="product_keys",
        product_keys=ProductKeySettings(sub_keys=16, heads=2, key_width=16),
        lr=10.0,
        num_slots=64,
        slots_per_token=8,
        background_batches=3,
    ),
    "text_rag": TextRagConfig(k=1),
    "knn_lm": KnnLmConfig(k=4, temperature=0.05, share=0.5),
    "jitrl": JitrlConfig(gaps=8, most_states=1),
    "ace": AceConfig(
        mode="online",
        questions=3,
        retries=0,
        playbook_tokens=160,
        reply_tokens=384,
        field_chars=12,
        temperature=1.0,
    ),
    "doc2lora": Doc2LoraConfig(),
    "full_finetuning": FullFinetuningConfig(lr=1e-2),
}
PASSES = 12
OF_LETTERS = ("ace", "doc2lora")
"""Those that write or read what the tokenizer of single words has no tokens for."""
DATA = HypernetworkData(contexts=300, held_out=40, digits=3, wordings=1, answer_form="number")
TRAINING = HypernetworkTraining(
    num_blocks=1, rank=4, bias_rank=4, width=32, depth=1, steps=400, lr=7e-3, kl=0.0, ce=1.0,
    evaluate_every=0,
)  # fmt: skip
HOW = {"data": asdict(DATA), "training": asdict(TRAINING)}


def small_hypernetwork(config: MethodConfig, bench: Bench) -> MethodConfig:
    """Train one for a tiny model."""
    return with_hypernetwork(config, bench, DATA, TRAINING)


def outcomes(name: str, bench: Bench, config: MethodConfig | None = None) -> dict[str, Line]:
    """The lines of a strategy's milestone, by what was checked."""
    milestone = replace(MILESTONES[name], config=config or CONFIGS[name], passes=PASSES)
    if name == "doc2lora":
        milestone = replace(milestone, prepare=small_hypernetwork)
    return {line.check: line for line in run_milestone(name, milestone, bench)}


def test_every_strategy_has_a_milestone() -> None:
    strategies = {
        name
        for name, kind in METHODS.items()
        if name not in REFERENCES and tasks_of(kind()) != (TOOLS,)
    }
    for name in strategies:
        assert type(MILESTONES[name].config) is METHODS[name]
    assert {type(each.config) for each in MILESTONES.values()} == {METHODS[n] for n in strategies}
    assert all(milestone.checks for milestone in MILESTONES.values())
    assert set(CONFIGS) == set(MILESTONES)


def test_sparse_memory_has_one_for_each_kind_that_is_compared() -> None:
    runs = presets()["runs"]
    for name in ("sparse_memory", "sparse_memory_product_keys"):
        config = MILESTONES[name].config
        assert isinstance(config, SparseMemoryConfig)
        assert config.slots == runs[name]["method"].get("slots", SparseMemoryConfig.slots)


@pytest.mark.parametrize("name", list(CONFIGS))
def test_the_real_strategy_passes(bench: Bench, letter_bench: Bench, name: str) -> None:
    lines = outcomes(name, letter_bench if name in OF_LETTERS else bench)
    assert list(lines) == [check.what for check in MILESTONES[name].checks]
    for line in lines.values():
        assert line.passed, str(line)


# What breaks a strategy, by the checks that must see it.
@dataclass(frozen=True)
class KeepsNothing(TextRagConfig):
    """Its memory is removed as soon as it was filled."""

    def build(self, model: Any, benchmark: Any) -> TextRag:
        built = super().build(model, benchmark)
        built.learn = lambda round_, run: None  # type: ignore[method-assign]
        return built


class EmptyStore(KnnLm):
    def learn(self, round_: Any, run: Any) -> None:
        super().learn(round_, run)
        for document in round_.documents:
            self.store.remove(document.name)


@dataclass(frozen=True)
class StoresNothing(KnnLmConfig):
    def build(self, model: Any, benchmark: Any) -> KnnLm:
        return EmptyStore(self, model)


class Forgetful(SparseMemory):
    def state_dict(self) -> State:
        state = super().state_dict()
        return State({n: torch.zeros_like(t) for n, t in state.tensors.items()}, state.metadata)


@dataclass(frozen=True)
class SavesNothing(SparseMemoryConfig):
    """Its state holds zeros."""

    def build(self, model: Any, benchmark: Any) -> SparseMemory:
        return Forgetful(self, model)


class Clinging(SparseMemory):
    def forget(self, name: str) -> None:
        del name


@dataclass(frozen=True)
class ForgetsNothing(SparseMemoryConfig):
    def build(self, model: Any, benchmark: Any) -> SparseMemory:
        return Clinging(self, model)


class Wordless(Ace):
    def learn(self, round_: Any, run: Any) -> None:
        super().learn(round_, run)
        self.playbook = Playbook()


@dataclass(frozen=True)
class NotesNothing(AceConfig):
    """Whatever its roles say is lost."""

    def build(self, model: Any, benchmark: Any) -> Ace:
        return Wordless(self, model)


class Residue(FullFinetuning):
    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        with torch.no_grad():
            self.model.backbone.model.norm.weight[0] += 1e-3


@dataclass(frozen=True)
class LeavesResidue(FullFinetuningConfig):
    """It gives all weights back but one."""

    def build(self, model: Any, benchmark: Any) -> FullFinetuning:
        return Residue(self, model)


class LooksAhead(TextLora):
    """After it has learned, a block adds a little of the mean over the whole sequence."""

    def learn(self, round_: Any, run: Any) -> None:
        super().learn(round_, run)
        if round_.epochs:
            mlp = mlp_of(blocks_of(self.model.backbone)[-1])
            mlp.register_forward_hook(lambda _m, _x, y: y + 0.1 * y.mean(dim=1, keepdim=True))


@dataclass(frozen=True)
class NotCausal(TextLoraConfig):
    def build(self, model: Any, benchmark: Any) -> TextLora:
        return LooksAhead(self, model)


@dataclass(frozen=True)
class BreaksOff(DualMlpConfig):
    def build(self, model: Any, benchmark: Any) -> Any:
        raise RuntimeError("no such kernel")


def real(name: str, **settings: Any) -> MethodConfig:
    return replace(CONFIGS[name], **settings)  # type: ignore[type-var]


def as_broken(kind: type, name: str) -> MethodConfig:
    """The settings of a real strategy, in a config that builds a broken one."""
    return kind(**{f: getattr(CONFIGS[name], f) for f in CONFIGS[name].__dataclass_fields__})  # type: ignore[attr-defined]


BROKEN: list[tuple[str, MethodConfig, tuple[Check, ...]]] = [
    ("text_lora", real("text_lora", lr=0.0), (LEARNED, FORGOTTEN)),
    (
        "text_lora",
        real("text_lora", adapter=LoraSettings(rank=4, alpha=0.0)),  # reaches nothing
        (LEARNED, FORGOTTEN),
    ),
    ("text_lora", as_broken(NotCausal, "text_lora"), (RESTORED, CAUSAL, FORGOTTEN)),
    ("dual_mlp", real("dual_mlp", lr=0.0), (LEARNED, FORGOTTEN)),
    ("dual_mlp", real("dual_mlp", alpha=1.0, alpha_min=1.0), (LEARNED, FORGOTTEN)),
    ("sparse_memory", real("sparse_memory", lr=0.0), (LEARNED, FORGOTTEN)),
    ("sparse_memory", as_broken(SavesNothing, "sparse_memory"), (RESTORED,)),
    ("sparse_memory", as_broken(ForgetsNothing, "sparse_memory"), (FORGOTTEN,)),
    (
        "sparse_memory_product_keys",
        real("sparse_memory_product_keys", lr=0.0),
        (LEARNED, FORGOTTEN),
    ),
    (
        "sparse_memory_product_keys",
        as_broken(SavesNothing, "sparse_memory_product_keys"),
        (RESTORED,),
    ),
    ("text_rag", as_broken(KeepsNothing, "text_rag"), (ANSWERED, FORGOTTEN)),
    ("knn_lm", as_broken(StoresNothing, "knn_lm"), (LEARNED,)),
    ("jitrl", real("jitrl", kl_weight=1e9), (ANSWERED,)),
    ("jitrl", real("jitrl", rewards="shuffled"), (ANSWERED,)),
    ("ace", as_broken(NotesNothing, "ace"), (NOTED, FORGOTTEN)),
    ("full_finetuning", real("full_finetuning", lr=0.0), (LEARNED, DAMAGED, FORGOTTEN)),
    ("full_finetuning", as_broken(LeavesResidue, "full_finetuning"), (FORGOTTEN,)),
]


@pytest.mark.parametrize(
    ("name", "config", "seen_by"), BROKEN, ids=[f"{n}-{type(c).__name__}" for n, c, _ in BROKEN]
)
def test_a_broken_strategy_fails(
    bench: Bench,
    letter_bench: Bench,
    name: str,
    config: MethodConfig,
    seen_by: tuple[Check, ...],
) -> None:
    lines = outcomes(name, letter_bench if name in OF_LETTERS else bench, config)
    for check in seen_by:
        assert not lines[check.what].passed, str(lines[check.what])


def test_a_hypernetwork_that_has_learned_nothing_fails(letter_bench: Bench, tmp_path) -> None:
    path = toy_hypernetwork(tmp_path / "random.safetensors", letter_bench.load(), how=HOW)
    lines = outcomes("doc2lora", letter_bench, Doc2LoraConfig(str(path)))
    assert not lines[RECALLED.what].passed
    assert lines[RESTORED.what].passed


def test_a_branch_that_begins_with_noise_is_seen_when_it_is_attached(bench, tmp_path) -> None:
    model = bench.load()
    second = SecondMlps(model.backbone, 1)
    torch.manual_seed(0)
    for parameter in second.named_parameters().values():
        parameter.data += 1e-3 * torch.randn_like(parameter)
    save_initial(tmp_path / "noise.safetensors", second, model, {})
    noisy = real("dual_mlp", initial=str(tmp_path / "noise.safetensors"))
    lines = outcomes("dual_mlp", bench, noisy)
    assert not lines[ATTACHED_UNTRAINED.what].passed


def test_what_is_kept_before_anything_is_taught_is_seen(bench: Bench) -> None:
    class Prefilled(TextRagConfig):
        def build(self, model: Any, benchmark: Any) -> TextRag:
            built = super().build(model, benchmark)
            built.documents = list(bench.facts.documents)
            return built

    lines = outcomes("text_rag", bench, Prefilled(k=1))
    assert not lines[ATTACHED.what].passed


def test_a_strategy_that_breaks_off_has_failed_and_says_why(bench: Bench, capsys) -> None:
    lines = list(outcomes("dual_mlp", bench, BreaksOff()).values())
    assert lines[0].figure == "RuntimeError: no such kernel"
    assert [line.figure for line in lines[1:]] == ["not reached"] * 4
    assert not any(line.passed for line in lines)
