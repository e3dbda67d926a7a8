import csv
import io
from pathlib import Path

import pytest

from compositional.cli.main import main
from compositional.errors import ConfigError
from compositional.files import write_json
from compositional.publish import publish
from compositional.report import write_report
from compositional.results import RunFolder
from tests.report.runs import make_benchmark, write_run


def test_prints_matrices_and_tables(folder: Path, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    write_report(folder, page=tmp_path / "page.html")
    printed = capsys.readouterr()
    assert "  after round 2    0.50     0.75     after round 2    0.50     0.50" in printed.out
    assert "### Tool F1 of each method" in printed.out
    assert "### Runs without a result" in printed.out
    assert str(tmp_path / "page.html") in printed.err
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"page.html", "page-scores.md", "page-costs.md"}
    scores = (tmp_path / "page-scores.md").read_text()
    assert "### Every score, mean of the last row" in scores
    assert "seconds" not in scores
    assert "seconds learning" in (tmp_path / "page-costs.md").read_text()


def test_prints_in_short_what_holds_across_seeds(tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    for seed in (1, 2):
        for name in ("lora", "icl"):
            write_run(
                tmp_path / f"{name}_seed{seed}",
                {"name": name},
                make_benchmark(),
                settings={"seed": seed},
            )
    write_report(tmp_path)
    printed = capsys.readouterr()
    start = printed.out.index("### Tool F1 across seeds")
    lines = [line for line in printed.out[start:].splitlines() if line]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    brief = ["runs", "seeds", "average accuracy", "backward transfer", "spread over orders"]
    assert cells[1] == brief
    assert cells[3][:3] == ["lora", "2, too few seeds", "1.00 no spread"]
    assert cells[5] == ["### Tool F1: pairs of methods"]
    assert cells[6] == ["first", "second", "seeds", "first minus second", "p by Holm"]
    assert cells[8][:4] == ["lora", "icl", "2, too few seeds", "0.00 no spread"]
    assert len(cells) == 9  # no notes, and no second score
    assert f"all tables: {tmp_path / 'scores.md'}; " in printed.err
    assert (tmp_path / "scores.md").read_text().count("### Tool F1 across seeds") == 1
    assert "### Argument F1: pairs of methods" in (tmp_path / "scores.md").read_text()


def test_latex_alone_is_printed(folder: Path, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    write_report(folder, "latex", tmp_path / "page.html")
    assert capsys.readouterr().out.startswith("\\begin{table}")
    assert (tmp_path / "page-scores.tex").exists()
    assert (tmp_path / "page-costs.tex").exists()


def test_csv_has_a_line_a_figure(folder: Path, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    write_report(folder, "csv", tmp_path / "page.html")
    out = capsys.readouterr().out
    assert out == (tmp_path / "page-scores.csv").read_text()
    rows = {
        (row["run"], row["score"], row["figure"]): row for row in csv.DictReader(io.StringIO(out))
    }
    lora = rows["lora", "tool_f1", "backward_transfer"]
    assert (lora["value"], lora["low"], lora["high"]) == ("-0.5", "-1.0", "0.0")
    assert rows["zero_shot", "tool_f1", "learning_gap"]["value"] == ""
    assert rows["lora", "parse_error_rate", "average_accuracy"]["value"] == "0.25"
    assert rows["lora", "tool_f1", "forgetting_after_round_2"]["value"] == "0.5"
    retention = rows["lora", "tool_f1", "retention_at_age_1"]
    assert (retention["value"], retention["columns"]) == ("0.5", "1")
    assert rows["oracle", "tool_f1", "average_accuracy"]["sees"] == "query+round"
    assert (tmp_path / "page-costs.csv").exists()


def test_scores_do_not_depend_on_when_and_where(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_run(tmp_path / name / "lora", {"name": "lora"}, make_benchmark())
    other = RunFolder(tmp_path / "second" / "lora").folder
    for path in (other / "timings").glob("row*.json"):
        write_json(path, {"seconds": 9.0, "num_examples": 4, "num_reused": 4,
                          "num_tokens": 1, "peak_memory_bytes": 5})  # fmt: skip
    write_json(other / "environment.json", {"started": "2030-01-01", "git": {"commit": None}})
    texts = []
    for name in ("first", "second"):
        write_report(tmp_path / name)
        texts.append((tmp_path / name / "scores.md").read_bytes())
    assert texts[0] == texts[1]


def test_unknown_format(folder: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'markdown'"):
        write_report(folder, "markdwn")


def test_command(folder: Path, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    page = tmp_path / "page.html"
    assert main(["report", str(folder), "--format", "csv", "--output", str(page)]) == 0
    assert page.exists()
    capsys.readouterr()
    assert main(["report", str(tmp_path / "absent")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_published_runs_give_the_same_scores(folder: Path, tmp_path: Path) -> None:
    publish(folder, tmp_path / "published")
    (tmp_path / "tiny").mkdir()
    write_report(tmp_path / "tiny", published=tmp_path / "published")
    write_report(folder, page=tmp_path / "own" / "page.html")
    own = (tmp_path / "own" / "page-scores.md").read_text()
    # Only finished runs are published: the table of failed ones is not there.
    start, _, rest = own.partition("### Runs without a result")
    expected = start + rest[rest.index("### ") :]
    assert (tmp_path / "tiny" / "scores.md").read_text() == expected
    assert "No predictions were kept" in (tmp_path / "tiny" / "report.html").read_text()
