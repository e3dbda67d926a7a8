from pathlib import Path

import pytest

from compositional.report.figures import all_figures
from compositional.report.loading import load_experiment
from compositional.report.seeds import seeds_table
from tests.report.conftest import forgets
from tests.report.runs import make_benchmark, right, write_run
from tests.report.test_tables import texts


def test_one_seed_has_no_table(tmp_path: Path) -> None:
    write_run(tmp_path / "lora", {"name": "lora"}, make_benchmark())
    write_run(tmp_path / "icl", {"name": "icl"}, make_benchmark())
    assert seeds_table(all_figures(load_experiment(tmp_path)), "tool_f1") is None


def test_means_over_seeds_by_hand(tmp_path: Path) -> None:
    data = make_benchmark()
    for seed, answer in ((1, right), (2, forgets)):
        write_run(tmp_path / f"lora{seed}", {"name": "lora"}, data, answer, settings={"seed": seed})
        write_run(tmp_path / f"icl{seed}", {"name": "icl"}, data, right, settings={"seed": seed})
    table = seeds_table(all_figures(load_experiment(tmp_path)), "tool_f1")
    assert table is not None
    lora, icl = texts(table).values()
    assert lora["runs"] == "lora1 to lora2"
    assert lora["seeds"] == "2, too few seeds"
    # 1 and 0.625: mean 0.8125, half width 12.706 x 0.1875.
    assert lora["average accuracy"] == "0.81 [-1.57, 3.19]"
    assert icl["average accuracy minus lora1 to lora2"] == "0.19 [-2.19, 2.57]"
    assert lora["spread over orders"] == "not measured"


def test_spread_over_orders(tmp_path: Path) -> None:
    data = make_benchmark()
    first, second = data.rounds
    other = make_benchmark(num_rounds=2)
    swapped = type(data)(**{**vars(other), "rounds": (_at(second, 1), _at(first, 2))})
    for name, rounds, benchmark, answer in (
        ("a", "1-1,2-2", data, right),
        ("b", "2-2,1-1", swapped, forgets),
    ):
        settings = {"data": {"training_rounds": rounds}}
        write_run(tmp_path / name, {"name": "lora"}, benchmark, answer, settings=settings)
    table = seeds_table(all_figures(load_experiment(tmp_path)), "tool_f1")
    assert table is not None
    (row,) = texts(table).values()
    assert row["seeds"] == "1, too few seeds"
    # In the other order the call of tool b is wrong as well: R[2, 2] = 0.5 and not 0.75.
    assert float(row["spread over orders"]) == pytest.approx(1 - (0.5 + 0.5) / 2)


def _at(round_, index: int):  # type: ignore[no-untyped-def]
    from dataclasses import replace

    return replace(round_, index=index)
