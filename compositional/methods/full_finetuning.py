"""Full fine-tuning on documents: the positive control of a table, which at too high a rate forgets.

Every weight of the backbone trains; its state is a whole model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from compositional.errors import check_at_least
from compositional.methods.base import Traits
from compositional.methods.questions import (
    answer_alone,
    check_rows_fit,
    document_rows,
    documents_of,
)
from compositional.models.language_model import LanguageModel
from compositional.models.packed_linear import forget_packed
from compositional.run_context import RunContext
from compositional.states import State
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.types import Example, Prediction, Round
from compositional.training.fit import ParameterGroup
from compositional.training.lesson import Lesson


@dataclass(frozen=True)
class FullFinetuningConfig:
    """Every weight, on the raw text.

    Attributes:
        lr: Peak learning rate; 1e-5 is a usual one, the default is too high.
        weight_decay: Weight decay.
        slice_tokens: Tokens with a loss in a row of text.
        context_tokens: Tokens before them that the row sees.
    """

    lr: float = 3e-4
    weight_decay: float = 0.0
    slice_tokens: int = 256
    context_tokens: int = 256

    def build(self, model: LanguageModel, benchmark: Benchmark) -> "FullFinetuning":
        """Build the method; rows and questions must fit the model's window."""
        for name in ("lr", "weight_decay"):
            check_at_least(name, getattr(self, name), 0)
        model.check_whole("full fine-tuning")
        check_rows_fit(model, benchmark, self.slice_tokens, self.context_tokens)
        return FullFinetuning(self, model)


class FullFinetuning:
    """The method; see `FullFinetuningConfig`."""

    traits = Traits(reads_whole=False)

    def __init__(self, config: FullFinetuningConfig, model: LanguageModel) -> None:
        self.config = config
        self.model = model
        self.weights = TunedWeights(model)
        model.attachments["tuned"] = self.weights

    def learn(self, round_: Round, run: RunContext) -> None:
        """Train all weights on the round's documents."""
        config = self.config
        rows = document_rows(
            self.model, documents_of(round_), config.slice_tokens, config.context_tokens
        )
        lesson = Lesson(f"round {round_.index}", self.model, rows, round_.epochs, run)
        named = self.weights.named_parameters()
        is_new = not self.weights.have_changed
        self.weights.have_changed = True
        lesson.fit([ParameterGroup(named, config.lr, config.weight_decay, is_new)])

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        """Answer from the question alone."""
        return answer_alone(self.model, examples, run)

    def describe(self) -> dict[str, object]:
        """Return how much trains: everything."""
        named = self.weights.named_parameters()
        return {"trained parameters": sum(parameter.numel() for parameter in named.values())}

    def state_dict(self) -> State:
        """Return all weights, where they have changed."""
        return State(self.weights.state_dict())

    def load_state_dict(self, state: State) -> None:
        """Restore all weights; those of the backbone where none had changed."""
        self.weights.load_state_dict(state.tensors)


class TunedWeights:
    """The backbone's own weights while a method changes them.

    Args:
        model: The model; a copy of its weights is kept.
    """

    def __init__(self, model: LanguageModel) -> None:
        self._backbone = model.backbone
        self._original = {n: p.detach().clone() for n, p in self.named_parameters().items()}
        self.have_changed = False

    def named_parameters(self) -> dict[str, torch.nn.Parameter]:
        """Return all weights by name, tied ones once."""
        return dict(self._backbone.named_parameters())

    def settings(self) -> dict[str, Any]:
        """Return nothing: the weights say it all."""
        return {}

    def state_dict(self) -> dict[str, Tensor]:
        """Return copies of all weights; none where they are the backbone's."""
        if not self.have_changed:
            return {}
        return {name: p.detach().clone() for name, p in self.named_parameters().items()}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore weights; those of the backbone where there are none."""
        self.have_changed = bool(state)
        for name, parameter in self.named_parameters().items():
            parameter.copy_((state or self._original)[name])
        forget_packed(self._backbone)
