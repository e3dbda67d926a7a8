"""One run from its config: check everything, then teach and score, then close the books."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import torch

from compositional.checkpoints import Checkpoints
from compositional.columns import columns_of
from compositional.config import RunConfig
from compositional.drift import DriftProbe
from compositional.environment import describe_environment, restart_peak_memory
from compositional.errors import CompositionalError, ConfigError, ResultsError
from compositional.generation.answers import AnswerStore
from compositional.held_out import HeldOutProbe
from compositional.identity import check_same_config, identity_of
from compositional.locks import hold
from compositional.logs import LOGGER
from compositional.methods.base import Method, tasks_of
from compositional.methods.questions import check_documents
from compositional.models.language_model import LanguageModel
from compositional.models.loading import LoadedModel, load_model
from compositional.models.model_config import ModelConfig
from compositional.preemption import PreemptedError, StopRequest, noting_signals
from compositional.preparing import load_for, prepare_benchmark
from compositional.probes import Probe
from compositional.processes import processes
from compositional.results import FINISHED, RunFolder
from compositional.rounds import run_rounds
from compositional.run_context import Progress, RunContext
from compositional.streams import Streams
from compositional.tasks.benchmark import DOCUMENTS, Benchmark
from compositional.tracking import build_tracker
from compositional.whereabouts import noting_whereabouts


@dataclass(frozen=True)
class Prepared:
    """Everything that a run needs, checked, before anything is spent.

    Attributes:
        benchmark: The rounds.
        model: The model.
        method: Built, nothing learned.
    """

    benchmark: Benchmark
    model: LanguageModel
    method: Method


def prepare_run(
    config: RunConfig, load: Callable[[ModelConfig], LoadedModel] = load_model
) -> Prepared:
    """Read the data, load the model and build the method.

    Args:
        config: The run.
        load: Loads the model, or lends one that several runs share.

    Raises:
        CompositionalError: If anything is missing, malformed or contradictory.
    """
    benchmark = prepare_benchmark(config)
    columns_of(benchmark, config.evaluation)
    tasks = tasks_of(config.method)
    if benchmark.task not in tasks:
        raise ConfigError(
            f"method {config.method_name!r} is for rounds of {' or '.join(tasks)}; these are of "
            f"{benchmark.task}"
        )
    model = load_for(config, load)
    if benchmark.task == DOCUMENTS:
        taught = [document for round_ in benchmark.rounds for document in round_.documents]
        check_documents(model, taught, whole=False)
    method = config.method.build(model, benchmark)
    if benchmark.adaptation is not None and not method.traits.learns_adaptation:
        raise ConfigError(
            f"data.adaptation_tools is {config.data.adaptation_tools!r}, but method "
            f"{config.method_name!r} takes no adaptation on tools of its own: leave it out"
        )
    return Prepared(benchmark, model, method)


def run(
    config: RunConfig, *, resume: bool = False, progress: bool = True, title: str | None = None
) -> RunFolder:
    """Run a config to its end.

    Args:
        config: The resolved config.
        resume: Whether a run that was started goes on; without it, one that stands is an error.
        progress: Whether progress is shown on standard error.
        title: What progress lines begin with; None for the run's name.

    Returns:
        The folder of the finished run.

    Raises:
        CompositionalError: If the run cannot start; what was written before is kept.
        PreemptedError: If a signal asked it to stop; what was computed is kept.
    """
    with _held(config) as (folder, checkpoints):
        is_new = _check_free(config, folder, checkpoints, resume=resume)
        restart_peak_memory()
        threads = None if is_new else folder.environment().get("threads")
        with (
            noting_whereabouts(folder.folder),
            computing_with(threads),
            noting_signals() as stop,
        ):
            prepared = prepare_run(config)
            for line in prepared.benchmark.left_out:
                LOGGER.warning("%s: %s", config.run, line)
            identity = identity_of(config, prepared.model, prepared.benchmark)
            if is_new:
                columns = columns_of(prepared.benchmark, config.evaluation)
                environment = describe_environment(prepared.model.device)
                checkpoints.claim(identity)
                folder.start(config, identity, columns, environment, prepared.benchmark.task)
            else:
                folder.check_identity(identity)
                checkpoints.claim(folder.result()["identity"])
                folder.resume(config)
            bars = Progress(config.run if title is None else title, enabled=progress)
            _teach(config, folder, checkpoints, prepared, bars, stop)
    return folder


def check_can_start(config: RunConfig, *, resume: bool = False) -> None:
    """Check that nothing is in a run's way: another run, another process, states of nobody.

    Raises:
        CompositionalError: If `run` would refuse it for that.
    """
    with _held(config) as (folder, checkpoints):
        _check_free(config, folder, checkpoints, resume=resume)


def note_refusal(config: RunConfig, error: Exception) -> None:
    """Write why a run could not begin; where it did, or another process makes it, write nothing."""
    with suppress(CompositionalError), _held(config) as (folder, _):
        if not folder.has_begun():
            folder.refuse(config, f"{type(error).__name__}: {error}")


@contextmanager
def _held(config: RunConfig) -> Iterator[tuple[RunFolder, Checkpoints]]:
    """Hold the folders of a run's results and states for this process."""
    folder = RunFolder(config.results_folder)
    states = config.states_folder
    with hold(folder.folder), hold(states):
        yield folder, Checkpoints(states, config.output.save_checkpoints)


def _check_free(
    config: RunConfig, folder: RunFolder, checkpoints: Checkpoints, *, resume: bool
) -> bool:
    """Refuse to write over a run; return whether there is none yet."""
    status = folder.status()
    if not folder.has_begun():
        if checkpoints.exist():
            raise ResultsError(
                f"{checkpoints.folder} holds states of a run whose results are gone: remove it, "
                "or name another --run or --experiment"
            )
        return True
    if status == FINISHED:
        check_same_config(folder, config)
        raise ResultsError(
            f"{folder.folder} holds a finished run: name another --run or --experiment"
        )
    if not resume:
        raise ResultsError(
            f"{folder.folder} holds a run that is not finished ({status}): "
            "--resume goes on with it, another --run or --experiment starts anew"
        )
    check_same_config(folder, config)
    return False


@contextmanager
def computing_with(count: int | None) -> Iterator[None]:
    """Compute with a number of threads, on which the last bits of a sum depend; None for as is."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _teach(
    config: RunConfig,
    folder: RunFolder,
    checkpoints: Checkpoints,
    prepared: Prepared,
    progress: Progress,
    stop: StopRequest,
) -> None:
    """Run the loop; what goes wrong in it is written into the result before it is raised."""
    shared = folder.folder.parent / ".answers" if config.output.share_answers else None
    context = RunContext(
        streams=Streams(config.seed),
        name=config.run,
        training=config.training,
        evaluation=config.evaluation,
        slot=checkpoints.slot,
        answers=AnswerStore(checkpoints.answers, shared),
        progress=progress,
        stop=stop,
        processes=processes(config.model.shards),
    )
    folder.tracker = build_tracker(config)
    failed = True
    try:
        probes: list[Probe] = []
        if config.evaluation.drift and prepared.method.model is not None:
            probes.append(DriftProbe(prepared.model, context))
            if prepared.benchmark.task == DOCUMENTS:
                probes.append(HeldOutProbe(prepared.model))
        run_rounds(prepared.method, prepared.benchmark, context, folder, checkpoints, probes)
        folder.finish(context)
        failed = False
    except PreemptedError:
        folder.tracker.preempt()
        raise
    except Exception as error:
        folder.fail(f"{type(error).__name__}: {error}")
        raise
    finally:
        folder.tracker.close(failed=failed)
    checkpoints.finish()
