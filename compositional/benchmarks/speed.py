"""`compositional speed`: run tables, keep their figures, write the page from all that are kept."""

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from compositional.benchmarks.bench import Bench, Line, SpeedConfig
from compositional.benchmarks.comparisons import COMPARISONS
from compositional.benchmarks.growth import CURVES, Curve
from compositional.benchmarks.machine import describe
from compositional.benchmarks.peer_settings import TRAINERS
from compositional.benchmarks.peers import PACKAGES
from compositional.benchmarks.profiles import profiles
from compositional.benchmarks.speed_page import ON_GPU, write_page
from compositional.errors import check_choice
from compositional.files import check_file, write_json
from compositional.models.loading import dtype_name

PROFILES = "profiles"
TABLES = (*COMPARISONS, *CURVES, PROFILES)
# The data sets of a table; those not named need HWU64.
BOTH = ("hwu64", "sgd")
DATA = {"memory_rows": BOTH, "lora": BOTH, "icl": ("sgd",), PROFILES: BOTH}


def measure_speed(config: SpeedConfig, folder: Path, tables: Sequence[str] = TABLES) -> Path:
    """Run tables one after another; each is kept as soon as it is done.

    Args:
        config: Data, model, repeats.
        folder: Takes plots and a JSON file a table, `TABLE_cuda.json` on a GPU; the page stands
            beside it, `FOLDER.md`.
        tables: Names of tables.

    Returns:
        The page, written from all tables that the folder holds.

    Raises:
        ConfigError: If a table is unknown or lacks its data.
    """
    for name in tables:
        check_choice("table", name, TABLES)
    bench = Bench(config)
    for name in tables:
        for data in DATA.get(name, ("hwu64",)):
            check_file(bench.path(data))
    try:
        for name in tables:
            print(f"speed: {name}", file=sys.stderr, flush=True)
            started = time.monotonic()
            kept = _table(bench, name)
            kept["seconds_of_the_table"] = round(time.monotonic() - started)
            place = name + ON_GPU if bench.device.type == "cuda" else name
            write_json(folder / f"{place}.json", kept)
    finally:
        bench.close()
    return write_page(folder)


def _table(bench: Bench, name: str) -> dict[str, Any]:
    """Run a table and return its figures."""
    peers = list(PACKAGES) if name in TRAINERS else []
    device, dtype = bench.kind
    facts = {"machine": describe(device), "dtype": dtype_name(dtype), "peers": peers}
    if name in CURVES:
        return facts | {"curve": _curve(CURVES[name](bench))}
    if name == PROFILES:
        return facts | {"profiles": [asdict(profile) for profile in profiles(bench)]}
    lines = COMPARISONS[name](bench)
    return facts | {"limits": asdict(bench.machine), "lines": [_line(line) for line in lines]}


def _line(line: Line) -> dict[str, Any]:
    return asdict(line) | {"ratio": line.ratio, "fraction": line.fraction}


def _curve(curve: Curve) -> dict[str, Any]:
    return asdict(curve) | {"ratio": curve.ratio}
