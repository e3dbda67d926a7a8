"""Public data sets, as their own repositories lay them out, to rows in the xLAM schema."""

from collections.abc import Callable
from pathlib import Path

from compositional.errors import ConfigError, DataError, did_you_mean
from compositional.files import write_json_lines
from compositional.tasks.converters.conversion import Conversion
from compositional.tasks.converters.hwu64 import convert_hwu64
from compositional.tasks.converters.sgd import convert_sgd

CONVERTERS: dict[str, Callable[[Path], Conversion]] = {"hwu64": convert_hwu64, "sgd": convert_sgd}


def convert_folder(kind: str, folder: Path, output: Path) -> Conversion:
    """Convert a data set's folder to a file of rows, and print what was kept and left out.

    Args:
        kind: `sgd` or `hwu64`.
        folder: The data set's repository, or a part of it.
        output: JSON lines to write; must not exist.

    Raises:
        ConfigError: If the kind is unknown, or the output is no `.jsonl` file.
        DataError: If the output exists, or the folder does not hold that data set.
    """
    if kind not in CONVERTERS:
        raise ConfigError(f"unknown data set '{kind}': {did_you_mean(kind, CONVERTERS)}")
    if output.suffix != ".jsonl":
        raise ConfigError(f"output '{output}': its name must end in .jsonl")
    if output.exists():
        raise DataError(f"output '{output}' exists; remove it or choose another name")
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    conversion = CONVERTERS[kind](folder)
    write_json_lines(output, conversion.rows)
    print(f"{output}: {conversion.summary()}")
    return conversion
