"""Finished and unfinished runs, written through `RunFolder` from answers that a test chooses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from compositional.columns import Column, columns_of, due
from compositional.config import resolve
from compositional.results import RunFolder
from compositional.run_context import Budget, RunContext
from compositional.streams import Streams
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.scoring import score_example
from compositional.tasks.types import Call, Example, Prediction, Round, Skill, Step

Answer = Callable[[int, Column, int, Example], Prediction]
"""What a run answers: row, column, place of the example in it, the example."""

ENVIRONMENT = {
    "started": "2026-01-02T03:04:05Z",
    "git": {"commit": "0123456789abcdef", "clean": True},
    "python": "3.11.0",
    "packages": {"torch": "2.0"},
    "device": "cpu",
    "threads": 2,
    "processor": "a processor",
}


def call(name: str, **arguments: Any) -> Prediction:
    return Prediction(f'{{"name": "{name}"}}', (Call(name, arguments),), (name,), 7)


NO_CALL = Prediction("I cannot help.", (), (), 4)
UNPARSED = Prediction('{"name": "tool', None, (), 96)


def example(name: str, tool: str, round_index: int | None, base: str | None = None) -> Example:
    step = Step(tool, '{"city": "Rome"}')
    return Example(name, f"Query of {name}", (step,), round_index, (base or name,))


def make_benchmark(num_rounds: int = 2, num_examples: int = 4, **extra: Any) -> Benchmark:
    """Rounds of one tool each, `a`, `b`, ...; each test example has a base query of its own."""
    rounds = []
    for i in range(1, num_rounds + 1):
        tool = chr(ord("a") + i - 1)
        schema = {"type": "object", "properties": {"city": {"type": "string"}}}
        test = tuple(example(f"{tool}{k}", tool, i) for k in range(num_examples))
        skill = Skill(tool, "", schema)
        rounds.append(Round(i, f"tools{i}", 1, (skill,), (), (), test))
    skills = {skill.name: skill for round_ in rounds for skill in round_.skills}
    empty: dict[str, Any] = {"mixed": (), "unanswerable": ()}
    return Benchmark(
        rounds=tuple(rounds),
        adaptation=None,
        skills=skills,
        manifest={},
        manifest_sha256="data",
        **{**empty, **extra},
    )


def right(row: int, column: Column, place: int, asked: Example) -> Prediction:
    """Answer every example rightly once its round was taught, by no call before."""
    if not 1 <= column.index <= row:
        return NO_CALL
    return call(str((asked.steps or ())[0].skill), city="Rome")


def write_run(
    folder: Path,
    method: Mapping[str, Any],
    benchmark: Benchmark,
    answer: Answer = right,
    *,
    settings: Mapping[str, Any] | None = None,
    budget: Mapping[str, int] | None = None,
    reused: Sequence[int] = (),
    first_row: bool = True,
    drift: Mapping[int, list[float]] | None = None,
    finish: bool = True,
) -> RunFolder:
    """Write a run; `reused` are rows whose answers were reused."""
    config = resolve(
        {
            "experiment": folder.parent.name,
            "run": folder.name,
            "data": {"training_rounds": "1-1,2-2", "data_dir": "no-such-folder"},
            **(settings or {}),
            "method": dict(method),
        }
    )
    files = RunFolder(folder)
    columns = columns_of(benchmark, config.evaluation)
    identity = {"config": config.sha256(), "model": "m", "data": benchmark.manifest_sha256}
    files.start(config, identity, columns, ENVIRONMENT)
    context = RunContext(streams=Streams(config.seed), budget=Budget(**(budget or {})))
    num_rounds = len(benchmark.rounds)
    for row in range(0 if first_row else 1, num_rounds + 1):
        if row:
            files.write_training(benchmark.rounds[row - 1], context, 10.0)
        for column in due(columns, row, num_rounds, config.evaluation):
            asked = list(enumerate(column.examples))
            predictions = [answer(row, column, place, e) for place, e in asked]
            pairs = zip(column.examples, predictions, strict=True)
            scores = [score_example(e, p, benchmark.skills) for e, p in pairs]
            predictions = [replace(p, reused=row in reused) for p in predictions]
            files.write_cell(row, column, predictions, scores, 2.0, 96)
        if drift and row in drift:
            files.write_probe("drift", row, drift[row])
    if finish:
        files.finish(context)
    return files
