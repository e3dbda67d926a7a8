import csv
import io

from compositional.intervals import Figure, Interval
from compositional.report.formats import Table, csv_text, entry_text, latex, markdown, number

TABLE = Table(
    title="A_title",
    header=["run", "tool F1"],
    rows=[["a|b_<i>", Figure(0.5, Interval(0.25, 0.75))], ["c", Figure(None, None)]],
    notes=["50 % of it."],
)


def test_numbers_have_no_negative_zero() -> None:
    assert number(-0.001) == "0.00"
    assert number(-0.126) == "-0.13"


def test_entries() -> None:
    assert entry_text(Figure(0.5, Interval(0.25, 0.75))) == "0.50 [0.25, 0.75]"
    assert entry_text(Figure(1.0, Interval(1.0, 1.0))) == "1.00 no spread"
    assert entry_text(Figure(0.5, None)) == "0.50"
    assert entry_text(Figure(None, None)) == "not measured"
    assert entry_text(12345) == "12,345"
    assert entry_text("two\nlines") == "two lines"


def test_markdown() -> None:
    assert markdown([TABLE]).splitlines() == [
        "### A_title",
        "",
        "| run         |           tool F1 |",
        "|-------------|------------------:|",
        "| a\\|b_&lt;i> | 0.50 [0.25, 0.75] |",
        "| c           |      not measured |",
        "",
        "- 50 % of it.",
    ]


def test_latex() -> None:
    lines = latex([TABLE]).splitlines()
    assert r"\caption{A\_title. 50 \% of it.}" in lines
    assert r"a|b\_\textless{}i\textgreater{} & 0.50 [0.25, 0.75] \\" in lines
    assert r"\begin{tabular}{lr}" in lines


def test_csv_is_quoted_and_leaves_what_is_missing_empty() -> None:
    text = csv_text(["run", "value"], [['a,"b"', None], ["c", 0.5]])
    assert list(csv.reader(io.StringIO(text))) == [["run", "value"], ['a,"b"', ""], ["c", "0.5"]]


def test_a_table_in_brief_has_some_of_its_columns_and_no_notes() -> None:
    table = Table("T", ["run", "a", "b"], [["x", 1, 2], ["y", 3, 4]], ["A note."])
    assert table.brief(["b", "run"]) == Table("T", ["b", "run"], [[2, "x"], [4, "y"]])
