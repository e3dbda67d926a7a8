import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from compositional.report import write_report
from compositional.tasks.types import Call, Example, Prediction
from tests.report.runs import make_benchmark, right, write_run

ATTACK = "<script>alert('x')</script>"


class Reader(HTMLParser):
    """Collects the tags, the addresses and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [
            str(value) for name, value in attrs if name in ("src", "href", "xlink:href")
        ]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


@pytest.fixture(scope="module")
def page(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    write_report(folder, page=path)
    return path


def test_page_needs_nothing_else(page: Path) -> None:
    reader = read(page)
    assert not {"script", "img", "iframe", "object"} & set(reader.tags)
    assert all(address.startswith(("#", "data:,")) for address in reader.addresses)
    assert "@import" not in page.read_text(encoding="utf-8")
    assert "url(http" not in page.read_text(encoding="utf-8")


def test_page_shows_every_part(page: Path) -> None:
    text = read(page).text
    for part in (
        "Tool F1 of each method", "Does it learn?", "Retention by age", "What it cost",
        "Every score", "Sample predictions", "Configs", "ModelError: no <model> anywhere",
        "one seed, 42", "n 4, bound 0.53", "oracle of lora, sees the query and the round",
        "4 cells were computed once",
    ):  # fmt: skip
        assert part in " ".join(text.split()), part


def test_anyones_text_is_escaped(tmp_path: Path) -> None:
    def answer(row, column, place, asked: Example) -> Prediction:  # type: ignore[no-untyped-def]
        if place == 0:
            return Prediction(ATTACK, None)
        return Prediction(ATTACK, (Call(ATTACK, {ATTACK: ATTACK}),))

    write_run(tmp_path / "lora", {"name": "lora"}, make_benchmark(), answer)
    failed = write_run(tmp_path / "rag", {"name": "rag"}, make_benchmark(), finish=False)
    failed.fail(ATTACK)
    write_report(tmp_path)
    reader = read(tmp_path / "report.html")
    assert "script" not in reader.tags
    assert reader.text.count(ATTACK) >= 3


def test_page_without_predictions_says_so(tmp_path: Path) -> None:
    write_run(tmp_path / "lora", {"name": "lora"}, make_benchmark(), right)
    shutil.rmtree(tmp_path / "lora" / "predictions")
    write_report(tmp_path)
    text = read(tmp_path / "report.html").text
    assert "No predictions were kept" in text
    assert "Queries and expected calls are not shown" in text


def test_page_of_one_round(tmp_path: Path) -> None:
    write_run(tmp_path / "lora", {"name": "lora"}, make_benchmark(num_rounds=1))
    write_report(tmp_path)
    assert "no method has a cell below the diagonal" in read(tmp_path / "report.html").text


def test_a_floor_that_was_not_measured_is_not_missed(page: Path, tmp_path: Path) -> None:
    assert "trained, above the floor2 of 3" in read(page).text
    write_run(tmp_path / "lora", {"name": "lora"}, make_benchmark(), budget={"steps": 1})
    write_report(tmp_path)
    assert "above the floor" not in read(tmp_path / "report.html").text
