from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compositional.report.across import holm, orders_table, pairs_table
from compositional.report.figures import MethodFigures, all_figures
from compositional.report.loading import load_experiment
from compositional.report.seeds import group_title, seed_groups
from tests.report.conftest import forgets
from tests.report.runs import make_benchmark, right, write_run
from tests.report.test_tables import texts


def figures_of(folder: Path, num_seeds: int = 2) -> list[MethodFigures]:
    """LoRA learns with the first seed and forgets with the others; ICL is always right."""
    data = make_benchmark()
    for seed in range(1, num_seeds + 1):
        settings = {"seed": seed}
        answer = right if seed == 1 else forgets
        write_run(folder / f"lora_seed{seed}", {"name": "lora"}, data, answer, settings=settings)
        write_run(folder / f"icl_seed{seed}", {"name": "icl"}, data, right, settings=settings)
    return all_figures(load_experiment(folder))


def test_holm_by_hand() -> None:
    # sorted: 0.01 x 3, 0.03 x 2, 0.04 x 1, which may not fall below the one before it
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_pairs_are_compared_over_seeds_and_examples(tmp_path: Path) -> None:
    table = pairs_table(figures_of(tmp_path), "tool_f1")
    assert table is not None
    (row,) = texts(table).values()
    # 1 and 0.625 against 1 and 1
    assert row["second"] == "icl"
    assert row["first minus second"].startswith("-0.19 [")
    assert row["seeds"] == "2, too few seeds"
    # Differences -0.375 and 0 over the seeds: mean -0.1875, half width 12.706 x 0.1875, t = 1.
    assert row["over seeds"] == "-0.19 [-2.57, 2.19]"
    assert row["p by Holm"] == row["p"] == "0.500"
    assert table.notes[1].endswith("t test of it; Holm: corrected for 1 comparison.")
    assert any("Too few seeds (under 5)" in note for note in table.notes)


def test_runs_that_one_method_lacks_are_left_out_of_both_and_counted(tmp_path: Path) -> None:
    figures = [m for m in figures_of(tmp_path, 3) if m.run.name != "icl_seed3"]
    table = pairs_table(figures, "tool_f1")
    assert table is not None
    (row,) = texts(table).values()
    assert row["seeds"] == "2, 1 runs of one alone left out, too few seeds"
    whole = pairs_table(figures_of(tmp_path / "two", 2), "tool_f1")
    assert whole is not None
    (expected,) = texts(whole).values()
    assert row["over seeds"] == expected["over seeds"]


def test_seeds_that_do_not_differ_have_no_p(tmp_path: Path) -> None:
    data = make_benchmark()
    for name in ("lora", "icl"):
        for seed in (1, 2):
            settings = {"seed": seed}
            write_run(tmp_path / f"{name}_seed{seed}", {"name": name}, data, settings=settings)
    table = pairs_table(all_figures(load_experiment(tmp_path)), "tool_f1")
    assert table is not None
    (row,) = texts(table).values()
    assert row["over seeds"] == "0.00 no spread"
    assert row["p"] == row["p by Holm"] == "not measured"
    assert "; no test possible: " in table.notes[1]
    assert "corrected" not in table.notes[1]


def test_the_interval_draws_seeds_as_well_as_examples(tmp_path: Path) -> None:
    table = pairs_table(figures_of(tmp_path), "tool_f1")
    assert table is not None
    figure = table.rows[0][3]
    # Both seeds may be drawn as the first, which differs from ICL in nothing.
    assert figure.interval.high == 0.0
    one_seed = [
        m for m in figures_of(tmp_path) if m.run.seed == 2 and m.run.name.startswith("lora")
    ]
    lowest = np.quantile(one_seed[0].matrix("tool_f1").draws[:, 2].mean(axis=1) - 1, 0.0)
    assert lowest <= figure.interval.low < -0.19


def test_enough_seeds_are_not_called_too_few(tmp_path: Path) -> None:
    table = pairs_table(figures_of(tmp_path, 5), "tool_f1")
    assert table is not None
    assert not any("Too few" in note for note in table.notes)


def test_methods_of_other_seeds_are_no_pair(tmp_path: Path) -> None:
    data = make_benchmark()
    for name, seeds in (("lora", (1, 2)), ("icl", (3, 4))):
        for seed in seeds:
            folder = tmp_path / f"{name}_seed{seed}"
            write_run(folder, {"name": name}, data, right, settings={"seed": seed})
    assert pairs_table(all_figures(load_experiment(tmp_path)), "tool_f1") is None


def test_the_effect_of_the_order_stands_by_itself(tmp_path: Path) -> None:
    data = make_benchmark()
    first, second = data.rounds
    swapped = replace(data, rounds=(replace(second, index=1), replace(first, index=2)))
    for name, rounds, benchmark, answer in (
        ("lora_order1-2", "1-1,2-2", data, right),
        ("lora_order2-1", "2-2,1-1", swapped, forgets),
    ):
        settings = {"data": {"training_rounds": rounds}}
        write_run(tmp_path / name, {"name": "lora"}, benchmark, answer, settings=settings)
    figures = all_figures(load_experiment(tmp_path))
    table = orders_table(figures, "tool_f1")
    assert table is not None
    ((name, row),) = texts(table).items()
    assert name == "lora"
    # 1 in one order; in the other (0.5 + 0.5) / 2, as in the test of the spread over orders
    assert [row[head].split()[0] for head in list(row)[1:]] == ["1.00", "0.50", "0.50"]
    assert any("Too few seeds (under 5)" in note for note in table.notes)
    assert pairs_table(figures, "tool_f1") is None
    assert orders_table(figures_of(tmp_path / "seeds"), "tool_f1") is None


def test_runs_of_a_grid_are_called_by_their_method(tmp_path: Path) -> None:
    titles = [group_title(group) for group in seed_groups(figures_of(tmp_path))]
    assert sorted(titles) == ["icl", "lora"]
