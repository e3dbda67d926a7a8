import pytest

from compositional.errors import ConfigError
from compositional.tasks.ranges import (
    RoundPlan,
    ToolRange,
    parse_round,
    parse_top_k,
    parse_training_rounds,
)


def test_rounds_are_ranges_with_epochs() -> None:
    assert parse_training_rounds("1-10:3, 11-20,31-31:2") == (
        RoundPlan(ToolRange(1, 10), 3),
        RoundPlan(ToolRange(11, 20), 1),
        RoundPlan(ToolRange(31, 31), 2),
    )
    assert str(ToolRange(11, 20)) == "11-20"
    assert ToolRange(11, 20).num_tools == 10


@pytest.mark.parametrize(
    "text", ["", "1-", "a-b", "5", "0-3", "9-3", "1-3:", "1-3:0", "1-3:x", "1--3"]
)
def test_malformed_rounds_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"range|round"):
        parse_training_rounds(text)


@pytest.mark.parametrize("text", ["1-10,10-12", "5-6,1-10", "1-3:2,1-3:2"])
def test_rounds_that_share_a_tool_are_refused_and_named(text: str) -> None:
    with pytest.raises(ConfigError, match=r"ranges \d+-\d+ and \d+-\d+ overlap"):
        parse_training_rounds(text)


def test_top_k_is_a_number_or_a_range() -> None:
    assert parse_top_k("20") == ToolRange(1, 20)
    assert parse_top_k("51-100") == ToolRange(51, 100)
    with pytest.raises(ConfigError):
        parse_top_k("0")


def test_one_round_keeps_its_epochs() -> None:
    assert parse_round("51-60:1").epochs == 1
