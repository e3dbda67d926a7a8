"""An experiment: the runs of a file one after the other, then the table and the page."""

from collections.abc import Sequence
from pathlib import Path

from compositional.config import RunConfig, read_experiment, resolve, select_runs
from compositional.results import FINISHED, RunFolder
from compositional.runner import run


def run_experiment(
    path: Path,
    *,
    method: str | None = None,
    experiment_name: str | None = None,
    run_name: str | None = None,
    resume: bool = False,
    dry_run: bool = False,
    progress: bool = True,
    overrides: Sequence[str] = (),
) -> int:
    """Run what an experiment file asks for; what is finished already is not run again.

    Args:
        path: The experiment file.
        method: A method in place of the file's.
        experiment_name: A folder of results in place of the file's.
        run_name: One run of the file.
        resume: Whether runs that were started go on.
        dry_run: Whether to print the plan only.
        progress: Whether progress is shown.
        overrides: Further settings as flags.
    """
    configs = experiment_configs(path, method, experiment_name, run_name, overrides)
    if dry_run:
        from compositional.plan import print_plan

        print_plan(configs)
        return 0
    finished = [config for config in configs if find_finished(config) is not None]
    if finished:
        announce_finished(path, finished)
    for config in configs:
        if config not in finished:
            run(config, resume=resume, progress=progress)
    from compositional.report import write_report

    write_report(configs[0].output.results_dir / configs[0].experiment)
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


def find_finished(config: RunConfig) -> RunFolder | None:
    """Return a finished run of this very config, from the results or from what is published.

    Cosmetic settings do not count: two configs with one hash give the same results.
    """
    folders = [config.output.results_dir / config.experiment / config.run]
    if config.output.published_dir is not None:
        folders.append(config.output.published_dir / config.run)
    for folder in map(RunFolder, folders):
        if folder.status() == FINISHED and same_config(folder, config):
            return folder
    return None


def same_config(folder: RunFolder, config: RunConfig) -> bool:
    """Whether a run was made by a config that means the same, cosmetic settings aside.

    The written config is resolved anew: a setting that it does not know yet has its default.
    """
    found = resolve(read_experiment(folder.folder / "config.yaml"))
    return found.sha256() == config.sha256()


def announce_finished(path: Path, finished: Sequence[RunConfig]) -> None:
    """Say in one line which runs are shown from before, of what date and commit."""
    found = [folder for config in finished if (folder := find_finished(config)) is not None]
    environments = [folder.environment() for folder in found]
    dates = sorted({str(e["started"])[:10] for e in environments})
    commits = sorted({str(e["git"]["commit"])[:10] for e in environments})
    print(
        f"shown from finished runs of {', '.join(dates)} (commit {', '.join(commits)}): "
        f"{', '.join(config.run for config in finished)}; to run anew: "
        f"compositional run {path} --experiment NEW_NAME"
    )
