"""What a config leaves open: filled in from the files that a named folder holds, or by defaults."""

from dataclasses import dataclass, replace
from pathlib import Path

from compositional.files import check_file, read_json, sha256_file
from compositional.tasks.data_config import (
    DEFAULT_SOURCE,
    DEFAULT_TEST_SIZE,
    DEFAULT_TRAIN_SIZE,
    DataConfig,
)
from compositional.tasks.manifests import SOURCE_HASH
from compositional.tasks.sources.opening import SourceName
from compositional.tasks.types import JsonObject

_DEFAULTS: JsonObject = {
    "source": DEFAULT_SOURCE,
    "revision": None,
    "samples_per_tool": None,
    "train_size": DEFAULT_TRAIN_SIZE,
    "test_size": DEFAULT_TEST_SIZE,
    "train_multi_tool_ratios": [],
    "test_multi_tool_ratios": [],
}


@dataclass(frozen=True)
class ResolvedData:
    """A config with nothing left open.

    Attributes:
        config: The config, every size known.
        data_seed: Seed of split and composition.
        folder: The data folder.
        source: Where rows come from.
        source_sha256: Hash of the source where it is known before it is read.
        is_source_named: Whether the user named the source, rather than the files or a default.
        takes_what_is_there: Whether files of the folder fill in what the user left open.
    """

    config: DataConfig
    data_seed: int
    folder: Path
    source: SourceName
    source_sha256: str | None
    is_source_named: bool
    takes_what_is_there: bool


def data_folder(config: DataConfig, seed: int) -> Path:
    """Return the folder of a config's round files: the one named, or `data/<source>-seed<seed>`."""
    if config.data_dir is not None:
        return config.data_dir
    slug = SourceName(config.source or DEFAULT_SOURCE, config.revision).slug
    return Path("data") / f"{slug}-seed{seed if config.data_seed is None else config.data_seed}"


def resolve(config: DataConfig, seed: int, *, exact: bool) -> ResolvedData:
    """Fill in what a config leaves open.

    Args:
        config: What is asked for.
        seed: The run's seed, the data seed where the config has none.
        exact: Whether values left open mean their defaults in a named folder too.

    Raises:
        DataError: If the source is a local file that is missing.
    """
    takes_what_is_there = config.data_dir is not None and not exact
    found = _settings_found(config) if takes_what_is_there else {}
    if config.source is not None:
        found = {key: value for key, value in found.items() if key != "revision"}
    values: JsonObject = {
        name: found.get(name, default)
        for name, default in _DEFAULTS.items()
        if getattr(config, name) in (None, ())
    }
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    one_call = config.test_one_call and found.get("test_one_call", True)
    data_seed = seed if config.data_seed is None else config.data_seed
    filled = replace(config, data_seed=data_seed, test_one_call=one_call, **values)
    if filled.num_mixed is None:
        filled = replace(
            filled, num_mixed=_num_mixed(config, filled, found, fills_in=takes_what_is_there)
        )
    return ResolvedData(
        config=filled,
        data_seed=data_seed,
        folder=data_folder(config, seed),
        source=SourceName(str(filled.source), filled.revision),
        source_sha256=_asked_sha256(config) or found.get(SOURCE_HASH),
        is_source_named=config.source is not None,
        takes_what_is_there=takes_what_is_there,
    )


def _settings_found(config: DataConfig) -> JsonObject:
    """Return the settings of the first manifest that a named folder has for the run's ranges."""
    for tools in config.ranges:
        for path in sorted((config.data_dir or Path()).glob(f"manifest_tools{tools}_*.json")):
            settings = read_json(path).get("settings")
            if isinstance(settings, dict):
                return settings
    return {}


def _num_mixed(config: DataConfig, filled: DataConfig, found: JsonObject, *, fills_in: bool) -> int:
    """Return the size of the mixed test set where the user named none.

    Args:
        config: What is asked for.
        filled: The same with every other value known.
        found: Settings of the files in a named folder.
        fills_in: Whether what stands in that folder counts.
    """
    ranges = [str(tools) for tools in config.ranges]
    if len(ranges) < 2 or config.max_calls("test", len(ranges)) < 2:
        return 0
    if fills_in:
        folder = config.data_dir or Path()
        for path in sorted(folder.glob("manifest_mixed_*.json")):
            settings = read_json(path).get("settings", {})
            if settings.get("rounds") == ranges:
                return int(settings["num_mixed"])
        is_made_by_hand = not found and any(folder.glob(f"*/*tools{ranges[0]}_*"))
        lacks_source = config.source is None and SourceName(str(filled.source)).path is not None
        if is_made_by_hand or lacks_source:
            return 0
    return filled.test_size or DEFAULT_TEST_SIZE


def _asked_sha256(config: DataConfig) -> str | None:
    """Return the hash of the source where it is a local file that the user names."""
    path = SourceName(config.source).path if config.source else None
    if path is None:
        return None
    check_file(path)
    return sha256_file(path)
