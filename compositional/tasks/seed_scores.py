"""The figures of TokMem's own evaluation, kept beside ours so that its tables can be read.

They count over sets, so that a repeated call is free; they compare arguments as sorted JSON
without their tool, so that right arguments of a wrong tool score; and they count unparsed calls
rather than unparsed examples, so that their parse error rate may exceed 1.
"""

import json
from collections.abc import Sequence, Set

from compositional.files import canonical_json
from compositional.tasks.types import Prediction, Step


def seed_scores(steps: Sequence[Step], prediction: Prediction) -> dict[str, float]:
    """Score one example as TokMem's `eval.py` does.

    Args:
        steps: The expected calls. Alternatives are not looked at.
        prediction: The answer. Of an unparsed one the readable tools and the parts that parse
            count.

    Returns:
        `seed_tool_f1`, `seed_argument_f1`, `seed_exact_match` and `seed_parse_error_rate`.
    """
    if prediction.calls is None:
        tools: Sequence[str] = prediction.tools
        parts = prediction.parts or (None,)
    else:
        tools = [call.name for call in prediction.calls]
        parts = prediction.calls
    expected = sorted(canonical_json(json.loads(step.response)) for step in steps)
    given = sorted(canonical_json(part.arguments) for part in parts if part is not None)
    num_unparsed = len(parts) - len(given)
    return {
        "seed_tool_f1": _set_f1({step.skill for step in steps}, set(tools)),
        "seed_argument_f1": _set_f1(set(expected), set(given), num_unparsed),
        "seed_exact_match": float(not num_unparsed and given == expected),
        "seed_parse_error_rate": float(num_unparsed),
    }


def _set_f1(expected: Set[str | None], given: Set[str | None], num_more: int = 0) -> float:
    """Return the F1 of two sets, the second with some more elements; 1 where both are empty."""
    total = len(expected) + len(given) + num_more
    return 2 * len(expected & given) / total if total else 1.0
