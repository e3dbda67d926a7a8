"""Verbs for a memory of documents: learn, ask, feedback, forget, history, info."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from compositional.cli.parser import Parser
from compositional.errors import ConfigError
from compositional.files import is_plain_name

if TYPE_CHECKING:  # help and wrong flags need no model library
    from compositional.document_memory import Memory
    from compositional.memory_file import Kept
    from compositional.tasks.types import Document

MEMORIES = Path("checkpoints") / "memories"
DEFAULT_METHOD = "dual_mlp"
MOST_BYTES = 200
TEXT_NAME = "text"
ANSWERS = {"max_new_tokens": 48}


def memory_parser(verb: str, description: str | None) -> Parser:
    """Return a parser of a verb that names a memory."""
    parser = Parser(prog=f"compositional {verb}", allow_abbrev=False, description=description)
    parser.add_argument("--memory", default="default", help="which memory, by its name")
    return parser


def memory_folder(name: str) -> Path:
    """Return the folder of a memory.

    Raises:
        ConfigError: If the name would leave the folder of memories, or is no folder's name.
    """
    if not is_plain_name(name) or len(os.fsencode(name)) > MOST_BYTES:
        raise ConfigError(
            f"the memory is named {name!r}; it must be a plain name of at most {MOST_BYTES} bytes "
            "that begins with no dot"
        )
    return MEMORIES / name


def learn(argv: Sequence[str]) -> int:
    """Learn documents, or a text, to be asked about when they are gone."""
    from compositional.files import check_writable
    from compositional.locks import hold
    from compositional.memory_file import FILE, check_names, is_kept, read_kept

    parser = memory_parser("learn", learn.__doc__)
    if not _has_text(argv):  # the values of other flags would be taken for paths
        kinds = ".txt, .md, .jsonl, SQuAD's .json, or a folder of them"
        parser.add_argument("path", type=Path, nargs="+", help=kinds)
    parser.add_argument("--text", help="a text to learn, in place of files")
    parser.add_argument(
        "--name", help=f"what the text ({TEXT_NAME!r} without it) or one file is called"
    )
    parser.add_argument("--method", help=f"how a new memory learns; {DEFAULT_METHOD} by default")
    known, flags = parser.parse_known_args(argv)
    folder = memory_folder(known.memory)
    if known.text is None:
        found = _documents(known.path, known.name)
    else:
        found = _given(known.text, known.name, flags)
    documents = [document for document, _ in found]
    with hold(folder, "--memory"):
        kept = read_kept(folder) if is_kept(folder) else None
        check_names(documents, () if kept is None else kept.documents)
        check_writable(folder / FILE)
        memory = _opened(folder, kept, known.method, flags)
        memory.check(documents)
        for document, source in found:
            print(f"learned {memory.learn(document, source)}", flush=True)
    return 0


def _has_text(argv: Sequence[str]) -> bool:
    return any(word.partition("=")[0] == "--text" for word in argv)


def _documents(paths: Sequence[Path], name: str | None) -> "list[tuple[Document, str]]":
    """Read documents, each with the path that it was named by; say what of a folder is none."""
    from compositional.documents.left_out import not_read
    from compositional.documents.reading import read_documents, text_document

    found = [(each.document, str(path)) for path in paths for each in read_documents(path)]
    if name is not None:
        if len(found) > 1:
            raise ConfigError(
                f"--name {name!r} is for one document, and {' '.join(map(str, paths))} holds "
                f"{len(found)}: learn one file at a time, or leave --name out"
            )
        ((document, source),) = found
        found = [(text_document(name, document.text), source)]
    for line in not_read(paths):
        print(line, file=sys.stderr, flush=True)
    return found


def _given(text: str, name: str | None, flags: Sequence[str]) -> "list[tuple[Document, str]]":
    """Return the text of a command line as the one document, which no file is named for."""
    from compositional.documents.reading import text_document

    if flags and not flags[0].startswith("--"):
        raise ConfigError(
            f"learn was given both --text and {flags[0]!r}: learn one, then the other"
        )
    return [(text_document(name or TEXT_NAME, text), "")]


def _opened(
    folder: Path, kept: "Kept | None", method: str | None, flags: Sequence[str]
) -> "Memory":
    """Return the memory to learn into: the one that there is, or a new one.

    Raises:
        ConfigError: If there is one, and it was made with another method or other settings.
    """
    from compositional.config import resolve
    from compositional.document_memory import open_memory, open_new

    if kept is None or (not kept.holds_something and (method or flags)):
        settings = {"method": method or DEFAULT_METHOD, "evaluation": ANSWERS}
        return open_new(folder, resolve(settings, flags))
    made_by = kept.settings["method"]["name"]
    if method not in (None, made_by) or flags:
        raise ConfigError(
            f"memory {folder.name!r} learns by {made_by} with the settings it was made with: name "
            "another --memory for others"
        )
    return open_memory(folder)


def ask(argv: Sequence[str]) -> int:
    """Ask a question about documents that were learned."""
    from compositional.document_memory import open_memory

    parser = memory_parser("ask", ask.__doc__)
    parser.add_argument("question")
    known, flags = parser.parse_known_args(argv)
    memory = open_memory(memory_folder(known.memory), flags)
    if not memory.documents:
        print(f"memory {known.memory!r} holds no document any more", file=sys.stderr)
    print(memory.ask(known.question))
    return 0


def feedback(argv: Sequence[str]) -> int:
    """Say how good an answer was, to a method that learns from rewards."""
    from compositional.document_memory import open_memory
    from compositional.locks import hold

    parser = memory_parser("feedback", feedback.__doc__)
    parser.add_argument("question")
    parser.add_argument("answer", help="what was answered, or what should have been")
    parser.add_argument("reward", type=float, help="from -1 (wrong) to 1 (right)")
    known = parser.parse_args(argv)
    folder = memory_folder(known.memory)
    with hold(folder, "--memory"):
        name = open_memory(folder).feedback(known.question, known.answer, known.reward)
    print(f"learned {name}")
    return 0


def forget(argv: Sequence[str]) -> int:
    """Forget documents that were learned, or the feedback on questions."""
    from compositional.document_memory import open_memory
    from compositional.documents.left_out import shown
    from compositional.locks import hold
    from compositional.memory_file import documents_named, read_kept

    parser = memory_parser("forget", forget.__doc__)
    parser.add_argument(
        "name",
        nargs="+",
        help="of a document, as `compositional history` shows it, or what it was learned from",
    )
    known = parser.parse_args(argv)
    folder = memory_folder(known.memory)
    with hold(folder, "--memory"):
        documents_named(known.name, read_kept(folder).history)
        memory = open_memory(folder)
        names = memory.forget(known.name, lambda text: print(text, flush=True))
    print(f"forgot {shown(names)}; {len(memory.documents)} documents are left")
    return 0


def history(argv: Sequence[str]) -> int:
    """List what was learned: documents, and feedback on answers."""
    from compositional.memory_file import read_kept
    from compositional.report.formats import Entry, Table, markdown

    known = memory_parser("history", history.__doc__).parse_args(argv)
    rows: list[list[Entry]] = [
        [
            line.name,
            line.num_tokens,
            line.num_steps,
            *("-" if v is None else f"{v:.3f}" for v in (line.first_loss, line.last_loss)),
            f"{line.seconds:.1f}",
            line.when,
        ]
        for line in read_kept(memory_folder(known.memory)).history
    ]
    header = ["document", "tokens", "steps", "first loss", "last loss", "seconds", "when"]
    print(markdown([Table(f"Learned by memory {known.memory}", header, rows)]))
    return 0


def info(argv: Sequence[str]) -> int:
    """Show the model, the method and what it trains, and what was learned."""
    from compositional.document_memory import open_memory

    known = memory_parser("info", info.__doc__).parse_args(argv)
    facts = open_memory(memory_folder(known.memory)).info()
    width = max(map(len, facts))
    print("\n".join(f"{name:<{width}}  {value}" for name, value in facts.items()))
    return 0
