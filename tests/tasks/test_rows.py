import json

import pytest

from compositional.tasks.rows import Row, RowCall, name_words, xlam_row
from tests.tasks.toy_rows import record, row


def test_answers_and_tools_may_be_lists_or_json() -> None:
    plain = record("Ask it", "alpha", {"number": 1})
    as_text = plain | {key: json.dumps(plain[key]) for key in ("answers", "tools")}
    assert xlam_row(plain, "1") == xlam_row(as_text, "1")
    assert xlam_row(plain, "1").tool.parameters["required"] == ["number"]


def test_a_row_with_several_calls_has_no_tool() -> None:
    two = record("Ask both", "alpha")
    two["answers"] *= 2
    assert len(xlam_row(two, "1").calls) == 2
    assert xlam_row(two, "1").tool is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"query": " "}, "query"),
        ({"query": None}, "query"),
        ({"answers": "[{"}, "answers is not JSON"),
        ({"answers": {"name": "alpha"}}, "answers must be a list"),
        ({"answers": [{"name": "", "arguments": {}}]}, "name"),
        ({"answers": [{"name": "alpha", "arguments": "{}"}]}, "arguments of 'alpha'"),
        ({"answers": [{"name": "alpha", "arguments": {"x": float("nan")}}]}, "JSON"),
        ({"answers": [{"name": "beta", "arguments": {}}]}, "'beta'.*not among its tools"),
        ({"tools": None}, "tools must be a list"),
        ({"tools": [{"name": "alpha", "parameters": {"x": 1}}]}, "definition"),
        ({"query": "\ud800"}, "surrogates"),
    ],
)
def test_malformed_rows_say_what_is_wrong(change: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        xlam_row(record("Ask it", "alpha") | change, "1")


def test_queries_compare_in_nfc_lower_case_and_without_runs_of_blanks() -> None:
    assert row("Cafe\u0301  NOW\n", "a").query_key == row("caf\u00e9 now", "a").query_key


def test_gold_compares_without_the_order_of_alternatives() -> None:
    def gold(values: list) -> str:
        return Row("1", "q", (RowCall("a", {"x": values[0]}, {"x": values}),), None).gold_key

    assert gold([1, 2]) == gold([2, 1])
    assert gold([1, 2]) != gold([1, 3])
    assert row("q", "a", {"number": 1}).gold_key != row("q", "b", {"number": 1}).gold_key


def test_content_leaves_the_id_out_and_sorts_keys() -> None:
    assert row("q", "a", {"number": 1}, row_id="7").content == (
        '{"calls":[{"arguments":{"number":1},"name":"a"}],"query":"q"}'
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Hotels_2_SearchHouse", ["hotels", "search", "house"]),
        (
            "version_api.VersionApi.get_version",
            ["version", "api", "version", "api", "get", "version"],
        ),
        ("getHTTPStatus2xx", ["get", "http", "status", "xx"]),
        ("7_8", []),
    ],
)
def test_names_split_into_words(name: str, words: list[str]) -> None:
    assert name_words(name) == words
