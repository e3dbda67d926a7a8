"""The verb that compares ways of learning documents."""

from collections.abc import Sequence
from pathlib import Path

from compositional.cli.parser import Parser, spell_switches


def compare_documents(argv: Sequence[str]) -> int:
    """Compare ways of learning documents in one table."""
    from compositional.compare_documents import REFERENCES, AceServer, Comparison
    from compositional.compare_documents import compare_documents as compare
    from compositional.config import setting_names

    parser = Parser(
        prog="compositional compare-documents",
        allow_abbrev=False,
        description="Run methods over rounds of documents in several orders and write one report. "
        "What is finished is not run again. Any setting can be given as a flag, for example "
        "--documents.documents_per_round 2. Every table carries the references "
        f"{', '.join(REFERENCES)}.",
    )
    parser.add_argument("--source", required=True, help="as documents.source, such as synthetic")
    parser.add_argument(
        "--methods", default="", help="names, with commas, beside the references; all by default"
    )
    parser.add_argument(
        "--only", action="store_true", help="exactly the methods named, without the references"
    )
    parser.add_argument(
        "--orders", type=int, default=Comparison.orders, help="orders of the rounds"
    )
    parser.add_argument("--rounds", type=int, default=Comparison.rounds, help="rounds")
    parser.add_argument("--experiment", help="folder of the results")
    parser.add_argument("--results_dir", type=Path, default=Comparison.results_dir)
    parser.add_argument("--seed", type=int, default=Comparison.seed)
    parser.add_argument("--hypernetwork", default="", help="file for doc2lora; none leaves it out")
    parser.add_argument(
        "--ace_backend", default="", help="openai or ollama: a server for the run of ace alone"
    )
    parser.add_argument("--ace_url", default="", help="the server's address")
    parser.add_argument("--ace_model", default="", help="the model's name there")
    parser.add_argument("--workers", type=int, default=1, help="runs side by side")
    parser.add_argument("--dry_run", action="store_true", help="print the plan and stop")
    known, flags = parser.parse_known_args(spell_switches(argv, "dry_run", "only"))
    parser.check_dotted(flags, setting_names())
    server = (known.ace_backend, known.ace_url, known.ace_model)
    comparison = Comparison(
        known.source,
        tuple(name.strip() for name in known.methods.split(",") if name.strip()),
        known.orders,
        known.rounds,
        known.experiment,
        known.results_dir,
        known.seed,
        known.hypernetwork,
        only=known.only,
        ace=AceServer(*server) if any(server) else None,
    )
    return compare(comparison, known.workers, flags, dry_run=known.dry_run)
