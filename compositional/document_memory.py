"""What a model has learned from documents on the command line, kept between commands.

One file a memory holds everything: the resolved settings, what the method learned, the documents
themselves, and the history. It is replaced whole after every document, so a command that is cut off
loses the document under way and nothing before it.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from compositional.config import RunConfig, resolve
from compositional.errors import ConfigError, ResultsError, did_you_mean
from compositional.methods.base import Method
from compositional.models.language_model import LanguageModel
from compositional.preparing import load_for
from compositional.run_context import Progress, RunContext
from compositional.states import State, load_state, save_state
from compositional.streams import Streams
from compositional.tasks.benchmark import DOCUMENTS, Benchmark
from compositional.tasks.types import TEXT, Document, Example, Round

FILE = "memory.safetensors"
VERSION = 1


@dataclass(frozen=True)
class Learned:
    """What the history says of a document.

    Attributes:
        name: The document.
        num_tokens: Its length.
        num_steps: Optimiser steps; 0 where nothing trains.
        first_loss: Of the first step; None where nothing trains.
        last_loss: Of the last step; None where nothing trains.
        seconds: What learning took.
        when: Date and time, UTC.
    """

    name: str
    num_tokens: int
    num_steps: int
    first_loss: float | None
    last_loss: float | None
    seconds: float
    when: str


@dataclass
class Memory:
    """A method with what it has learned, and where that is kept.

    Attributes:
        folder: Holds the one file.
        config: The resolved settings.
        model: The model.
        method: The method, everything learned so far in it.
        documents: What it has learned, in order.
        history: A line a document.
    """

    folder: Path
    config: RunConfig
    model: LanguageModel
    method: Method
    documents: list[Document] = field(default_factory=list)
    history: list[Learned] = field(default_factory=list)

    def learn(self, document: Document) -> Learned:
        """Learn one document and keep it.

        Raises:
            ConfigError: If a document of that name has been learned.
            ModelError: If it is over the limit; nothing of it is dropped.
        """
        if document.name in {known.name for known in self.documents}:
            raise ConfigError(f"{document.name!r} has been learned: forget it first")
        num_tokens = len(self.model.chat.text_ids(document.text))
        self.model.check_fits(num_tokens, 0, f"document {document.name!r}")
        run = self._run(document.name)
        started = time.monotonic()
        self.method.learn(round_of(document, len(self.documents) + 1, self._passes), run)
        losses = [loss for values in run.losses.values() for loss in values]
        line = Learned(
            document.name,
            num_tokens,
            len(losses),
            losses[0] if losses else None,
            losses[-1] if losses else None,
            time.monotonic() - started,
            datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self.documents.append(document)
        self.history.append(line)
        self.save()
        return line

    def ask(self, question: str) -> str:
        """Return what the model answers."""
        example = Example("question", question, None, form=TEXT)
        (prediction,) = self.method.answer([example], self._run("ask"))
        return prediction.raw

    def forget(self, name: str, say: Callable[[str], None]) -> None:
        """Forget a document.

        A method that can take it out exactly does so; another one is taught the other documents
        again from the start, and `say` is told.

        Raises:
            ConfigError: If no such document has been learned.
        """
        names = [document.name for document in self.documents]
        if name not in names:
            raise ConfigError(f"{name!r} has not been learned; {did_you_mean(name, names)}")
        rest = [document for document in self.documents if document.name != name]
        remove = getattr(self.method, "forget", None)
        if remove is not None:
            remove(name)
            self.history = [line for line in self.history if line.name != name]
            self.documents = rest
            self.save()
            return
        say(
            f"{self.config.method_name} cannot take a document out exactly: the {len(rest)} others "
            "are taught again from the start"
        )
        fresh = open_new(self.folder, self.config)
        for document in rest:
            fresh.learn(document)
        fresh.save()
        self.method, self.documents, self.history = fresh.method, fresh.documents, fresh.history

    def info(self) -> dict[str, Any]:
        """Return facts of the model, the method and what was learned."""
        parameters = sum(p.numel() for p in self.model.backbone.parameters())
        described = getattr(self.method, "describe", None)
        return {
            "model": self.config.model.name,
            "parameters": parameters,
            "method": self.config.method_name,
            **({} if described is None else described()),
            "documents": len(self.documents),
            "file": str(self.folder / FILE),
            "bytes": (self.folder / FILE).stat().st_size,
        }

    @property
    def _passes(self) -> int:
        return self.config.documents.epochs

    def _run(self, name: str) -> RunContext:
        return RunContext(
            streams=Streams(self.config.seed),
            name=name,
            training=self.config.training,
            evaluation=self.config.evaluation,
            progress=Progress(enabled=True),
        )

    def save(self) -> None:
        """Replace the memory's file."""
        learned = self.method.state_dict()
        metadata = {
            "version": VERSION,
            "model_sha256": self.model.sha256,
            "settings": self.config.settings(),
            "method": learned.metadata,
            "documents": [[document.name, document.text] for document in self.documents],
            "history": [vars(line) for line in self.history],
        }
        save_state(self.folder / FILE, State(learned.tensors, metadata))


def round_of(document: Document, index: int, passes: int) -> Round:
    """Return a document as a round of its own, about which nothing is asked."""
    return Round(index, document.name, passes, (), (), (), (), (document,))


def open_new(folder: Path, config: RunConfig) -> Memory:
    """Return a memory in which nothing has been learned; nothing is written yet."""
    model = load_for(config)
    nothing = Benchmark((), None, (), (), {}, {"rounds": []}, "", task=DOCUMENTS)
    return Memory(folder, config, model, config.method.build(model, nothing))


def open_memory(folder: Path, overrides: Sequence[str] = ()) -> Memory:
    """Return a memory with what was learned.

    Args:
        folder: Holds its file.
        overrides: Settings as flags, laid over those it was made with.

    Raises:
        ResultsError: If there is none, it is of another version, or of another model.
    """
    path = folder / FILE
    if not path.is_file():
        raise ResultsError(f"{folder} holds nothing learned yet: compositional learn FILE makes it")
    state = load_state(path)
    kept = state.metadata
    if kept.get("version") != VERSION:
        raise ResultsError(
            f"{path} has version {kept.get('version')}; this program reads {VERSION}"
        )
    memory = open_new(folder, resolve(kept["settings"], overrides))
    if memory.model.sha256 != kept["model_sha256"]:
        raise ResultsError(
            f"{path} was learned by another model than {memory.config.model.name} as it is now "
            f"(weights {kept['model_sha256'][:12]}, now {memory.model.sha256[:12]})"
        )
    memory.method.load_state_dict(State(state.tensors, kept["method"]))
    memory.documents = [Document(name, text) for name, text in kept["documents"]]
    memory.history = [Learned(**line) for line in kept["history"]]
    return memory
