"""What a sequence of rounds costs: a model fitted on measured runs, checked on one it has not seen.

    seconds = start + a x tokens trained on + p x passes + b x answers + c x tokens answered

A pass is a batch of answers side by side: its steps take nearly as long for a few answers as for
all that fit. `a`, `p`, `b` and `c` come from the timings of lessons and rows of small runs, `start`
is what is left of their time. The number of answers grows with the square of the rounds, since all
past rounds are asked after each: r rounds with n test examples ask n r (r + 1) / 2 times.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy.optimize import nnls

from compositional.benchmarks.throwaway import throwaway_config
from compositional.files import read_json
from compositional.models.model_config import ModelConfig
from compositional.runner import run

TOOLS_A_ROUND = 3
BATCH_SIZE = 16


@dataclass(frozen=True)
class MeasuredRun:
    """One run, as its files tell it.

    Attributes:
        num_rounds: Rounds.
        seconds: Of the whole run.
        seconds_learning: Of its lessons.
        trained_tokens: Tokens of all rows that it saw, prompt and target.
        rows: Of each row of the matrix the seconds, the answers and their tokens.
    """

    num_rounds: int
    seconds: float
    seconds_learning: float
    trained_tokens: int
    rows: list[tuple[float, int, int]]

    @property
    def answers_by_row(self) -> list[int]:
        """Answers of each row."""
        return [answers for _, answers, _ in self.rows]

    @property
    def num_answers(self) -> int:
        """Answers in all."""
        return sum(self.answers_by_row)

    @property
    def answer_tokens(self) -> int:
        """Their tokens in all."""
        return sum(tokens for _, _, tokens in self.rows)


@dataclass(frozen=True)
class CostModel:
    """Seconds that a run takes.

    Attributes:
        start: Of any run.
        trained_token: Of a token that is trained on.
        batch: Of a pass over a batch of answers, however many they are.
        answer: Of an answer, its tokens apart: the prompt, scoring, files.
        answer_token: Of a token of an answer.
        tokens_an_answer: Mean length of the answers that it was fitted on.
    """

    start: float
    trained_token: float
    batch: float
    answer: float
    answer_token: float
    tokens_an_answer: float

    def seconds(self, trained_tokens: float, answers: Sequence[int]) -> float:
        """Return the time of a run that is not made yet.

        Args:
            trained_tokens: Tokens of its rows, over all epochs.
            answers: How many prompts it answers after each round.
        """
        learning = self.trained_token * trained_tokens
        return self.start + learning + self.seconds_answering(answers)

    def seconds_answering(self, answers: Sequence[int]) -> float:
        """Return the part of the time that answers take, as long as those that it was fitted on."""
        an_answer = self.answer + self.answer_token * self.tokens_an_answer
        return self.batch * num_passes(answers) + an_answer * sum(answers)


def fit(runs: Sequence[MeasuredRun]) -> CostModel:
    """Fit the model on runs, one or more; no cost is negative (Lawson and Hanson 1974)."""
    rows = np.array([row for measured in runs for row in measured.rows], dtype=float)
    passes = [num_passes([int(answers)]) for answers in rows[:, 1]]
    batch, answer, answer_token = nnls(np.column_stack([passes, rows[:, 1:]]), rows[:, 0])[0]
    learning = sum(measured.seconds_learning for measured in runs)
    start = np.mean(
        [m.seconds - m.seconds_learning - sum(seconds for seconds, _, _ in m.rows) for m in runs]
    )
    return CostModel(
        start=float(start),
        trained_token=learning / sum(measured.trained_tokens for measured in runs),
        batch=float(batch),
        answer=float(answer),
        answer_token=float(answer_token),
        tokens_an_answer=float(rows[:, 2].sum() / rows[:, 1].sum()),
    )


def answers_by_row(num_rounds: int, num_tests: int) -> list[int]:
    """Return how many answers a sequence asks for, all past rounds after each, no row 0."""
    return [num_tests * row for row in range(1, num_rounds + 1)]


def num_passes(answers: Sequence[int]) -> int:
    """Return in how many batches the answers of some rows are generated."""
    return sum(-(-count // BATCH_SIZE) for count in answers)


def measure(model: ModelConfig, source: str, num_rounds: int, num_tests: int) -> MeasuredRun:
    """Run memory tokens over some rounds of a source, in a folder that is thrown away."""
    with TemporaryDirectory() as name:
        config = throwaway_config(
            Path(name),
            source,
            num_rounds,
            TOOLS_A_ROUND,
            model={"name": model.name, "device": model.device},
            data={
                "samples_per_tool": 8,
                "train_size": 24,
                "test_size": num_tests,
                "train_max_function_calls": 1,
                "num_mixed": 0,
            },
            evaluation={
                "max_new_tokens": 64,
                "batch_size": BATCH_SIZE,
                "next_round": False,
                "first_row": False,
            },
            method={"name": "memory_tokens", "adaptation": "none"},
        )
        started = time.monotonic()
        results = run(config, progress=False)
        seconds = time.monotonic() - started
        timings = results.folder / "timings"
        lessons = [read_json(path)["seconds"] for path in timings.glob("lesson_*.json")]
        rows = []
        for row in range(1, num_rounds + 1):
            cells = [read_json(path) for path in timings.glob(f"row{row}_*.json")]
            rows.append(
                (
                    float(sum(cell["seconds"] for cell in cells)),
                    int(sum(cell["num_examples"] for cell in cells)),
                    int(sum(cell["num_tokens"] for cell in cells)),
                )
            )
        tokens = results.result()["budget"]["input_tokens"]
        return MeasuredRun(num_rounds, seconds, sum(lessons), tokens, rows)
