"""The best constant answer: the floor under every table.

The answer is the list of calls in which each of the k most frequent tools taught so far stands
once with its most frequent arguments. k is chosen on the training rows of the rounds so far, so
that the score shown is highest.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from compositional.errors import check_choice
from compositional.files import canonical_json
from compositional.methods.base import Traits
from compositional.methods.stored import example_from_json, example_to_json, stored_bytes
from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.states import State
from compositional.tasks.benchmark import TOOLS, Benchmark
from compositional.tasks.scoring import SCORE_NAMES, score_example
from compositional.tasks.types import Call, Example, Prediction, Round, Skill


@dataclass(frozen=True)
class ConstantConfig:
    """The best constant answer.

    Attributes:
        maximise: The score that k is chosen for, and the only one that is shown.
    """

    tasks: ClassVar[tuple[str, ...]] = (TOOLS,)
    maximise: str = "tool_f1"

    def build(self, model: LanguageModel, benchmark: Benchmark) -> "Constant":
        """Build the method."""
        rising = [name for name in SCORE_NAMES if not name.endswith("parse_error_rate")]
        check_choice("score", self.maximise, rising)
        return Constant(self, benchmark.skills)


class Constant:
    """The method; see `ConstantConfig`."""

    model: LanguageModel | None = None

    def __init__(self, config: ConstantConfig, skills: dict[str, Skill]) -> None:
        self.config = config
        self.skills = skills
        self.traits = Traits(has_first_row=False, only_score=config.maximise)
        self.rows: list[Example] = []
        self.calls: tuple[Call, ...] = ()

    def learn(self, round_: Round, run: RunContext) -> None:
        """Choose the best constant answer on all training rows so far."""
        self.rows.extend(round_.train)
        run.budget.buffer_bytes = max(run.budget.buffer_bytes, stored_bytes(self.rows))
        candidates = most_frequent_calls(self.rows)
        means = [self._mean(candidates[: k + 1]) for k in range(len(candidates))]
        self.calls = tuple(candidates[: int(np.argmax(means)) + 1])

    def _mean(self, calls: Sequence[Call]) -> float:
        """Return the mean score of a constant answer over the training rows."""
        prediction = _prediction(tuple(calls))
        scores = [score_example(e, prediction, self.skills) for e in self.rows]
        values = [
            s[self.config.maximise] for s in scores if s.get(self.config.maximise) is not None
        ]
        return float(np.mean(values))

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        """Give the constant answer to every example."""
        return [_prediction(self.calls) for _ in examples]

    def state_dict(self) -> State:
        """Return the answer and the rows that it was chosen on."""
        return State(
            {},
            {
                "rows": [example_to_json(row) for row in self.rows],
                "calls": [[call.name, call.arguments] for call in self.calls],
            },
        )

    def load_state_dict(self, state: State) -> None:
        """Restore the answer and the rows."""
        self.rows = [example_from_json(value) for value in state.metadata["rows"]]
        self.calls = tuple(Call(*fields) for fields in state.metadata["calls"])


def most_frequent_calls(rows: Sequence[Example]) -> list[Call]:
    """Return each tool once, the most frequent first, with its most frequent arguments.

    Ties go to the lesser name, or the lesser JSON text with sorted keys.
    """
    tools: Counter[str] = Counter()
    arguments: dict[str, Counter[str]] = {}
    for row in rows:
        for step in row.steps or ():
            name = str(step.skill)
            tools[name] += 1
            arguments.setdefault(name, Counter())[canonical_json(json.loads(step.response))] += 1
    ranked = sorted(tools, key=lambda name: (-tools[name], name))
    return [Call(name, json.loads(_most_common(arguments[name]))) for name in ranked]


def _most_common(counts: Counter[str]) -> str:
    return min(counts, key=lambda text: (-counts[text], text))


def _prediction(calls: tuple[Call, ...]) -> Prediction:
    raw = "\n".join(json.dumps({"name": c.name, "arguments": c.arguments}) for c in calls)
    return Prediction(raw, calls, tuple(call.name for call in calls))
