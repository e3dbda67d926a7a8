from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compositional.chat_backends.base import Message, Reply
from compositional.playbooks.lesson import PlaybookLesson, saved_lesson
from compositional.playbooks.playbook import Playbook
from compositional.playbooks.tally import Tally
from compositional.preemption import PreemptedError
from compositional.run_context import RunContext
from compositional.states import Slot
from tests.playbooks.scripted import (
    QUESTION,
    Scripted,
    add,
    curated,
    evolver,
    generated,
    reflected,
)
from tests.rounds_toy import toy_context

QUESTIONS = [replace(QUESTION, text=f"Question: number {n}?") for n in range(3)]
HELD_OUT = [replace(QUESTION, text="Question: held out?")]
RIGHT, WRONG = generated("Kor Alman"), generated("nobody")


def teach(text: str) -> list[object]:
    """The replies by which a question that was answered wrongly adds an entry."""
    return [WRONG, reflected(), WRONG, curated(add(text))]


def run_with(path: Path | None = None) -> RunContext:
    return replace(toy_context(), slot=Slot(path))


def learn(lesson: PlaybookLesson, replies: list[object], passes: int, run: RunContext) -> Playbook:
    backend = Scripted(*replies)
    playbook = lesson.run(passes, evolver(backend, run=run), run)
    assert not backend.replies
    return playbook


def texts(playbook: Playbook) -> list[str]:
    return [entry.text for entry in playbook.entries]


def test_every_question_is_taken_once_a_pass_in_an_order_of_its_own() -> None:
    run = run_with()
    backend = Scripted(*[RIGHT] * 6)
    PlaybookLesson("k", QUESTIONS, [], Playbook()).run(2, evolver(backend, run=run), run)
    asked = [backend.prompt(n).rpartition("number ")[2] for n in range(6)]
    assert sorted(asked[:3]) == sorted(asked[3:]) == ["0?", "1?", "2?"]


def test_without_held_out_questions_the_last_playbook_stays() -> None:
    lesson = PlaybookLesson("k", QUESTIONS[:2], [], Playbook())
    assert texts(learn(lesson, [*teach("One."), *teach("Two.")], 1, run_with())) == ["One.", "Two."]


@pytest.mark.parametrize(
    ("scores", "kept"),
    [
        ((WRONG, RIGHT, WRONG), ["One."]),
        ((RIGHT, WRONG, WRONG), []),
        ((WRONG, WRONG, RIGHT), ["One.", "Two."]),
        ((RIGHT, RIGHT, RIGHT), ["One.", "Two."]),  # of equal ones the last
    ],
)
def test_validation_picks_the_best_playbook(scores, kept: list[str]) -> None:
    before, after_one, after_two = scores
    lesson = PlaybookLesson("k", QUESTIONS[:1], HELD_OUT, Playbook())
    replies = [before, *teach("One."), after_one, *teach("Two."), after_two]
    assert texts(learn(lesson, replies, 2, run_with())) == kept


def test_a_playbook_that_did_not_change_is_not_scored_again() -> None:
    lesson = PlaybookLesson("k", QUESTIONS[:1], HELD_OUT, Playbook())
    learn(lesson, [WRONG, RIGHT], 1, run_with())
    assert len(lesson.candidates) == 1


class StopsAt(Scripted):
    """A back end during whose n-th reply the run is asked to stop."""

    def __init__(self, number: int, run: RunContext, *replies: object) -> None:
        super().__init__(*replies)
        self.number, self.run = number, run

    def chat(self, messages: Sequence[Message], schema: object, **settings: Any) -> Reply:
        if len(self.asked) + 1 == self.number:
            self.run.stop.number = 10
        return super().chat(messages, schema, **settings)


@pytest.mark.parametrize("number", range(1, 15))
def test_a_lesson_that_was_cut_off_ends_as_one_that_was_not(tmp_path: Path, number: int) -> None:
    """No reply is asked for once it is to stop; the question under way is taken anew."""
    replies = [WRONG, *teach("One."), *teach("Two."), *teach("Three."), RIGHT]
    whole_run = run_with()
    whole = learn(PlaybookLesson("k", QUESTIONS, HELD_OUT, Playbook()), replies, 1, whole_run)

    run = run_with(tmp_path / "slot")
    backend = StopsAt(number, run, *replies)
    with pytest.raises(PreemptedError):
        PlaybookLesson("k", QUESTIONS, HELD_OUT, Playbook()).run(1, evolver(backend, run=run), run)
    assert len(backend.asked) == number

    again = run_with(tmp_path / "slot")
    assert saved_lesson("another", again) is None
    found = saved_lesson("k", again)
    num_done = 3 if number == 14 else min((number - 1) // 4, 2)  # saved after the validation
    assert (found is None) == (num_done == 0)
    lesson, tally = found or (PlaybookLesson("k", QUESTIONS, HELD_OUT, Playbook()), Tally())
    assert (lesson.done, tally.added) == (num_done, num_done)
    left = Scripted(*([] if number == 14 else replies[1 + 4 * num_done if found else 0 :]))
    rest = evolver(left, run=again)
    vars(rest.tally).update(vars(tally))
    assert lesson.run(1, rest, again) == whole
    assert not left.replies
    assert again.budget.counters() == whole_run.budget.counters()


def test_where_nothing_is_saved_there_is_no_lesson() -> None:
    assert saved_lesson("k", run_with()) is None
