"""The tables of scores: nothing in them depends on when or where a run was made."""

from collections.abc import Sequence

from compositional.columns import ROUND
from compositional.documents.scoring import FALSE_RECALL
from compositional.report.check import LearningCheck
from compositional.report.figures import MethodFigures
from compositional.report.formats import Entry, Table
from compositional.report.labels import (
    FIGURES,
    NOT_MEASURED,
    NOT_SHOWN,
    SCORE_TITLES,
    capitalised,
)
from compositional.report.loading import Experiment
from compositional.resampling import group_examples
from compositional.tasks.benchmark import TOOLS

ALWAYS_SHOWN = 5
"""The first figures of a table of methods stand there even where no run has them."""


def methods_table(
    experiment: Experiment, figures: Sequence[MethodFigures], score_name: str
) -> Table:
    """Return the table of methods of one headline score."""
    shown = [method for method in figures if score_name in method.summaries]
    names: list[str] = []
    lacking: list[str] = []
    for place, name in enumerate(FIGURES):
        values = [method.summaries[score_name].figures[name].value for method in shown]
        measured = any(value is not None for value in values)
        (names if measured or place < ALWAYS_SHOWN else lacking).append(name)
    rows: list[list[Entry]] = [
        [
            method.run.name,
            ", ".join(method.run.sees),
            *(method.summaries[score_name].figures[name] for name in names),
        ]
        for method in shown
    ]
    notes = [experiment.interval_note]
    notes += [
        f"{capitalised(FIGURES[name].title)}: {NOT_MEASURED}; it needs {FIGURES[name].needs}."
        for name in lacking
    ]
    heads = [FIGURES[name].title for name in names]
    title = f"{capitalised(SCORE_TITLES[score_name])} of each method"
    return Table(title, ["run", "sees", *heads], rows, notes)


def scores_table(experiment: Experiment, figures: Sequence[MethodFigures]) -> Table:
    """Return every score of the last row."""
    is_of_tools = experiment.task == TOOLS
    names = [name for name in experiment.measures.names if name != FALSE_RECALL]
    rows: list[list[Entry]] = [
        [
            method.run.name,
            *(method.last_row.get(name, NOT_SHOWN) for name in names),
            *([_num_nonempty(method)] if is_of_tools else []),
        ]
        for method in figures
    ]
    last = ["n with arguments"] if is_of_tools else []
    header = ["run", *(SCORE_TITLES[name] for name in names), *last]
    notes = [experiment.interval_note]
    if any(method.run.only_score for method in figures):
        notes.append("A constant answer is shown for the one score that it was chosen for.")
    return Table("Every score, mean of the last row", header, rows, notes)


def _num_nonempty(method: MethodFigures) -> Entry:
    last = len(method.run.rounds)
    cells = [method.cell(last, name, "argument_f1_nonempty") for name in method.run.rounds]
    if method.run.only_score not in (None, "argument_f1_nonempty"):
        return NOT_SHOWN
    return sum(cell.num_examples for cell in cells if cell is not None)


def columns_table(experiment: Experiment) -> Table:
    """Return the test sets with their sizes."""
    num_groups: dict[tuple[Entry, ...], Entry] = {}
    for run in experiment.finished:
        for column in run.columns:
            rows_asked = run.split if column["kind"] == ROUND else "test"
            sizes = (column["n"], column["num_base_queries"])
            key = (column["name"], column["kind"], rows_asked, *sizes)
            num_groups.setdefault(key, NOT_MEASURED)
            if column["name"] in run.examples:
                groups = group_examples(run.examples[column["name"]].base_ids)
                num_groups[key] = int(groups.max()) + 1
    header = ["test set", "kind", "rows", "n", "distinct base queries", "groups drawn"]
    note = "Examples that share a base query are drawn together."
    return Table("Test sets", header, [[*key, n] for key, n in num_groups.items()], [note])


def _fewest_groups(experiment: Experiment) -> list[str]:
    """Return a note on the column of which the fewest groups are drawn, if any share queries."""
    run = experiment.finished[0]
    num_groups = {
        name: int(group_examples(run.examples[name].base_ids).max()) + 1
        for name in run.rounds
        if name in run.examples
    }
    if not num_groups:
        return []
    name = min(num_groups, key=num_groups.__getitem__)
    size = len(run.examples[name].base_ids)
    if num_groups[name] == size:
        return []
    return [
        f"The fewest independent groups stand in {name}: {num_groups[name]} of {size} examples, "
        "since examples that share a base query are drawn together."
    ]


def check_table(checks: Sequence[LearningCheck], experiment: Experiment) -> Table:
    """Return the check of every trained method against its floor."""
    verdicts = {True: "yes", False: "no", None: NOT_MEASURED}
    rows: list[list[Entry]] = [
        [check.run, check.over_first_row, check.over_floor, verdicts[check.passes]]
        for check in checks
    ]
    floor = "best constant" if experiment.task == TOOLS else "zero-shot"
    header = ["run", "diagonal minus row 0", f"diagonal minus {floor}", "learns"]
    score = capitalised(SCORE_TITLES[experiment.measures.headline[0]])
    notes = [
        f"{score} of the diagonal, pooled over rounds; paired over test examples. A method learns "
        "where the lower ends of both intervals lie above 0.",
        *_fewest_groups(experiment),
        experiment.interval_note,
    ]
    return Table("Does it learn?", header, rows, notes)
