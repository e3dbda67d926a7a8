"""The console command: one verb a function, one line where something is the user's to mend."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from compositional.errors import CompositionalError, ConfigError, did_you_mean
from compositional.launched import MAX_REQUEUES, launched_processes
from compositional.preemption import PreemptedError, noting_early

INTERRUPTED = 130
SHARED_VERB = "run"
BY_RESUME = "--resume goes on from here"
BY_ITSELF = "the same command goes on from here"
AFTER_INTERRUPT = {
    "run": BY_RESUME,
    "grid": BY_ITSELF,
    "compare-documents": BY_ITSELF,
    "train-hypernetwork": BY_RESUME,
    "learn": "documents that were said to be learned are kept",
    "forget": "the memory is as it was",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb and return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    is_task = arguments[:1] == ["grid"] and _has(arguments, "--task")
    with noting(arguments) if arguments[:1] == [SHARED_VERB] or is_task else nullcontext():
        return _main(arguments)


def noting(argv: Sequence[str] | None) -> AbstractContextManager[None]:
    """Note signals from now on for a run, which heeds them once it is under way; not for a plan.

    Args:
        argv: The arguments; None for those of the process.
    """
    is_plan = _has(sys.argv[1:] if argv is None else argv, "--dry_run")
    return nullcontext() if is_plan else noting_early()


def _has(arguments: Sequence[str], flag: str) -> bool:
    return any(word.partition("=")[0] == flag for word in arguments)


def _main(arguments: Sequence[str]) -> int:
    """Run a verb and return the exit code, signals noted."""
    from compositional.cli import verbs

    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage(verbs.VERBS))
        return 0
    verb, *rest = arguments
    if verb not in verbs.VERBS:
        print(f"error: unknown verb {verb!r}; {did_you_mean(verb, verbs.VERBS)}", file=sys.stderr)
        return 2
    return guarded(lambda: _run_verb(verb, rest), AFTER_INTERRUPT.get(verb, ""))


def _run_verb(verb: str, arguments: Sequence[str]) -> int | None:
    from compositional.cli import verbs

    count = launched_processes()
    if verb != SHARED_VERB and count > 1:
        raise ConfigError(
            f"{count} processes were started, but {verb!r} is for one: only {SHARED_VERB!r} and "
            "the entry points share their work out"
        )
    return verbs.VERBS[verb](arguments)


def guarded(command: Callable[[], int | None], after_interrupt: str = BY_RESUME) -> int:
    """Run a command; show what is the user's to mend as one line, without a traceback.

    Args:
        command: Returns its exit code, None for 0.
        after_interrupt: What a user is told when it was interrupted or stopped; empty for a
            command that keeps nothing.
    """
    try:
        return command() or 0
    except CompositionalError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        told = f": {after_interrupt}" if after_interrupt else ""
        print(f"interrupted{told}", file=sys.stderr)
        return INTERRUPTED
    except PreemptedError as stopped:
        kept = f": what was computed is saved, {after_interrupt}" if after_interrupt else ""
        print(f"{stopped}{kept}", file=sys.stderr)
        guarded(_leave_together)
        return stopped.exit_code


def _leave_together() -> None:
    """Ask Slurm for another go where that is wanted, and end when all processes have saved."""
    from compositional.processes import processes

    together = processes()
    together.exchange(None)
    text = os.environ.get(MAX_REQUEUES)
    if text is None or not together.is_first:
        return
    from compositional.grids.slurm import requeue_this_job

    if not text.isdecimal():
        raise ConfigError(f"{MAX_REQUEUES} is {text!r}; it must be a whole number")
    if requeue_this_job(int(text)):
        print("the job is requeued", file=sys.stderr, flush=True)


def usage(verbs: dict[str, Callable[[Sequence[str]], int | None]]) -> str:
    """Return the list of verbs, each with the first line of its docstring."""
    width = max(len(verb) for verb in verbs)
    lines = [f"  {verb:<{width}}  {_first_line(function)}" for verb, function in verbs.items()]
    return "usage: compositional VERB [flags]   (VERB --help shows its flags)\n\n" + "\n".join(
        lines
    )


def _first_line(function: Callable[..., object]) -> str:
    return (function.__doc__ or "").strip().split("\n")[0]
