"""Parsing: what is a call, what is not, and what leaves an answer unparsed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compositional.tasks.parsing import MAX_DEPTH, parse_arguments, parse_text_calls
from compositional.tasks.types import Call

A = '{"name": "a", "arguments": {"x": 1}}'
B = '{"name": "b", "arguments": {}}'
CALLS = (Call("a", {"x": 1}), Call("b", {}))


@pytest.mark.parametrize(
    "text",
    [
        f"{A}\n{B}",
        f"  {A}\r\n\n\t{B}\n",
        f"Two calls are needed.\n{A}\nand then\n{B}\nDone.",
        f"```json\n{A}\n{B}\n```",
        f"```{A}```\n~~~\n{B}\n~~~",
        f"[{A}, {B}]",
        f"[{A}, {B}]\nThat is all.",
        f"Calls:\n```\n[\n  {A},\n  {B}\n]\n```",
        f"[{A},\n{B}",
        f"[{A},\nand\n{B}]",
        json.dumps([json.loads(A), json.loads(B)], indent=2),
        f"[1] As the manual says:\n{A}\n{B}",
        f"[{A}]\n[{B}]",
    ],
)
def test_calls_are_read_through_fences_lists_and_other_lines(text: str) -> None:
    parsed = parse_text_calls(text)
    assert parsed.calls == CALLS
    assert parsed.tools == ("a", "b")
    assert parsed.parts == ()


@pytest.mark.parametrize(
    "text", ["", "\n", "I cannot do that.", "[]", "```json\n```", 'See {"name": "a"}', "[1, 2]"]
)
def test_an_answer_without_a_line_that_begins_a_call_is_no_call(text: str) -> None:
    parsed = parse_text_calls(text)
    assert parsed.calls == ()
    assert parsed.tools == ()


@pytest.mark.parametrize(
    ("bad", "tools"),
    [
        ("{", ()),
        ("{}", ()),
        ('{"name": "c"}', ("c",)),
        ('{"name": "c", "arguments": {"x": ', ("c",)),
        ('{"name": "c", "arguments": {"x": 1}', ("c",)),
        ('{"name": "c", "arguments": "x"}', ("c",)),
        ('{"name": "c", "arguments": {"x": NaN}}', ("c",)),
        ('{"name": "c", "arguments": {"x": 1e999}}', ("c",)),
        ('{"name": "c", "arguments": {"x": 1, "x": 2}}', ("c",)),
        ('{"name": "c", "arguments": {"x": "\\ud83d"}}', ("c",)),
        ('{"name": "c", "arguments": {}} and more', ("c",)),
        ('{"name": "c", "arguments": {}},', ("c",)),
        ('{"name": "c', ()),
        ('{"name": 3, "arguments": {}}', ()),
        ('{"name": "\\ud83d", "arguments": {}}', ()),
        ('{"arguments": {"name": "x"}, "name": "c" "id"}', ("c",)),
        ('{"arguments": {"name": "x", }, "name": "c"}', ()),
        ('{"name": "c", "arguments": ' + "[" * 5000, ("c",)),
        ('{"name": "c", "arguments": {"x": ' + "1" * 5000 + "}}", ("c",)),
    ],
)
def test_one_call_that_does_not_parse_leaves_the_answer_unparsed(
    bad: str, tools: tuple[str, ...]
) -> None:
    parsed = parse_text_calls(f"{A}\n{bad}")
    assert parsed.calls is None
    assert parsed.tools == ("a", *tools)
    assert parsed.parts == (CALLS[0], None)


def test_an_object_over_several_lines_is_no_call_outside_a_list() -> None:
    assert parse_text_calls(json.dumps(json.loads(A), indent=2)).calls is None


def test_a_broken_element_of_a_list_leaves_the_answer_unparsed() -> None:
    parsed = parse_text_calls(f'[{A}, {{"name": "b", "arguments": {{"x"}}}}]')
    assert parsed.calls is None
    assert parsed.tools == ("a", "b")
    assert parse_text_calls(f"[{A} {B}]").calls is None


def test_more_keys_are_allowed_beside_name_and_arguments() -> None:
    assert parse_text_calls('{"id": 1, "name": "b", "arguments": {}}').calls == (Call("b", {}),)


def test_arguments_are_one_json_object() -> None:
    assert parse_arguments(' {"x": {"y": [1, null]}}\n') == {"x": {"y": [1, None]}}
    for text in ("", "[]", "null", "{} {}", "{'x': 1}", '{"x": Infinity}', '{"x": 1} end'):
        assert parse_arguments(text) is None


def test_nesting_has_a_limit() -> None:
    def nested(depth: int) -> str:
        return '{"x": ' * (depth - 1) + "{}" + "}" * (depth - 1)

    assert parse_arguments(nested(MAX_DEPTH)) is not None
    assert parse_arguments(nested(MAX_DEPTH + 1)) is None


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
CALL_LISTS = st.lists(st.builds(Call, TEXT, st.dictionaries(TEXT, VALUES, max_size=3)), max_size=3)


@given(CALL_LISTS, st.booleans(), st.sampled_from([None, 2]))
def test_what_is_written_is_read_back(
    calls: list[Call], ensure_ascii: bool, indent: int | None
) -> None:
    objects = [{"name": call.name, "arguments": call.arguments} for call in calls]
    lines = "\n".join(json.dumps(value, ensure_ascii=ensure_ascii) for value in objects)
    as_list = json.dumps(objects, ensure_ascii=ensure_ascii, indent=indent)
    for text in (lines, as_list, f"```json\n{as_list}\n```"):
        parsed = parse_text_calls(text)
        assert parsed.calls == tuple(calls)
        assert parsed.tools == tuple(call.name for call in calls)


@given(st.text(alphabet='{}[]",:\\ \nname`arguments0x\ud83d', max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    parsed = parse_text_calls(text)
    assert (parsed.calls is None) == (None in parsed.parts)


@given(CALL_LISTS.filter(bool), st.data())
def test_a_call_that_is_cut_off_leaves_the_answer_unparsed(
    calls: list[Call], data: st.DataObject
) -> None:
    objects = [json.dumps({"name": c.name, "arguments": c.arguments}) for c in calls]
    keep = data.draw(st.integers(1, len(objects[-1]) - 1))
    text = "\n".join([*objects[:-1], objects[-1][:keep]])
    assert parse_text_calls(text).calls is None
