"""Values: what counts as the same, by hand and against a slow pairwise comparison."""

import math
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compositional.tasks.values import canonical_value, property_schema

INTEGER = {"type": "integer"}
NUMBER = {"type": "number"}
STRING = {"type": "string"}
BOOLEAN = {"type": "boolean"}


def same(first: Any, second: Any, schema: Any = None, *, nocase: bool = False) -> bool:
    return canonical_value(first, schema, nocase=nocase) == canonical_value(
        second, schema, nocase=nocase
    )


@pytest.mark.parametrize(
    ("first", "second", "schema", "expected"),
    [
        (1, 1.0, None, True),
        (1, 1.5, None, False),
        ("1", 1, None, False),
        (True, 1, None, False),
        (False, 0.0, None, False),
        (None, "null", None, False),
        (None, False, None, False),
        ("  Paris\n", "Paris", None, True),
        ("Paris", "paris", None, False),
        ("e\u0301t\u00e9", "\u00e9te\u0301", None, True),
        ([1, 2], [2, 1], None, False),
        ({"a": 1, "b": [True]}, {"b": [True], "a": 1.0}, None, True),
        ({"a": 1}, {"a": True}, None, False),
        ({"a": 1}, {"a": 1, "b": None}, None, False),
        ([], {}, None, False),
        (2**53, float(2**53) + 2, None, False),
        ("5", 5, INTEGER, True),
        (" 5.0 ", 5, INTEGER, True),
        ("5.5", 5.5, INTEGER, True),
        ("five", 5, INTEGER, False),
        ("05", 5, INTEGER, False),
        ("NaN", "nan", NUMBER, False),
        ("1e999", "Infinity", NUMBER, False),
        ("true", 1, INTEGER, False),
        (True, 1, INTEGER, False),
        ("1e1", 10, NUMBER, True),
        ("true", True, BOOLEAN, True),
        ("False", False, BOOLEAN, True),
        (1, True, BOOLEAN, False),
        ("1", True, BOOLEAN, False),
        (94103, "94103", STRING, True),
        (5.0, "5", STRING, True),
        (5.5, "5.5", STRING, True),
        (True, "true", STRING, True),
        (True, 1, STRING, False),
        ("5", "5.0", STRING, False),
        (["a"], '["a"]', STRING, False),
        ('["a"]', ["a"], {"type": "array"}, True),
        ('{"a": 1}', {"a": 1}, {"type": "object"}, True),
        ('{"a": 1}', ["a"], {"type": "array"}, False),
        (["1", 2], [1, "2"], {"type": "array", "items": INTEGER}, True),
        (["1", 2], [1, 2], {"type": "array"}, False),
        (["1", "2"], [1, "2"], {"type": "array", "prefixItems": [INTEGER]}, True),
        ({"n": "3"}, {"n": 3}, {"type": "object", "properties": {"n": INTEGER}}, True),
        ({"m": "3"}, {"m": 3}, {"type": "object", "properties": {"n": INTEGER}}, False),
        ({"m": "3"}, {"m": 3}, {"type": "object", "additionalProperties": INTEGER}, True),
        ("5", 5, {"type": ["null", "integer"]}, True),
        ("5", 5, {"type": ["integer", "string"]}, False),
        ("5", 5, {"anyOf": [{"type": "null"}, INTEGER]}, True),
        ([1, "2"], ["1", 2], {"oneOf": [STRING, {"type": "array", "items": STRING}]}, True),
        ("5", 5, {}, False),
        ("5", 5, {"type": "any"}, False),
        (None, "null", {"type": "null"}, False),
    ],
)
def test_what_counts_as_the_same(first: Any, second: Any, schema: Any, expected: bool) -> None:
    assert same(first, second, schema) is expected
    assert same(second, first, schema) is expected


def test_nocase_lowers_strings_at_any_depth_but_no_keys() -> None:
    assert same(["Paris", {"a": "X"}], ["PARIS", {"a": "x"}], nocase=True)
    assert not same({"A": "x"}, {"a": "x"}, nocase=True)


def test_the_schema_of_a_property() -> None:
    schema = {"properties": {"a": INTEGER, "odd": True}, "additionalProperties": False}
    assert property_schema(schema, "a") == INTEGER
    assert property_schema(schema, "odd") is None
    assert property_schema(schema, "b") is None
    assert property_schema(None, "a") is None


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from([0.0, -0.0, 1.0, 0.5, 1e300])
    | st.sampled_from(["", " ", "a", "A", " a", "1", "true", "\u00e9", "e\u0301"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=6,
)


def slow_same(first: Any, second: Any) -> bool:
    """Compare two values by walking through both, without a schema."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, int | float) and isinstance(second, int | float):
        return math.isclose(first, second, rel_tol=0, abs_tol=0)
    if isinstance(first, str) and isinstance(second, str):
        return (
            unicodedata.normalize("NFC", first).strip()
            == unicodedata.normalize("NFC", second).strip()
        )
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(slow_same, first, second))
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(slow_same(first[k], second[k]) for k in first)
    return first is None and second is None


@given(JSON_VALUES, JSON_VALUES)
def test_equal_forms_are_equal_values(first: Any, second: Any) -> None:
    assert same(first, second) is slow_same(first, second)


SCHEMAS = st.sampled_from(
    [
        None,
        INTEGER,
        NUMBER,
        STRING,
        BOOLEAN,
        {"type": "array", "items": INTEGER},
        {"type": "object", "properties": {"a": STRING}},
    ]
)


@given(JSON_VALUES, JSON_VALUES, SCHEMAS)
def test_coercion_parts_no_values_that_are_equal_without_it(
    first: Any, second: Any, schema: Any
) -> None:
    if same(first, second):
        assert same(first, second, schema)
