from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from compositional.intervals import Figure, percentile_interval
from compositional.report.comparison import TERMINAL, comparison_table, narrow
from compositional.report.figures import MethodFigures, all_figures
from compositional.report.formats import entry_text, markdown
from compositional.report.loading import load_experiment
from tests.report.document_runs import forgets, keeps, write_document_run
from tests.report.test_tables import texts


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> list[MethodFigures]:
    """dual_mlp forgets in one order and keeps all in the other; own_document has one order."""
    folder = tmp_path_factory.mktemp("results")
    before = {0: [1.0, 3.0]}
    write_document_run(
        folder / "dual_mlp_order1-2", "dual_mlp", forgets, losses={**before, 2: [2.0, 4.0]}
    )
    write_document_run(
        folder / "dual_mlp_order2-1",
        "dual_mlp",
        keeps,
        order=(2, 1),
        losses={**before, 2: [1.0, 3.0]},
    )
    write_document_run(folder / "own_document_order1-2", "own_document", forgets)
    return all_figures(load_experiment(folder))


def named(figures: Sequence[MethodFigures], name: str) -> MethodFigures:
    return next(method for method in figures if method.run.name == name)


def test_means_over_orders_by_hand(figures) -> None:
    rows = texts(comparison_table(figures))
    assert list(rows) == ["own_document", "dual_mlp"]
    found = {head: text.split()[0] for head, text in rows["dual_mlp"].items()}
    assert found == {
        "method": "dual_mlp",
        "orders": "2",
        "choices, final": "0.88",  # (0.5 + 1) / 2 and 1
        "choices, transfer": "-0.25",
        "choices, forgetting": "0.25",
        "choices, diagonal": "1.00",
        "general questions kept": "0.83",  # two of three, and three of three
        "F1, final": "0.44",
        "F1, transfer": "-0.12",
        "F1, forgetting": "0.12",
        "F1, diagonal": "0.50",
        "false recall": "0.12",
        "perplexity": f"{(np.exp(3) + np.exp(2)) / 2:.2f}",
        "perplexity before": f"{np.exp(2):.2f}",
    }
    assert rows["own_document"]["perplexity"] == "not measured"


def test_intervals_are_of_means_over_orders_within_each_draw(figures) -> None:
    one, other = (named(figures, f"dual_mlp_order{order}") for order in ("1-2", "2-1"))
    rows = texts(comparison_table(figures))
    finals = [method.matrix("choice_accuracy").draws[:, -1].mean(axis=1) for method in (one, other)]
    expected = Figure(0.875, percentile_interval((finals[0] + finals[1]) / 2))
    assert rows["dual_mlp"]["choices, final"] == entry_text(expected)
    # General questions, by hand: the same questions are drawn for both orders.
    counts = one.resamples.columns["general"].counts
    kept = []
    for first, second, third, _ in counts:
        num_right = first + second + third
        if num_right:
            kept.append(((second + third) / num_right + 1) / 2)
    expected = Figure(5 / 6, percentile_interval(np.array(kept)))
    assert rows["dual_mlp"]["general questions kept"] == entry_text(expected)
    # Two plain texts, drawn with replacement.
    counts = one.resamples.columns["held_out"].counts / 2
    after = [np.exp(counts @ np.array(losses)) for losses in ([2.0, 4.0], [1.0, 3.0])]
    expected = Figure((np.exp(3) + np.exp(2)) / 2, percentile_interval((after[0] + after[1]) / 2))
    assert rows["dual_mlp"]["perplexity"] == entry_text(expected)


def test_a_row_of_fewer_orders_and_one_that_is_told_more_say_so(figures) -> None:
    table = comparison_table(figures)
    assert texts(table)["own_document"]["orders"] == "1 of 2"
    assert "Of fewer orders than others, over which means may differ: own_document." in table.notes
    assert "Told the own document of each question: own_document." in table.notes


def test_one_order_alone(figures) -> None:
    table = comparison_table([named(figures, "dual_mlp_order1-2")])
    (row,) = texts(table).values()
    assert (row["method"], row["orders"]) == ("dual_mlp", "1")
    assert row["choices, final"].startswith("0.75 [")
    assert not any("fewer orders" in note for note in table.notes)


def test_what_no_method_has_is_no_column(figures) -> None:
    header = comparison_table([named(figures, "own_document_order1-2")]).header
    assert "perplexity" not in header
    assert "false recall" in header


def test_seeds_are_drawn(tmp_path: Path) -> None:
    def never(row: int, column: str, place: int) -> dict[str, float]:
        return {"choice_accuracy": 0.0, "answer_f1": 0.0}

    def always(row: int, column: str, place: int) -> dict[str, float]:
        return {"choice_accuracy": 1.0, "answer_f1": 1.0}

    for seed, scores in ((1, never), (2, always)):
        write_document_run(tmp_path / f"icl_seed{seed}", "zero_shot", scores, seed=seed)
    table = comparison_table(all_figures(load_experiment(tmp_path)))
    (row,) = texts(table).values()
    assert (row["method"], row["orders"]) == ("icl", "1, 2 seeds")
    assert row["choices, final"] == "0.50 [0.00, 1.00]"


def test_it_is_printed_in_parts_that_fit(figures) -> None:
    table = comparison_table(figures)
    parts = narrow(table)
    assert len(parts) > 1
    assert [head for part in parts for head in part.header[2:]] == list(table.header[2:])
    assert all(list(part.header[:2]) == ["method", "orders"] for part in parts)
    tables = [line for line in markdown(parts).splitlines() if line.startswith("|")]
    assert max(map(len, tables)) <= TERMINAL
    assert [part.notes for part in parts[:-1]] == [()] * (len(parts) - 1)
    assert parts[-1].notes == table.notes
