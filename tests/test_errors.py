import math

import pytest

from compositional.errors import ConfigError, check_at_least, check_choice, did_you_mean


@pytest.mark.parametrize("value", [-1, -0.5, math.nan, math.inf, -math.inf])
def test_numbers_that_are_too_small_or_not_finite_are_refused(value: float) -> None:
    with pytest.raises(ConfigError, match=rf"^lr is {value}; it must be 0 or more$"):
        check_at_least("lr", value, 0)


@pytest.mark.parametrize("value", [0, 1e-9, 5, None])
def test_other_numbers_pass(value: float | None) -> None:
    check_at_least("lr", value, 0)


def test_a_name_is_one_of_the_choices() -> None:
    check_choice("method", "lora", ["rag", "lora"])
    with pytest.raises(ConfigError, match=r"^unknown method 'lor'; did you mean 'lora'"):
        check_choice("method", "lor", ["rag", "lora"])


def test_all_choices_are_named_in_order_of_the_alphabet() -> None:
    assert did_you_mean("xyz", ["rag", "lora"]) == "Choices: lora, rag"
    assert did_you_mean("rga", ["rag", "lora"]) == "did you mean 'rag'? Choices: lora, rag"


def test_of_many_choices_the_near_ones_are_named() -> None:
    names = [f"flag_{number}" for number in range(30)]
    assert did_you_mean("flag_1x", names).startswith(
        "did you mean 'flag_1'? Choices near it: flag_1"
    )
    assert did_you_mean("flag_1x", names).endswith("(of 30)")
    assert did_you_mean("zzz", names).count("flag_") == 30  # nothing is near: all of them
