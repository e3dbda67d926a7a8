"""`compositional grid`: print the plan, run one point, or hand all that are left to a launcher."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from compositional.errors import ResultsError, check_at_least, check_choice
from compositional.grids.expand import GridRun, expand
from compositional.grids.queued import in_words, note_submitted, queued
from compositional.grids.slurm import requeue_this_job, submit_array
from compositional.grids.spec import GridSpec, keep_copy, read_grid
from compositional.grids.tasks import pending, run_task
from compositional.models.lending import Lender
from compositional.planned_runs import note_planned
from compositional.preemption import PreemptedError
from compositional.report import write_report
from compositional.runner import check_can_start, prepare_run
from compositional.shards import check_whole
from compositional.slurm_jobs import check_command
from compositional.workers import Task, Workers

LAUNCHERS = ("local", "slurm", "submitit")


@dataclass(frozen=True)
class GridCommand:
    """What the command line says of a grid.

    Attributes:
        file: The grid.
        experiment: A folder of results in place of the file's; None for the file's.
        launcher: One of `LAUNCHERS`.
        workers: Runs side by side.
        sbatch: Further options of sbatch.
        max_requeues: How often a job of the array may be requeued.
        flags: Settings laid over every run.
    """

    file: Path
    experiment: str | None = None
    launcher: str = "local"
    workers: int = 1
    sbatch: tuple[str, ...] = ()
    max_requeues: int = 0
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an unknown launcher, and no workers."""
        check_choice("launcher", self.launcher, LAUNCHERS)
        check_at_least("workers", self.workers, 1)
        check_at_least("max_requeues", self.max_requeues, 0)

    @property
    def task_flags(self) -> list[str]:
        """The flags that a task needs to see the same grid."""
        named = ["--experiment", self.experiment] if self.experiment is not None else []
        return [*named, "--max_requeues", str(self.max_requeues), *self.flags]


def run_grid(
    command: GridCommand,
    *,
    task: int | None = None,
    dry_run: bool = False,
    price_per_hour: float | None = None,
) -> int:
    """Run what is asked of a grid; return the exit code.

    Args:
        command: The grid and how it is run.
        task: One point's number; None for all that are left.
        dry_run: Whether to print the plan only.
        price_per_hour: Of one worker, for the plan.

    Raises:
        CompositionalError: If the grid or one of its runs cannot be run, before any of them
            starts; or at the end, if some failed.
    """
    spec = read_grid(command.file, command.experiment)
    runs = expand(spec, command.flags)
    for grid_run in runs:
        check_whole(grid_run.config.model.shards, "a run of a grid")
    if task is not None:
        return _run_task(runs, task, spec.threads, command)
    if dry_run:
        from compositional.grids.plan import print_grid_plan

        print_grid_plan(runs, command.workers, spec.threads, price_per_hour)
        return 0
    left = pending(runs)
    if left and command.launcher != "local":
        return _submit(command, spec, runs, left)
    return _run_here(command, spec, runs, left)


def _prepared(command: GridCommand, spec: GridSpec, left: Sequence[GridRun]) -> GridCommand:
    """Check all runs, make their data, and keep the grid as it is now for all of them.

    A model is loaded once for all runs that take it.
    """
    configs = [grid_run.config for grid_run in left]
    for config in configs:
        check_can_start(config, resume=True)
    models = Lender()
    left_out: list[str] = []
    for config in sorted(configs, key=lambda config: str(config.model)):
        left_out += prepare_run(config, models.lend).benchmark.left_out
    for line in dict.fromkeys(left_out):
        print(line, file=sys.stderr, flush=True)
    folder = left[0].config.results_folder.parent
    return replace(command, file=keep_copy(spec, folder))


def _submit(
    command: GridCommand, spec: GridSpec, runs: Sequence[GridRun], left: Sequence[GridRun]
) -> int:
    """Submit what is left and not in the queue already."""
    check_command("sbatch", f"--launcher {command.launcher} needs Slurm, --launcher local does not")
    folder = runs[0].config.results_folder.parent
    there = queued(folder)
    waiting = [there[grid_run.config.id] for grid_run in left if grid_run.config.id in there]
    if waiting:
        print(in_words(waiting))
    new = [grid_run for grid_run in left if grid_run.config.id not in there]
    if not new:
        return 0
    command = _prepared(command, spec, new)
    if command.launcher == "slurm":
        job = submit_array(
            command.file,
            new,
            command.task_flags,
            threads=spec.threads,
            at_once=command.workers,
            options=command.sbatch,
        )
        tasks = [f"{job}_{grid_run.index}" for grid_run in new]
        what = f"job array {job}; when they are through, this command shows the report"
    else:
        from compositional.grids.submitit_launcher import submit_grid

        jobs = submit_grid(command, [grid_run.index for grid_run in new], spec.threads)
        tasks = [str(job.job_id) for job in jobs]
        what = f"jobs of submitit: {', '.join(tasks)}"
    print(f"submitted {len(new)} of {len(runs)} runs as {what}", flush=True)
    note_submitted(folder, {t: r.config.id for t, r in zip(tasks, new, strict=True)})
    note_planned([grid_run.config for grid_run in runs], anew=True)
    return 0


def _run_task(runs: Sequence[GridRun], index: int, threads: int, command: GridCommand) -> int:
    """Run one point in this process; where it is stopped, ask to be requeued."""
    try:
        folder = run_task(runs, index, threads)
    except PreemptedError as stopped:
        print(f"{stopped}: what was computed is saved", file=sys.stderr, flush=True)
        is_requeued = requeue_this_job(command.max_requeues)
        then = "the job is requeued" if is_requeued else "the same command goes on from here"
        print(then, file=sys.stderr, flush=True)
        return stopped.exit_code
    print(f"{folder.folder}: finished", file=sys.stderr)
    return 0


def _run_here(
    command: GridCommand, spec: GridSpec, runs: Sequence[GridRun], left: Sequence[GridRun]
) -> int:
    """Run what is left on this machine, then write the report."""
    if left:
        command = _prepared(command, spec, left)
        note_planned([grid_run.config for grid_run in runs], anew=True)
    print(f"{len(runs)} runs, {len(runs) - len(left)} of them finished", file=sys.stderr)
    start = ("grid", str(command.file), *command.task_flags, "--task")
    tasks = [Task(grid_run.config, (*start, str(grid_run.index))) for grid_run in left]
    failed = []
    ended = Workers(spec.threads, command.workers).run_all(tasks)
    for number, (task, code) in enumerate(ended, start=1):
        line = task.outcome(code)
        print(f"{number} of {len(left)}: {line}", file=sys.stderr, flush=True)
        if code:
            failed.append(line)
    if len(failed) < len(runs):
        config = runs[0].config
        write_report(config.results_folder.parent, published=config.output.published_dir)
    if failed:
        raise ResultsError(f"{len(failed)} of {len(runs)} runs failed; this command tries again")
    return 0
