from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from compositional.playbooks.operations import KINDS, apply_operations, operations_schema
from compositional.playbooks.playbook import Playbook
from tests.playbooks.scripted import add

BOOK = Playbook().add("facts", "One.", ["a"]).add("facts", "Two.", ["b"]).add("facts", "3.", ["a"])
HARMFUL = BOOK.count([("str-00002", "harmful")])


def update(entry_id: str, text: str) -> dict[str, Any]:
    return {"type": "UPDATE", "id": entry_id, "text": text}


def merge(*ids: str, text: str = "Both.") -> dict[str, Any]:
    return {"type": "MERGE", "ids": list(ids), "text": text}


def delete(entry_id: str) -> dict[str, Any]:
    return {"type": "DELETE", "id": entry_id}


def test_each_kind_does_what_it_says() -> None:
    done = apply_operations(HARMFUL, [add(" A\nnew one. "), update("str-00001", "First.")], "c")
    assert [(e.id, e.text, e.sources) for e in done.playbook.entries] == [
        ("str-00001", "First.", ("a", "c")),
        ("str-00002", "Two.", ("b",)),
        ("str-00003", "3.", ("a",)),
        ("str-00004", "A new one.", ("c",)),
    ]
    assert done.counts == {"ADD": 1, "UPDATE": 1, "MERGE": 0, "DELETE": 0}
    assert apply_operations(HARMFUL, [delete("str-00002")], "c").playbook.ids == (
        "str-00001",
        "str-00003",
    )


def test_a_merge_takes_the_oldest_place_and_all_counters_and_sources() -> None:
    book = BOOK.count(
        [("str-00001", "helpful"), ("str-00002", "harmful"), ("str-00002", "helpful")]
    )
    done = apply_operations(book, [merge("str-00002", "str-00001", "str-00002")], "c")
    first = done.playbook.entries[0]
    assert (first.id, first.text, first.sources) == ("str-00001", "Both.", ("a", "b", "c"))
    assert (first.helpful, first.harmful) == (2, 1)
    assert done.playbook.ids == ("str-00001", "str-00003")


def test_what_breaks_a_rule_is_refused_and_counted() -> None:
    wrong = [
        add("  \n "),
        update("str-00009", "x"),
        update("str-00001", " "),
        merge("str-00001", "str-00001"),
        merge("str-00001", "str-00009"),
        delete("str-00001"),  # did no harm
        delete("str-00009"),
    ]
    done = apply_operations(HARMFUL, wrong, "c")
    assert done.playbook == HARMFUL
    assert done.refused == len(wrong)
    assert not any(done.counts.values())


def test_a_later_operation_sees_what_an_earlier_one_did() -> None:
    done = apply_operations(BOOK, [merge("str-00001", "str-00002"), update("str-00002", "x")], "c")
    assert done.refused == 1
    assert done.counts["MERGE"] == 1


def test_a_schema_allows_what_can_be_done_and_nothing_else() -> None:
    def fits(book: Playbook, *operations: dict[str, Any]) -> bool:
        return Draft202012Validator(operations_schema(book, 20)).is_valid(list(operations))

    assert fits(BOOK)
    assert fits(BOOK, add("x"), update("str-00001", "x"), merge("str-00001", "str-00002"))
    assert fits(HARMFUL, delete("str-00002"))
    for wrong in (
        add("x" * 21),
        add(""),
        add("x", "rules"),
        update("str-00004", "x"),
        merge("str-00001"),
        delete("str-00001"),
        {"type": "ADD", "section": "facts", "text": {"rule": "x"}},
        {"type": "ADD", "section": "facts"},
        {"add": ["x"]},
    ):
        assert not fits(HARMFUL, wrong), wrong
    assert not fits(HARMFUL, *[add("x")] * 5)
    assert fits(Playbook(), add("x"))
    assert not fits(Playbook(), update("str-00001", "x"))
    assert not Draft202012Validator(operations_schema(BOOK, 20)).is_valid({"update": ["2"]})


IDS = st.sampled_from([f"str-{n:05d}" for n in range(1, 7)])
TEXTS = st.sampled_from(["", "a", "b c"])
OPERATIONS = st.lists(
    st.one_of(
        st.builds(add, TEXTS),
        st.builds(update, IDS, TEXTS),
        st.builds(lambda ids: merge(*ids), st.lists(IDS, min_size=1, max_size=3)),
        st.builds(delete, IDS),
    ),
    max_size=8,
)


@given(OPERATIONS, st.sets(st.sampled_from(HARMFUL.ids)))
def test_any_operations_leave_a_playbook(operations: list[Any], harmed: set[str]) -> None:
    book = BOOK.count((entry_id, "harmful") for entry_id in harmed)
    done = apply_operations(book, operations, "c")
    assert Playbook.from_json(done.playbook.to_json()) == done.playbook
    assert sum(done.counts.values()) + done.refused == len(operations)
    assert set(done.counts) == set(KINDS)
    assert done == apply_operations(book, operations, "c")
    assert replace(done.playbook, entries=()).next_number >= book.next_number
    counted = sum(e.harmful for e in done.playbook.entries)
    assert counted == len(harmed) - done.counts["DELETE"] or done.counts["MERGE"]
