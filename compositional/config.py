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

from jsonargparse import ArgumentParser

from compositional.cli.flags import flag_types, parse_with, spell
from compositional.cli.kinds import check_settings
from compositional.documents.config import DocumentsConfig
from compositional.errors import ConfigError, check_choice, did_you_mean
from compositional.files import canonical_json, is_plain_name, sha256_text
from compositional.methods.base import MethodConfig
from compositional.methods.bounds import JointConfig, OracleConfig
from compositional.methods.registry import METHODS
from compositional.models.model_config import ModelConfig
from compositional.portable import without_folders
from compositional.settings import EvaluationConfig, TrainingConfig
from compositional.tasks.benchmark import DOCUMENTS, TOOLS
from compositional.tasks.data_config import DataConfig
from compositional.yaml_files import read_settings

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
        share_answers: Whether a run takes answers that another run of the experiment has from the
            same model to the same prompts, asked together, so that it matters to no answer which
            run is first. A grid keeps each run's to itself.
    """

    results_dir: Path = Path("results")
    checkpoint_dir: Path = Path("checkpoints")
    save_checkpoints: bool = False
    tracker: str = "none"
    published_dir: Path | None = None
    share_answers: bool = True

    def __post_init__(self) -> None:
        """Refuse an unknown tracker, and states in the place of results: they are removed."""
        if self.results_dir.resolve() == self.checkpoint_dir.resolve():
            raise ConfigError(
                f"results_dir and checkpoint_dir are both {self.results_dir}: name two folders"
            )
        check_choice("tracker", self.tracker, TRACKERS)


SECTIONS: dict[str, type] = {
    "model": ModelConfig,
    "data": DataConfig,
    "documents": DocumentsConfig,
    "training": TrainingConfig,
    "evaluation": EvaluationConfig,
    "output": OutputConfig,
}
AUTO = "auto"
"""The name of a run that is to be named by its method and its id."""

DEFAULT_SEED = 42
ID_LENGTH = 12
COSMETIC = ("experiment", "run", "output")


def setting_names() -> list[str]:
    """Return the dotted names of all settings but the method's own."""
    return [
        f"{section}.{field.name}"
        for section, kind in SECTIONS.items()
        for field in dataclasses.fields(kind)
    ]


@dataclass(frozen=True)
class RunConfig:
    """Everything that a run depends on.

    Attributes:
        experiment: Folder of its results.
        run: Folder in it; `auto` names it by its method and its id.
        seed: Of training, and of the data where `data.data_seed` names no other.
        model: The backbone.
        data: Rounds of tools: ranges, sizes, source.
        documents: Rounds of documents, where it names a source; `data` has no say then.
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
    documents: DocumentsConfig
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
        """Return the hash of all that results depend on.

        Cosmetic fields do not count, nor does where files stand, when states are saved, over how
        many processes the backbone is spread, or what is said of rounds that the run does not have.
        """
        return sha256_text(canonical_json(self.essentials()))

    @property
    def task(self) -> str:
        """What its rounds teach: `tools` or `documents`."""
        return TOOLS if self.documents.source is None else DOCUMENTS

    @property
    def id(self) -> str:
        """The run's id: a short form of the hash of all that its results depend on."""
        return self.sha256()[:ID_LENGTH]

    @property
    def results_folder(self) -> Path:
        """The folder of the run's results."""
        return self.output.results_dir / self.experiment / self.run

    @property
    def states_folder(self) -> Path:
        """The folder of the run's states."""
        return self.output.checkpoint_dir / self.experiment / self.run

    def essentials(self) -> dict[str, Any]:
        """Return the settings that results depend on, files without their folders."""
        plain = without_folders(self.settings())
        for key in COSMETIC:
            del plain[key]
        del plain["training"]["checkpoint_seconds"], plain["model"]["shards"]
        del plain["data" if self.task == DOCUMENTS else "documents"]
        return plain


def read_experiment(path: Path) -> dict[str, Any]:
    """Read an experiment file; without a name of its own, its file's name names its results.

    Raises:
        ConfigError: If it is missing, is not YAML, or is not a mapping.
    """
    return {"experiment": path.stem, **read_settings(path)}


def resolve(settings: Mapping[str, Any], overrides: Sequence[str] = ()) -> RunConfig:
    """Turn settings and flags into a typed config.

    Args:
        settings: Nested plain values, as a YAML file holds them.
        overrides: Flags such as `--training.batch_size 4`, laid over the settings.

    Raises:
        ConfigError: If a name is unknown or a value does not fit.
    """
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--experiment", type=str, default="default")
    parser.add_argument("--run", type=str, default=None)
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    kinds: dict[str, Any] = {"experiment": str, "run": str | None, "seed": int}
    for section, kind in SECTIONS.items():
        parser.add_class_arguments(kind, section)
        kinds |= flag_types(kind, f"{section}.")
    base = check_settings(settings, kinds | {"method": dict})
    base.pop("method", None)
    chain = _method_chain(settings.get("method"))
    key = ".".join(["method"] + ["of"] * (len(chain) - 1))
    inner = METHODS[chain[-1][0]]
    parser.add_class_arguments(inner, key)
    kinds_of_method = flag_types(inner, f"{key}.")
    kinds |= kinds_of_method
    nested = check_settings(chain[-1][1], kinds_of_method, f"{key}.")
    for _ in chain[1:]:
        nested = {"of": nested}
    parsed = parse_with(parser, spell(overrides, kinds), kinds, {**base, "method": nested})
    built = parser.instantiate(parsed)
    config: MethodConfig = built[key]
    for name, _ in reversed(chain[:-1]):
        config = JointConfig(config) if name == "joint" else OracleConfig(config)
    built_config = RunConfig(
        experiment=_folder_name("experiment", parsed["experiment"]),
        run=_folder_name("run", parsed["run"] or chain[0][0]),
        seed=parsed["seed"],
        **{section: built[section] for section in SECTIONS},
        method_name=chain[0][0],
        method=config,
    )
    if built_config.run == AUTO:
        return dataclasses.replace(built_config, run=f"{chain[0][0]}-{built_config.id}")
    return built_config


def _folder_name(what: str, name: str) -> str:
    """Return a name that is safe as a folder's."""
    if not is_plain_name(name):
        raise ConfigError(
            f"the {what} is named {name!r}; it must be a plain folder name that begins with no dot"
        )
    return name


def _method_chain(method: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return the method's name and settings, a bound's own before those of what it wraps."""
    if isinstance(method, str):
        method = {"name": method}
    if not isinstance(method, Mapping) or not isinstance(method.get("name"), str):
        raise ConfigError(
            f"no method is named (method is {method!r}); Choices: {', '.join(sorted(METHODS))}"
        )
    name = method["name"]
    check_choice("method", name, METHODS)
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
