"""`compositional compare-documents`: one table of methods over one source of documents.

It writes a grid of methods and orders of rounds and runs that, so what is finished is not run
again, and whatever runs a grid runs this.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from compositional.chat_backends.settings import OLLAMA, OPENAI
from compositional.config import OutputConfig, resolve
from compositional.documents.config import EVERYWHERE, NAMED
from compositional.errors import ConfigError, check_at_least, check_choice
from compositional.files import write_text
from compositional.grids.command import GridCommand, run_grid
from compositional.states import load_state
from compositional.streams import Streams

DOC2LORA, ACE = "doc2lora", "ace"
REFERENCES = (
    "zero_shot",
    "own_document",
    "text_rag",
    "text_lora",
    "text_lora_study",
    "full_finetuning",
)
"""The runs of every table: the floor, the ceiling, retrieval, LoRA on the text alone and with what
the model asks itself, and the control that must forget."""


@dataclass(frozen=True)
class AceServer:
    """A model of another program, which plays the roles of ace and answers for it.

    Attributes:
        kind: `openai` or `ollama`.
        url: Its address.
        model: Its name there, by which tables name it.
    """

    kind: str
    url: str
    model: str

    def __post_init__(self) -> None:
        """Refuse an unknown kind, and a server or a model that is not named."""
        check_choice("ace_backend", self.kind, (OPENAI, OLLAMA))
        for name in ("url", "model"):
            if not getattr(self, name):
                raise ConfigError(f"ace_backend {self.kind} needs --ace_{name} as well")

    def settings(self) -> dict[str, Any]:
        """Return what the run of ace sets beside its preset.

        A server gives answers and no likelihoods: every cell is answered, and what needs
        likelihoods is not measured.
        """
        documents = {"generation": EVERYWHERE, "general": False}
        return {"method": {"backend": asdict(self)}, "documents": documents}


@dataclass(frozen=True)
class Comparison:
    """What is compared.

    Attributes:
        source: As `documents.source`.
        methods: Names of runs of the comparison, beside which `REFERENCES` stand; none for all.
        orders: Orders of the rounds; the first is 1, 2, ..., T, the others are drawn.
        rounds: T.
        experiment: Folder of the results; None for one named by the source.
        results_dir: Folder of all experiments' results.
        seed: Of the run and of its data.
        hypernetwork: File for doc2lora, which is compared only where one is given.
        only: Whether the methods named are all, without `REFERENCES`.
        ace: Who plays ace's roles; None for the run's own model.
    """

    source: str
    methods: tuple[str, ...] = ()
    orders: int = 3
    rounds: int = 8
    experiment: str | None = None
    results_dir: Path = OutputConfig.results_dir
    seed: int = 42
    hypernetwork: str = ""
    only: bool = False
    ace: AceServer | None = None

    @property
    def name(self) -> str:
        """The experiment's name."""
        stem = Path(self.source.rstrip("/")).name.split(".")[0]
        return self.experiment or f"documents_{stem}"

    @property
    def lacks_hypernetwork(self) -> bool:
        """Whether doc2lora is left out of all methods for want of a file."""
        return not self.methods and not self.hypernetwork


def presets() -> dict[str, Any]:
    """Return the experiment that holds every method of the comparison."""
    resource = files("compositional.documents").joinpath("comparison.yaml")
    found: dict[str, Any] = yaml.safe_load(resource.read_text(encoding="utf-8"))
    return found


def grid_of(comparison: Comparison) -> dict[str, Any]:
    """Return the grid of a comparison as a grid file holds it.

    Raises:
        ConfigError: If a method is unknown, a number too small, or something is given for a method
            that is not compared, or not given for one that is.
    """
    check_at_least("orders", comparison.orders, 1)
    experiment = presets()
    runs = _chosen(comparison, experiment["runs"])
    for name, over in _settings_of_runs(comparison, runs).items():
        method = {**runs[name]["method"], **over["method"]}
        runs[name] = {**runs[name], **over, "method": method}
    return {
        **experiment,
        "experiment": comparison.name,
        "documents": {"source": comparison.source, "num_rounds": comparison.rounds},
        "runs": runs,
        "grid": {"seeds": [comparison.seed], "orders": orders_of(comparison)},
    }


def _chosen(comparison: Comparison, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the runs that are compared, in the presets' order."""
    for name in comparison.methods:
        check_choice("method", name, known)
    if comparison.only and not comparison.methods:
        raise ConfigError("--only is for methods that are named: name them with --methods")
    if DOC2LORA in comparison.methods and not comparison.hypernetwork:
        raise ConfigError(f"{DOC2LORA} needs --hypernetwork, the file of one for this model")
    wanted = set(comparison.methods or known)
    if not comparison.only:
        wanted.update(REFERENCES)
    if comparison.lacks_hypernetwork:
        wanted.discard(DOC2LORA)
    return {name: settings for name, settings in known.items() if name in wanted}


def _settings_of_runs(comparison: Comparison, runs: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what is set for one run alone, by its name.

    Raises:
        ConfigError: If a server is named for ace, which is not compared.
    """
    found: dict[str, dict[str, Any]] = {}
    if comparison.hypernetwork and DOC2LORA in runs:
        found[DOC2LORA] = {"method": {"hypernetwork": comparison.hypernetwork}}
    if comparison.ace is not None:
        if ACE not in runs:
            raise ConfigError(
                f"--ace_backend is for {ACE}, which is not compared: name it in --methods"
            )
        found[ACE] = comparison.ace.settings()
    return found


def orders_of(comparison: Comparison) -> list[list[int]]:
    """Return the orders of rounds, none of them twice; fewer where there are no more."""
    orders = [list(range(1, comparison.rounds + 1))]
    rng = Streams(comparison.seed).generator("orders")
    most = min(comparison.orders, math.factorial(comparison.rounds))
    while len(orders) < most:
        drawn = [int(place) + 1 for place in rng.permutation(comparison.rounds)]
        orders += [drawn] if drawn not in orders else []
    return orders


def _check_apart(
    comparison: Comparison, documents: Mapping[str, Any], flags: Sequence[str]
) -> None:
    """Refuse a hypernetwork that was trained on the documents that are compared on.

    One of the same file is taken where its training left out all that the comparison draws.

    Raises:
        ConfigError: If it was.
        CompositionalError: If its file cannot be read.
    """
    if not comparison.hypernetwork or comparison.source in NAMED:
        return
    how = load_state(Path(comparison.hypernetwork)).metadata.get("how", {}).get("data", {})
    trained_on = how.get("source", "")
    paths = [Path(name).expanduser() for name in (trained_on, comparison.source)]
    if not all(path.exists() for path in paths) or not paths[0].samefile(paths[1]):
        return
    settings = {"method": "zero_shot", "seed": comparison.seed, "documents": documents}
    config = resolve(settings, flags)
    needed, data_seed = config.documents.num_needed, config.documents.data_seed
    seed = config.seed if data_seed is None else data_seed
    if how.get("skip", 0) < needed or how.get("seed") != seed:
        raise ConfigError(
            f"{comparison.hypernetwork} was trained on {trained_on}, which is compared on: train "
            f"one with --skip {needed} --seed {seed}, or on other documents"
        )


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
    grid = grid_of(comparison)
    _check_apart(comparison, grid["documents"], flags)
    if comparison.lacks_hypernetwork:
        print(f"{DOC2LORA} left out: no --hypernetwork", file=sys.stderr, flush=True)
    flags = ("--output.results_dir", str(comparison.results_dir), *flags)
    with TemporaryDirectory() as nowhere:
        folder = Path(nowhere) if dry_run else comparison.results_dir / comparison.name
        path = folder / "comparison.yaml"
        write_text(path, yaml.safe_dump(grid, sort_keys=False))
        command = GridCommand(path, workers=workers, flags=flags)
        return run_grid(command, dry_run=dry_run)
