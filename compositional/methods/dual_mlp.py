"""dual_mlp: test-time training of a second MLP in the last quarter of the blocks (TTT-E2E).

Tandon et al. 2025 (arXiv 2512.23675) read a long context by taking gradient steps on it. Here a
document is the context, and what was learned from it stays for the rounds to come (`carry_over`),
or goes when the next document begins, as in the paper (`reset`).

Blending: a document's change of the weights is taken to the share 1 - alpha when it has been
learned, alpha falling from document to document. What was learned before is not touched by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from compositional.errors import ConfigError, ModelError, check_at_least, check_choice
from compositional.methods.base import Traits
from compositional.methods.questions import (
    answer_alone,
    check_documents_fit,
    check_prompts_fit,
    keyed_documents,
)
from compositional.models.blocks import check_share_of_blocks, num_last_blocks
from compositional.models.language_model import LanguageModel
from compositional.models.model_label import model_label
from compositional.models.second_mlp import SecondMlps
from compositional.run_context import RunContext
from compositional.states import State, load_state, save_state
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.types import Document, Example, Prediction, Round
from compositional.training.text_lesson import TextTraining, learn_text

CARRY_OVER, RESET = "carry_over", "reset"


@dataclass(frozen=True)
class DualMlpConfig:
    """A second MLP, trained on each document.

    Attributes:
        lr: Learning rate.
        optimiser: `sgd`, as in the paper, or `adamw`.
        slice_tokens: Tokens of a step; each sees all that stands before it.
        max_grad_norm: Gradients are scaled down to this norm; 0 for never.
        share_of_blocks: Share of the blocks, the last ones, that get a second MLP.
        between_documents: `carry_over` keeps what earlier documents taught; `reset` begins each
            document with untrained second MLPs.
        alpha: Share of the first document's change that is not taken, 0 to 1.
        alpha_decay: By how much alpha is lower for each document after it.
        alpha_min: Where it stops falling.
        initial: File of an initialisation that `compositional meta-train` learned; empty for the
            frozen MLPs' copies with their last matrix zero, which change nothing.
    """

    lr: float = 1e-3
    optimiser: str = "adamw"
    slice_tokens: int = 256
    max_grad_norm: float = 1.0
    share_of_blocks: float = 0.25
    between_documents: str = CARRY_OVER
    alpha: float = 0.0
    alpha_decay: float = 0.0
    alpha_min: float = 0.0
    initial: str = ""

    @property
    def training(self) -> TextTraining:
        """How a document is learned."""
        return TextTraining(self.lr, self.optimiser, self.slice_tokens, self.max_grad_norm)

    def build(self, model: LanguageModel, benchmark: Benchmark) -> "DualMlp":
        """Build the method; documents and questions must fit the model's window."""
        _ = self.training
        check_choice("between_documents", self.between_documents, (CARRY_OVER, RESET))
        check_share_of_blocks(self.share_of_blocks)
        if not 0 <= self.alpha_min <= self.alpha <= 1:
            raise ConfigError(
                f"alpha is {self.alpha} and alpha_min {self.alpha_min}; they must be from 0 to 1, "
                "alpha_min not above alpha"
            )
        check_at_least("alpha_decay", self.alpha_decay, 0)
        model.check_whole("dual_mlp")
        check_documents_fit(model, benchmark)
        check_prompts_fit(model, benchmark)
        return DualMlp(self, model)


class DualMlp:
    """The method; see `DualMlpConfig`."""

    traits = Traits()

    def __init__(self, config: DualMlpConfig, model: LanguageModel) -> None:
        self.config = config
        self.model = model
        num_blocks = num_last_blocks(model.backbone, config.share_of_blocks)
        self.second = SecondMlps(model.backbone, num_blocks)
        if config.initial:
            load_initial(Path(config.initial).expanduser(), self.second, model)
        self.second.attach()
        model.attachments["second_mlp"] = self.second
        self.num_documents = 0

    @property
    def alpha(self) -> float:
        """The share of the next document's change that is not taken."""
        config = self.config
        return max(config.alpha_min, config.alpha - config.alpha_decay * self.num_documents)

    def learn(self, round_: Round, run: RunContext) -> None:
        """Learn the round's documents one after another."""
        if self.num_documents == 0:
            parameters = self.second.named_parameters().values()
            run.budget.trained_parameters += sum(p.numel() for p in parameters)
        for key, document in keyed_documents(round_):
            self.learn_document(key, document, round_.epochs, run)

    def learn_document(
        self, key: str, document: Document, passes: int, run: RunContext
    ) -> list[float]:
        """Learn one document, named by a key in the run's losses; return those of every step."""
        if self.config.between_documents == RESET:
            self.second.load_state_dict(self.second.initial)
        before = self.second.state_dict() if self.alpha > 0 else {}
        named = self.second.named_parameters()
        losses = learn_text(
            key,
            self.model,
            document.text,
            passes,
            list(named.values()),
            self.config.training,
            run,
        )
        with torch.no_grad():
            for name, tensor in before.items():
                named[name].lerp_(tensor, self.alpha)
        self.num_documents += 1
        return losses

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        """Answer from the question alone."""
        return answer_alone(self.model, examples, run)

    def describe(self) -> dict[str, object]:
        """Return the trained part and what alpha is for the next document."""
        named = self.second.named_parameters()
        blocks = sorted({int(name.partition(".")[0]) for name in named})
        return {
            "second MLPs in blocks": f"{blocks[0]} to {blocks[-1]}",
            "trained parameters": sum(parameter.numel() for parameter in named.values()),
            "alpha": self.alpha,
            "between documents": self.config.between_documents,
        }

    def state_dict(self) -> State:
        """Return the second MLPs."""
        return State(self.second.state_dict(), {"num_documents": self.num_documents})

    def load_state_dict(self, state: State) -> None:
        """Restore the second MLPs."""
        self.second.load_state_dict(state.tensors)
        self.num_documents = state.metadata["num_documents"]


def save_initial(path: Path, second: SecondMlps, model: LanguageModel, how: dict[str, Any]) -> None:
    """Write what second MLPs hold as an initialisation, with its model and how it was learned."""
    metadata = {"model": model.name, "model_sha256": model.sha256, "how": how}
    save_state(path, State(second.state_dict(), metadata))


def load_initial(path: Path, second: SecondMlps, model: LanguageModel) -> None:
    """Let second MLPs begin with a learned initialisation.

    Raises:
        ResultsError: If the file is missing or is no saved state.
        ModelError: If it is of another model, or of other blocks.
    """
    state = load_state(path)
    kept = state.metadata
    if kept.get("model_sha256") != model.sha256:
        raise ModelError(
            f"{path} was learned for another model: "
            f"{model_label(kept.get('model'), kept.get('model_sha256'))}, and this is "
            f"{model_label(model.name, model.sha256)}; set method.initial to one of this model"
        )
    if set(state.tensors) != set(second.initial):
        raise ModelError(f"{path} is of other blocks: set share_of_blocks as it was learned with")
    second.initial = state.tensors
    second.load_state_dict(state.tensors)
