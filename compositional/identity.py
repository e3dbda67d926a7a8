"""What makes two runs the same: their config, model, data, device and type of numbers."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from compositional.config import RunConfig, read_experiment, resolve
from compositional.errors import ConfigError, ResultsError
from compositional.models.language_model import LanguageModel
from compositional.models.model_folder import model_folder, weights_sha256
from compositional.preparing import prepare_benchmark
from compositional.run_files import FINISHED, RunFiles
from compositional.tasks.benchmark import Benchmark


def identity_of(config: RunConfig, model: LanguageModel, benchmark: Benchmark) -> dict[str, str]:
    """Return what a run that is resumed must have as it had at its start."""
    return {
        "config": config.sha256(),
        "model": model.sha256,
        "data": benchmark.manifest_sha256,
        "device": f"{model.device.type} {model.backbone.dtype}".replace("torch.", ""),
    }


def check_same_config(files: RunFiles, config: RunConfig) -> None:
    """Refuse to go on with a run of another config; cosmetic settings do not count.

    Raises:
        ResultsError: With the settings that differ.
    """
    differing = list(_differences(_written(files), config))
    if differing:
        raise ResultsError(
            f"{files.folder} holds a {files.status()} run of another config "
            f"({'; '.join(differing)}): name another --run or --experiment, or "
            "run it as it was started"
        )


def is_finished_run_of(files: RunFiles, config: RunConfig) -> bool:
    """Whether a folder holds a finished run of this config, on this data and model.

    Data and a local model are compared by their content: names may be alike.

    Raises:
        CompositionalError: If the data or the model cannot be had, or it is finished without all
            of its cells.
    """
    if files.status() != FINISHED or list(_differences(_written(files), config)):
        return False
    if missing := files.missing_cells():
        raise ResultsError(
            f"{files.folder} is finished, but {len(missing)} of its cells are gone, such as "
            f"scores/{missing[0]}: put them back, or remove the folder to run it again"
        )
    identity = files.result()["identity"]
    if identity["data"] != prepare_benchmark(config).manifest_sha256:
        return False
    if not Path(config.model.name).expanduser().exists():
        return True
    digest = weights_sha256(model_folder(config.model), config.model.name)
    return bool(identity["model"] == digest)


def _written(files: RunFiles) -> RunConfig | None:
    """Return a run's config, resolved anew: a setting that it does not know has its default.

    None where it has a setting that this program does not know.
    """
    try:
        return resolve(read_experiment(files.folder / "config.yaml"))
    except ConfigError:
        return None


def _differences(written: RunConfig | None, config: RunConfig) -> Iterator[str]:
    """Yield each setting that matters and differs, with both values."""
    if written is None:
        yield "with settings that this program does not know"
    elif written.sha256() != config.sha256():
        before, now = dict(_flat(written.essentials())), dict(_flat(config.essentials()))
        for name in sorted({*before, *now}):
            if before.get(name) != now.get(name):
                yield f"{name} {before.get(name)!r}, now {now.get(name)!r}"


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested settings by their dotted names."""
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from _flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item
