import shutil
from pathlib import Path

from compositional.report.costs import cost_of, costs_csv, costs_table
from compositional.report.formats import entry_text
from compositional.report.loading import Experiment, load_experiment
from tests.report.runs import make_benchmark, write_run


def test_costs_by_hand(experiment: Experiment) -> None:
    costs = {run.name: cost_of(run) for run in experiment.finished}
    lora = costs["lora"]
    # Two lessons of 10 s. Cells of 2 s: two before, two after round 1 (the next one too), two last.
    assert (lora.learning_seconds, lora.answering_seconds, lora.seconds) == (20, 12, 32)
    assert lora.counters["trained_parameters"] == 2000
    assert lora.reused == ()
    assert len(costs["zero_shot"].reused) == 4
    assert costs["zero_shot"].num_cells == 6
    assert (costs["zero_shot"].num_answers_reused, costs["zero_shot"].num_answers) == (16, 24)


def test_table_names_reused_cells(experiment: Experiment) -> None:
    table = costs_table([cost_of(run) for run in experiment.finished])
    rows = {row[0]: [entry_text(entry) for entry in row] for row in table.rows}
    assert rows["lora"][1:4] == ["2,000", "4", "8"]
    assert rows["lora"][-1] == "0 of 6"
    assert rows["zero_shot"][-1] == "4 of 6"
    assert any("4 cells were computed once" in note for note in table.notes)


def test_times_that_were_not_kept_are_not_zero(tmp_path: Path) -> None:
    write_run(tmp_path / "lora", {"name": "lora"}, make_benchmark())
    shutil.rmtree(tmp_path / "lora" / "timings")
    (run,) = load_experiment(tmp_path).finished
    cost = cost_of(run)
    assert cost.seconds is None
    assert "not measured" in costs_table([cost]).rows[0]
    found = costs_csv([cost]).splitlines()[1].split(",")
    assert found == ["lora", *["0"] * 8, *[""] * 6, *["0"] * 4, ""]
