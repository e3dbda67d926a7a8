import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compositional.checkpoints import Checkpoints
from compositional.config import resolve
from compositional.methods.base import Traits
from compositional.results import RunFolder
from compositional.rounds import run_rounds
from compositional.run_context import RunContext
from compositional.settings import EvaluationConfig
from compositional.states import State
from compositional.streams import Streams
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.types import Call, Example, Prediction, Round
from tests.rounds_toy import toy_benchmark, toy_round
from tests.runs_toy import interrupt_at

IDENTITY = {"config": "c", "model": "m", "data": "d"}


class Diary:
    """A method that calls each tool it was taught where the query names it, and keeps a diary."""

    model = None

    def __init__(self, diary: list[str], traits: Traits | None = None) -> None:
        self.diary = diary
        self.traits = traits or Traits()
        self.tools: list[str] = []

    def learn(self, round_: Round, run: RunContext) -> None:
        self.diary.append(f"learn {round_.index} {round_.name}")
        self.tools += [skill.name for skill in round_.skills]

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        assert all(e.steps is None and e.round is None for e in examples)
        self.diary.append(f"answer {len(examples)}")
        return [self._answer(example.query) for example in examples]

    def _answer(self, query: str) -> Prediction:
        calls = tuple(
            Call(tool, {"what": part.split()[-1]})
            for part in query.split(" and ")
            for tool in self.tools
            if part.startswith(tool.replace("_", " "))
        )
        return Prediction(f"raw {query}", calls, tuple(call.name for call in calls), 3)

    def state_dict(self) -> State:
        return State({}, {"tools": list(self.tools)})

    def load_state_dict(self, state: State) -> None:
        self.tools = list(state.metadata["tools"])


class Place:
    """Where the runs of a test stand."""

    def __init__(self, folder: Path, benchmark: Benchmark, evaluation: EvaluationConfig) -> None:
        self.folder = RunFolder(folder / "results" / "e" / "r")
        self.checkpoints = Checkpoints(folder / "checkpoints" / "e" / "r", keep_all=False)
        self.benchmark = benchmark
        self.context = RunContext(streams=Streams(0), evaluation=evaluation)
        self.checkpoints.claim(IDENTITY)
        config = resolve({"experiment": "e", "run": "r", "method": "icl"})
        if self.folder.status() is None:
            self.folder.start(config, IDENTITY, [], {})

    def run(self, method: Diary) -> None:
        run_rounds(method, self.benchmark, self.context, self.folder, self.checkpoints)

    def matrix(self, score: str = "tool_f1") -> dict[tuple[int, str], float | None]:
        return {(cell.row, cell.column): cell.mean(score) for cell in self.folder.cells()}


def place(folder: Path, benchmark: Benchmark | None = None, **evaluation: object) -> Place:
    return Place(folder, benchmark or toy_benchmark(3), EvaluationConfig(**evaluation))


def test_the_loop_learns_then_answers_what_is_due(tmp_path: Path) -> None:
    diary: list[str] = []
    here = place(tmp_path)
    here.run(Diary(diary))
    # Three examples a round, one mixed, one unanswerable; a row is answered whole.
    assert diary == [
        "answer 10",
        "learn 1 tools1",
        "answer 7",
        "learn 2 tools2",
        "answer 10",
        "learn 3 tools3",
        "answer 11",
    ]
    matrix = here.matrix()
    assert matrix[0, "tools1"] == 0
    assert matrix[0, "unanswerable"] == 1  # the share answered by no call
    for row in (1, 2, 3):
        for index in (1, 2, 3):
            if index <= row + 1:
                assert matrix[row, f"tools{index}"] == float(index <= row), (row, index)
            else:
                assert (row, f"tools{index}") not in matrix
    assert matrix[3, "mixed"] == 1
    assert (2, "mixed") not in matrix


def test_predictions_stand_with_raw_text_a_line_an_example(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.run(Diary([]))
    path = here.folder.folder / "predictions" / "row3_tools2.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    examples = here.benchmark.rounds[1].test
    assert [line["id"] for line in lines] == [example.id for example in examples]
    assert lines[0]["raw"] == f"raw {examples[0].query}"
    assert lines[0]["calls"] == [{"name": "play_song", "arguments": {"what": "x6"}}]
    assert lines[0]["tools"] == ["play_song"]
    assert lines[0]["num_tokens"] == 3
    cell = next(c for c in here.folder.cells() if (c.row, c.column) == (3, "tools2"))
    assert cell.num_calls == [1, 1, 2]
    assert cell.base_ids[2] == examples[2].base_ids
    np.testing.assert_array_equal(cell.scores["exact_match"], [1, 1, 1])


def test_a_method_without_a_first_row_is_not_asked_before_it_learned(tmp_path: Path) -> None:
    diary: list[str] = []
    here = place(tmp_path)
    here.run(Diary(diary, Traits(has_first_row=False)))
    assert diary[0] == "learn 1 tools1"
    assert min(row for row, _ in here.matrix()) == 1


@pytest.mark.parametrize("learns", [True, False])
def test_the_adaptation_lesson_is_for_methods_that_take_one_and_has_no_row(
    tmp_path: Path, learns: bool
) -> None:
    adaptation = replace(toy_round(3), index=0, name="tools7-8")
    benchmark = replace(toy_benchmark(2), adaptation=adaptation)
    diary: list[str] = []
    here = place(tmp_path, benchmark)
    here.run(Diary(diary, Traits(learns_adaptation=learns)))
    learned = [line for line in diary if line.startswith("learn")]
    assert learned == (["learn 0 tools7-8"] if learns else []) + [
        "learn 1 tools1",
        "learn 2 tools2",
    ]
    assert {row for row, _ in here.matrix()} == {0, 1, 2}
    first = diary.index("learn 1 tools1")
    assert [line.split()[0] for line in diary[:first]] == ["answer", *(["learn"] if learns else [])]


def test_the_same_method_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    place(whole).run(Diary([]))
    diaries: list[list[str]] = []
    for words in ("after round 0, tools2", "learned tools2", "after round 3, tools1"):
        with interrupt_at(words):
            diaries.append([])
            place(cut).run(Diary(diaries[-1]))
    diaries.append([])
    place(cut).run(Diary(diaries[-1]))
    assert diaries == [
        ["answer 10"],
        # The row was answered, but not all of its cells were written: again, in the same batches.
        ["answer 10", "learn 1 tools1", "answer 7", "learn 2 tools2"],
        ["answer 10", "learn 3 tools3", "answer 11"],
        ["answer 11"],
    ]
    for kind in ("scores", "predictions"):
        expected = sorted((whole / "results" / "e" / "r" / kind).iterdir())
        found = sorted((cut / "results" / "e" / "r" / kind).iterdir())
        assert [p.name for p in found] == [p.name for p in expected]
        assert [p.read_bytes() for p in found] == [p.read_bytes() for p in expected]


def test_rows_that_stand_are_not_answered_again(tmp_path: Path) -> None:
    place(tmp_path).run(Diary([]))
    diary: list[str] = []
    place(tmp_path).run(Diary(diary))
    assert diary == []


class Slow(Diary):
    """A diary that computes no token for most of its answers."""

    def __init__(self, diary: list[str], num_computed: int) -> None:
        super().__init__(diary)
        self.num_computed = num_computed

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        run.answering.add([[1, 2]] * len(examples))
        found = super().answer(examples, run)
        return [replace(p, reused=place >= self.num_computed) for place, p in enumerate(found)]


@pytest.mark.parametrize("num_computed", [0, 1, 5, 100])
def test_the_cells_of_a_row_take_what_the_row_takes(tmp_path: Path, num_computed: int) -> None:
    here = place(tmp_path)
    here.run(Slow([], num_computed))
    timings = here.folder.timings()
    for row in range(4):
        cells = [timing for name, timing in timings.items() if name.startswith(f"row{row}_")]
        whole = timings[f"answers_row{row}"]
        assert whole["seconds"] > 0
        assert sum(cell["seconds"] for cell in cells) == pytest.approx(whole["seconds"])
        num_examples = sum(cell["num_examples"] for cell in cells)
        assert whole["prompt_tokens"] == 2 * num_examples
        assert whole["num_reused"] == max(0, num_examples - num_computed)
        assert whole["num_computed"] == sum(cell["num_computed"] for cell in cells)
    assert timings["row0_tools3"]["num_computed"] == (3 if num_computed == 100 else 0)


def test_a_row_answered_again_took_what_it_took_at_first(tmp_path: Path) -> None:
    with interrupt_at("after round 3, tools1"):
        place(tmp_path).run(Slow([], 100))
    path = tmp_path / "results" / "e" / "r" / "timings" / "answers_row3.json"
    before = path.read_bytes()
    here = place(tmp_path)
    here.run(Slow([], 0))
    assert path.read_bytes() == before
    timings = here.folder.timings()
    cells = [timing for name, timing in timings.items() if name.startswith("row3_")]
    assert len(cells) == 5
    assert sum(cell["seconds"] for cell in cells) == pytest.approx(json.loads(before)["seconds"])
