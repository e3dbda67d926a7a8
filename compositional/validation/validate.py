"""`compositional validate`: a milestone a strategy, a line a check, a record of all of them."""

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compositional.environment import describe_environment
from compositional.errors import ConfigError, check_choice
from compositional.files import check_writable, write_json, write_text
from compositional.logs import LOGGER, show_log
from compositional.models.loading import dtype_name
from compositional.report.formats import Entry, Table, markdown
from compositional.validation.milestones import MILESTONES, Milestone
from compositional.validation.trial import Bench, Trial

NOT_REACHED = "not reached"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Line:
    """What one check of one strategy found.

    Attributes:
        strategy: The strategy.
        check: What was checked.
        figure: What was found; the error where it broke off.
        threshold: What it must reach; empty where nothing was measured.
        passed: Whether it does.
        seconds: What it took.
    """

    strategy: str
    check: str
    figure: str
    threshold: str
    passed: bool
    seconds: float

    def __str__(self) -> str:
        """Return it as a line of the terminal."""
        needed = f" (needed: {self.threshold})" if self.threshold else ""
        verdict = "pass" if self.passed else "FAIL"
        return (
            f"{verdict}  {self.strategy}: {self.check}: {self.figure}{needed}, {self.seconds:.1f} s"
        )


def validate(
    bench: Bench,
    names: Sequence[str] = (),
    output: Path | None = None,
    say: Say = print,
    milestones: Mapping[str, Milestone] = MILESTONES,
) -> int:
    """Run milestones and return the exit status: 0 where every check passed, else 1.

    Args:
        bench: The model and what is taught.
        names: Strategies; none for all that have a milestone.
        output: JSON file to keep the record in, with a table beside it; None for no record.
        say: Prints a line.
        milestones: By strategy.

    Raises:
        ConfigError: If a strategy is unknown, or the record is to be no `.json` file.
        ModelError: If the model or its device is not there.
        CompositionalError: If the record cannot be written.
    """
    chosen = dict.fromkeys(names or milestones)
    for name in chosen:
        check_choice("strategy", name, milestones)
    if output is not None:
        if output.suffix != ".json":
            raise ConfigError(f"the record is named {output}; its name must end in .json")
        check_writable(output)
    show_log()
    record = _begun(bench, list(chosen))
    started = time.monotonic()
    for name in chosen:
        for line in run_milestone(name, milestones[name], bench):
            say(str(line))
            record["lines"].append(asdict(line))
            record["failed"] += not line.passed
            record["seconds"] = round(time.monotonic() - started, 1)
            _keep(record, output)
    record["status"] = "finished"
    _keep(record, output)
    say(
        f"{len(chosen)} strategies, {len(record['lines'])} checks, {record['failed']} failed, "
        f"{record['seconds']:.0f} s"
    )
    return int(record["failed"] > 0)


def run_milestone(name: str, milestone: Milestone, bench: Bench) -> Iterator[Line]:
    """Yield a line a check; one that breaks off has failed, and so have those after it."""
    gc.collect()  # the model of the strategy before: hooks make it a cycle
    trial = Trial(name, milestone.config, milestone.passes, bench, milestone.prepare)
    for place, check in enumerate(milestone.checks):
        started = time.monotonic()
        try:
            found = check.measure(trial)
        except Exception as error:  # noqa: BLE001  # the defects that are looked for
            LOGGER.exception("%s: %s", name, check.what)
            text = " ".join(f"{type(error).__name__}: {error}".split())
            yield Line(name, check.what, text, "", False, time.monotonic() - started)
            for later in milestone.checks[place + 1 :]:
                yield Line(name, later.what, NOT_REACHED, "", False, 0.0)
            return
        seconds = time.monotonic() - started
        yield Line(name, check.what, found.figure, found.threshold, found.passed, seconds)


def _begun(bench: Bench, names: list[str]) -> dict[str, Any]:
    """Return a record before the first milestone; the model is loaded to see that it is there."""
    model = bench.load()
    return {
        "status": "running",
        "failed": 0,
        "seconds": 0.0,
        "strategies": names,
        "model": bench.config.model.name,
        "model_sha256": model.sha256,
        "dtype": dtype_name(model.backbone.dtype),
        "seed": bench.config.seed,
        "documents": len(bench.facts.documents),
        "questions": len(bench.facts.questions),
        "environment": describe_environment(model.device),
        "lines": [],
    }


def _keep(record: dict[str, Any], output: Path | None) -> None:
    """Write a record and its table."""
    if output is not None:
        write_json(output, record)
        write_text(output.with_suffix(".md"), page(record))


def page(record: Mapping[str, Any]) -> str:
    """Return a record as a page of Markdown."""
    facts = record["environment"]
    packages = ", ".join(f"{name} {facts['packages'][name]}" for name in ("torch", "transformers"))
    commit = f"commit {facts['git']['commit'] or 'unknown'}"
    if facts["git"]["clean"] is False:
        commit += " with changes"
    rows: list[list[Entry]] = [
        [
            line["strategy"],
            line["check"],
            line["figure"],
            line["threshold"],
            "pass" if line["passed"] else "FAIL",
            f"{line['seconds']:.1f}",
        ]
        for line in record["lines"]
    ]
    header = ["strategy", "check", "figure", "needed", "verdict", "seconds"]
    notes = [
        f"{record['status']} after {record['seconds']:.0f} s; model {record['model']} "
        f"({record['model_sha256'][:12]}), {record['dtype']}, seed {record['seed']}",
        f"{facts['processor']}, {facts['threads']} threads, device {facts['device']}; Python "
        f"{facts['python']}, {packages}; {commit}; {facts['started']}",
    ]
    return markdown([Table("Milestones", header, rows, notes)])
