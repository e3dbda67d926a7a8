"""`compositional train-hypernetwork`: a hypernetwork for doc2lora, and how well it does."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from compositional.environment import describe_environment
from compositional.errors import ConfigError, ResultsError
from compositional.files import canonical_json, check_new, sha256_text
from compositional.hypernetworks.curve import Curve
from compositional.hypernetworks.data import (
    HELD_OUT,
    NEEDLES,
    TASKS,
    TRAINING,
    HypernetworkData,
    answered_by_teacher,
    distillation_set,
    documents_of,
)
from compositional.hypernetworks.record import record_of, write_record
from compositional.hypernetworks.settings import TEACHER, HypernetworkTraining
from compositional.models.hypernetwork import Hypernetwork
from compositional.models.hypernetwork_file import DOC, TEXT, save_hypernetwork
from compositional.models.language_model import LanguageModel
from compositional.models.last_blocks import LastBlocks
from compositional.packages import cache_folder
from compositional.run_context import RunContext
from compositional.training.context_distillation import distil, standardise
from compositional.training.distillation_cache import DistillationCache, check_room
from compositional.training.distillation_evaluation import OWN, evaluate
from compositional.training.distillation_set import DistillationSet


def state_path(output: Path) -> Path:
    """Return where a training under way keeps its state."""
    return output.with_suffix(".training.safetensors")


def train_hypernetwork(
    model: LanguageModel,
    data: HypernetworkData,
    training: HypernetworkTraining,
    output: Path,
    run: RunContext,
    said: Mapping[str, str],
    *,
    resume: bool = False,
) -> dict[str, Any]:
    """Train a hypernetwork, evaluate it, and write it with its record.

    Args:
        model: The model, nothing attached.
        data: What it sees.
        training: How it is trained.
        output: The file to write; its record stands beside it as `.json` and `.md`.
        run: Streams, counters, progress, and the slot at `state_path(output)`.
        said: What the record says of `model`, its name, and of the `command`.
        resume: Whether a training under way goes on; without it, one is an error.

    Returns:
        The record.

    Raises:
        CompositionalError: If something is in the way or contradictory, before anything is spent.
        PreemptedError: If the run was asked to stop; what was computed is kept.
    """
    environment = describe_environment(model.device)
    _check_mode(data, training)
    model.check_whole("a hypernetwork")
    blocks = LastBlocks(model.backbone, training.num_blocks)
    network = Hypernetwork(training.shape(blocks), run.streams.integer("hypernetwork"))
    _check_output(output, run, resume=resume)
    sets = _sets(model, data, training, run)
    folder, top_k = cache_folder() / "distillation", training.top_k
    caches = {
        name: DistillationCache(
            folder, model, blocks, own, top_k if training.kl or name != TRAINING else 0
        )
        for name, own in sets.items()
    }
    check_room(caches.values(), training.cache_mib)
    key = f"hypernetwork {_identity(model, sets, training, run)}"
    done = _steps_done(run, key)
    started = time.monotonic()
    for cache in caches.values():
        cache.fill(run)
    read_seconds = time.monotonic() - started
    network.to(model.device)
    standardise(network, caches[TRAINING])
    run.budget.trained_parameters = network.num_parameters()
    curve = Curve(
        output.with_suffix(".curve.json"),
        training.evaluate_every,
        done,
        lambda: evaluate(network, blocks, caches[HELD_OUT], (OWN,))[OWN],
    )
    objective = training.objective
    losses = distil(
        key, network, blocks, caches[TRAINING], training.steps, objective, run, curve.after_step
    )
    scores = {
        name: evaluate(network, blocks, cache) for name, cache in caches.items() if name != TRAINING
    }
    how = {"data": asdict(data), "training": asdict(training)}
    record = record_of(model, network, sets, scores, losses, data.seed) | {
        **said,
        **how,
        "environment": environment,
        "batch_size": run.training.batch_size,
        "seconds": {"reading": read_seconds, "training": curve.elapsed()},
        "curve": curve.points,
    }
    save_hypernetwork(output, network, model, training.mode, training.chunk_tokens, how)
    write_record(output, record)
    run.slot.clear()
    curve.path.unlink(missing_ok=True)
    return record


def _check_mode(data: HypernetworkData, training: HypernetworkTraining) -> None:
    """Refuse needles as tasks and tasks as documents."""
    wrong = {DOC: TASKS, TEXT: NEEDLES}[training.mode]
    if data.source == wrong:
        right = TASKS if training.mode == TEXT else NEEDLES
        raise ConfigError(
            f"mode {training.mode!r} does not go with source {wrong!r}: take source {right!r}, or "
            "a file of your own"
        )


def _check_output(output: Path, run: RunContext, *, resume: bool) -> None:
    """Refuse to write over a hypernetwork, and to begin anew where a training is under way."""
    check_new(output)
    if run.slot.load() is not None and not resume:
        raise ResultsError(
            f"a training of {output} is under way ({state_path(output)}): --resume goes on with "
            "it; remove that file to begin anew"
        )


def _sets(
    model: LanguageModel, data: HypernetworkData, training: HypernetworkTraining, run: RunContext
) -> dict[str, DistillationSet]:
    """Return contexts and questions as tokens, by what sets them apart."""
    sets = {
        name: distillation_set(
            model, documents, training.mode, training.chunk_tokens, data.questions, data.seed
        )
        for name, documents in documents_of(data, model).items()
    }
    if training.answers == TEACHER:
        return {name: answered_by_teacher(model, own, run) for name, own in sets.items()}
    return sets


def _identity(
    model: LanguageModel,
    sets: Mapping[str, DistillationSet],
    training: HypernetworkTraining,
    run: RunContext,
) -> str:
    """Return a hash of all that a training's steps depend on."""
    settings = asdict(training)
    for name in ("cache_mib", "evaluate_every"):
        del settings[name]
    shared = asdict(run.training)
    del shared["checkpoint_seconds"]
    where = [model.sha256, model.device.type, str(model.backbone.dtype)]
    parts = [where, sets[TRAINING].sha256(), settings, shared, run.streams.seed]
    return sha256_text(canonical_json(parts))[:16]


def _steps_done(run: RunContext, key: str) -> int:
    """Return how many steps a training under way has taken.

    Raises:
        ResultsError: If it is of other data, another model or other settings.
    """
    saved = run.slot.load()
    if saved is None:
        return 0
    if saved.metadata.get("key") != key:
        raise ResultsError(
            f"{run.slot.path} holds a training of another model, other data or other settings: "
            "resume it as it was started, or remove it"
        )
    return len(saved.metadata["losses"])
