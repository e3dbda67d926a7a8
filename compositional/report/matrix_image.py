"""A picture of retention matrices that stands by itself, for a README or a paper."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure as Canvas
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.typing import RcKeyType

from compositional.errors import ResultsError
from compositional.files import atomic_path
from compositional.report.formats import number
from compositional.report.labels import SCORE_TITLES, capitalised, row_title
from compositional.report.run_view import RunView
from compositional.results import FINISHED, RunFolder
from compositional.retention import RetentionMatrix

# One hue from light to dark: read alike with any colour vision, and in grey.
_SCALE = LinearSegmentedColormap.from_list("heat", ["#f6f7f9", "#0b4a8f"])
_STYLE: dict[RcKeyType, Any] = {"font.size": 10, "text.parse_math": False, "hatch.linewidth": 0.6}


def save_matrix_png(
    runs: Sequence[Path],
    path: Path,
    score_name: str = "tool_f1",
    titles: Sequence[str] | None = None,
) -> None:
    """Draw the matrices of some finished runs side by side.

    Args:
        runs: Their folders.
        path: The PNG to write.
        score_name: Which score, in 0..1.
        titles: What stands above each; the runs' names by default.

    Raises:
        ResultsError: If a run is not finished or lacks the score.
    """
    matrices = [_read_matrix(folder, score_name) for folder in runs]
    names = list(titles or [folder.name for folder in runs])
    with mpl.rc_context(_STYLE):
        widths = [1.0 + 0.85 * len(columns) for columns, _ in matrices]
        height = 1.3 + 0.5 * max(matrix.num_rounds + 1 for _, matrix in matrices)
        layout = ConstrainedLayoutEngine(wspace=0.06)
        canvas = Canvas(figsize=(sum(widths) + 0.8, height), layout=layout, facecolor="w")
        panels = canvas.subplots(1, len(runs), width_ratios=widths, squeeze=False)[0]
        for axes, name, (columns, matrix) in zip(panels, names, matrices, strict=True):
            _draw(axes, matrix, columns)
            axes.set_title(name, fontweight="bold", pad=10)
        for axes in panels[1:]:
            axes.tick_params(labelleft=False)
        canvas.suptitle(
            f"{capitalised(SCORE_TITLES[score_name])} on each test set as rounds are taught"
        )
        buffer = io.BytesIO()
        canvas.savefig(buffer, format="png", dpi=160, metadata={"Software": None})
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def _read_matrix(folder: Path, score_name: str) -> tuple[tuple[str, ...], RetentionMatrix]:
    files = RunFolder(folder)
    if files.status() != FINISHED:
        raise ResultsError(f"{folder} holds no finished run: its status is {files.status()}")
    run = RunView(folder.name, files, files.result(), is_published=False)
    by_column = run.result["matrices"].get(score_name)
    if by_column is None:
        known = ", ".join(run.result["matrices"])
        raise ResultsError(f"{folder} has no score {score_name!r}; it has {known}")
    cells = {
        (int(row), i): value
        for i, name in enumerate(run.rounds, start=1)
        for row, value in by_column[name].items()
    }
    return run.rounds, RetentionMatrix.from_cells(cells, len(run.rounds))


def _draw(axes: Axes, matrix: RetentionMatrix, columns: Sequence[str]) -> None:
    values = np.ma.masked_invalid(matrix.values)
    axes.set_facecolor("#f0f0f0")
    axes.patch.set_hatch("////")
    axes.patch.set_edgecolor("#d0d0d0")
    axes.imshow(values, cmap=_SCALE, vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(matrix.values):
        if not np.isnan(value):
            colour = "white" if value > 0.62 else "#102030"
            axes.text(column, row, number(value), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(columns) + 1), [row_title(row) for row in range(len(columns) + 1)])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(0.5, len(columns) - 1), minor=True)
    axes.set_yticks(np.arange(0.5, len(columns)), minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
