"""Requests for calls as JSON, for the buffers that methods keep between rounds."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from compositional.files import canonical_json
from compositional.tasks.types import Example, Step

FIELDS = ("id", "query", "steps", "round", "base_ids")


def example_to_json(example: Example) -> dict[str, Any]:
    """Return a request for calls as a JSON object."""
    return {name: value for name, value in asdict(example).items() if name in FIELDS}


def example_from_json(value: dict[str, Any]) -> Example:
    """Return the example that `example_to_json` wrote."""
    steps = tuple(Step(**step) for step in value["steps"])
    return Example(**{**value, "steps": steps, "base_ids": tuple(value["base_ids"])})


def stored_bytes(examples: Sequence[Example]) -> int:
    """Return the bytes that examples take as JSON, as the budget counts them."""
    return sum(len(canonical_json(example_to_json(example)).encode()) for example in examples)
