from pathlib import Path
from typing import Any

import pytest

from compositional.errors import ConfigError
from compositional.tasks.data_config import DataConfig


def test_per_round_limits_repeat_their_last_value() -> None:
    config = DataConfig(
        training_rounds="1-2,3-4,5-6",
        train_max_function_calls=4,
        test_max_function_calls_per_round=(1, 2),
    )
    assert [config.max_calls("train", i) for i in range(4)] == [4, 4, 4, 4]
    assert [config.max_calls("test", i) for i in range(4)] == [1, 1, 2, 2]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"training_rounds": "1-3,3-5"}, "overlap"),
        ({"training_rounds": "1-3", "adaptation_tools": "2-9:1"}, "overlap"),
        ({"training_rounds": ""}, "malformed"),
        ({"training_rounds": "1-3", "train_size": 0}, "train_size is 0"),
        ({"training_rounds": "1-3", "num_mixed": -1}, "num_mixed is -1"),
        ({"training_rounds": "1-3", "test_max_function_calls_per_round": (2, 0)}, "is 0"),
        ({"training_rounds": "1-3", "train_multi_tool_ratios": (0.5, 0.4)}, "sum to 1"),
        ({"training_rounds": "1-3", "source": "bfc"}, "did you mean"),
        ({"training_rounds": "1-3", "train_file": Path("a.json")}, "leave out train_file"),
        ({"num_unanswerable": 5}, "num_unanswerable 5 needs training_rounds"),
        ({"adaptation_tools": "1-2"}, "adaptation_tools 1-2 needs training_rounds"),
        ({"train_size": 5}, "train_size 5 needs training_rounds"),
        ({"samples_per_tool": 1}, "samples_per_tool 1 needs training_rounds"),
        ({"data_dir": Path("x")}, "data_dir x needs training_rounds"),
        ({"train_max_function_calls": 1}, "train_max_function_calls 1 needs training_rounds"),
    ],
)
def test_settings_that_no_data_can_have_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        DataConfig(**settings)
