"""The loop: learn a round, answer every test set that is due, score, keep, go on.

Row 0 is the model before any training. What stands in the run's folder is not done again, so the
same loop starts a run and resumes one.
"""

import time
from collections.abc import Sequence
from itertools import islice

from compositional.answering import Answering, shares
from compositional.cells import means, scores_by_name
from compositional.checkpoints import Checkpoints
from compositional.columns import Column, columns_of, due, is_generated
from compositional.logs import LOGGER
from compositional.methods.base import Method
from compositional.probes import Probe
from compositional.results import RunFolder
from compositional.run_context import RunContext
from compositional.scores import measures_of, score_prediction
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.types import Round


def run_rounds(
    method: Method,
    benchmark: Benchmark,
    run: RunContext,
    folder: RunFolder,
    checkpoints: Checkpoints,
    probes: Sequence[Probe] = (),
) -> None:
    """Teach the rounds in order and score each test set that is due after each of them.

    Args:
        method: What learns and answers.
        benchmark: The rounds and the test sets outside the matrix.
        run: What the run lends to the method.
        folder: Takes the cells, and knows which of them stand already.
        checkpoints: Takes a state after every lesson.
        probes: What is measured of the model itself after every round.
    """
    columns = columns_of(benchmark, run.evaluation)
    num_rounds = len(benchmark.rounds)
    num_learned = checkpoints.restore(method, run)
    if num_learned == 0 and method.traits.has_first_row:
        score_row(0, due(columns, 0, num_rounds, run.evaluation), method, benchmark, run, folder)
        measure(0, method, [probe for probe in probes if probe.has_first_row], folder)
    for position, lesson in enumerate(lessons(method, benchmark), start=1):
        if position < num_learned:
            continue
        if position > num_learned:
            place = f"round {lesson.index} of {num_rounds}" if lesson.index else "before round 1"
            _say_next(run, f"learn {lesson.name}, {place}")
            started = time.monotonic()
            method.learn(lesson, run)
            seconds = time.monotonic() - started
            folder.write_training(lesson, run, seconds)
            checkpoints.save(position, method, run)
            LOGGER.info("%s: learned %s in %.0f s", run.name, lesson.name, seconds)
        if lesson.index > 0:
            row = due(columns, lesson.index, num_rounds, run.evaluation)
            score_row(lesson.index, row, method, benchmark, run, folder)
            measure(lesson.index, method, probes, folder)


def lessons(method: Method, benchmark: Benchmark) -> list[Round]:
    """Return what the method learns, in order: the adaptation lesson where it takes one, rounds."""
    first = benchmark.adaptation if method.traits.learns_adaptation else None
    return [*([first] if first is not None else []), *benchmark.rounds]


def measure(row: int, method: Method, probes: Sequence[Probe], folder: RunFolder) -> None:
    """Measure the model that answers by itself; nothing where there is not one model."""
    if method.model is not None:
        for probe in probes:
            folder.write_probe(probe.name, row, probe.measure(method.model))


def score_row(
    row: int,
    columns: Sequence[Column],
    method: Method,
    benchmark: Benchmark,
    run: RunContext,
    folder: RunFolder,
) -> None:
    """Answer and score the columns of a row, all of them side by side.

    A row is answered whole: where one of its cells is missing, the others are answered with it
    again, so that the batches are those of a run that was never stopped.
    """
    if all(folder.has_cell(row, column) for column in columns):
        return
    num_rounds, at_ends = len(benchmark.rounds), benchmark.generates_at_ends
    asked = [
        example.hidden(
            method.traits.sees,
            generates=example.generates and is_generated(column, row, num_rounds, at_ends=at_ends),
        )
        for column in columns
        for example in column.examples
    ]
    _say_next(run, f"answer {len(asked)} examples after round {row} of {num_rounds}")
    run.answering = Answering()
    started = time.monotonic()
    predictions = method.answer(asked, run)
    taken = time.monotonic() - started
    seconds = folder.write_answering(row, predictions, run.answering, taken)
    left = iter(predictions)
    answers = [list(islice(left, len(column.examples))) for column in columns]
    for column, own, share in zip(columns, answers, shares(answers), strict=True):
        scores = [
            score_prediction(example, prediction, benchmark, row)
            for example, prediction in zip(column.examples, own, strict=True)
        ]
        limit = run.evaluation.max_new_tokens
        folder.write_cell(row, column, own, scores, seconds * share, limit)
        headline = measures_of(benchmark.task).headline[0]
        mean = means(scores_by_name(scores)).get(headline)
        shown = "not measured" if mean is None else f"{mean:.3f}"
        title = headline.replace("_f1", " F1").replace("_", " ")
        _say_cell(run, row, column, f"{title} {shown}", seconds * share)


def _say_next(run: RunContext, what: str) -> None:
    """Log what begins, so that the log's last line tells what is under way."""
    LOGGER.info("%s: next: %s", run.name, what)


def _say_cell(run: RunContext, row: int, column: Column, score: str, seconds: float) -> None:
    """Log a cell that stands."""
    place = f"after round {row}, {column.name}"
    took = f"{len(column.examples)} answers in {seconds:.0f} s"
    LOGGER.info("%s: %s: %s (%s)", run.name, place, score, took)
