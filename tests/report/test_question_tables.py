from pathlib import Path

import numpy as np
import pytest

from compositional.columns import GENERAL
from compositional.intervals import Figure, percentile_interval
from compositional.report.figures import MethodFigures, all_figures
from compositional.report.formats import entry_text
from compositional.report.generality import kept_scores, perplexity
from compositional.report.loading import Experiment, load_experiment
from compositional.report.question_tables import documents_outside_table, question_kinds_table
from tests.report.document_runs import forgets, keeps, write_document_run
from tests.report.test_tables import texts


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    folder = tmp_path_factory.mktemp("results")
    losses = {0: [1.0, 3.0], 2: [2.0, 4.0]}
    write_document_run(folder / "dual", "dual_mlp", forgets, losses=losses)
    write_document_run(folder / "knn", "knn_lm", keeps, order=(2, 1))
    return load_experiment(folder)


@pytest.fixture(scope="module")
def figures(experiment: Experiment) -> dict[str, MethodFigures]:
    return {method.run.name: method for method in all_figures(experiment)}


def test_questions_that_were_right_before(figures) -> None:
    scores = kept_scores(figures["dual"])
    np.testing.assert_array_equal(scores, [0, 1, 1, np.nan])


def test_nothing_is_kept_where_nothing_was_right(tmp_path: Path) -> None:
    def never(row: int, column: str, place: int) -> dict[str, float]:
        return {"choice_accuracy": 0.0}

    write_document_run(tmp_path / "dual", "dual_mlp", never)
    (method,) = all_figures(load_experiment(tmp_path))
    assert kept_scores(method) is None
    assert perplexity(method, 2) is None


def test_loss_of_general_ability_has_intervals(experiment, figures) -> None:
    table = documents_outside_table(experiment, list(figures.values()))
    assert table is not None
    rows = texts(table)
    counts = figures["dual"].resamples.columns[GENERAL].counts
    kept = [(b + c) / (a + b + c) for a, b, c, _ in counts if a + b + c]
    expected = entry_text(Figure(2 / 3, percentile_interval(np.array(kept))))
    assert rows["dual"]["of those right before"] == f"{expected} of 3"
    # The bound is 1 less the third root of 0.05.
    assert rows["knn"]["of those right before"] == "1.00 (all 3 alike, bound 0.63)"
    # Two texts: the same one twice in half of the draws.
    low, middle, high = np.exp([2.0, 3.0, 4.0])
    assert rows["dual"]["perplexity of plain texts"] == f"{middle:.2f} [{low:.2f}, {high:.2f}]"
    low, middle, high = np.exp([1.0, 2.0, 3.0])
    assert rows["dual"]["before"] == f"{middle:.2f} [{low:.2f}, {high:.2f}]"
    assert rows["knn"]["before"] == "not measured"
    assert rows["dual"]["drift (nats)"] == "0.3000 [0.2000, 0.4000]"


def test_kinds_of_questions_have_intervals(figures) -> None:
    method = figures["dual"]
    table = question_kinds_table([method], "choice_accuracy")
    assert table is not None
    row = texts(table)["dual"]
    # Questions 0 and 2 of each round are direct; of the first round 0 and 1 are right.
    pooled = []
    for first, second in zip(
        *(method.resamples.columns[name].counts for name in method.run.rounds), strict=True
    ):
        asked = first[0] + first[2] + second[0] + second[2]
        if asked:
            pooled.append((first[0] + second[0] + second[2]) / asked)
    assert row["direct"] == entry_text(Figure(0.75, percentile_interval(np.array(pooled))))
    assert row["reversed"].startswith("0.75 [")
