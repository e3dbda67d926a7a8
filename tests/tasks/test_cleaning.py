import numpy as np

from compositional.tasks.cleaning import clean, name_twins
from compositional.tasks.rows import Row, RowCall, name_words
from tests.tasks.toy_rows import row


def test_the_same_query_under_the_same_gold_stands_once() -> None:
    rows = [row("Ask it", "alpha", row_id="1"), row(" ask  IT", "alpha", row_id="2")]
    cleaned = clean(rows)
    assert [kept.id for kept in cleaned.rows] == ["1"]
    assert cleaned.counts["duplicate_rows"] == 1


def test_the_same_query_under_different_gold_is_dropped_with_all_its_rows() -> None:
    rows = [
        row("Ask it", "alpha", {"number": 1}),
        row("Ask it", "alpha", {"number": 1}),
        row("ask it", "bravo", {"number": 1}),
        row("Other", "alpha", {"number": 2}),
        row("other", "alpha", {"number": 3}),
        row("Stays", "alpha"),
    ]
    cleaned = clean(rows)
    assert [kept.query for kept in cleaned.rows] == ["Stays"]
    assert cleaned.counts == {
        "rows_read": 6,
        "duplicate_rows": 0,
        "conflicting_queries": 2,
        "conflicting_rows": 5,
        "rows_not_single_call": 0,
        "rows_kept": 1,
    }
    assert cleaned.query_twins == {("alpha", "bravo")}


def test_rows_with_several_calls_are_compared_but_not_kept() -> None:
    def double(query: str) -> Row:
        return Row("9", query, (RowCall("alpha", {}), RowCall("bravo", {})), None)

    cleaned = clean([double("Both"), double("Ask it"), row("Ask it", "alpha")])
    assert cleaned.rows == ()
    assert cleaned.counts["rows_not_single_call"] == 1
    assert cleaned.counts["conflicting_rows"] == 2
    assert cleaned.query_twins == frozenset()


def test_names_are_twins_where_half_of_the_words_or_more_are_shared() -> None:
    names = ["Movies_1_FindMovies", "Media_3_FindMovies", "get_weather", "getWeatherNow", "stop"]
    assert name_twins(names, names) == {
        ("Media_3_FindMovies", "Movies_1_FindMovies"),  # {find, movies} of {media, find, movies}
        ("getWeatherNow", "get_weather"),
    }
    assert name_twins(["a_b"], ["a_c"]) == frozenset()  # one of three


def test_twins_are_those_of_every_pair_compared() -> None:
    generator = np.random.default_rng(1)
    vocabulary = ["get", "set", "alpha", "bravo", "charlie", "weather", "info"]

    def drawn() -> str:
        return "_".join(generator.choice(vocabulary, size=generator.integers(1, 5)))

    for _ in range(60):
        others = sorted({drawn() for _ in range(20)})
        names = others[: generator.integers(0, len(others))]
        words = {name: set(name_words(name)) for name in others}
        assert name_twins(names, others) == {
            (min(one, other), max(one, other))
            for one in names
            for other in others
            if one != other and 2 * len(words[one] & words[other]) >= len(words[one] | words[other])
        }
