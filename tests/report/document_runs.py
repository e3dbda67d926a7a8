"""Finished runs on documents, written through `RunFolder` from scores that a test chooses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from compositional.answering import Answering
from compositional.columns import GENERAL, ROUND, UNTAUGHT, Column, due
from compositional.config import resolve
from compositional.results import RunFolder
from compositional.run_context import Budget, RunContext
from compositional.streams import Streams
from compositional.tasks.benchmark import DOCUMENTS
from compositional.tasks.types import TEXT, Document, Example, Prediction, Round, Step
from tests.report.runs import ENVIRONMENT

NUM_QUESTIONS = 4
Scores = Callable[[int, str, int], dict[str, float]]
"""Scores of a question: rounds learned, name of the test set, place of the question in it."""

SCORED = Prediction("yes", (), num_tokens=2, likelihoods=(-1.0, -2.0), choice_tokens=(1, 1))


def questions(name: str, index: int | None) -> tuple[Example, ...]:
    """Two direct questions and two reversed ones."""
    step = Step(None, "yes", {"answers": ["yes"]})
    kinds = ("direct", "reversed") * (NUM_QUESTIONS // 2)
    ids = [f"{name}-{place}" for place in range(NUM_QUESTIONS)]
    return tuple(
        Example(i, "Is it?", (step,), index, (i,), TEXT, ("yes", "no"), kind=kind, document=name)
        for i, kind in zip(ids, kinds, strict=True)
    )


def write_document_run(
    folder: Path,
    method: str,
    scores: Scores,
    *,
    order: Sequence[int] = (1, 2),
    seed: int = 42,
    losses: Mapping[int, Sequence[float]] | None = None,
    budget: Mapping[str, int] | None = None,
    lesson_seconds: Sequence[float] = (10.0, 10.0),
    row_seconds: Sequence[float] = (1.0, 1.0, 1.0),
    reused: Sequence[int] = (),
) -> RunFolder:
    """Write a run of two rounds of one document; a row takes 60 tokens.

    Args:
        folder: Of the run.
        method: Its method, without settings.
        scores: Of every question.
        order: The rounds' numbers in the order taught.
        seed: The run's.
        losses: On plain texts, by row; the drift is a tenth of each.
        budget: Counters that are not 0.
        lesson_seconds: Of each lesson.
        row_seconds: Of each row.
        reused: Rows whose answers are reused; choices are scored all the same.
    """
    settings: dict[str, Any] = {
        "experiment": folder.parent.name,
        "run": folder.name,
        "seed": seed,
        "documents": {
            "source": "synthetic",
            "num_rounds": 2,
            "documents_per_round": 1,
            "order": list(order),
        },
        "evaluation": {"next_round": False},
        "method": method,
    }
    config = resolve(settings)
    names = [f"documents{number}-{number}" for number in order]
    columns = [
        Column(name, ROUND, place, questions(name, place))
        for place, name in enumerate(names, start=1)
    ]
    columns += [Column(kind, kind, 0, questions(kind, None)) for kind in (UNTAUGHT, GENERAL)]
    files = RunFolder(folder)
    identity = {"config": config.sha256(), "model": "m", "data": "data"}
    files.start(config, identity, columns, ENVIRONMENT, DOCUMENTS)
    run = RunContext(streams=Streams(seed), budget=Budget(**(budget or {})))
    for row in range(len(order) + 1):
        if row:
            taught = (Document(names[row - 1], "A text."),)
            lesson = Round(row, names[row - 1], 1, (), (), (), (), taught)
            files.write_training(lesson, run, lesson_seconds[row - 1])
        asked = due(columns, row, len(order), config.evaluation)
        prediction = replace(SCORED, reused=row in reused)
        everything = [prediction] * (NUM_QUESTIONS * len(asked))
        files.write_answering(row, everything, Answering(30, 20, 10), row_seconds[row])
        for column in asked:
            found = [scores(row, column.name, place) for place in range(NUM_QUESTIONS)]
            own = [prediction] * NUM_QUESTIONS
            files.write_cell(row, column, own, found, row_seconds[row] / len(asked), 96)
        if losses and row in losses:
            files.write_probe("held_out", row, losses[row])
            files.write_probe("drift", row, [loss / 10 for loss in losses[row]])
    files.finish(run)
    return files


def forgets(row: int, column: str, place: int) -> dict[str, float]:
    """Learns each round whole; after the second one half of the first is gone.

    Of the general questions the first three are right before, the last two of them after. After
    the last round one of four answers about documents not taught is a false recall.
    """
    if column == GENERAL:
        return {"choice_accuracy": float(place in ((0, 1, 2) if row == 0 else (1, 2)))}
    if column == UNTAUGHT:
        return {"choice_accuracy": 0.0, "false_recall": float(row == 2 and place == 0)}
    index = {"documents1-1": 1, "documents2-2": 2}[column]
    right = index <= row and (index == row or place < 2)
    return {"choice_accuracy": float(right), "answer_f1": 0.5 * right}


def keeps(row: int, column: str, place: int) -> dict[str, float]:
    """Learns each round whole, in the order 2, 1, and loses nothing."""
    if column == GENERAL:
        return {"choice_accuracy": float(place < 3)}
    if column == UNTAUGHT:
        return {"choice_accuracy": 0.0, "false_recall": 0.0}
    right = {"documents2-2": 1, "documents1-1": 2}[column] <= row
    return {"choice_accuracy": float(right), "answer_f1": 0.5 * right}
