from compositional.report.figures import MethodFigures
from compositional.report.heatmaps import heat_cell, matrix_heatmap, outside_heatmap
from compositional.summary import CellFigure

Figures = dict[str, MethodFigures]


def test_matrix(figures: Figures) -> None:
    heatmap = matrix_heatmap(figures["lora"].summaries["tool_f1"])
    assert heatmap.columns == ("tools1", "tools2")
    rows = dict(heatmap.rows)
    assert list(rows) == ["before", "after round 1", "after round 2"]
    first, second = rows["after round 2"]
    assert first is not None
    assert second is not None
    assert (first.text, first.detail, first.percent) == ("0.50", "[0.00, 1.00]", 50)
    assert second.text == "0.75"
    assert outside_heatmap(figures["lora"]) is None


def test_cells_of_one_score_show_n_and_the_bound(figures: Figures) -> None:
    cell = heat_cell(figures["lora"].summaries["tool_f1"].cells[1, "tools1"])
    assert cell is not None
    assert cell.detail == "n 4, bound 0.53"  # 1 - 0.05 ** (1 / 4)
    assert cell.is_dark


def test_what_was_not_measured_is_no_cell(figures: Figures) -> None:
    rows = matrix_heatmap(figures["constant"].summaries["tool_f1"]).rows
    assert rows[0][1] == [None, None]
    assert heat_cell(CellFigure(None, 0, None, None)) is None
