"""`compositional slot-retention`: what sparse memory keeps, by how its slots are selected.

Lin et al. 2025 (arXiv 2510.15103) expect slots selected by TF-IDF to keep more than those by TF,
and these more than random ones, at equal learning. So each way of selection learns the same
documents one after another, each until its loss is the same share of the untouched model's
(`equal_learning`), at the lowest rate of a ladder that gets there in a few steps on another
document. Then all documents are read again.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from compositional.benchmarks.equal_learning import Lesson, learn_to, text_loss
from compositional.benchmarks.machine import describe
from compositional.benchmarks.slot_retention_page import page
from compositional.documents.names import TRAIN
from compositional.documents.synthetic import synthetic_documents
from compositional.errors import ConfigError, ResultsError, check_at_least
from compositional.files import read_json, write_json, write_text
from compositional.held_out import HeldOutProbe
from compositional.methods.slot_layers import NEURONS, PRODUCT_KEYS
from compositional.methods.slot_selection import SELECTIONS
from compositional.methods.sparse_memory import SparseMemory, SparseMemoryConfig
from compositional.models.language_model import LanguageModel
from compositional.models.loading import load_model
from compositional.models.model_config import ModelConfig
from compositional.run_context import RunContext
from compositional.states import State
from compositional.streams import Streams
from compositional.tasks.benchmark import DOCUMENTS, Benchmark
from compositional.tasks.types import Document

RATES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
NOTHING = Benchmark((), None, (), (), {}, {"rounds": []}, "", task=DOCUMENTS)


@dataclass(frozen=True)
class RetentionPlan:
    """What is learned.

    Attributes:
        seeds: A sequence of documents each, and a draw of random slots.
        num_documents: Synthetic documents of a sequence.
        num_facts: Facts of each.
        loss_share: A document is learned when its loss is this share of the untouched model's.
        steps: The rate is the lowest that learns another document in so many steps.
        config: All other settings of the method.
    """

    seeds: tuple[int, ...] = (1, 2, 3, 4)
    num_documents: int = 5
    num_facts: int = 4
    loss_share: float = 0.5
    steps: int = 15
    config: SparseMemoryConfig = field(default_factory=SparseMemoryConfig)

    def __post_init__(self) -> None:
        """Refuse what no sequence can be."""
        check_at_least("num_documents", self.num_documents, 2)
        check_at_least("steps", self.steps, 1)
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(f"seeds are {list(self.seeds)}; they must be different, one or more")
        if not 0 < self.loss_share < 1:
            raise ConfigError(f"loss_share is {self.loss_share}; it must be above 0 and below 1")


def measure_retention(plan: RetentionPlan, model: ModelConfig, path: Path) -> Path:
    """Learn every sequence that is not kept yet, and write the page.

    Args:
        plan: What is learned.
        model: By which model.
        path: The page; all losses stand in a JSON file beside it, from which a measurement that
            was cut off goes on.

    Raises:
        ResultsError: If the file beside the page is of another plan or model.
    """
    kept_path = path.with_suffix(".json")
    language_model = LanguageModel(load_model(model))
    identity = {"plan": _plain(plan), "model_sha256": language_model.sha256}
    kept: dict[str, Any] = {**identity, "machine": describe(language_model.device), "rates": {},
                            "sequences": []}  # fmt: skip
    if kept_path.exists():
        kept = _read(kept_path)
        if any(kept.get(name) != value for name, value in identity.items()):
            raise ResultsError(f"{kept_path} is of another plan or model: name another --output")
    backgrounds: dict[str, State] = {}
    done = {(s["seed"], s["slots"], s["selection"]) for s in kept["sequences"]}
    for seed, slots, selection in _points(plan):
        name = f"{slots} {selection}"
        if (seed, slots, selection) in done or kept["rates"].get(name, 0) is None:
            continue
        print(f"seed {seed}, {slots}, {selection}", file=sys.stderr, flush=True)
        config = replace(plan.config, slots=slots, selection=selection)
        if slots not in backgrounds:
            fresh = config.build(language_model, NOTHING)
            fresh.prepare(RunContext(Streams(plan.seeds[0])))
            backgrounds[slots] = fresh.state_dict()
        learner = Learner(language_model, config, backgrounds[slots], RunContext(Streams(seed)))
        if name not in kept["rates"]:
            kept["rates"][name] = learner.lowest_rate(plan)
        rate = kept["rates"][name]
        if rate is not None:
            found = learner.sequence(plan, seed, rate)
            point = {"seed": seed, "slots": slots, "selection": selection}
            kept["sequences"].append({**point, **found})
        write_json(kept_path, kept)
        write_text(path, page(kept))
    return path


def _plain(plan: RetentionPlan) -> dict[str, Any]:
    """Return a plan as JSON holds it."""
    return {**asdict(plan), "seeds": list(plan.seeds)}


def _read(path: Path) -> dict[str, Any]:
    """Return kept losses; in their plan a setting that was added since stands at its default."""
    kept: dict[str, Any] = read_json(path)
    plan = kept.get("plan", {})
    if "config" in plan:
        plan["config"] = {**asdict(SparseMemoryConfig()), **plan["config"]}
    return kept


def _points(plan: RetentionPlan) -> Iterable[tuple[int, str, str]]:
    """Yield seed, kind of slots and selection of every sequence, whole seeds first."""
    for seed in plan.seeds:
        for slots in (NEURONS, PRODUCT_KEYS):
            for selection in SELECTIONS:
                yield seed, slots, selection


class Learner:
    """One way of selection with one background.

    Args:
        model: The model, nothing attached.
        config: The method's settings but for the rate.
        background: What the method has counted and drawn.
        run: As every lesson is handed it.
    """

    def __init__(
        self, model: LanguageModel, config: SparseMemoryConfig, background: State, run: RunContext
    ) -> None:
        self.model = model
        self.config = config
        self.background = background
        self.run = run

    def _method(self, rate: float) -> SparseMemory:
        """Return the method, nothing learned."""
        method = replace(self.config, lr=rate).build(self.model, NOTHING)
        method.load_state_dict(self.background)
        return method

    def _learn(
        self, method: SparseMemory, document: Document, target: float, most_steps: int
    ) -> Lesson:
        parameters = method.add(document, self.run)
        training = method.config.training
        return learn_to(
            target, most_steps, self.model, document.text, parameters, training, self.run
        )

    def lowest_rate(self, plan: RetentionPlan) -> float | None:
        """Return the lowest rate that learns a document of other names in a few steps, or None."""
        (questioned,) = synthetic_documents(1, plan.num_facts, plan.seeds[0], TRAIN)
        document = questioned.document
        target = plan.loss_share * text_loss(self.model, document.text)
        for rate in RATES:
            method = self._method(rate)
            try:
                if self._learn(method, document, target, plan.steps).reached:
                    return rate
            except ConfigError:  # the loss is no number: higher rates are worse
                return None
            finally:
                method.forget(document.name)
        return None

    def sequence(self, plan: RetentionPlan, seed: int, rate: float) -> dict[str, Any]:
        """Learn the documents of a seed; return the losses of each, and those of plain texts."""
        documents = [
            q.document for q in synthetic_documents(plan.num_documents, plan.num_facts, seed)
        ]
        probe = HeldOutProbe(self.model)
        untouched = [text_loss(self.model, document.text) for document in documents]
        plain_before = fmean(probe.measure(self.model))
        method = self._method(rate)
        lessons = [
            self._learn(method, document, plan.loss_share * loss, 2 * plan.steps)
            for document, loss in zip(documents, untouched, strict=True)
        ]
        now = [text_loss(self.model, document.text) for document in documents]
        plain_after = fmean(probe.measure(self.model))
        shared = shared_slots(method, [document.name for document in documents])
        for document in documents:
            method.forget(document.name)
        return {
            "untouched": untouched,
            "learned": [lesson.loss for lesson in lessons],
            "steps": [lesson.num_steps for lesson in lessons],
            "reached": [lesson.reached for lesson in lessons],
            "now": now,
            "plain_before": plain_before,
            "plain_after": plain_after,
            "shared_slots": shared,
        }


def shared_slots(method: SparseMemory, names: Sequence[str]) -> float:
    """Return the mean share of a document's slots that an earlier one may move as well."""
    shares = []
    seen: set[tuple[int, int]] = set()
    for name in names:
        changes = method.slots.changes[name]
        own = {(place, int(slot)) for place, c in enumerate(changes) for slot in c.slots}
        if seen:
            shares.append(len(own & seen) / len(own))
        seen |= own
    return fmean(shares)
