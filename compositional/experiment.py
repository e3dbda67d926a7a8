"""An experiment: the runs of a file, then the table and the page."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from compositional.checkpoints import Checkpoints
from compositional.config import RunConfig, read_experiment, resolve
from compositional.errors import CompositionalError, ConfigError, ResultsError, check_at_least
from compositional.identity import is_finished_run_of
from compositional.launched import launched_processes
from compositional.locks import hold
from compositional.logs import LOGGER, show_log
from compositional.own_folders import in_own_folders
from compositional.processes import Processes, join, processes
from compositional.results import FINISHED, RunFolder
from compositional.runner import check_can_start, prepare_run, run
from compositional.selection import select_runs
from compositional.workers import Task, Workers


def run_experiment(
    path: Path,
    *,
    method: str | None = None,
    experiment_name: str | None = None,
    run_name: str | None = None,
    resume: bool = False,
    dry_run: bool = False,
    progress: bool = True,
    workers: int = 1,
    report: bool = True,
    overrides: Sequence[str] = (),
) -> int:
    """Run what an experiment file asks for; what is finished already is not run again.

    Args:
        path: The experiment file.
        method: The file's runs of this method, or where it has none this method alone.
        experiment_name: A folder of results in place of the file's.
        run_name: Runs of the file, with commas between them.
        resume: Whether runs that were started go on.
        dry_run: Whether to print the plan only.
        progress: Whether progress is shown.
        workers: Runs side by side, a process each with its share of the threads.
        report: Whether tables are printed and the page is written at the end.
        overrides: Further settings as flags.

    Raises:
        CompositionalError: If a run cannot start, or when all are through and some failed.
    """
    check_at_least("workers", workers, 1)
    configs = experiment_configs(path, method, experiment_name, run_name, overrides)
    if dry_run:
        from compositional.plan import print_plan

        print_plan(configs)
        return 0
    if progress:
        show_log()
    if workers == 1:
        run_all(configs, resume=resume, progress=progress, report=report)
        return 0
    if launched_processes() > 1:
        raise ConfigError(f"workers {workers} start processes of their own: leave accelerate out")
    named = {"--method": method, "--experiment": experiment_name}
    flags = [word for flag, value in named.items() if value for word in (flag, value)]
    flags += [] if progress else ["--quiet"]
    command = ("run", str(path), "--resume", "--no_report", *flags, *overrides)

    def run_each(waiting: Sequence[RunConfig]) -> list[str]:
        num_workers = min(workers, len(waiting))
        if num_workers < 2:
            return _run_each(waiting, Processes(), resume=resume, progress=progress)
        tasks = [Task(config, (*command, "--run", config.run)) for config in waiting]
        threads = max(1, torch.get_num_threads() // num_workers)
        ended = Workers(threads, num_workers, follows=progress).run_all(tasks)
        return [task.outcome(code) for task, code in ended if code]

    _run_waiting(configs, run_each, resume=resume, report=report)
    return 0


def experiment_configs(
    path: Path,
    method: str | None = None,
    experiment_name: str | None = None,
    run_name: str | None = None,
    overrides: Sequence[str] = (),
) -> list[RunConfig]:
    """Return the resolved configs of the runs that are asked for, all of them checked."""
    experiment = read_experiment(path)
    if experiment_name is not None:
        experiment["experiment"] = experiment_name
    return [resolve(s, overrides) for s in select_runs(experiment, run_name, method)]


def run_all(
    configs: Sequence[RunConfig], *, resume: bool, progress: bool = True, report: bool = True
) -> None:
    """Run all configs of an experiment that are not finished, then write its report.

    Every run is checked before the first one starts. Where one fails all the same, the others
    are run, and what is finished is reported. Several processes end with the first failure, which
    need not be that of all of them.

    Raises:
        CompositionalError: If a run cannot start, or when all are through and some failed.
    """
    model = configs[0].model
    together = join(model.device, model.shards)
    with in_own_folders(configs, together) as own:
        shows = progress and together.is_first

        def run_each(waiting: Sequence[RunConfig]) -> list[str]:
            return _run_each(waiting, together, resume=resume, progress=shows)

        _run_waiting(own, run_each, resume=resume, report=report and together.is_first)


def _run_waiting(
    configs: Sequence[RunConfig],
    run_each: Callable[[Sequence[RunConfig]], list[str]],
    *,
    resume: bool,
    report: bool,
) -> None:
    """Run what is not finished, then report.

    Args:
        configs: The runs.
        run_each: Makes runs; returns the names and reasons of those that failed.
        resume: Whether runs that were started go on.
        report: Whether there is a report.
    """
    finished = [folder for config in configs if (folder := find_finished(config)) is not None]
    names = {folder.folder.name for folder in finished}
    waiting = [config for config in configs if config.run not in names]
    for config in waiting:
        check_can_start(config, resume=resume)
    if len(waiting) > 1:
        for config in waiting:
            prepare_run(config)
    if finished:
        print(announcement(finished))
    failed = run_each(waiting)
    if report and len(failed) < len(configs):
        from compositional.report import write_report

        output = configs[0].output
        results = output.results_dir / configs[0].experiment
        write_report(results, published=output.published_dir)
    if failed:
        raise ResultsError(
            f"{len(failed)} of {len(configs)} runs failed ({'; '.join(failed)}); the others' "
            "results stand, and --resume tries again"
        )


def _run_each(
    configs: Sequence[RunConfig], together: Processes, *, resume: bool, progress: bool
) -> list[str]:
    """Run configs one after the other; return the names and reasons of those that failed."""
    failed = []
    for number, config in enumerate(configs, start=1):
        title = f"{config.run} ({number} of {len(configs)})" if len(configs) > 1 else config.run
        try:
            run(config, resume=resume, progress=progress, title=title)
        except Exception as error:
            if len(configs) == 1 or together.count > 1:
                raise
            is_known = isinstance(error, CompositionalError)
            LOGGER.error("%s failed: %s", config.run, error, exc_info=not is_known)
            failed.append(f"{config.run}: {error}")
    return failed


def find_finished(config: RunConfig) -> RunFolder | None:
    """Return a finished run of this very config, from the results or from what is published.

    Cosmetic settings do not count: two configs with one hash give the same results.
    """
    folder = RunFolder(config.results_folder)
    if is_finished_run_of(folder, config):
        if processes().is_first:
            _remove_leftovers(folder)
        return folder
    if config.output.published_dir is not None and folder.status() != FINISHED:
        published = RunFolder(config.output.published_dir / config.run)
        if is_finished_run_of(published, config):
            return published
    return None


def _remove_leftovers(folder: RunFolder) -> None:
    """Remove the states of a finished run that was killed before it could do so."""
    written = resolve(read_experiment(folder.folder / "config.yaml"))
    states = written.states_folder
    checkpoints = Checkpoints(states, written.output.save_checkpoints)
    if checkpoints.exist():
        with hold(states):
            checkpoints.finish()


def announcement(finished: Sequence[RunFolder]) -> str:
    """Say in one line which runs are shown from before, of what date and commit."""
    environments = [folder.environment() for folder in finished]
    dates = sorted({str(e["started"])[:10] for e in environments})
    commits = sorted({str(e["git"]["commit"] or "unknown")[:10] for e in environments})
    names = ", ".join(folder.folder.name for folder in finished)
    return (
        f"shown from finished runs of {', '.join(dates)} (commit {', '.join(commits)}): {names}; "
        "to run anew, name another --experiment"
    )
