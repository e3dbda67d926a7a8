"""Plots as SVG that stands inside a page and takes its colours of text from there."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.typing import RcKeyType

from compositional.intervals import Figure
from compositional.report.costs import Cost
from compositional.report.figures import MethodFigures
from compositional.report.labels import SCORE_TITLES

# Okabe and Ito's colours without black and yellow: readable on white and on black, and told
# apart by readers with any colour vision; markers tell runs of one colour apart.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_INK = "#010203"
_STYLE: dict[RcKeyType, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "compositional",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.parse_math": False,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _INK,
    "grid.alpha": 0.15,
    "axes.grid": True,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Look:
    """How a run is drawn, the same in every plot."""

    colour: str
    marker: str


def looks(names: Sequence[str]) -> dict[str, Look]:
    """Return a look for each run."""
    return {
        name: Look(COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)])
        for place, name in enumerate(names)
    }


def is_drawn_by_age(method: MethodFigures, score_name: str) -> bool:
    """Whether a run's retention says anything: some past cell changes.

    It says nothing of constant answers, nor of bounds, which start afresh every round.
    """
    run = method.run
    is_bound = "of" in run.method
    if is_bound or run.only_score or score_name not in method.summaries or len(run.rounds) < 2:
        return False
    matrix = method.summaries[score_name].matrix
    return any(
        matrix.cell(t, i) != matrix.cell(i, i)
        for i in range(1, matrix.num_rounds)
        for t in range(i + 1, matrix.num_rounds + 1)
    )


def retention_plot(
    figures: Sequence[MethodFigures], score_name: str, styles: Mapping[str, Look]
) -> str | None:
    """Draw retention by age, a line a run; None where no run has any."""
    drawn = [method for method in figures if is_drawn_by_age(method, score_name)]
    if not drawn:
        return None
    with mpl.rc_context(_STYLE):
        canvas, axes = _canvas()
        width = 0.3 / max(len(drawn) - 1, 1)
        highest = 1.0
        for place, method in enumerate(drawn):
            ages = method.summaries[score_name].retention_by_age
            shift = (place - (len(drawn) - 1) / 2) * width
            points = [(age.age + shift, age.figure) for age in ages if age.figure.value is not None]
            highest = max([highest, *(figure.value or 0.0 for _, figure in points)])
            _draw(axes, points, method.run.name, styles, line="-")
        num_ages = max(len(m.summaries[score_name].retention_by_age) for m in drawn)
        axes.set_xticks(range(num_ages))
        axes.set_xlabel("rounds since it was taught")
        axes.set_ylabel(f"share of {SCORE_TITLES[score_name]} kept")
        axes.axhline(1, color=_INK, linewidth=0.8, alpha=0.5)
        axes.set_ylim(-0.03, max(1.4, 1.15 * highest))
        return _svg(canvas, f"Retention of {SCORE_TITLES[score_name]} by age")


def cost_plot(
    figures: Sequence[MethodFigures],
    costs: Mapping[str, Cost],
    score_name: str,
    styles: Mapping[str, Look],
    *,
    by_parameters: bool,
) -> str | None:
    """Draw average accuracy against seconds or trained parameters; None where neither is known."""
    points = []
    for method in figures:
        cost = costs[method.run.name]
        spent = cost.counters["trained_parameters"] if by_parameters else cost.seconds
        summary = method.summaries.get(score_name)
        if spent is not None and summary is not None:
            accuracy = summary.figures["average_accuracy"]
            if accuracy.value is not None:
                points.append((method.run.name, float(spent), accuracy))
    if not points:
        return None
    with mpl.rc_context(_STYLE):
        canvas, axes = _canvas()
        for name, spent, accuracy in points:
            _draw(axes, [(spent, accuracy)], name, styles, line="")
        _cost_axis(axes, 1000 if by_parameters else 1, max(spent for _, spent, _ in points))
        axes.set_xlabel("trained parameters" if by_parameters else "seconds, learning + answering")
        axes.set_ylabel(f"average {SCORE_TITLES[score_name]}")
        axes.set_ylim(-0.03, 1.03)
        what = "trained parameters" if by_parameters else "seconds"
        return _svg(canvas, f"Average {SCORE_TITLES[score_name]} against {what}")


def _cost_axis(axes: Axes, first: int, largest: float) -> None:
    """Make an axis that has a place for 0, is linear up to its first mark and then logarithmic."""
    marks = [0, first]
    while marks[-1] < largest:
        marks.append(marks[-1] * 10)
    axes.set_xscale("symlog", linthresh=first, linscale=0.5)
    axes.set_xticks(marks, [_short_number(mark) for mark in marks])
    axes.minorticks_off()
    axes.set_xlim(-0.3 * first, marks[-1])


def _short_number(value: float) -> str:
    """Return a mark of an axis: 0, 10, 1k, 1M."""
    for factor, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:g}{suffix}"
    return f"{value:g}"


def _canvas() -> tuple[Canvas, Axes]:
    canvas = Canvas(figsize=(5.4, 3.8), layout="constrained")
    canvas.patch.set_alpha(0)
    axes = canvas.add_subplot()
    axes.patch.set_alpha(0)
    return canvas, axes


def _draw(
    axes: Axes,
    points: Sequence[tuple[float, Figure]],
    name: str,
    styles: Mapping[str, Look],
    line: str,
) -> None:
    """Draw points with their intervals."""
    look = styles[name]
    values = [figure.value or 0.0 for _, figure in points]
    lows = [
        max(value - f.interval.low, 0) if f.interval else 0.0
        for value, (_, f) in zip(values, points, strict=True)
    ]
    highs = [
        max(f.interval.high - value, 0) if f.interval else 0.0
        for value, (_, f) in zip(values, points, strict=True)
    ]
    axes.errorbar(
        [x for x, _ in points],
        values,
        yerr=[lows, highs],
        color=look.colour,
        marker=look.marker,
        linestyle=line,
        linewidth=1.6,
        elinewidth=1,
        capsize=2.5,
        markersize=6,
        zorder=3,
        label=f" {name}",
    )


def _svg(canvas: Canvas, title: str) -> str:
    """Return a plot as an SVG element whose ink is the page's."""
    buffer = io.StringIO()
    canvas.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Title": title})
    text = buffer.getvalue()
    return text[text.index("<svg") :].replace(_INK, "currentColor")
