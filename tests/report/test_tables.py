from dataclasses import replace
from pathlib import Path

from compositional.report.check import learning_checks
from compositional.report.figures import MethodFigures, all_figures
from compositional.report.formats import Table, entry_text
from compositional.report.loading import Experiment, load_experiment
from compositional.report.tables import check_table, columns_table, methods_table, scores_table
from tests.report.runs import example, make_benchmark, write_run

Figures = dict[str, MethodFigures]


def texts(table: Table) -> dict[str, dict[str, str]]:
    """Return a table's entries by row and column."""
    return {
        str(row[0]): dict(zip(table.header, map(entry_text, row), strict=True))
        for row in table.rows
    }


def test_table_of_methods(experiment: Experiment, figures: Figures) -> None:
    table = methods_table(experiment, list(figures.values()), "tool_f1")
    rows = texts(table)
    assert list(rows) == ["lora", "zero_shot", "constant", "joint", "oracle"]
    assert rows["lora"]["average accuracy"].startswith("0.62 [")
    assert rows["lora"]["backward transfer"].startswith("-0.50 [")
    assert rows["lora"]["learning gap"].startswith("-0.12 [")
    assert rows["zero_shot"]["learning gap"] == "not measured"
    assert rows["oracle"]["sees"] == "query, round"
    assert any("one seed, 42" in note for note in table.notes)


def test_constant_stands_in_the_table_of_its_score_only(
    experiment: Experiment, figures: Figures
) -> None:
    rows = texts(methods_table(experiment, list(figures.values()), "argument_f1"))
    assert "constant" not in rows
    every = texts(scores_table(experiment, list(figures.values())))
    assert every["constant"]["tool F1"].startswith("0.50")
    assert every["constant"]["exact match"] == "-"
    assert every["lora"]["parse error rate"].startswith("0.25 [")
    assert every["lora"]["n with arguments"] == "8"


def test_figures_that_no_run_has_are_named_below(tmp_path: Path) -> None:
    settings = {"evaluation": {"next_round": False}}
    write_run(tmp_path / "lora", {"name": "lora"}, make_benchmark(), settings=settings)
    experiment = load_experiment(tmp_path)
    table = methods_table(experiment, all_figures(experiment), "tool_f1")
    assert "forward transfer" not in table.header
    assert sum("not measured; it needs" in note for note in table.notes) == 3


def test_one_round_has_no_transfer(tmp_path: Path) -> None:
    write_run(tmp_path / "lora", {"name": "lora"}, make_benchmark(num_rounds=1))
    experiment = load_experiment(tmp_path)
    (row,) = texts(methods_table(experiment, all_figures(experiment), "tool_f1")).values()
    assert row["average accuracy"] == "1.00 no spread"
    assert row["backward transfer"] == row["forgetting"] == "not measured"


def test_test_sets_with_shared_base_queries(tmp_path: Path) -> None:
    mixed = (example("m1", "a", None, "q"), example("m2", "b", None, "q"))
    write_run(tmp_path / "lora", {"name": "lora"}, make_benchmark(mixed=mixed))
    rows = texts(columns_table(load_experiment(tmp_path)))
    assert list(rows["tools1"].values()) == ["tools1", "round", "test", "4", "4", "4"]
    assert list(rows["mixed"].values()) == ["mixed", "mixed", "test", "2", "1", "1"]


def test_check(experiment: Experiment, figures: Figures) -> None:
    rows = texts(check_table(learning_checks(list(figures.values())), experiment))
    assert rows["lora"]["diagonal minus best constant"] == "0.38 [0.12, 0.50]"
    assert [row["learns"] for row in rows.values()] == ["yes", "no", "yes"]


def test_validation_rows_are_named(tmp_path: Path) -> None:
    data = make_benchmark()
    rounds = tuple(replace(round_, validation=round_.test[:3]) for round_ in data.rounds)
    settings = {"evaluation": {"split": "validation"}}
    write_run(tmp_path / "lora", {"name": "lora"}, replace(data, rounds=rounds), settings=settings)
    experiment = load_experiment(tmp_path)
    table = columns_table(experiment)
    assert texts(table)["tools1"]["rows"] == "validation"
    assert texts(table)["tools1"]["n"] == "3"
    assert "choice of validation examples only" in experiment.interval_note


def test_the_last_row_alone(tmp_path: Path) -> None:
    settings = {"evaluation": {"every_round": False, "first_row": False}}
    write_run(tmp_path / "lora", {"name": "lora"}, make_benchmark(), settings=settings)
    experiment = load_experiment(tmp_path)
    (row,) = texts(methods_table(experiment, all_figures(experiment), "tool_f1")).values()
    assert row["average accuracy"] == "1.00 no spread"
    assert row["backward transfer"] == row["diagonal mean"] == "not measured"
