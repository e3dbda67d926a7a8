"""Which runs of a grid wait in Slurm's queue or run there, so that none is submitted twice.

What was submitted is noted beside the results, each task with the id of its run; which of the tasks
are still there is asked of Slurm every time.
"""

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compositional.errors import ResultsError
from compositional.files import read_json, write_json
from compositional.slurm_jobs import queue

SUBMITTED = ".submitted.json"


@dataclass(frozen=True)
class QueuedTask:
    """A task of Slurm's that makes a run.

    Attributes:
        name: As Slurm names it: the array's job and its number in it, such as `7_0`.
        state: Slurm's word for it, such as `pending`.
    """

    name: str
    state: str

    @property
    def job(self) -> str:
        """The id of its job."""
        return self.name.partition("_")[0]


def note_submitted(folder: Path, tasks: Mapping[str, str]) -> None:
    """Note which tasks make which runs; those noted before stay while Slurm has them.

    Args:
        folder: `results/<experiment>`.
        tasks: The id of each new task's run, by the task's name.

    Raises:
        CompositionalError: If it cannot be written.
    """
    before = {task.name: run_id for run_id, task in queued(folder).items()}
    write_json(folder / SUBMITTED, before | dict(tasks))


def queued(folder: Path) -> dict[str, QueuedTask]:
    """Return the tasks that are in Slurm's queue, waiting or under way, by the id of their run.

    None are where there is no Slurm to ask, from where none can be submitted either.

    Args:
        folder: `results/<experiment>`.

    Raises:
        ResultsError: If the note is none that `note_submitted` wrote.
        SlurmError: If Slurm does not answer.
    """
    path = folder / SUBMITTED
    noted = read_json(path) if path.exists() else {}
    if not isinstance(noted, dict):
        raise ResultsError(f"{path} is no note of what was submitted: remove it")
    if not noted or shutil.which("squeue") is None:
        return {}
    states = queue()
    return {
        str(run_id): QueuedTask(name, states[name])
        for name, run_id in noted.items()
        if name in states
    }


def in_words(tasks: Sequence[QueuedTask]) -> str:
    """Say in a line what is in the queue and not submitted again.

    Args:
        tasks: One or more.
    """
    jobs = list(dict.fromkeys(task.job for task in tasks))
    states = Counter(task.state for task in tasks)
    counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    several = len(jobs) > 1
    return (
        f"job{'s' if several else ''} {', '.join(jobs)} of this grid {'are' if several else 'is'} "
        f"still in the queue ({counts}): {len(tasks)} run{'s' if len(tasks) > 1 else ''} not "
        "submitted again"
    )
