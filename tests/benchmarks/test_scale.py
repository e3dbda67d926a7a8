import json

import pytest

from compositional.benchmarks import scale
from compositional.benchmarks.long_sequence import long_sequence, made_up_rows
from compositional.benchmarks.paper_hours import Accelerator, LongPlan, paper_hours
from compositional.benchmarks.roofline import Sizes
from compositional.cli.main import main
from compositional.models.model_config import ModelConfig
from tests.runs_toy import ROWS_PER_TOOL, error_line
from tests.tasks.toy_rows import source_file


def test_hours_on_paper_by_hand() -> None:
    wanted = LongPlan(
        num_rounds=2, rows=3, epochs=2, row_tokens=10, num_tests=4, prompt_tokens=5, answer_tokens=6
    )
    assert (wanted.trained_tokens, wanted.num_answers) == (120, 4 * (1 + 2))
    device = Accelerator("toy", product_rate=1000.0, read_rate=10.0, batch_size=2)
    sizes = Sizes(body=90, head=10, bytes=0)
    training = 4 * 100 * 120 / 1000
    prompts = 2 * 90 * 12 * 5 / 1000
    a_token = max(2 * 100 / 10 / 2, 2 * 100 / 1000)
    answering = prompts + 12 * 6 * a_token
    found = paper_hours(sizes, wanted, device, 4)
    assert found.training == pytest.approx(training / 4 / 3600)
    assert found.answering == pytest.approx(answering / 4 / 3600)
    assert found.total == pytest.approx((training + answering) / 4 / 3600)


def test_made_up_tools_have_names_of_their_own() -> None:
    rows = list(made_up_rows(25))
    assert len({row["answers"][0]["name"] for row in rows}) == 25
    assert len({row["query"] for row in rows}) == len(rows)


def test_every_round_of_a_long_sequence_is_measured(toy_model_folder) -> None:
    found = long_sequence(ModelConfig(name=str(toy_model_folder), device="cpu"), 3, 4, 2)
    assert found.num_tools == 12
    assert [cost.round for cost in found.rounds] == [1, 2, 3]
    assert [cost.num_answers for cost in found.rounds] == [2, 4, 6]
    states = [cost.state_bytes for cost in found.rounds]
    assert states == sorted(states)
    assert states[0] < states[-1]
    # predictions, scores and times of each cell, times of the row; losses and times of a lesson
    assert [cost.num_files for cost in found.rounds] == [3 + 1 + 2, 6 + 1 + 2, 9 + 1 + 2]
    # and those of row 0, of three cells; config, environment, result
    assert found.num_files == 6 + 9 + 12 + (9 + 1) + 3
    assert found.result_bytes > sum(cost.result_bytes for cost in found.rounds)
    assert found.seconds > sum(cost.seconds_learning for cost in found.rounds) > 0


def test_the_page_is_written_from_measured_runs(tmp_path, toy_model_folder, monkeypatch) -> None:
    monkeypatch.setattr(scale, "FITTED_ON", (1,))
    monkeypatch.setattr(scale, "CHECKED_ON", 2)
    monkeypatch.setattr(scale, "NUM_TESTS", 4)
    page = tmp_path / "out" / "scale.md"
    flags = ["--model", str(toy_model_folder), "--device", "cpu", "--rounds", "2"]
    source = str(source_file(tmp_path, ROWS_PER_TOOL))
    assert main(["scale", *flags, "--source", source, "--output", str(page)]) == 0
    text = page.read_text()
    cells = [[cell.strip() for cell in line.split("|")[1:3]] for line in text.splitlines()]
    assert ["1", "fitted on"] in cells
    assert ["2", "not seen"] in cells
    assert ["8", "1"] in cells  # answers of its second row, in one pass
    assert "200 memory rows" in text
    kept = json.loads(page.with_suffix(".json").read_text())
    assert [run["num_rounds"] for run in kept["runs"]] == [1, 2]
    assert kept["predicted_seconds"] > 0


def test_no_rounds_are_refused(capsys) -> None:
    assert main(["scale", "--rounds", "0"]) == 2
    assert "--rounds is 0" in error_line(capsys)
