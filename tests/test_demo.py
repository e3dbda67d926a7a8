from pathlib import Path

import pytest

from compositional.config import resolve
from compositional.demo import print_demo
from compositional.runner import run
from compositional.tasks.benchmark import prepare
from tests.runs_toy import toy_settings


@pytest.mark.parametrize(
    "evaluation",
    [{}, {"max_examples": 2}, {"split": "validation"}, {"past_rounds": False}],
    ids=str,
)
def test_queries_stand_beside_what_was_expected_and_answered(
    tmp_path: Path, toy_model_folder: Path, evaluation: dict, capsys: pytest.CaptureFixture[str]
) -> None:
    data = {"num_mixed": 2}
    config = resolve(toy_settings(tmp_path, toy_model_folder, evaluation=evaluation, data=data))
    run(config, progress=False)
    capsys.readouterr()
    print_demo(config, 3)
    shown = capsys.readouterr().out
    rounds = prepare(config.data, config.seed).rounds
    asked = [getattr(round_, config.evaluation.split) for round_ in rounds]
    asked = asked[1:] if "past_rounds" in evaluation else asked
    most = min(3, evaluation.get("max_examples", 3))
    for examples in asked:
        for example in examples[:most]:
            assert f"  {example.query}\n  expected  {{" in shown
    assert shown.count("  answered  ") == sum(len(examples[:most]) for examples in asked)
