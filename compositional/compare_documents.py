"""`compositional compare-documents`: one table of methods over one source of documents.

It writes a grid of methods and orders of rounds and runs that, so what is finished is not run
again, and whatever runs a grid runs this.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from compositional.config import OutputConfig
from compositional.errors import ConfigError, check_at_least, check_choice
from compositional.files import write_text
from compositional.grids.command import GridCommand, run_grid
from compositional.streams import Streams

DOC2LORA = "doc2lora"


@dataclass(frozen=True)
class Comparison:
    """What is compared.

    Attributes:
        source: As `documents.source`.
        methods: Names of runs of the comparison; none for all of them.
        orders: Orders of the rounds; the first is 1, 2, ..., T, the others are drawn.
        rounds: T.
        experiment: Folder of the results; None for one named by the source.
        results_dir: Folder of all experiments' results.
        seed: Of the run and of its data.
        hypernetwork: File for doc2lora, which is compared only where one is given.
    """

    source: str
    methods: tuple[str, ...] = ()
    orders: int = 3
    rounds: int = 8
    experiment: str | None = None
    results_dir: Path = OutputConfig.results_dir
    seed: int = 42
    hypernetwork: str = ""

    @property
    def name(self) -> str:
        """The experiment's name."""
        stem = Path(self.source.rstrip("/")).name.split(".")[0]
        return self.experiment or f"documents_{stem}"


def presets() -> dict[str, Any]:
    """Return the experiment that holds every method of the comparison."""
    resource = files("compositional.documents").joinpath("comparison.yaml")
    found: dict[str, Any] = yaml.safe_load(resource.read_text(encoding="utf-8"))
    return found


def grid_of(comparison: Comparison) -> dict[str, Any]:
    """Return the grid of a comparison as a grid file holds it.

    Raises:
        ConfigError: If a method is unknown, a number too small, or doc2lora has no hypernetwork.
    """
    check_at_least("orders", comparison.orders, 1)
    experiment = presets()
    known: Mapping[str, Any] = experiment["runs"]
    for name in comparison.methods:
        check_choice("method", name, known)
    chosen = {n: s for n, s in known.items() if not comparison.methods or n in comparison.methods}
    if DOC2LORA in comparison.methods and not comparison.hypernetwork:
        raise ConfigError(f"{DOC2LORA} needs --hypernetwork, the file of one for this model")
    if comparison.hypernetwork and DOC2LORA in chosen:
        chosen[DOC2LORA] = {
            "method": {**known[DOC2LORA]["method"], "hypernetwork": comparison.hypernetwork}
        }
    elif not comparison.hypernetwork:
        chosen.pop(DOC2LORA, None)
    return {
        **experiment,
        "experiment": comparison.name,
        "documents": {"source": comparison.source, "num_rounds": comparison.rounds},
        "runs": chosen,
        "grid": {"seeds": [comparison.seed], "orders": orders_of(comparison)},
    }


def orders_of(comparison: Comparison) -> list[list[int]]:
    """Return the orders of rounds, none of them twice; fewer where there are no more."""
    orders = [list(range(1, comparison.rounds + 1))]
    rng = Streams(comparison.seed).generator("orders")
    most = min(comparison.orders, math.factorial(comparison.rounds))
    while len(orders) < most:
        drawn = [int(place) + 1 for place in rng.permutation(comparison.rounds)]
        orders += [drawn] if drawn not in orders else []
    return orders


def compare_documents(
    comparison: Comparison, workers: int, flags: Sequence[str] = (), *, dry_run: bool = False
) -> int:
    """Run what is left of a comparison and write its report; return the exit code.

    Args:
        comparison: Source, methods, orders.
        workers: Runs side by side.
        flags: Further settings as flags, laid over every run.
        dry_run: Whether to print the plan only.

    Raises:
        CompositionalError: As `run_grid`.
    """
    grid = yaml.safe_dump(grid_of(comparison), sort_keys=False)
    flags = ("--output.results_dir", str(comparison.results_dir), *flags)
    with TemporaryDirectory() as nowhere:
        folder = Path(nowhere) if dry_run else comparison.results_dir / comparison.name
        path = folder / "comparison.yaml"
        write_text(path, grid)
        command = GridCommand(path, workers=workers, flags=flags)
        return run_grid(command, dry_run=dry_run)
