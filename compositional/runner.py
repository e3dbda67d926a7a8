"""One run from its config: check everything, then teach and score, then close the books."""

from dataclasses import dataclass

from compositional.checkpoints import Checkpoints
from compositional.columns import columns_of
from compositional.config import RunConfig
from compositional.drift import DriftProbe
from compositional.environment import describe_environment
from compositional.errors import ConfigError, ResultsError
from compositional.generation.answers import AnswerStore
from compositional.methods.base import Method
from compositional.models.language_model import LanguageModel
from compositional.models.loading import load_model
from compositional.results import FINISHED, RunFolder
from compositional.rounds import run_rounds
from compositional.run_context import Progress, RunContext
from compositional.streams import Streams
from compositional.tasks.benchmark import Benchmark, prepare
from compositional.tracking import build_tracker


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


def prepare_run(config: RunConfig) -> Prepared:
    """Read the data, load the model and build the method.

    Raises:
        CompositionalError: If anything is missing, malformed or contradictory.
    """
    benchmark = prepare(config.data, config.seed)
    loaded = load_model(config.model)
    model = LanguageModel(loaded, config.model.system_message, config.model.max_length)
    method = config.method.build(model, benchmark)
    if benchmark.adaptation is not None and not method.traits.learns_adaptation:
        raise ConfigError(
            f"data.adaptation_tools is {config.data.adaptation_tools!r}, but method "
            f"{config.method_name!r} takes no adaptation on tools of its own: leave it out"
        )
    return Prepared(benchmark, model, method)


def run(config: RunConfig, *, resume: bool = False, progress: bool = True) -> RunFolder:
    """Run a config to its end.

    Args:
        config: The resolved config.
        resume: Whether a run that was started goes on; without it, one that stands is an error.
        progress: Whether progress is shown on standard error.

    Returns:
        The folder of the finished run.

    Raises:
        CompositionalError: If the run cannot start; what was written before is kept.
    """
    folder = RunFolder(config.output.results_dir / config.experiment / config.run)
    checkpoints = Checkpoints(
        config.output.checkpoint_dir / config.experiment / config.run,
        config.output.save_checkpoints,
    )
    with checkpoints.locked():
        status = folder.status()
        check_status(folder, status, resume=resume)
        prepared = prepare_run(config)
        identity = {
            "config": config.sha256(),
            "model": prepared.model.sha256,
            "data": prepared.benchmark.manifest_sha256,
        }
        if status is None:
            _begin(config, folder, checkpoints, prepared, identity)
        else:
            folder.check_identity(identity)
        folder.tracker = build_tracker(config)
        context = RunContext(
            streams=Streams(config.seed),
            name=config.run,
            training=config.training,
            evaluation=config.evaluation,
            slot=checkpoints.slot,
            answers=AnswerStore(config.output.results_dir / config.experiment / ".answers"),
            progress=Progress(config.run, enabled=progress),
        )
        try:
            _teach(config, folder, checkpoints, prepared, context)
        finally:
            folder.tracker.close()
    return folder


def check_status(folder: RunFolder, status: str | None, *, resume: bool) -> None:
    """Refuse to write over a run.

    Raises:
        ResultsError: If the run is finished, or was started and is not to be resumed.
    """
    if status == FINISHED:
        raise ResultsError(f"{folder.folder} holds a finished run: choose another --run")
    if status is not None and not resume:
        raise ResultsError(
            f"{folder.folder} holds a run that is not finished ({status}): "
            "--resume goes on with it, another --run starts anew"
        )


def _begin(
    config: RunConfig,
    folder: RunFolder,
    checkpoints: Checkpoints,
    prepared: Prepared,
    identity: dict[str, str],
) -> None:
    """Write what stands before the first cell. States without a run are of nobody."""
    if checkpoints.exist():
        raise ResultsError(
            f"{checkpoints.folder} holds states of a run whose results are gone: remove it, or "
            "choose another --run"
        )
    environment = describe_environment(prepared.model.device)
    columns = columns_of(prepared.benchmark, config.evaluation)
    folder.start(config, identity, columns, environment)


def _teach(
    config: RunConfig,
    folder: RunFolder,
    checkpoints: Checkpoints,
    prepared: Prepared,
    context: RunContext,
) -> None:
    """Run the loop; what goes wrong in it is written into the result before it is raised."""
    probe = None
    try:
        if config.evaluation.drift and prepared.method.model is not None:
            probe = DriftProbe(prepared.model, context)
        run_rounds(prepared.method, prepared.benchmark, context, folder, checkpoints, probe)
    except Exception as error:
        folder.fail(f"{type(error).__name__}: {error}")
        raise
    folder.finish(context)
    checkpoints.finish()
