"""Verbs for documents: learn, ask, forget, history, info, and the table that compares methods."""

from collections.abc import Sequence
from pathlib import Path

from compositional.cli.parser import Parser, spell_switches
from compositional.errors import ConfigError
from compositional.files import is_plain_name

MEMORIES = Path("checkpoints") / "memories"
DEFAULT_METHOD = "dual_mlp"


def _parser(verb: str, description: str | None) -> Parser:
    parser = Parser(prog=f"compositional {verb}", allow_abbrev=False, description=description)
    parser.add_argument("--memory", default="default", help="which memory, by its name")
    return parser


def _folder(name: str) -> Path:
    """Return the folder of a memory.

    Raises:
        ConfigError: If the name would leave the folder of memories.
    """
    if not is_plain_name(name):
        raise ConfigError(f"the memory is named {name!r}; it must be a plain name without a dot")
    return MEMORIES / name


def learn(argv: Sequence[str]) -> int:
    """Learn documents, to be asked about when they are gone."""
    from compositional.config import resolve
    from compositional.document_memory import FILE, open_memory, open_new
    from compositional.documents.reading import read_documents
    from compositional.locks import hold

    parser = _parser("learn", learn.__doc__)
    parser.add_argument("path", type=Path, nargs="+", help=".txt, .md, .jsonl, or a folder of them")
    parser.add_argument("--method", help=f"how a new memory learns; {DEFAULT_METHOD} by default")
    known, flags = parser.parse_known_args(argv)
    folder = _folder(known.memory)
    documents = [d.document for path in known.path for d in read_documents(path)]
    with hold(folder):
        if (folder / FILE).is_file():
            memory = open_memory(folder)
            if known.method not in (None, memory.config.method_name) or flags:
                raise ConfigError(
                    f"memory {known.memory!r} learns by {memory.config.method_name} with the "
                    "settings it was made with: name another --memory for others"
                )
        else:
            settings = {
                "method": known.method or DEFAULT_METHOD,
                "documents": {"source": str(known.path[0])},
                "evaluation": {"max_new_tokens": 48},
            }
            memory = open_new(folder, resolve(settings, flags))
        for document in documents:
            line = memory.learn(document)
            trained = ""
            if line.first_loss is not None and line.last_loss is not None:
                trained = (
                    f", loss {line.first_loss:.3f} to {line.last_loss:.3f} "
                    f"in {line.num_steps} steps"
                )
            print(f"learned {line.name}: {line.num_tokens} tokens{trained}, {line.seconds:.1f} s")
    return 0


def ask(argv: Sequence[str]) -> int:
    """Ask a question about documents that were learned."""
    from compositional.document_memory import open_memory

    parser = _parser("ask", ask.__doc__)
    parser.add_argument("question")
    known, flags = parser.parse_known_args(argv)
    print(open_memory(_folder(known.memory), flags).ask(known.question))
    return 0


def forget(argv: Sequence[str]) -> int:
    """Forget a document that was learned."""
    from compositional.document_memory import open_memory
    from compositional.locks import hold

    parser = _parser("forget", forget.__doc__)
    parser.add_argument("document", help="its name, as `compositional history` shows it")
    known = parser.parse_args(argv)
    folder = _folder(known.memory)
    with hold(folder):
        memory = open_memory(folder)
        memory.forget(known.document, lambda text: print(text, flush=True))
    print(f"forgot {known.document}; {len(memory.documents)} documents are left")
    return 0


def history(argv: Sequence[str]) -> int:
    """List the documents that were learned."""
    from compositional.document_memory import open_memory
    from compositional.report.formats import Entry, Table, markdown

    known = _parser("history", history.__doc__).parse_args(argv)
    rows: list[list[Entry]] = [
        [
            line.name,
            line.num_tokens,
            line.num_steps,
            *("-" if v is None else f"{v:.3f}" for v in (line.first_loss, line.last_loss)),
            f"{line.seconds:.1f}",
            line.when,
        ]
        for line in open_memory(_folder(known.memory)).history
    ]
    header = ["document", "tokens", "steps", "first loss", "last loss", "seconds", "when"]
    print(markdown([Table(f"Learned by memory {known.memory}", header, rows)]))
    return 0


def info(argv: Sequence[str]) -> int:
    """Show the model, the method and what it trains, and what was learned."""
    from compositional.document_memory import open_memory

    known = _parser("info", info.__doc__).parse_args(argv)
    facts = open_memory(_folder(known.memory)).info()
    width = max(map(len, facts))
    print("\n".join(f"{name:<{width}}  {value}" for name, value in facts.items()))
    return 0


def compare_documents(argv: Sequence[str]) -> int:
    """Compare ways of learning documents in one table."""
    from compositional.compare_documents import Comparison
    from compositional.compare_documents import compare_documents as compare
    from compositional.config import setting_names

    parser = Parser(
        prog="compositional compare-documents",
        allow_abbrev=False,
        description="Run methods over rounds of documents in several orders and write one report. "
        "What is finished is not run again. Any setting can be given as a flag, for example "
        "--documents.documents_per_round 2.",
    )
    parser.add_argument("--source", required=True, help="as documents.source, such as synthetic")
    parser.add_argument("--methods", default="", help="names, with commas; all by default")
    parser.add_argument(
        "--orders", type=int, default=Comparison.orders, help="orders of the rounds"
    )
    parser.add_argument("--rounds", type=int, default=Comparison.rounds, help="rounds")
    parser.add_argument("--experiment", help="folder of the results")
    parser.add_argument("--results_dir", type=Path, default=Comparison.results_dir)
    parser.add_argument("--seed", type=int, default=Comparison.seed)
    parser.add_argument("--workers", type=int, default=1, help="runs side by side")
    parser.add_argument("--dry_run", action="store_true", help="print the plan and stop")
    known, flags = parser.parse_known_args(spell_switches(argv, "dry_run"))
    parser.check_dotted(flags, setting_names())
    comparison = Comparison(
        known.source,
        tuple(name.strip() for name in known.methods.split(",") if name.strip()),
        known.orders,
        known.rounds,
        known.experiment,
        known.results_dir,
        known.seed,
    )
    return compare(comparison, known.workers, flags, dry_run=known.dry_run)


def meta_train(argv: Sequence[str]) -> int:
    """Learn where the second MLPs of dual_mlp begin."""
    from compositional.config import resolve
    from compositional.meta_train import MetaTraining
    from compositional.meta_train import meta_train as train
    from compositional.methods.dual_mlp import DualMlpConfig
    from compositional.models.language_model import LanguageModel
    from compositional.models.loading import load_model
    from compositional.run_context import Progress, RunContext
    from compositional.streams import Streams

    parser = Parser(
        prog="compositional meta-train", allow_abbrev=False, description=meta_train.__doc__
    )
    parser.add_argument("output", type=Path, help="the file that --method.initial names")
    for name, kind in MetaTraining.__annotations__.items():
        parser.add_argument(f"--{name}", type=kind, default=getattr(MetaTraining, name))
    known, flags = parser.parse_known_args(argv)
    config = resolve({"method": "dual_mlp", "seed": known.seed}, flags)
    assert isinstance(config.method, DualMlpConfig)
    settings = {name: getattr(known, name) for name in MetaTraining.__annotations__}
    model = LanguageModel(load_model(config.model), max_length=config.model.max_length)
    run = RunContext(Streams(known.seed), "meta-train", progress=Progress(enabled=True))
    losses = train(model, config.method, MetaTraining(**settings), known.output, run)
    print(
        f"{known.output}: {len(losses) // 2} texts learned, loss of the first {losses[0]:.3f} to "
        f"{losses[1]:.3f}, of the last {losses[-2]:.3f} to {losses[-1]:.3f}"
    )
    return 0
