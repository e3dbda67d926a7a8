"""One strategy on one freshly loaded model: as it was, taught, restored, without it again."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from compositional.config import RunConfig
from compositional.generation.likelihoods import choice_likelihoods
from compositional.held_out import HeldOutProbe
from compositional.methods.base import Method, MethodConfig
from compositional.methods.questions import answer_alone
from compositional.models.language_model import LanguageModel
from compositional.preparing import load_for
from compositional.retention import Array
from compositional.run_context import Progress, RunContext
from compositional.settings import TrainingConfig
from compositional.states import State, tensors_sha256
from compositional.streams import Streams
from compositional.tasks.types import Prediction
from compositional.validation.facts import Facts, of_predictions

NUM_OBSERVED = 4
PROBE_TOKENS = 50


@dataclass
class Bench:
    """What the milestones of a validation share.

    Attributes:
        config: Names the model; its seed is that of every draw.
        facts: What is taught and asked.
        folder: Takes what strategies need made.
        progress: Whether progress lines are shown.
    """

    config: RunConfig
    facts: Facts
    folder: Path
    progress: bool = False

    def load(self) -> LanguageModel:
        """Load the model, nothing attached.

        Raises:
            ModelError: If it cannot be had, or its device is not there.
        """
        return load_for(self.config)

    def context(self, name: str) -> RunContext:
        """Return what a method is handed."""
        return RunContext(
            streams=Streams(self.config.seed),
            name=name,
            training=TrainingConfig(batch_size=4),
            progress=Progress(name, enabled=self.progress),
        )

    @cached_property
    def untaught_answers(self) -> Array:
        """The leads of all questions by the model alone; see `Facts.leads`."""
        predictions = answer_alone(self.load(), self.facts.hidden(), self.context("untaught"))
        return self.facts.leads(of_predictions(predictions))

    @cached_property
    def untaught_endings(self) -> Array:
        """The leads of all sentences by the model alone; see `Facts.leads`."""
        return self.endings(self.load(), self.context("untaught"))

    def endings(self, model: LanguageModel, run: RunContext) -> Array:
        """Return the leads of all sentences, each choice behind a sentence's beginning.

        Args:
            model: The model with all that is attached to it.
            run: Progress.
        """
        prompts = [model.chat.text_ids(text) for text in self.facts.beginnings]
        choices = [
            [model.chat.target_ids(f" {choice}") for choice in question.choices]
            for question in self.facts.questions
        ]
        return self.facts.leads(choice_likelihoods(model, prompts, choices, run, "endings"))

    @cached_property
    def untaught_held_out(self) -> list[float]:
        """The loss a token on each held-out text by the model alone, in nats."""
        model = self.load()
        return HeldOutProbe(model).measure(model)


def as_it_is(config: MethodConfig, bench: Bench) -> MethodConfig:  # noqa: ARG001 - of `prepare`
    """Return settings that need nothing made for them."""
    return config


@dataclass
class Trial:
    """One strategy on one freshly loaded model; each part is made when it is first asked for.

    Attributes:
        name: The strategy.
        config: Its settings.
        passes: Passes over the documents.
        bench: What it shares with others.
        prepare: Completes the settings, where something must be made for them.
    """

    name: str
    config: MethodConfig
    passes: int
    bench: Bench
    prepare: Callable[[MethodConfig, Bench], MethodConfig] = as_it_is
    run: RunContext = field(init=False)

    def __post_init__(self) -> None:
        """Make the context that the method is handed."""
        self.run = self.bench.context(self.name)

    @cached_property
    def model(self) -> LanguageModel:
        """The model that the strategy works on."""
        return self.bench.load()

    @cached_property
    def untouched(self) -> Tensor:
        """What the model computes before anything is attached to it; see `observe`."""
        examples = self.bench.facts.hidden()[:NUM_OBSERVED]
        return self._observe(self.model, answer_alone(self.model, examples, self.run))

    @cached_property
    def untouched_weights(self) -> str:
        """The digest of the model's weights before anything is attached to it."""
        return tensors_sha256(self.model.backbone.named_parameters())

    @cached_property
    def settings(self) -> MethodConfig:
        """The strategy's settings, completed."""
        return self.prepare(self.config, self.bench)

    @cached_property
    def method(self) -> Method:
        """The strategy, built on the model once that was observed by itself."""
        _ = self.untouched, self.untouched_weights
        return self.settings.build(self.model, self.bench.facts.benchmark(self.passes))

    @cached_property
    def initial(self) -> State:
        """The strategy's state before it is taught."""
        return self.method.state_dict()

    @cached_property
    def taught(self) -> Tensor:
        """What is computed once the strategy was taught, for which it is; see `observe`."""
        _ = self.initial
        self.method.learn(self.bench.facts.round(self.passes), self.run)
        return self.observe(self.method, self.model)

    def observe(self, method: Method, model: LanguageModel) -> Tensor:
        """Return the logits over what was taught, and what the method gives some choices.

        Args:
            method: Answers questions.
            model: The model that it is built on.

        Returns:
            One row of fp32 values on the CPU.
        """
        examples = self.bench.facts.hidden()[:NUM_OBSERVED]
        return self._observe(model, method.answer(examples, self.run))

    def _observe(self, model: LanguageModel, predictions: list[Prediction]) -> Tensor:
        given = [value for prediction in predictions for value in prediction.likelihoods]
        return torch.cat([logits_of(model, self.probe_ids).flatten(), torch.tensor(given)])

    @property
    def probe_ids(self) -> list[int]:
        """The beginning of what was taught, which it reaches most."""
        text = " ".join(document.text for document in self.bench.facts.documents)
        return self.model.chat.text_ids(text)[:PROBE_TOKENS]


@torch.no_grad()
def logits_of(model: LanguageModel, ids: list[int], past: Any = None) -> Tensor:
    """Return the logits at every token, [tokens, V], in fp32 on the CPU.

    Args:
        model: The model with all that is attached to it.
        ids: The tokens.
        past: Keys and values of what stands before, to which theirs are added; None for nothing.
    """
    rows = torch.tensor([ids], device=model.device)
    computed = model.backbone(input_ids=rows, past_key_values=past, use_cache=past is not None)
    logits: Tensor = computed.logits[0].float().cpu()
    return logits
