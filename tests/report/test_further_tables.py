from pathlib import Path

from compositional.intervals import Figure, percentile_interval
from compositional.report.figures import MethodFigures, all_figures
from compositional.report.formats import interval_text
from compositional.report.further_tables import num_calls_table, outside_table, retention_table
from compositional.report.loading import Experiment, load_experiment
from compositional.tasks.types import Example
from tests.report.runs import NO_CALL, example, make_benchmark, right, write_run
from tests.report.test_tables import texts

Figures = dict[str, MethodFigures]


def test_retention_by_age(experiment: Experiment, figures: Figures) -> None:
    table = retention_table(experiment, list(figures.values()), "tool_f1")
    assert table is not None
    rows = texts(table)
    assert rows["lora"]["1 round later"] == "0.50 [0.00, 1.00] (1)"
    assert rows["oracle"]["1 round later"] == "1.00 no spread (1)"
    # Before its round is taught zero-shot's stand-in answers nothing: R[1, 1] is 0.5 and stays.
    assert rows["zero_shot"]["1 round later"] == "1.00 no spread (1)"


def test_one_round_has_no_retention(tmp_path: Path) -> None:
    write_run(tmp_path / "lora", {"name": "lora"}, make_benchmark(num_rounds=1))
    experiment = load_experiment(tmp_path)
    assert retention_table(experiment, all_figures(experiment), "tool_f1") is None


def test_numbers_of_calls(figures: Figures) -> None:
    rows = texts(num_calls_table(list(figures.values()), "tool_f1"))
    # Rounds of 0.5 and 0.75 with four examples each: pooled as their mean is, draw by draw.
    lora = figures["lora"]
    draws = lora.matrix("tool_f1").draws[:, 2].mean(axis=1)
    interval = interval_text(Figure(0.625, percentile_interval(draws)))
    assert rows["lora"]["1 call"] == f"0.62 {interval}"
    assert rows["lora"]["mean over numbers of calls"] == f"0.62 {interval}"


def test_nothing_stands_outside(experiment: Experiment, figures: Figures) -> None:
    assert outside_table(experiment, list(figures.values())) is None


def test_outside_the_matrix(tmp_path: Path) -> None:
    queries = tuple(Example(f"u{k}", "What?", (), None, (f"u{k}",)) for k in range(3))
    mixed = (example("m1", "a", None), example("m2", "b", None))

    def answer(row, column, place, asked):  # type: ignore[no-untyped-def]
        return NO_CALL if column.index == 0 else right(row, column, place, asked)

    data = make_benchmark(unanswerable=queries, mixed=mixed)
    drift = {1: [0.1, 0.3], 2: [0.25, 0.25]}
    write_run(tmp_path / "lora", {"name": "lora"}, data, answer, drift=drift)
    write_run(tmp_path / "icl", {"name": "icl"}, data, answer)
    constant = {"name": "constant", "maximise": "argument_f1"}
    write_run(tmp_path / "constant", constant, data, answer, first_row=False)
    experiment = load_experiment(tmp_path)
    table = outside_table(experiment, all_figures(experiment))
    assert table is not None
    lora, icl, floor = texts(table).values()
    # The bounds are 1 less the third and the square root of 0.05.
    assert lora["unanswerable, answered by no call"] == "1.00 (all 3 alike, bound 0.63)"
    assert lora["mixed, tool F1"] == "0.00 (all 2 alike, bound 0.78)"
    assert lora["drift (nats)"] == "0.2500 no spread"
    assert icl["drift (nats)"] == "not measured"
    assert floor["mixed, tool F1"] == floor["unanswerable, answered by no call"] == "-"
    assert floor["mixed, argument F1"].startswith("0.00")
