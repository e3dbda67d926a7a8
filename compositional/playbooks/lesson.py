"""A lesson over many questions: passes in a drawn order, validation, and a state after each one."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from compositional.playbooks.evolving import Evolver
from compositional.playbooks.playbook import Playbook
from compositional.playbooks.roles import Question
from compositional.playbooks.tally import Tally
from compositional.run_context import RunContext
from compositional.states import State
from compositional.stopping import heed_stop


@dataclass
class PlaybookLesson:
    """What is to be learned, and how far that has come.

    Attributes:
        key: Names the lesson; a state of another one is not taken.
        questions: To learn from.
        held_out: By which the playbook is chosen; none to keep the last one.
        playbook: As it is now.
        candidates: Playbooks that were scored on the held-out questions: before the lesson and
            after each pass.
        done: Questions learned from, over all passes.
    """

    key: str
    questions: Sequence[Question]
    held_out: Sequence[Question]
    playbook: Playbook
    candidates: list[tuple[float, Playbook]] = field(default_factory=list)
    done: int = 0

    def run(self, passes: int, evolver: Evolver, run: RunContext) -> Playbook:
        """Learn from what is left, and return the playbook that is kept.

        The best on the held-out questions is; of several equal ones the last.

        Raises:
            PreemptedError: If the run was asked to stop; what was learned is in its slot.
        """
        total = passes * len(self.questions)
        with run.progress.bar(f"{self.key}: playbook", total, self.done) as bar:
            if not self.candidates:
                self._validate(evolver)
            while self.done < total:
                number, place = divmod(self.done, len(self.questions))
                order = run.streams.generator("playbook", self.key, number).permutation(
                    len(self.questions)
                )
                self.playbook = evolver.learn(self.playbook, self.questions[order[place]])
                self.done += 1
                if place == len(self.questions) - 1:
                    self._validate(evolver)
                self._save(evolver.tally, run)
                bar.update(1)
                heed_stop(run)
        if not self.candidates:
            return self.playbook
        best = max(range(len(self.candidates)), key=lambda n: (self.candidates[n][0], n))
        return self.candidates[best][1]

    def in_words(self, new: Tally, playbook: Playbook, names: Collection[str]) -> str:
        """Return what the lesson came to.

        Args:
            new: What was counted in it.
            playbook: The one that is kept.
            names: Of the documents or tools that it was about.
        """
        kept = sum(any(s in names for s in entry.sources) for entry in playbook.entries)
        parts = [
            f"{len(self.questions) + len(self.held_out)} questions",
            *([f"{len(self.held_out)} of them held out"] if self.held_out else []),
            f"{new.right} right at once",
            f"{new.added} entries added and {kept} kept",
            f"{len(playbook.entries)} in the playbook",
            *([f"{new.skipped} steps left out"] if new.skipped else []),
        ]
        return ", ".join(parts)

    def _validate(self, evolver: Evolver) -> None:
        """Score the playbook on the held-out questions, unless it is the one scored last."""
        if not self.held_out:
            return
        if self.candidates and self.candidates[-1][1] == self.playbook:
            return
        self.candidates.append((evolver.score(self.playbook, self.held_out), self.playbook))

    def _save(self, tally: Tally, run: RunContext) -> None:
        metadata = {
            "key": self.key,
            "questions": [vars(question) for question in self.questions],
            "held_out": [vars(question) for question in self.held_out],
            "playbook": self.playbook.to_json(),
            "candidates": [[score, book.to_json()] for score, book in self.candidates],
            "done": self.done,
            "tally": vars(tally),
            "budget": run.budget.counters(),
        }
        run.slot.save(State({}, metadata))


def saved_lesson(key: str, run: RunContext) -> tuple[PlaybookLesson, Tally] | None:
    """Return the lesson of a key that the run's slot holds, and set the run's budget; else None."""
    state = run.slot.load()
    if state is None or state.metadata.get("key") != key:
        return None
    kept: dict[str, Any] = state.metadata
    run.budget.set_counters(kept["budget"])
    lesson = PlaybookLesson(
        key,
        [Question(**question) for question in kept["questions"]],
        [Question(**question) for question in kept["held_out"]],
        Playbook.from_json(kept["playbook"]),
        [(score, Playbook.from_json(book)) for score, book in kept["candidates"]],
        kept["done"],
    )
    return lesson, Tally(**kept["tally"])
