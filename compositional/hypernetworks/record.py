"""The record of a hypernetwork's training: scores with intervals, as JSON and as Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from compositional.files import write_json, write_text
from compositional.intervals import percentile_interval, unanimity_bound
from compositional.models.hypernetwork import Hypernetwork
from compositional.models.language_model import LanguageModel
from compositional.report.formats import Entry, Table, markdown
from compositional.resampling import Resamples
from compositional.retention import Array
from compositional.training.distillation_evaluation import CONTROLS, OWN, AnswerScore
from compositional.training.distillation_set import DistillationSet

MEASURES = tuple(field.name for field in fields(AnswerScore))
Scores = Mapping[str, Sequence[AnswerScore]]
TITLES = {
    "hypernetwork": "LoRA of its own context",
    "no_lora": "no LoRA",
    "shuffled": "LoRA of another context",
    "mean": "mean of all contexts' LoRA",
    "in_context": "the context itself before the question (teacher)",
}


def record_of(
    model: LanguageModel,
    network: Hypernetwork,
    sets: Mapping[str, DistillationSet],
    scores: Mapping[str, Scores],
    losses: Sequence[float],
    seed: int,
) -> dict[str, Any]:
    """Return the record as JSON values.

    Args:
        model: What it was trained for.
        network: The hypernetwork.
        sets: The data by name.
        scores: By set and condition.
        losses: Of every step.
        seed: Of the resamples.
    """
    return {
        "version": 1,
        "model_sha256": model.sha256,
        "shape": asdict(network.shape),
        "parameters": network.num_parameters(),
        "sets": {
            name: {
                "contexts": len(own.contexts),
                "questions": len(own.items),
                "tokens_read": own.num_tokens(),
                "sha256": own.sha256(),
            }
            for name, own in sets.items()
        },
        "scores": {name: _figures(sets[name], found, seed) for name, found in scores.items()},
        "losses": list(losses),
    }


def _figures(data: DistillationSet, scores: Scores, seed: int) -> dict[str, Any]:
    """Return each condition's means, and what the hypernetwork is above each control.

    Intervals are over the choice of contexts; those of differences are paired.
    """
    groups = [[str(item.context)] for item in data.items]
    resamples = Resamples.draw({"all": groups}, seed)
    values = {
        name: {m: np.array([getattr(s, m) for s in found], dtype=float) for m in MEASURES}
        for name, found in scores.items()
    }

    def figure(column: Array) -> dict[str, Any]:
        interval = percentile_interval(resamples.cell_means("all", column))
        is_one = bool((column == column[0]).all())
        return {
            "value": float(column.mean()),
            "interval": None if interval is None or is_one else [interval.low, interval.high],
            "bound": unanimity_bound(len(column)) if is_one else None,
        }

    found: dict[str, Any] = {
        name: {measure: figure(column) for measure, column in own.items()}
        for name, own in values.items()
    }
    found["above"] = {
        control: figure(values[OWN]["exact_match"] - values[control]["exact_match"])
        for control in CONTROLS
    }
    return found


def write_record(output: Path, record: Mapping[str, Any]) -> None:
    """Write the record beside a hypernetwork, as `.json` and `.md`."""
    write_json(output.with_suffix(".json"), dict(record))
    write_text(output.with_suffix(".md"), page_of(record))


def page_of(record: Mapping[str, Any]) -> str:
    """Return the record in Markdown."""
    environment, seconds = record["environment"], record["seconds"]
    packages = ", ".join(f"{name} {version}" for name, version in environment["packages"].items())
    lines = [
        "# A hypernetwork's training",
        "",
        f"    {record['command']}",
        "",
        f"- {record['parameters']:,} trained parameters; model {record['model']} (weights "
        f"{record['model_sha256'][:12]})",
        f"- {len(record['losses'])} steps of {record['batch_size']} questions, "
        f"{seconds['training']:.0f} s; before them {seconds['reading']:.0f} s of reading",
        f"- {environment['processor']}, {environment['device']}, {environment['threads']} "
        f"thread(s); {environment['started']}; commit {environment['git']['commit']}",
        f"- Python {environment['python']}, {packages}",
        "",
    ]
    tables = [_scores_table(name, record) for name in record["scores"]]
    if record["curve"]:
        tables.append(_curve_table(record["curve"]))
    return "\n".join(lines) + "\n" + markdown(tables)


def _scores_table(name: str, record: Mapping[str, Any]) -> Table:
    scores, own = record["scores"][name], record["sets"][name]
    rows: list[list[Entry]] = [
        [TITLES[condition], *(_text(figures[measure]) for measure in MEASURES)]
        for condition, figures in scores.items()
        if condition in TITLES
    ]
    above = ", ".join(f"{_text(scores['above'][c])} above {TITLES[c]}" for c in CONTROLS)
    return Table(
        f"{name.replace('_', ' ')}: {own['contexts']} contexts, {own['questions']} questions",
        ["Added to the model", "exact match", "token accuracy", "cross-entropy"],
        rows,
        (f"Exact match: {above}.",),
    )


def _text(figure: Mapping[str, Any]) -> str:
    """Return a figure with its interval, or with the bound where all answers score the same."""
    if figure["bound"] is not None:
        return f"{figure['value']:.2f} (all alike; others below {figure['bound']:.2f})"
    interval = figure["interval"]
    beside = "" if interval is None else f" [{interval[0]:.2f}, {interval[1]:.2f}]"
    return f"{figure['value']:.2f}{beside}"


def _curve_table(points: Sequence[Mapping[str, float]]) -> Table:
    return Table(
        "on the way, contexts kept apart",
        ["Step", "seconds", "exact match", "token accuracy", "cross-entropy"],
        [
            [f"{p['step']:.0f}", f"{p['seconds']:.0f}", *(f"{p[m]:.2f}" for m in MEASURES)]
            for p in points
        ],
    )
