from pathlib import Path

from compositional.report.figures import MethodFigures, all_figures
from compositional.report.loading import load_experiment
from compositional.report.terminal import MAX_WIDTH, matrices_text
from tests.report.runs import make_benchmark, write_run

Figures = dict[str, MethodFigures]


def test_matrices_side_by_side(figures: Figures) -> None:
    text = matrices_text([figures["lora"]])
    bound = 1 - 0.05 ** (1 / 4)
    assert text.splitlines()[2].endswith(f"(95 %): {bound:.2f} at n = 4.")
    assert text.splitlines()[4:] == [
        "lora",
        "  tool F1        tools1   tools2     argument F1    tools1   tools2",
        "  before           0.00*    0.00*    before           0.00*    0.00*",
        "  after round 1    1.00*    0.00*    after round 1    1.00*    0.00*",
        "  after round 2    0.50     0.75     after round 2    0.50     0.50",
    ]


def test_unmeasured_cells_and_what_is_seen(figures: Figures) -> None:
    text = matrices_text([figures["constant"], figures["oracle"]])
    assert "  before              ·        ·\n" in text
    assert "argument F1" not in text.partition("oracle")[0]
    assert "oracle (oracle of lora), sees the round" in text


def test_wide_matrices_stand_one_below_the_other(tmp_path: Path) -> None:
    write_run(tmp_path / "lora", {"name": "lora"}, make_benchmark(num_rounds=7, num_examples=1))
    lines = matrices_text(all_figures(load_experiment(tmp_path))).splitlines()
    assert max(map(len, lines)) <= MAX_WIDTH
    assert sum("after round 7" in line for line in lines) == 2
