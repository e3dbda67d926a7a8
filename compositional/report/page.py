"""The page: one HTML file that needs nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from compositional.intervals import Figure
from compositional.report.all_tables import Tables
from compositional.report.check import LearningCheck
from compositional.report.costs import Cost, costs_table
from compositional.report.figures import MethodFigures
from compositional.report.formats import Entry, entry_text, interval_text, number
from compositional.report.heatmaps import Heatmap, matrix_heatmap, outside_heatmap
from compositional.report.labels import (
    FIGURES,
    RETENTION_FORMULA,
    SCORE_MEANINGS,
    SCORE_TITLES,
)
from compositional.report.loading import Experiment
from compositional.report.method_costs import method_costs
from compositional.report.plots import Look, cost_plot, is_drawn_by_age, looks, retention_plot
from compositional.report.provenance import (
    configs_text,
    environment_table,
    packages_text,
)
from compositional.report.run_view import RunView
from compositional.report.samples import Questions, Sample, read_questions, read_samples

LEFT_OUT = "constant answers, bounds, and runs in which nothing changes"
_GLYPHS = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "P": "✚", "X": "✖"}


@dataclass(frozen=True)
class Card:
    """What the page shows of one method.

    Attributes:
        run: The run.
        heatmaps: Its matrices, and what stands outside them.
        samples: Sample predictions; None where none were kept.
    """

    run: RunView
    heatmaps: Sequence[Heatmap]
    samples: Sequence[Sample] | None


@dataclass(frozen=True)
class Plot:
    """A picture with its title and what it does not show."""

    title: str
    svg: Markup
    note: str = ""


def render_page(
    experiment: Experiment,
    figures: Sequence[MethodFigures],
    checks: Sequence[LearningCheck],
    costs: Sequence[Cost],
    tables: Tables,
) -> str:
    """Return the page of an experiment."""
    runs = experiment.finished
    styles = looks([run.name for run in runs])
    asked = _questions(runs)
    headline = experiment.measures.headline
    context: dict[str, Any] = {
        "experiment": experiment,
        "facts": _facts(experiment, checks),
        "others": tables.others,
        "methods": [*([tables.comparison] if tables.comparison else []), *tables.methods],
        "formulas": [*FIGURES.values()],
        "retention_formula": RETENTION_FORMULA,
        "check": tables.check,
        "across": tables.across,
        "cards": [_card(method, asked[_data(method.run)]) for method in figures],
        "twins": list(dict.fromkeys(tuple(pair) for q in asked.values() for pair in q.twins)),
        "questions_absent": next((q.absent for q in asked.values() if q.absent), ""),
        "retention_drawn": [
            m.run.name for m in figures if any(is_drawn_by_age(m, name) for name in headline)
        ],
        "cost_drawn": [m.run.name for m in figures if headline[0] in m.summaries],
        "legend": [(run.name, styles[run.name]) for run in runs],
        "retention_plots": _retention_plots(figures, headline, styles),
        "retention": tables.retention,
        "cost_plots": _cost_plots(figures, costs, headline[0], styles),
        "costs": [*method_costs(experiment, figures), costs_table(costs)],
        "further": [
            *([tables.outside] if tables.outside is not None else []),
            tables.scores,
            *tables.by_kind,
        ],
        "meanings": [
            (SCORE_TITLES[name], SCORE_MEANINGS[name]) for name in experiment.measures.names
        ],
        "columns": tables.columns,
        "environment": environment_table(runs),
        "packages": packages_text(runs),
        "configs": configs_text(runs),
        "score_titles": SCORE_TITLES,
        "headline": headline[0],
        "css": Markup(_resource("page.css")),
    }
    return str(_template().render(context))


def _resource(name: str) -> str:
    return files("compositional.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> Any:
    """Return the template. All that it prints is escaped: queries and answers are anyone's text."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["entry"] = _entry
    environment.filters["number"] = number
    environment.filters["glyph"] = lambda look: _GLYPHS[look.marker]
    return environment.from_string(_resource("page.html.j2"))


def _entry(entry: Entry) -> tuple[str, str]:
    """Return an entry as its value and what stands small below it."""
    if isinstance(entry, Figure) and entry.value is not None:
        return number(entry.value), interval_text(entry)
    return entry_text(entry), ""


def _facts(experiment: Experiment, checks: Sequence[LearningCheck]) -> list[tuple[str, list[str]]]:
    """Return the facts at the head of the page."""
    run = experiment.finished[0]
    of_all = f"{len(experiment.finished) + len(experiment.others)} that were started"
    if experiment.absent:
        of_all += f", {len(experiment.absent)} of the grid have no result"
    sizes = [column["n"] for column in run.columns if column["name"] in run.rounds]
    models = dict.fromkeys(str(r.config["model"]["name"]) for r in experiment.finished)
    dates = sorted({str(r.environment.get("started", ""))[:10] for r in experiment.finished})
    facts = [
        ("model", list(models)),
        (f"{len(run.rounds)} rounds", list(run.rounds)),
        ("test examples a round", [str(size) for size in dict.fromkeys(sizes)]),
        ("runs finished", [f"{len(experiment.finished)} of {of_all}"]),
        ("seed" if len(experiment.seeds) == 1 else "seeds", [str(s) for s in experiment.seeds]),
        ("run on", dates),
    ]
    if experiment.splits != ["test"]:
        facts.append(("asked from", [f"{split} rows" for split in experiment.splits]))
    known = [check.passes for check in checks if check.passes is not None]
    if known:
        facts.append(("trained, above the floor", [f"{sum(known)} of {len(known)}"]))
    return facts


def _data(run: RunView) -> str:
    return str(run.result["identity"]["data"])


def _questions(runs: Sequence[RunView]) -> dict[str, Questions]:
    """Return what was asked, by the hash of the data: runs of the same data share it."""
    asked: dict[str, Questions] = {}
    for run in runs:
        if _data(run) not in asked:
            asked[_data(run)] = read_questions(run)
    return asked


def _card(method: MethodFigures, questions: Questions) -> Card:
    outside = outside_heatmap(method)
    heatmaps = [matrix_heatmap(summary) for summary in method.summaries.values()]
    heatmaps += [outside] if outside is not None else []
    return Card(method.run, heatmaps, read_samples(method.run, questions))


def _retention_plots(
    figures: Sequence[MethodFigures], headline: Sequence[str], styles: Mapping[str, Look]
) -> list[Plot]:
    plots = []
    for name in headline:
        svg = retention_plot(figures, name, styles)
        if svg is None:
            continue
        shown = [method for method in figures if name in method.summaries]
        left_out = [m.run.name for m in shown if not is_drawn_by_age(m, name)]
        note = f"Not drawn ({LEFT_OUT}): {', '.join(left_out)}." if left_out else ""
        plots.append(Plot(f"Retention of {SCORE_TITLES[name]}", Markup(svg), note))
    return plots


def _cost_plots(
    figures: Sequence[MethodFigures],
    costs: Sequence[Cost],
    score_name: str,
    styles: Mapping[str, Look],
) -> list[Plot]:
    by_run = {cost.run: cost for cost in costs}
    plots = []
    for by_parameters, title in ((False, "against seconds"), (True, "against trained parameters")):
        svg = cost_plot(figures, by_run, score_name, styles, by_parameters=by_parameters)
        if svg is not None:
            plots.append(Plot(f"Average {SCORE_TITLES[score_name]} {title}", Markup(svg)))
    return plots
