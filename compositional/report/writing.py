"""The report of an experiment: what is printed and which files are written."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from compositional.errors import check_choice
from compositional.files import write_text
from compositional.intervals import Figure
from compositional.report.all_tables import all_tables
from compositional.report.check import learning_checks
from compositional.report.costs import cost_of, costs_csv, costs_table
from compositional.report.figures import MethodFigures, all_figures
from compositional.report.formats import Table, csv_text, latex, markdown
from compositional.report.loading import load_experiment
from compositional.report.method_costs import method_costs
from compositional.report.page import render_page
from compositional.report.terminal import matrices_text

PAGE = "report.html"
RENDERERS: dict[str, Callable[[Sequence[Table]], str]] = {"markdown": markdown, "latex": latex}
SUFFIXES = {"markdown": "md", "latex": "tex", "csv": "csv"}


def write_report(
    folder: Path,
    table_format: str = "markdown",
    page: Path | None = None,
    published: Path | None = None,
) -> None:
    """Print the matrices and the first tables, and write the page and all tables.

    In rounds of documents the tables with a row a method are printed before all else.

    Beside the page stand `scores.md` and `costs.md` (`x-scores.md` beside `x.html`), and where
    another format is asked for the same tables in it. The file of scores holds nothing that
    depends on when or where a run was made.

    Args:
        folder: `results/<experiment>`.
        table_format: `markdown`, `latex` or `csv`; in the latter two only the table is printed.
        page: The page; `report.html` in the folder by default.
        published: A folder of further finished runs; those in the results go before them.

    Raises:
        ConfigError: If the format is unknown.
        ResultsError: If there is no finished run.
    """
    check_choice("table format", table_format, SUFFIXES)
    experiment = load_experiment(folder, published)
    figures = all_figures(experiment)
    checks = learning_checks(figures)
    costs = [cost_of(run) for run in experiment.finished]
    page = page or folder / PAGE

    tables = all_tables(experiment, figures, checks)
    costs_of_methods = method_costs(experiment, figures)
    for name in dict.fromkeys(["markdown", table_format]):
        suffix = SUFFIXES[name]
        if name == "csv":
            scores, spent = scores_csv(figures), costs_csv(costs)
        else:
            render = RENDERERS[name]
            scores = render(tables.all)
            spent = render([*costs_of_methods, costs_table(costs)])
        write_text(_beside(page, f"scores.{suffix}"), scores)
        write_text(_beside(page, f"costs.{suffix}"), spent)
    write_text(page, render_page(experiment, figures, checks, costs, tables))

    if table_format == "csv":
        print(scores_csv(figures), end="")
    else:
        render = RENDERERS[table_format]
        if tables.compared:
            print(render([*tables.compared, *costs_of_methods]))
        if table_format == "markdown":
            print(matrices_text(figures))
        print(render(tables.headline))
    others = f"all tables: {_beside(page, 'scores.md')}; costs: {_beside(page, 'costs.md')}"
    print(f"report: {page}; {others}", file=sys.stderr)


def _beside(page: Path, name: str) -> Path:
    """Return a file beside a page; a page that the user names lends it its own name."""
    return page.with_name(name if page.name == PAGE else f"{page.stem}-{name}")


def scores_csv(figures: Sequence[MethodFigures]) -> str:
    """Return every figure as CSV, a line each; a value that was not measured is empty.

    `columns` is the number of columns in a mean that leaves some out: retention at an age.
    """
    header = ["run", "method", "sees", "seed", "score", "figure", "value", "low", "high", "columns"]
    rows: list[list[object]] = []
    for method in figures:
        run = method.run
        for score_name, last_row in method.last_row.items():
            named = {"average_accuracy": last_row}
            num_columns: dict[str, int] = {}
            if summary := method.summaries.get(score_name):
                named |= summary.figures
                for age in summary.retention_by_age:
                    named[f"retention_at_age_{age.age}"] = age.figure
                    num_columns[f"retention_at_age_{age.age}"] = age.num_columns
                named |= {
                    f"forgetting_after_round_{t}": figure
                    for t, figure in enumerate(summary.forgetting_by_round, start=1)
                }
            start = [run.name, run.method_title, "+".join(run.sees), run.seed, score_name]
            rows += [
                [*start, name, *_numbers(figure), num_columns.get(name)]
                for name, figure in named.items()
            ]
    return csv_text(header, rows)


def _numbers(figure: Figure) -> list[float | None]:
    """Return value, low and high to nine decimals, beyond which a sum's order may show."""
    interval = figure.interval
    ends = (None, None) if interval is None else (interval.low, interval.high)
    return [None if value is None else round(value, 9) for value in (figure.value, *ends)]
