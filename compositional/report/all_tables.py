"""All tables of an experiment, computed once for what is printed, written and shown on the page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from compositional.report.across import PAIRS_BRIEF, orders_table, pairs_table
from compositional.report.check import LearningCheck
from compositional.report.comparison import comparison_table, narrow
from compositional.report.figures import MethodFigures
from compositional.report.formats import Table
from compositional.report.further_tables import num_calls_table, outside_table, retention_table
from compositional.report.loading import Experiment
from compositional.report.provenance import others_table
from compositional.report.question_tables import documents_outside_table, question_kinds_table
from compositional.report.seeds import SEEDS_BRIEF, seeds_table
from compositional.report.tables import check_table, columns_table, methods_table, scores_table
from compositional.tasks.benchmark import TOOLS


@dataclass(frozen=True)
class Tables:
    """The tables of an experiment; None, or none, where there is nothing to show.

    Attributes:
        comparison: A row a method, in rounds of documents.
        methods: One for each headline score.
        check: Whether each method learns.
        others: Runs without a result.
        outside: What stands outside the matrix.
        across: Means over seeds, pairs of methods, orders of rounds.
        across_brief: The same for one headline score and in fewer columns.
        retention: Retention by age, for each headline score.
        scores: Every score.
        by_kind: Scores by the number of calls or by the kind of question, for each headline score.
        columns: The test sets.
    """

    comparison: Table | None
    methods: list[Table]
    check: Table | None
    others: Table | None
    outside: Table | None
    across: list[Table]
    across_brief: list[Table]
    retention: list[Table]
    scores: Table
    by_kind: list[Table]
    columns: Table

    @property
    def compared(self) -> list[Table]:
        """What is printed first."""
        return [] if self.comparison is None else narrow(self.comparison)

    @property
    def headline(self) -> list[Table]:
        """What is printed then."""
        return [*self._of_runs, *self.across_brief]

    @property
    def _of_runs(self) -> list[Table]:
        """The first tables, a row a run."""
        shown = [*(table for table in self.methods if table.rows), self.check, self.others]
        return [table for table in [*shown, self.outside] if table is not None]

    @property
    def all(self) -> list[Table]:
        """What is written."""
        return [
            *([] if self.comparison is None else [self.comparison]),
            *self._of_runs,
            *self.across,
            *self.retention,
            self.scores,
            *self.by_kind,
            self.columns,
        ]


def all_tables(
    experiment: Experiment, figures: Sequence[MethodFigures], checks: Sequence[LearningCheck]
) -> Tables:
    """Compute the tables of an experiment.

    Args:
        experiment: Its runs.
        figures: The figures of each finished run.
        checks: Whether each of them learns.
    """
    headline = experiment.measures.headline

    def each(table_of: Callable[[str], Table | None]) -> list[Table]:
        """Return the tables of the headline scores that have one."""
        tables = [table_of(name) for name in headline]
        return [table for table in tables if table is not None]

    seeds = each(lambda name: seeds_table(figures, name))
    pairs = each(lambda name: pairs_table(figures, name))
    orders = each(lambda name: orders_table(figures, name))
    return Tables(
        comparison=None if experiment.task == TOOLS else comparison_table(figures),
        methods=each(lambda name: methods_table(experiment, figures, name)),
        check=check_table(checks, experiment) if checks else None,
        others=others_table(experiment),
        outside=(
            outside_table(experiment, figures)
            if experiment.task == TOOLS
            else documents_outside_table(experiment, figures)
        ),
        across=[*seeds, *pairs, *orders],
        across_brief=[
            *(table.brief(SEEDS_BRIEF) for table in seeds[:1]),
            *(table.brief(PAIRS_BRIEF) for table in pairs[:1]),
            *(table.brief(table.header) for table in orders[:1]),
        ],
        retention=each(lambda name: retention_table(experiment, figures, name)),
        scores=scores_table(experiment, figures),
        by_kind=each(
            lambda name: (
                num_calls_table(figures, name)
                if experiment.task == TOOLS
                else question_kinds_table(figures, name)
            )
        ),
        columns=columns_table(experiment),
    )
