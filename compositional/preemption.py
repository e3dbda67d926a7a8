"""Stopping when the machine is wanted back: a signal is noted, and heeded at a safe moment.

Slurm sends USR1 some time before a limit (`--signal=B:USR1@120`) and TERM when it takes the machine
for another job. A training then saves its state after the step under way, an answering ends at the
next token, and the process ends with 128 plus the signal's number, which schedulers and W&B sweeps
take as "not finished". `--resume` goes on, byte for byte as if nothing had happened.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SIGNALS = (signal.SIGUSR1, signal.SIGTERM)


class PreemptedError(BaseException):
    """The process was asked to stop; like an interrupt by hand, no handler of errors takes it.

    Args:
        number: The signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number

    @property
    def exit_code(self) -> int:
        """What the process returns: 128 plus the signal's number, as a shell has it."""
        return 128 + self.number


@dataclass
class StopRequest:
    """Whether the process was asked to stop.

    Attributes:
        number: The signal's number; None where none came.
    """

    number: int | None = None

    def check(self) -> None:
        """Stop here where it was asked for.

        Raises:
            PreemptedError: If a signal came.
        """
        if self.number is not None:
            raise PreemptedError(self.number)


_early: list[StopRequest] = []
"""What came before anything heeded signals."""

_heeded: tuple[signal.Signals, ...] = SIGNALS


@contextmanager
def noting_signals() -> Iterator[StopRequest]:
    """Note the signals that ask for a stop while the block runs, in place of dying of them.

    Outside the main thread, to which signals come, nothing is noted.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(number: int, _frame: FrameType | None) -> None:
        request.number = number

    request.number = _early[-1].number if _early else None
    before = {number: signal.signal(number, note) for number in _heeded}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def noting_early() -> Iterator[None]:
    """Note signals for a command that will come to heed them.

    Modules take seconds to load, and a signal in that time would end the process at once.
    """
    with noting_signals() as early:
        _early.append(early)
        try:
            yield
        finally:
            _early.pop()


@contextmanager
def heeding_only(*numbers: signal.Signals) -> Iterator[None]:
    """Leave other signals to whoever handles them already, while the block runs."""
    global _heeded  # noqa: PLW0603  # one process has one set of signals
    before, _heeded = _heeded, numbers
    try:
        yield
    finally:
        _heeded = before
