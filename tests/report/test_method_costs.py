from pathlib import Path

from compositional.files import read_json, write_json
from compositional.report.costs import cost_of, costs_table
from compositional.report.figures import all_figures
from compositional.report.loading import load_experiment
from compositional.report.method_costs import method_costs, method_costs_table
from tests.report.document_runs import forgets, keeps, write_document_run
from tests.report.test_tables import texts


def rows_of(folder: Path) -> dict[str, dict[str, str]]:
    return texts(method_costs_table(all_figures(load_experiment(folder))))


def test_medians_and_means_by_hand(tmp_path: Path) -> None:
    first = {"input_tokens": 600, "state_bytes": 1000}
    second = {"input_tokens": 1000, "state_bytes": 2000}
    write_document_run(
        tmp_path / "dual_order1-2", "dual_mlp", forgets, budget=first,
        lesson_seconds=(3.0, 400.0), row_seconds=(99.0, 2.0, 1.6),
    )  # fmt: skip
    write_document_run(
        tmp_path / "dual_order2-1", "dual_mlp", keeps, order=(2, 1), budget=second,
        lesson_seconds=(5.0, 7.0), row_seconds=(99.0, 1.0, 3.2),
    )  # fmt: skip
    assert list(rows_of(tmp_path).values()) == [
        {
            "method": "dual",
            "orders": "2",
            "seconds a document": "6.00 (4.50 to 105.25)",  # of 3, 5, 7, 400
            "tokens a document": "400 (300 to 500)",
            # Rows 1 and 2 ask 4 and 16 questions: 0.5, 0.1, 0.25, 0.2.
            "seconds an answer": "0.225 (0.175 to 0.312)",
            "tokens an answer": "6",  # 4 x 60 / 40
            "state bytes": "1,500 (1,000 to 2,000)",
        }
    ]


def test_rows_with_reused_answers_count_where_there_are_no_others(tmp_path: Path) -> None:
    seconds = (9.0, 2.0, 1.6)
    for name, method, reused in (("a", "zero_shot", (2,)), ("b", "knn_lm", (1, 2))):
        write_document_run(tmp_path / name, method, forgets, row_seconds=seconds, reused=reused)
    rows = rows_of(tmp_path)
    assert rows["a"]["seconds an answer"] == "0.500"
    assert rows["b"]["seconds an answer"] == "0.300 (some reused)"
    assert rows["a"]["state bytes"] == "0"


def make_old(folder: Path) -> None:
    """Take out what runs did not keep at first."""
    for path in (folder / "timings").glob("answers_*.json"):
        path.unlink()
    for path in (folder / "timings").glob("row*.json"):
        timing = read_json(path)
        write_json(
            path, {k: v for k, v in timing.items() if k not in ("num_answered", "num_computed")}
        )
    result = read_json(folder / "result.json")
    del result["budget"]["state_bytes"]
    write_json(folder / "result.json", result)


def test_runs_from_before_are_shown_with_what_they_have(tmp_path: Path) -> None:
    write_document_run(tmp_path / "a", "zero_shot", forgets, reused=(2,))
    whole = texts(costs_table([cost_of(run) for run in load_experiment(tmp_path).finished]))["a"]
    make_old(tmp_path / "a")
    row = rows_of(tmp_path)["a"]
    assert row["seconds a document"] == "10.00"
    for head in ("seconds an answer", "tokens an answer", "state bytes"):
        assert row[head] == "not measured"
    table = costs_table([cost_of(run) for run in load_experiment(tmp_path).finished])
    old = texts(table)["a"]
    assert old["state bytes"] == old["prompt tokens answering"] == "not measured"
    assert whole["state bytes"] == "0"
    assert [whole[f"{what} tokens answering"] for what in ("prompt", "choice", "generated")] == [
        "90", "60", "30",
    ]  # fmt: skip
    # 16 answers of the last row were reused, but their choices were scored.
    assert (whole["answers reused"], whole["cells reused"]) == ("16 of 36", "0 of 9")
    assert any("seconds of answering lack the rows" in note for note in table.notes)


def test_rounds_of_tools_have_no_such_table(experiment, figures) -> None:
    assert method_costs(experiment, list(figures.values())) == []
