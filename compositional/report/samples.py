"""Sample predictions, right and wrong, beside what was asked and expected."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from compositional.columns import columns_of
from compositional.config import RunConfig, resolve
from compositional.errors import CompositionalError
from compositional.preparing import prepare_benchmark
from compositional.report.run_view import RunView
from compositional.results import Cell
from compositional.tasks.data_config import DEFAULT_SOURCE
from compositional.tasks.round_files import examples_file
from compositional.tasks.scoring import HEADLINE_SCORES
from compositional.tasks.sources.opening import SourceName
from compositional.tasks.types import Example, JsonObject, token_means

MAX_SAMPLES = 3
"""Right ones, and wrong ones, of each method."""

MAX_CHARACTERS = 700


@dataclass(frozen=True)
class Sample:
    """What a method answered to one example after the last round.

    Attributes:
        column: Name of the test set.
        example_id: The example.
        query: What was asked; None where the round files are not there.
        expected: The expected calls as text; None where the round files are not there.
        predicted: The predicted calls as text; None where the answer did not parse.
        raw: The answer as generated.
        is_right: Whether all calls are right and no other was given.
        scores: Headline scores.
    """

    column: str
    example_id: str
    query: str | None
    expected: list[str] | None
    predicted: list[str] | None
    raw: str
    is_right: bool
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Questions:
    """What the runs of an experiment were asked.

    Attributes:
        examples: Test examples by column and id; empty where the round files are not there.
        twins: Pairs of tools that are hard to tell apart, as the data's manifest names them.
        absent: Why there are none; empty where there are some.
    """

    examples: Mapping[tuple[str, str], Example] = field(default_factory=dict)
    twins: Sequence[Sequence[str]] = ()
    absent: str = ""


def read_questions(run: RunView) -> Questions:
    """Read what a run was asked, if its round files are there and are still the same.

    Nothing is built or fetched for it.
    """
    try:
        config = resolve(run.config)
        missing = next((path for path in _round_files(config) if not path.is_file()), None)
        if missing is not None:
            return Questions(absent=f"{missing} is not there")
        benchmark = prepare_benchmark(config)
    except CompositionalError as error:
        return Questions(absent=" ".join(str(error).split()))
    if benchmark.manifest_sha256 != run.result["identity"]["data"]:
        return Questions(absent="the round files are not those that the run was asked from")
    examples = {
        (column.name, example.id): example
        for column in columns_of(benchmark, config.evaluation)
        for example in column.examples
    }
    return Questions(examples, benchmark.manifest.get("twins", []))


def _round_files(config: RunConfig) -> Iterator[Path]:
    """Yield the files without which the data would be built anew."""
    if config.documents.source is not None:
        path = Path(config.documents.source).expanduser()
        yield from [path] if path.suffix else []
        return
    data = config.data
    if data.training_rounds is None:
        yield from filter(None, (data.train_file, data.test_file))
        return
    source = SourceName(data.source or DEFAULT_SOURCE, data.revision)
    seed = config.seed if data.data_seed is None else data.data_seed
    folder = data.data_dir or Path("data") / f"{source.slug}-seed{seed}"
    for index, plan in enumerate(data.plans, start=1):
        for split in ("train", "test"):
            yield folder / examples_file(split, plan.tools, data.max_calls(split, index))


def read_samples(run: RunView, questions: Questions) -> list[Sample] | None:
    """Return a few right and a few wrong answers of the last row; None where none were kept."""
    last = len(run.rounds)
    right: list[Sample] = []
    wrong: list[Sample] = []
    found = False
    cells = {cell.column: cell for cell in run.cell_list if cell.row == last}
    for cell in (cells[name] for name in run.rounds if name in cells):
        predictions = run.predictions(last, cell.column)
        found = found or predictions is not None
        samples = _samples(cell, predictions or [], questions)
        right += [sample for sample in samples if sample.is_right][:1]
        wrong += [sample for sample in samples if not sample.is_right][:1]
    return [*right[:MAX_SAMPLES], *wrong[:MAX_SAMPLES]] if found else None


def _samples(cell: Cell, predictions: Sequence[JsonObject], questions: Questions) -> list[Sample]:
    place = {example_id: index for index, example_id in enumerate(cell.example_ids)}
    return [
        _sample(cell, place[line["id"]], line, questions.examples.get((cell.column, line["id"])))
        for line in predictions
        if line["id"] in place
    ]


def _sample(cell: Cell, index: int, line: JsonObject, example: Example | None) -> Sample:
    if "calls" not in line:
        return _text_sample(cell, index, line, example)
    calls = line["calls"]
    return Sample(
        column=cell.column,
        example_id=line["id"],
        query=None if example is None else example.query,
        expected=None if example is None else _expected(example),
        predicted=None if calls is None else [_call_text(c["name"], c["arguments"]) for c in calls],
        raw=_shortened(line["raw"]),
        is_right=bool(cell.scores["exact_match"][index] == 1),
        scores={name: float(cell.scores[name][index]) for name in HEADLINE_SCORES},
    )


def _text_sample(cell: Cell, index: int, line: JsonObject, example: Example | None) -> Sample:
    """Return a question about a document, with what was generated and what was chosen."""
    scores = {name: cell.scores[name][index] for name in cell.scores}
    known = {name: float(value) for name, value in scores.items() if not np.isnan(value)}
    predicted = [_shortened(line["raw"])] if line["answered"] else []
    if line["likelihoods"] and example is not None:
        means = token_means(line["likelihoods"], line["choice_tokens"])
        predicted.append(f"chose: {example.choices[int(np.argmax(means))]}")
    return Sample(
        column=cell.column,
        example_id=line["id"],
        query=None if example is None else example.query,
        expected=None if example is None else _right_answers(example),
        predicted=predicted,
        raw=_shortened(line["raw"]),
        is_right=bool(known.get("choice_accuracy", known.get("answer_match")) == 1),
        scores=known,
    )


def _right_answers(example: Example) -> list[str]:
    """Return the answers that are right; to abstain where the document does not say."""
    (step,) = example.steps or ()
    return list((step.acceptable or {}).get("answers", [])) or ["unknown"]


def _expected(example: Example) -> list[str]:
    return [_call_text(step.skill, json.loads(step.response)) for step in example.steps or ()]


def _call_text(name: str | None, arguments: Any) -> str:
    values = ", ".join(
        f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in arguments.items()
    )
    return _shortened(f"{name}({values})")


def _shortened(text: str) -> str:
    if len(text) <= MAX_CHARACTERS:
        return text
    return f"{text[:MAX_CHARACTERS]} … ({len(text) - MAX_CHARACTERS} more characters)"
