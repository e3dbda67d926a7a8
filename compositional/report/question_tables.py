"""Tables of rounds of documents: kinds of questions, false recall, general ability."""

from collections.abc import Sequence

from compositional.columns import GENERAL, UNTAUGHT
from compositional.documents.scoring import FALSE_RECALL
from compositional.report.figures import MethodFigures
from compositional.report.formats import Entry, Table
from compositional.report.further_tables import cell_text, last_row_by, outside_cell
from compositional.report.generality import CHOICE, drift_text, figure_of, kept_scores, perplexity
from compositional.report.labels import NOT_MEASURED, SCORE_TITLES, capitalised
from compositional.report.loading import Experiment


def question_kinds_table(figures: Sequence[MethodFigures], score_name: str) -> Table | None:
    """Return a score of the last row by kind of question; None where all are of one kind."""
    means = {
        method.run.name: last_row_by(method, score_name, lambda cell: cell.kinds)
        for method in figures
    }
    kinds = list(dict.fromkeys(kind for values in means.values() for kind in values))
    if len(kinds) < 2:
        return None
    rows: list[list[Entry]] = [
        [name, *(figure_of(values.get(kind)) for kind in kinds)] for name, values in means.items()
    ]
    title = f"{capitalised(SCORE_TITLES[score_name])} by kind of question, last row"
    note = (
        "Means over the questions of all rounds. In brackets: 95 % intervals over the choice of "
        "questions."
    )
    return Table(title, ["run", *(kind.replace("_", " ") for kind in kinds)], rows, [note])


def documents_outside_table(
    experiment: Experiment, figures: Sequence[MethodFigures]
) -> Table | None:
    """Return what stands outside the matrix after the last round; None where nothing does."""
    runs = [method.run for method in figures]
    has_untaught, has_general = (any(r.has(kind) for r in runs) for kind in (UNTAUGHT, GENERAL))
    has_drift = any(run.drift for run in runs)
    if not (has_untaught or has_general or has_drift):
        return None
    header = ["run"]
    header += ["false recall", "untaught, choice accuracy"] if has_untaught else []
    header += ["general questions", "of those right before"] if has_general else []
    header += ["perplexity of plain texts", "before", "drift (nats)"] if has_drift else []
    rows = []
    for method in figures:
        last = len(method.run.rounds)
        row: list[Entry] = [method.run.name]
        if has_untaught:
            row += [outside_cell(method, last, UNTAUGHT, name) for name in (FALSE_RECALL, CHOICE)]
        if has_general:
            row += [outside_cell(method, last, GENERAL, CHOICE), _kept(method)]
        if has_drift:
            row += [figure_of(perplexity(method, t)) for t in (last, 0)]
            row.append(drift_text(method))
        rows.append(row)
    notes = [
        "After the last round. False recall: answers about documents not taught that equal one "
        "about a taught document. Untaught: choices about them; nothing can be known of them.",
        "General questions: 100 that ship with the project, by choices; of those that were right "
        "under the same method before any round, the share that is right still.",
        "Perplexity: exponential of the mean loss a token over 12 plain texts of the project. "
        "Drift: mean KL of the next-token distribution from the base model's.",
        f"{experiment.interval_note} Those of perplexity and drift: the choice of texts, and of "
        "prompts.",
    ]
    return Table("Outside the matrix", header, rows, notes)


def _kept(method: MethodFigures) -> str:
    """Return the share of the general questions right before any round that are right still."""
    scores = kept_scores(method)
    cell = None if scores is None else method.mean_of(GENERAL, scores)
    if cell is None:
        return NOT_MEASURED
    text = cell_text(cell)
    return text if cell.bound is not None else f"{text} of {cell.num_examples}"
