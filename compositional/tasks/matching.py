"""Which predicted calls are right: acceptance of whole calls, and the best one-to-one pairing.

A gold call lists for each of its arguments the values that are right and whether the argument is
due. Where several calls could be paired with several, the pairing that is best for the method
counts, so that a score depends neither on the order of calls nor on chance.
"""

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from compositional.tasks.types import Call, JsonObject, Skill, Step
from compositional.tasks.values import canonical_value, property_schema


@dataclass(frozen=True)
class GoldArgument:
    """What is right for one argument.

    Attributes:
        right: Canonical forms of the values that are right.
        is_due: Whether it may not be left out.
    """

    right: frozenset[Hashable]
    is_due: bool


@dataclass(frozen=True)
class GoldCall:
    """A call that is expected.

    Attributes:
        name: The tool.
        arguments: What is right for each argument that the call may have.
        schema: JSON Schema of the arguments, by which values are coerced; None if unknown.
        nocase: Whether strings compare in lower case.
    """

    name: str
    arguments: Mapping[str, GoldArgument]
    schema: JsonObject | None
    nocase: bool

    @property
    def num_due(self) -> int:
        """Number of arguments that may not be left out."""
        return sum(argument.is_due for argument in self.arguments.values())

    def is_right(self, name: str, value: object) -> bool:
        """Return whether a value is right for one of the call's arguments."""
        argument = self.arguments.get(name)
        if argument is None:
            return False
        schema = property_schema(self.schema, name)
        return canonical_value(value, schema, nocase=self.nocase) in argument.right

    def accepts(self, call: Call) -> bool:
        """Return whether a call is right as a whole: every argument, none missing or unknown."""
        return (
            call.name == self.name
            and all(self.is_right(name, value) for name, value in call.arguments.items())
            and all(
                name in call.arguments
                for name, argument in self.arguments.items()
                if argument.is_due
            )
        )


def gold_call(step: Step, skills: Mapping[str, Skill], *, nocase: bool = False) -> GoldCall:
    """Return what is right for a step that calls a tool.

    Args:
        step: A step with a tool. Where it has alternatives, an argument is due if its list lacks
            `""`, whatever the schema requires, and any value of its list is right; else each
            argument of its response is due.
        skills: Tools by name; values of a tool that is not among them are not coerced.
        nocase: Whether strings compare in lower case.
    """
    name = step.skill or ""
    schema = skills[name].parameters if name in skills else None
    if step.acceptable is None:
        lists = {key: ([value], True) for key, value in json.loads(step.response).items()}
    else:
        lists = {key: (values, "" not in values) for key, values in step.acceptable.items()}
    arguments = {
        key: GoldArgument(
            right=frozenset(
                canonical_value(value, property_schema(schema, key), nocase=nocase)
                for value in values
            ),
            is_due=is_due,
        )
        for key, (values, is_due) in lists.items()
    }
    return GoldCall(name, arguments, schema, nocase)


def num_accepted(gold: Sequence[GoldCall], calls: Sequence[Call]) -> int:
    """Return the size of the largest one-to-one matching of calls to gold calls that accept them.

    It is the maximum bipartite matching of the graph of acceptance, found as an assignment.
    """
    return round(_best_total([[float(g.accepts(call)) for call in calls] for g in gold]))


@dataclass(frozen=True)
class SlotCounts:
    """(argument, value) slots of an example.

    Attributes:
        num_right: Slots of paired calls that are right.
        num_gold: Slots that are expected.
        num_predicted: Slots that are given.
    """

    num_right: int
    num_gold: int
    num_predicted: int


def count_slots(gold: Sequence[GoldCall], calls: Sequence[Call]) -> SlotCounts:
    """Pair calls of the same tool so that the most slots are right, and count.

    An argument that may be left out, and that the paired call leaves out, counts on neither side;
    so it is where no call is paired. A call without arguments is one slot (tool, none). Among
    pairings with equally many right slots the one with the fewest gold slots counts.
    """
    num_predicted = sum(max(1, len(call.arguments)) for call in calls)
    num_right = 0
    num_gold = 0
    for name in sorted({g.name for g in gold}):
        same_gold = [g for g in gold if g.name == name]
        same_calls = [call for call in calls if call.name == name]
        base = sum(max(1, g.num_due) for g in same_gold)
        scale = 1 + base + sum(len(g.arguments) for g in same_gold)
        gains = []
        for g in same_gold:
            pairs = [_paired_slots(g, call) for call in same_calls]
            gains.append(
                [float(right * scale - (slots - max(1, g.num_due))) for right, slots in pairs]
            )
        total = round(_best_total(gains))
        right = -(-total // scale)
        num_right += right
        num_gold += base + right * scale - total
    return SlotCounts(num_right, num_gold, num_predicted)


def _paired_slots(gold: GoldCall, call: Call) -> tuple[int, int]:
    """Return how many slots of a paired call are right, and how many its gold call has."""
    if not call.arguments and not gold.num_due:
        return 1, 1
    num_right = sum(gold.is_right(name, value) for name, value in call.arguments.items())
    num_gold = sum(
        argument.is_due or name in call.arguments for name, argument in gold.arguments.items()
    )
    return num_right, max(1, num_gold)


def _best_total(weights: Sequence[Sequence[float]]) -> float:
    """Return the largest sum of weights over one-to-one pairings of rows with columns."""
    matrix = np.array(weights, dtype=float)
    if matrix.size == 0:
        return 0.0
    rows, columns = linear_sum_assignment(matrix, maximize=True)
    return float(matrix[rows, columns].sum())


def multiset_overlap(first: Iterable[Hashable], second: Iterable[Hashable]) -> int:
    """Return how many elements two multisets share."""
    return (Counter(first) & Counter(second)).total()
