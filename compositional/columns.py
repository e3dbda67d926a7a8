"""The columns of a run: each round's test set, and those that stand outside the matrix."""

from dataclasses import dataclass

from compositional.errors import DataError
from compositional.settings import EvaluationConfig
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.types import Example

ROUND, MIXED, UNANSWERABLE = "round", "mixed", "unanswerable"
UNTAUGHT, GENERAL = "untaught", "general"


@dataclass(frozen=True)
class Column:
    """A test set.

    Attributes:
        name: Its name in files and tables, for example `tools2-4`.
        kind: `round`, `mixed` (queries of tools of different rounds), `unanswerable`, `untaught`
            (questions about documents that no round teaches) or `general` (general knowledge).
        index: Position of its round, from 1; 0 outside the matrix.
        examples: What is asked.
    """

    name: str
    kind: str
    index: int
    examples: tuple[Example, ...]

    @property
    def num_base_queries(self) -> int:
        """Number of distinct base queries in it."""
        return len({base for example in self.examples for base in example.base_ids})


def columns_of(benchmark: Benchmark, evaluation: EvaluationConfig) -> list[Column]:
    """Return the rounds' columns in the order taught, then those outside the matrix.

    Raises:
        DataError: If a round's set is empty.
    """
    split, first = evaluation.split, slice(evaluation.max_examples)
    columns = [Column(r.name, ROUND, r.index, getattr(r, split)[first]) for r in benchmark.rounds]
    for column in columns:
        if not column.examples:
            raise DataError(f"the {split} set of {column.name} is empty")
    outside = {
        MIXED: benchmark.mixed,
        UNANSWERABLE: benchmark.unanswerable,
        UNTAUGHT: benchmark.untaught,
        GENERAL: benchmark.general,
    }
    columns += [Column(kind, kind, 0, found[first]) for kind, found in outside.items() if found]
    return columns


def due(
    columns: list[Column], row: int, num_rounds: int, evaluation: EvaluationConfig
) -> list[Column]:
    """Return the columns that are scored after a round (row 0: before any).

    Row 0 takes every round's column. A later row takes the rounds so far, the next one or all
    future ones where asked. `mixed` is due in the last row, `untaught` and `general` in the first
    and the last, `unanswerable` in every row.

    Args:
        columns: All columns.
        row: Rounds learned, from 0.
        num_rounds: T.
        evaluation: Which cells are asked for.
    """

    def is_due(column: Column) -> bool:
        if column.kind == MIXED:
            return row == num_rounds
        if column.kind in (UNTAUGHT, GENERAL):
            return row in (0, num_rounds)
        if column.kind == UNANSWERABLE or row == 0:
            return True
        if column.index < row and not evaluation.past_rounds:
            return False
        ahead = num_rounds if evaluation.future_rounds else int(evaluation.next_round)
        return column.index <= row + ahead

    skipped = not evaluation.first_row if row == 0 else not evaluation.every_round
    if skipped and row < num_rounds:
        return []
    return [column for column in columns if is_due(column)]


def is_generated(column: Column, row: int, num_rounds: int, *, at_ends: bool) -> bool:
    """Whether a cell's answers are generated, beside the likelihoods of choices.

    Args:
        column: The test set.
        row: Rounds learned.
        num_rounds: T.
        at_ends: Whether only a round's own row and the last one are.
    """
    return not at_ends or row == num_rounds or (column.kind == ROUND and row == column.index)
