"""The config of a run: one typed tree, from a YAML file and flags, written out as resolved.

An experiment file holds what all its runs share, and `runs`, a mapping of each run's name to what
differs there. A method is named by `method.name`; its other settings are those of its config
class and no others, so an unknown one is an error.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser

from compositional.cli.flags import flag_types, parse_with, spell
from compositional.errors import ConfigError, did_you_mean
from compositional.files import canonical_json, sha256_text
from compositional.methods.base import MethodConfig
from compositional.methods.bounds import JointConfig, OracleConfig
from compositional.methods.registry import METHODS
from compositional.models.loading import ModelConfig
from compositional.settings import EvaluationConfig, TrainingConfig
from compositional.tasks.data_config import DataConfig

TRACKERS = ("none", "wandb")


@dataclass(frozen=True)
class OutputConfig:
    """Where a run's files go.

    Attributes:
        results_dir: Folder of all experiments' results.
        checkpoint_dir: Folder of all runs' states.
        save_checkpoints: Whether each round's trained tensors stay when the run completes.
        tracker: `none` or `wandb`; files are written first, whatever it is.
        published_dir: Folder of finished runs of this experiment that are kept elsewhere.
    """

    results_dir: Path = Path("results")
    checkpoint_dir: Path = Path("checkpoints")
    save_checkpoints: bool = False
    tracker: str = "none"
    published_dir: Path | None = None

    def __post_init__(self) -> None:
        """Refuse an unknown tracker."""
        if self.tracker not in TRACKERS:
            raise ConfigError(
                f"unknown tracker {self.tracker!r}; {did_you_mean(self.tracker, TRACKERS)}"
            )


SECTIONS: dict[str, type] = {
    "model": ModelConfig,
    "data": DataConfig,
    "training": TrainingConfig,
    "evaluation": EvaluationConfig,
    "output": OutputConfig,
}
COSMETIC = ("experiment", "run", "output")


@dataclass(frozen=True)
class RunConfig:
    """Everything that a run depends on.

    Attributes:
        experiment: Folder of its results.
        run: Folder in it.
        seed: Of training, and of the data where `data.data_seed` names no other.
        model: The backbone.
        data: Rounds, sizes, sources.
        training: What all trained methods share.
        evaluation: How test examples are asked.
        output: Where files go.
        method_name: Name of the method.
        method: Its settings.
    """

    experiment: str
    run: str
    seed: int
    model: ModelConfig
    data: DataConfig
    training: TrainingConfig
    evaluation: EvaluationConfig
    output: OutputConfig
    method_name: str
    method: MethodConfig

    def settings(self) -> dict[str, Any]:
        """Return the config as plain values that `resolve` takes again."""
        plain: dict[str, Any] = {"experiment": self.experiment, "run": self.run, "seed": self.seed}
        for section in SECTIONS:
            plain[section] = _plain(dataclasses.asdict(getattr(self, section)))
        plain["method"] = _method_settings(self.method)
        return plain

    def sha256(self) -> str:
        """Return the hash of all that results depend on: the config without cosmetic fields.

        Where files stand does not count, nor does when states are saved.
        """
        plain = self.settings()
        for key in COSMETIC:
            del plain[key]
        del plain["data"]["data_dir"], plain["training"]["checkpoint_seconds"]
        for section, key in (("data", "source"), ("model", "name")):
            plain[section][key] = file_name(plain[section][key])
        return sha256_text(canonical_json(plain))


def read_experiment(path: Path) -> dict[str, Any]:
    """Read an experiment file.

    Raises:
        ConfigError: If it is missing, is not YAML, or is not a mapping.
    """
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such experiment file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: an experiment file is a mapping of settings")
    value.setdefault("experiment", path.stem)
    return value


def select_runs(
    experiment: Mapping[str, Any], run: str | None = None, method: str | None = None
) -> list[dict[str, Any]]:
    """Return the settings of the runs that are asked for.

    Args:
        experiment: What `read_experiment` returned.
        run: One run of the file, or a name for the only one; None for all.
        method: A method that takes the place of the file's; None for the file's.

    Raises:
        ConfigError: If the file has no such run.
    """
    shared = {key: value for key, value in experiment.items() if key != "runs"}
    runs: Mapping[str, Any] = experiment.get("runs") or {}
    if runs and method is None:
        if run is not None and run not in runs:
            raise ConfigError(f"the experiment has no run {run!r}; {did_you_mean(run, runs)}")
        chosen = [run] if run is not None else list(runs)
        return [merge(shared, {**(runs[name] or {}), "run": name}) for name in chosen]
    settings = merge(shared, runs[run] or {}) if run is not None and run in runs else shared
    if method is not None and _method_name(settings) != method:
        settings = {**settings, "method": {"name": method}}
    name = run or (method if method is not None else settings.get("run"))
    return [{**settings, "run": name or _method_name(settings) or "run"}]


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid on it, mapping by mapping.

    A method of another name replaces the method below it whole.
    """
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        if not isinstance(below, Mapping) or not isinstance(value, Mapping):
            result[key] = value
        elif value.get("name", below.get("name")) == below.get("name"):
            result[key] = merge(below, value)
        else:
            result[key] = value
    return result


def resolve(settings: Mapping[str, Any], overrides: Sequence[str] = ()) -> RunConfig:
    """Turn settings and flags into a typed config.

    Args:
        settings: Nested plain values, as a YAML file holds them.
        overrides: Flags such as `--training.batch_size 4`, laid over the settings.

    Raises:
        ConfigError: If a name is unknown or a value does not fit.
    """
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    kinds: dict[str, Any] = {"experiment": str, "run": str, "seed": int}
    parser.add_argument("--experiment", type=str, default="default")
    parser.add_argument("--run", type=str, default=None)
    parser.add_argument("--seed", type=int, default=42)
    for section, kind in SECTIONS.items():
        parser.add_class_arguments(kind, section)
        kinds |= flag_types(kind, f"{section}.")
    base = {key: value for key, value in settings.items() if key != "method"}
    method = settings.get("method")
    chain = _method_chain(method)
    key = ".".join(["method"] + ["of"] * (len(chain) - 1))
    inner = METHODS[chain[-1][0]]
    parser.add_class_arguments(inner, key)
    kinds |= flag_types(inner, f"{key}.")
    nested: Any = chain[-1][1]
    for _ in chain[1:]:
        nested = {"of": nested}
    parsed = parse_with(parser, spell(overrides, kinds), list(kinds), {**base, "method": nested})
    built = parser.instantiate(parsed)
    config: MethodConfig = built[key]
    for name, _ in reversed(chain[:-1]):
        config = JointConfig(config) if name == "joint" else OracleConfig(config)
    return RunConfig(
        experiment=_folder_name("experiment", parsed["experiment"]),
        run=_folder_name("run", parsed["run"] or chain[0][0]),
        seed=parsed["seed"],
        **{section: built[section] for section in SECTIONS},
        method_name=chain[0][0],
        method=config,
    )


def file_name(source: str | None) -> str | None:
    """Return the last part of a path to something that exists; any other name as it is."""
    return Path(source).name if source is not None and Path(source).exists() else source


def _folder_name(what: str, name: str) -> str:
    """Return a name that is safe as a folder's."""
    if not name or name in (".", "..") or "/" in name or "\\" in name:
        raise ConfigError(f"the {what} is named {name!r}; it must be a plain folder name")
    return name


def _method_name(settings: Mapping[str, Any]) -> str | None:
    method = settings.get("method")
    return method if isinstance(method, str) else (method or {}).get("name")


def _method_chain(method: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return the method's name and settings, a bound's own before those of what it wraps."""
    if isinstance(method, str):
        method = {"name": method}
    if not isinstance(method, Mapping) or not isinstance(method.get("name"), str):
        raise ConfigError(f"no method is named; Choices: {', '.join(sorted(METHODS))}")
    name = method["name"]
    if name not in METHODS:
        raise ConfigError(f"unknown method {name!r}; {did_you_mean(name, METHODS)}")
    rest = {key: value for key, value in method.items() if key != "name"}
    if METHODS[name] not in (JointConfig, OracleConfig):
        return [(name, rest)]
    if unknown := sorted(set(rest) - {"of"}):
        raise ConfigError(
            f"unknown setting method.{unknown[0]}; {did_you_mean(unknown[0], ['of'])}"
        )
    return [(name, {}), *_method_chain(rest.get("of", {"name": "lora"}))]


def _method_settings(method: Any) -> dict[str, Any]:
    """Return a method's settings with its name, as plain values."""
    name = next(name for name, kind in METHODS.items() if type(method) is kind)
    if isinstance(method, JointConfig | OracleConfig):
        return {"name": name, "of": _method_settings(method.of)}
    return {"name": name, **_plain(dataclasses.asdict(method))}


def _plain(value: Any) -> Any:
    """Return a value with paths as text and tuples as lists, as YAML and JSON hold them."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
