import copy

import pytest

from compositional.errors import ResultsError
from compositional.playbooks.playbook import Entry, Playbook, one_line

BOOK = (
    Playbook()
    .add("strategies", "Read twice.", ["a"])
    .add("facts", "Kor built the mill.", ["a"])
    .add("facts", "The mill makes paper.", ["b"])
)


def test_it_is_shown_with_ids_and_counters_by_section() -> None:
    book = BOOK.count(
        [("str-00002", "helpful"), ("str-00002", "helpful"), ("str-00003", "harmful")]
    )
    assert book.render() == (
        "## facts\n"
        "[str-00002] helpful=2 harmful=0 :: Kor built the mill.\n"
        "[str-00003] helpful=0 harmful=1 :: The mill makes paper.\n"
        "## strategies\n"
        "[str-00001] helpful=0 harmful=0 :: Read twice."
    )
    assert Playbook().render() == ""


def test_an_id_is_never_given_twice() -> None:
    book = BOOK.without(["str-00003"]).add("facts", "New.", ["c"])
    assert book.ids == ("str-00001", "str-00002", "str-00004")
    assert BOOK.ids == ("str-00001", "str-00002", "str-00003")  # what it was stays as it was


def test_neutral_tags_and_unknown_ids_count_nothing() -> None:
    assert BOOK.count([("str-00001", "neutral"), ("str-00009", "helpful")]) == BOOK


def test_a_score_is_helpful_less_harmful() -> None:
    entry = Entry("str-00012", "facts", "x", ("a",), helpful=2, harmful=5)
    assert (entry.score, entry.number) == (-3, 12)


def test_json_gives_it_back() -> None:
    assert Playbook.from_json(copy.deepcopy(BOOK.to_json())) == BOOK
    assert Playbook.from_json(Playbook().to_json()) == Playbook()


def test_what_is_no_playbook_is_refused_with_its_place() -> None:
    def changed(**over: object) -> dict[str, object]:
        value = copy.deepcopy(BOOK.to_json())
        value["entries"][0] |= over
        return value

    cases = [
        ([], r"\$: \[\] is not of type 'object'"),
        ({"entries": []}, "'next_number' is a required property"),
        (changed(section="rules"), r"entries\[0\]\.section: 'rules' is not one of"),
        (changed(id="../x"), r"entries\[0\]\.id"),
        (changed(helpful=-1), r"entries\[0\]\.helpful"),
        (changed(sources=[]), r"entries\[0\]\.sources"),
        (changed(id="str-00002"), "two entries share an id"),
        (changed(id="str-00009"), "next_number 4 is not above"),
    ]
    for value, message in cases:
        with pytest.raises(ResultsError, match=message):
            Playbook.from_json(value)


def test_a_text_is_one_line() -> None:
    assert one_line("  a\n\n b\tc ") == "a b c"
