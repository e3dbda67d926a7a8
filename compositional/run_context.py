"""What a run lends to a method: streams, counters, a slot to checkpoint into, a progress line."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

from tqdm import tqdm

from compositional.answering import Answering
from compositional.generation.answers import AnswerStore
from compositional.preemption import StopRequest
from compositional.processes import Processes
from compositional.settings import EvaluationConfig, TrainingConfig
from compositional.states import Slot
from compositional.streams import Streams

# One process writes the lines. tqdm's own lock is shared with forked processes, and stays held for
# ever where one of them is killed while it writes.
tqdm.set_lock(threading.RLock())


@dataclass
class Budget:
    """What a method has cost so far, counted alike for all of them.

    Attributes:
        trained_parameters: The values that trained at any time, adaptation included.
        steps: Optimiser steps.
        rows: Training rows seen, replayed ones included.
        replayed_rows: Those of them that were replayed.
        input_tokens: Tokens of the rows seen, prompt and target.
        target_tokens: Tokens that carried a loss.
        buffer_bytes: Bytes of past examples or vectors kept for later rounds, at the most.
        state_bytes: Bytes of the state after the last lesson: its tensors, and the rest as JSON.
        replies: Replies that a chat back end gave while something was learned.
        skipped_replies: Steps of learning left out since a back end's replies could not be used.
    """

    trained_parameters: int = 0
    steps: int = 0
    rows: int = 0
    replayed_rows: int = 0
    input_tokens: int = 0
    target_tokens: int = 0
    buffer_bytes: int = 0
    state_bytes: int = 0
    replies: int = 0
    skipped_replies: int = 0

    def counters(self) -> dict[str, int]:
        """Return all counters by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def set_counters(self, counters: dict[str, int]) -> None:
        """Set all counters, as saved earlier."""
        for name, value in counters.items():
            setattr(self, name, value)


class Progress:
    """Progress lines on standard error, with an estimate of the time left.

    Args:
        title: What runs, shown before every bar.
        enabled: Whether anything is shown.
    """

    def __init__(self, title: str = "", *, enabled: bool = False) -> None:
        self.title = title
        self.enabled = enabled

    @contextmanager
    def bar(self, what: str, total: int, initial: int = 0) -> Iterator["tqdm[Any]"]:
        """Show a bar for one part of the run."""
        with tqdm(
            total=total,
            initial=initial,
            desc=f"{self.title} {what}".strip(),
            disable=not self.enabled,
            leave=False,
            file=sys.stderr,
            dynamic_ncols=True,
            mininterval=0.1 if sys.stderr.isatty() else 10.0,
        ) as bar:
            yield bar


@dataclass
class RunContext:
    """The small object that every verb of a method is handed.

    Attributes:
        name: The run's name, for the log.
        streams: Named random streams from the run's seed.
        training: Settings that all trained methods share.
        evaluation: Settings of generation.
        slot: Where a training saves its state.
        answers: Generated answers by the hash of model and prompts.
        answering: Tokens computed for the answers of the row under way.
        budget: Counters of what the method cost.
        progress: Progress lines.
        losses: The loss of every step, by training.
        notes: What else is to be said of lessons, a line each, for whoever shows it.
        stop: Whether the process was asked to stop.
        processes: Those that compute the run together.
    """

    streams: Streams
    name: str = "run"
    training: TrainingConfig = field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    slot: Slot = field(default_factory=Slot)
    answers: AnswerStore = field(default_factory=AnswerStore)
    answering: Answering = field(default_factory=Answering)
    budget: Budget = field(default_factory=Budget)
    progress: Progress = field(default_factory=Progress)
    losses: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    stop: StopRequest = field(default_factory=StopRequest)
    processes: Processes = field(default_factory=Processes)

    def agreed_signal(self) -> int | None:
        """Return the signal that the run heeds now, the same in all processes; None for none."""
        numbers = self.processes.exchange(self.stop.number)
        return next((number for number in numbers if number is not None), None)
