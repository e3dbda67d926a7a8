from pathlib import Path

from compositional.report.figures import all_figures
from compositional.report.loading import load_experiment
from compositional.report.method_rows import method_rows
from tests.report.document_runs import forgets, write_document_run


def test_runs_that_a_grid_names_alike_but_differ_in_settings_keep_their_names(
    tmp_path: Path,
) -> None:
    write_document_run(tmp_path / "dual_seed1", "dual_mlp", forgets, seed=1)
    write_document_run(tmp_path / "dual_seed2", "text_lora", forgets, seed=2)
    rows = method_rows(all_figures(load_experiment(tmp_path)))
    assert sorted(row.title for row in rows) == ["dual_seed1", "dual_seed2"]


def test_a_missing_run_of_a_seed_is_counted(tmp_path: Path) -> None:
    for seed, order in ((1, (1, 2)), (1, (2, 1)), (2, (1, 2))):
        name = f"dual_order{'-'.join(map(str, order))}_seed{seed}"
        write_document_run(tmp_path / name, "dual_mlp", forgets, seed=seed, order=order)
    (row,) = method_rows(all_figures(load_experiment(tmp_path)))
    assert (row.title, row.orders) == ("dual", "2, 2 seeds, 3 runs")
