"""The console command: one verb a function, one line where something is the user's to mend."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from compositional.errors import CompositionalError, ConfigError, did_you_mean
from compositional.launched import MAX_REQUEUES, launched_processes
from compositional.preemption import PreemptedError, noting_early

INTERRUPTED = 130
SHARED_VERB = "run"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb and return the exit code."""
    from compositional.cli import verbs

    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage(verbs.VERBS))
        return 0
    verb, *rest = arguments
    if verb not in verbs.VERBS:
        print(f"error: unknown verb {verb!r}; {did_you_mean(verb, verbs.VERBS)}", file=sys.stderr)
        return 2
    # These heed a signal once they are under way; until then it is noted.
    heeds = verb == SHARED_VERB or (verb == "grid" and "--task" in rest)
    with noting_early() if heeds and "--dry_run" not in rest else nullcontext():
        return guarded(lambda: _run_verb(verb, rest))


def _run_verb(verb: str, arguments: Sequence[str]) -> int | None:
    from compositional.cli import verbs

    count = launched_processes()
    if verb != SHARED_VERB and count > 1:
        raise ConfigError(
            f"{count} processes were started, but {verb!r} is for one: only {SHARED_VERB!r} and "
            "the entry points share their work out"
        )
    return verbs.VERBS[verb](arguments)


def guarded(command: Callable[[], int | None]) -> int:
    """Run a command; show what is the user's to mend as one line, without a traceback."""
    try:
        return command() or 0
    except CompositionalError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted: --resume goes on from here", file=sys.stderr)
        return INTERRUPTED
    except PreemptedError as stopped:
        print(f"{stopped}: what was computed is saved, --resume goes on", file=sys.stderr)
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
