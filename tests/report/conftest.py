"""One small experiment, written once: two rounds of four examples, figures known by hand."""

from pathlib import Path

import pytest

from compositional.columns import Column
from compositional.report.figures import MethodFigures, all_figures
from compositional.report.loading import Experiment, load_experiment
from compositional.tasks.types import Example, Prediction
from tests.report.runs import NO_CALL, UNPARSED, call, make_benchmark, right, write_run

TRAINED = {"steps": 4, "rows": 8, "trained_parameters": 2000}
LORA = {"name": "lora"}


def forgets(row: int, column: Column, place: int, asked: Example) -> Prediction:
    """R = [[0, 0], [1, 0], [0.5, 0.75]] in tool F1 and in argument F1, but R[2, 2] = 0.5 there."""
    if row == 2 and column.index == 1 and place < 2:
        return UNPARSED
    if row == 2 and column.index == 2 and place == 0:
        return NO_CALL
    if row == 2 and column.index == 2 and place == 1:
        return call("b", city="Oslo")
    return right(row, column, place, asked)


def constant(row: int, column: Column, place: int, asked: Example) -> Prediction:
    """R = [[-, -], [1, 0], [1, 0]]: the first tool, whatever is asked."""
    return call("a", city="Rome")


def half(row: int, column: Column, place: int, asked: Example) -> Prediction:
    return right(row, column, place, asked) if place < 2 else NO_CALL


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the experiment; nothing may be written below its runs."""
    folder = tmp_path_factory.mktemp("results") / "tiny"
    data = make_benchmark()
    write_run(folder / "lora", LORA, data, forgets, budget=TRAINED)
    write_run(folder / "zero_shot", {"name": "zero_shot"}, data, half, reused=(1, 2))
    write_run(folder / "oracle", {"name": "oracle", "of": LORA}, data, right, budget=TRAINED)
    write_run(folder / "joint", {"name": "joint", "of": LORA}, data, half, budget=TRAINED)
    settings = {"name": "constant", "maximise": "tool_f1"}
    write_run(folder / "constant", settings, data, constant, first_row=False)
    failed = write_run(folder / "rag", {"name": "rag"}, data, right, finish=False)
    failed.fail("ModelError: no <model>\nanywhere | at all")
    return folder


@pytest.fixture(scope="session")
def experiment(folder: Path) -> Experiment:
    return load_experiment(folder)


@pytest.fixture(scope="session")
def figures(experiment: Experiment) -> dict[str, MethodFigures]:
    return {method.run.name: method for method in all_figures(experiment)}
