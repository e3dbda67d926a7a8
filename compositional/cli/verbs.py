"""The verbs of the console command. Heavy modules are imported by the verb that needs them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from compositional.cli import document_verbs, export_verbs
from compositional.cli.compare_verb import compare_documents
from compositional.cli.hypernetwork_verb import train_hypernetwork
from compositional.cli.meta_train_verb import meta_train
from compositional.cli.parser import Parser, spell_switches
from compositional.cli.validate_verb import validate
from compositional.errors import check_at_least


def run(argv: Sequence[str]) -> int:
    """Run the methods of an experiment file over its rounds."""
    from compositional.config import setting_names
    from compositional.experiment import run_experiment

    parser = Parser(
        prog="compositional run",
        allow_abbrev=False,
        description="Run the methods of an experiment file over its rounds, print their matrices "
        "and write a report. Any setting can be given as a flag, for example "
        "--training.batch_size 4 or --method.lr 1e-3; finished runs are not run again.",
    )
    parser.add_argument("experiment_file", type=Path, help="YAML file; see experiments/")
    parser.add_argument(
        "--method", help="only the file's runs of this method; if it has none, this method alone"
    )
    parser.add_argument("--experiment", help="folder of the results")
    parser.add_argument("--run", help="runs of the file, as in a,b, or the name of the only one")
    parser.add_argument("--resume", action="store_true", help="go on with runs that were started")
    parser.add_argument("--dry_run", action="store_true", help="print the plan and stop")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("--workers", type=int, default=1, help="runs side by side")
    parser.add_argument("--no_report", action="store_true", help="print and write no tables")
    switches = ("resume", "dry_run", "quiet", "no_report")
    known, overrides = parser.parse_known_args(spell_switches(argv, *switches))
    parser.check_dotted(overrides, setting_names(), ("--seed",))
    return run_experiment(
        known.experiment_file,
        method=known.method,
        experiment_name=known.experiment,
        run_name=known.run,
        resume=known.resume,
        dry_run=known.dry_run,
        progress=not known.quiet,
        workers=known.workers,
        report=not known.no_report,
        overrides=overrides,
    )


def grid(argv: Sequence[str]) -> int:
    """Run a grid of methods, sources, seeds and orders of rounds: here, or as a Slurm array."""
    from compositional.config import setting_names
    from compositional.grids.command import LAUNCHERS, GridCommand, run_grid
    from compositional.grids.slurm import DEFAULT_MAX_REQUEUES

    parser = Parser(
        prog="compositional grid",
        allow_abbrev=False,
        description="Run every point of a grid that is not finished, from where it stands. Any "
        "setting can be given as a flag, for example --output.results_dir runs.",
    )
    parser.add_argument("grid_file", type=Path, help="YAML file; see experiments/grids/")
    parser.add_argument("--experiment", help="folder of the results")
    parser.add_argument("--dry_run", action="store_true", help="print the plan and stop")
    parser.add_argument("--price_per_hour", type=float, help="of one worker, for the plan")
    parser.add_argument("--launcher", default="local", help=", ".join(LAUNCHERS))
    parser.add_argument("--workers", type=int, default=1, help="runs side by side")
    parser.add_argument("--task", type=int, help="run one point by its number, in this process")
    parser.add_argument(
        "--sbatch", action="append", default=[], metavar="OPTION", help="such as --time=02:00:00"
    )
    parser.add_argument(
        "--max_requeues", type=int, default=DEFAULT_MAX_REQUEUES, help="of one job of the array"
    )
    known, flags = parser.parse_known_args(spell_switches(argv, "dry_run"))
    parser.check_dotted(flags, setting_names())
    return run_grid(
        GridCommand(
            file=known.grid_file,
            experiment=known.experiment,
            launcher=known.launcher,
            workers=known.workers,
            sbatch=tuple(known.sbatch),
            max_requeues=known.max_requeues,
            flags=tuple(flags),
        ),
        task=known.task,
        dry_run=known.dry_run,
        price_per_hour=known.price_per_hour,
    )


def score(argv: Sequence[str]) -> int:
    """Score a file of predictions against a test file, without a model."""
    from compositional.score_predictions import score_predictions

    parser = Parser(prog="compositional score", allow_abbrev=False, description=score.__doc__)
    parser.add_argument("--predictions", type=Path, required=True, help="JSON lines, in order")
    parser.add_argument("--references", type=Path, required=True, help="a test file as built")
    parser.add_argument("--tool_descriptions", type=Path, help="the tools' schemas")
    parser.add_argument("--json", action="store_true", help="print JSON")
    known = parser.parse_args(spell_switches(argv, "json"))
    scores = score_predictions(known.predictions, known.references, known.tool_descriptions)
    if known.json:
        print(json.dumps(scores, indent=2))
    else:
        for name, value in scores.items():
            if not isinstance(value, dict):
                print(f"{name:<24} {_short(value)}")
        print("by number of calls: --json")
    return 0


def _short(value: object) -> str:
    """Return a score for a terminal; a mean over nothing is `-`."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def convert(argv: Sequence[str]) -> int:
    """Convert SGD or HWU64, as their repositories lay them out, to rows in the xLAM schema."""
    from compositional.tasks.converters import CONVERTERS, convert_folder

    parser = Parser(prog="compositional convert", allow_abbrev=False, description=convert.__doc__)
    parser.add_argument("kind", help=f"one of {', '.join(sorted(CONVERTERS))}")
    parser.add_argument("folder", type=Path, help="the data set's repository, or a part of it")
    parser.add_argument("--output", type=Path, required=True, help="JSON lines to write")
    known = parser.parse_args(argv)
    convert_folder(known.kind, known.folder, known.output)
    return 0


def report(argv: Sequence[str]) -> int:
    """Print the table of an experiment's methods and write its page."""
    from compositional.report import write_report

    parser = Parser(prog="compositional report", allow_abbrev=False, description=report.__doc__)
    parser.add_argument("folder", type=Path, help="results/<experiment>")
    parser.add_argument("--format", default="markdown", help="markdown, latex or csv")
    parser.add_argument("--output", type=Path, help="the page; default: report.html in the folder")
    parser.add_argument(
        "--published", type=Path, help="further finished runs, for example docs/results/x"
    )
    known = parser.parse_args(argv)
    write_report(known.folder, known.format, known.output, known.published)
    return 0


def publish(argv: Sequence[str]) -> int:
    """Keep an experiment's finished runs without text: scores, costs and hashes."""
    from compositional.publish import publish as publish_runs

    parser = Parser(prog="compositional publish", allow_abbrev=False, description=publish.__doc__)
    parser.add_argument("folder", type=Path, help="results/<experiment>")
    parser.add_argument("target", type=Path, help="where to keep them, for example docs/results/x")
    known = parser.parse_args(argv)
    names = publish_runs(known.folder, known.target)
    print(f"kept in {known.target}: {', '.join(names) or 'nothing new'}")
    return 0


def speed(argv: Sequence[str]) -> int:
    """Time training and decoding beside what a user would take instead."""
    from compositional.benchmarks.bench import SpeedConfig
    from compositional.benchmarks.speed import TABLES, measure_speed
    from compositional.models.model_config import ModelConfig

    parser = Parser(prog="compositional speed", allow_abbrev=False, description=speed.__doc__)
    parser.add_argument("--hwu64", type=Path, help="rows of HWU64 (compositional convert hwu64)")
    parser.add_argument("--sgd", type=Path, help="rows of SGD (compositional convert sgd)")
    parser.add_argument("--table", action="append", help=f"one of {', '.join(TABLES)}; or all")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    dtypes = ("float32", "bfloat16", "float16")
    parser.add_argument("--dtype", choices=dtypes, default="float32", help="of both ways")
    parser.add_argument("--model", default="smollm2", help="as in --model.name")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs after a warm-up")
    parser.add_argument("--output", type=Path, default=Path("docs/results/speed"))
    known = parser.parse_args(argv)
    config = SpeedConfig(
        hwu64=known.hwu64,
        sgd=known.sgd,
        model=ModelConfig(name=known.model, device=known.device, dtype=known.dtype),
        repeats=known.repeats,
    )
    print(measure_speed(config, known.output, known.table or TABLES))
    return 0


def scale(argv: Sequence[str]) -> int:
    """Measure what rounds cost, and say what a hundred of them would."""
    from compositional.benchmarks.scale import measure_scale
    from compositional.models.model_config import ModelConfig

    parser = Parser(prog="compositional scale", allow_abbrev=False, description=scale.__doc__)
    parser.add_argument("--source", default="bfcl", help="rows of the cost model's runs")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--model", default="smollm2", help="as in --model.name")
    parser.add_argument("--rounds", type=int, default=100, help="of the long sequence")
    parser.add_argument("--output", type=Path, default=Path("docs/results/scale.md"))
    known = parser.parse_args(argv)
    check_at_least("--rounds", known.rounds, 1)
    model = ModelConfig(name=known.model, device=known.device)
    print(measure_scale(model, known.source, known.rounds, known.output))
    return 0


def slot_retention(argv: Sequence[str]) -> int:
    """Measure what sparse memory keeps, by how its slots are selected."""
    from compositional.benchmarks.slot_retention import RetentionPlan, measure_retention
    from compositional.methods.sparse_memory import SparseMemoryConfig
    from compositional.models.model_config import ModelConfig

    plan, method = RetentionPlan(), SparseMemoryConfig()
    description = slot_retention.__doc__
    parser = Parser(
        prog="compositional slot-retention", allow_abbrev=False, description=description
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=plan.seeds)
    parser.add_argument("--documents", type=int, default=plan.num_documents, help="a sequence")
    parser.add_argument("--facts", type=int, default=plan.num_facts, help="of a document")
    parser.add_argument("--loss_share", type=float, default=plan.loss_share, help="learned at it")
    parser.add_argument("--num_slots", type=int, default=method.num_slots, help="of a document")
    parser.add_argument("--background_batches", type=int, default=method.background_batches)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--model", default="smollm2", help="as in --model.name")
    output = Path("docs/results/slot_retention.md")
    parser.add_argument("--output", type=Path, default=output)
    known = parser.parse_args(argv)
    config = SparseMemoryConfig(
        num_slots=known.num_slots, background_batches=known.background_batches
    )
    plan = RetentionPlan(
        tuple(known.seeds), known.documents, known.facts, known.loss_share, config=config
    )
    model = ModelConfig(name=known.model, device=known.device)
    print(measure_retention(plan, model, known.output))
    return 0


VERBS: dict[str, Callable[[Sequence[str]], int | None]] = {
    "run": run,
    "grid": grid,
    "report": report,
    "score": score,
    "convert": convert,
    "publish": publish,
    "speed": speed,
    "scale": scale,
    "slot-retention": slot_retention,
    "learn": document_verbs.learn,
    "ask": document_verbs.ask,
    "feedback": document_verbs.feedback,
    "forget": document_verbs.forget,
    "history": document_verbs.history,
    "info": document_verbs.info,
    "playbook": export_verbs.playbook,
    "compare-documents": compare_documents,
    "meta-train": meta_train,
    "train-hypernetwork": train_hypernetwork,
    "export-adapter": export_verbs.export_adapter,
    "validate": validate,
}
