"""What a method is: four verbs at the level of rounds, and a config that builds it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.states import State
from compositional.tasks.benchmark import DOCUMENTS, TOOLS, Benchmark
from compositional.tasks.types import Example, Prediction, Round


@dataclass(frozen=True)
class Traits:
    """What the loop and the tables must know of a method.

    Attributes:
        sees: What it is shown of an example beside the query: `round`, `tools`, or nothing.
        learns_adaptation: Whether it takes a lesson before round 1, on tools of no column.
        has_first_row: Whether it can answer before it learned anything.
        only_score: The one score that its answers are meant for; None for all of them.
        reads_whole: Whether a document must fit the model's window; it is read in rows, passages or
            sentences where not.
    """

    sees: frozenset[str] = frozenset()
    learns_adaptation: bool = False
    has_first_row: bool = True
    only_score: str | None = None
    reads_whole: bool = True


class Method(Protocol):
    """A way of teaching a language model new skills."""

    @property
    def traits(self) -> Traits:
        """What the loop and the tables must know of it."""
        ...

    @property
    def model(self) -> LanguageModel | None:
        """The model that answers, for measuring drift; None where there is not one model."""
        ...

    def learn(self, round_: Round, run: RunContext) -> None:
        """Learn a round. Called once a round, in order; index 0 is the adaptation lesson.

        A learning that is cut off is called again with the same slot.
        """
        ...

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        """Answer examples whose steps are hidden, in order."""
        ...

    def state_dict(self) -> State:
        """Return what was learned: trained tensors and JSON."""
        ...

    def load_state_dict(self, state: State) -> None:
        """Become the method that returned this state, whatever was learned since."""
        ...


class MethodConfig(Protocol):
    """The settings of a method: a frozen dataclass that builds it.

    One that is not for every kind of rounds says so by a class variable `tasks`.
    """

    def build(self, model: LanguageModel, benchmark: Benchmark) -> Method:
        """Build the method, and refuse before any training what cannot work.

        Raises:
            CompositionalError: If settings contradict each other, or a prompt is over the window.
        """
        ...


def tasks_of(config: Any) -> tuple[str, ...]:
    """Return the kinds of rounds that a method is for; a bound's are those of what it wraps."""
    while hasattr(config, "of"):
        config = config.of
    tasks: tuple[str, ...] = getattr(config, "tasks", (TOOLS, DOCUMENTS))
    return tasks
