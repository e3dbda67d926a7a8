"""What a model has learned from documents on the command line, kept between commands.

One file a memory holds all that was learned; see `memory_file`. It is replaced whole after every
document, so a command that is cut off loses the document under way and nothing before it. A file
that a method begins with is copied beside it.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from compositional.config import RunConfig, resolve
from compositional.errors import ConfigError, ResultsError, did_you_mean
from compositional.files import atomic_path
from compositional.memory_file import (
    FILE,
    Kept,
    Learned,
    check_names,
    documents_named,
    read_kept,
    write_kept,
)
from compositional.methods.base import Method, tasks_of
from compositional.methods.questions import check_documents
from compositional.methods.registry import METHODS, REFERENCES
from compositional.models.language_model import LanguageModel
from compositional.models.model_label import model_label
from compositional.portable import LEARNED_BEFORE
from compositional.preparing import load_for
from compositional.run_context import Progress, RunContext
from compositional.streams import Streams
from compositional.tasks.benchmark import DOCUMENTS, Benchmark
from compositional.tasks.types import TEXT, Document, Example, Round

LAID_OVER = ("--evaluation.", "--model.device", "--model.dtype", "--method.backend.")
"""Beginnings of the flags that change how a memory is asked, not what it is."""


@dataclass
class Memory:
    """A method with what it has learned, and where that is kept.

    Attributes:
        folder: Holds the one file.
        config: The resolved settings.
        model: The model.
        method: The method, everything learned so far in it.
        documents: What it has learned, in order.
        history: A line a document, and a line for each feedback.
    """

    folder: Path
    config: RunConfig
    model: LanguageModel
    method: Method
    documents: list[Document] = field(default_factory=list)
    history: list[Learned] = field(default_factory=list)

    def check(self, documents: Sequence[Document]) -> None:
        """Refuse documents that cannot be learned, before any is.

        Raises:
            ConfigError: If two have one name, or one of that name has been learned.
            DataError: If one is too short to learn anything from, or has nothing for the method.
            ModelError: If one is over the limit; nothing of it is dropped.
        """
        check_names(documents, self.documents)
        check_documents(self.model, documents, whole=self.method.traits.reads_whole)
        check_for_method = getattr(self.method, "check_document", None)
        if check_for_method is not None:
            for document in documents:
                check_for_method(document)

    def learn(self, document: Document, source: str = "") -> Learned:
        """Learn one document and keep it.

        Args:
            document: What to learn.
            source: The file or folder that it came from, by which it can be forgotten as well.

        Raises:
            CompositionalError: As `check`; or the file cannot be written, and stays as it was.
        """
        self.check([document])
        line = self._teach(document, source)
        self.save()
        return line

    def _teach(self, document: Document, source: str) -> Learned:
        run = self._run(document.name)
        started = time.monotonic()
        self.method.learn(
            round_of(document, len(self.documents) + 1, self.config.documents.epochs), run
        )
        losses = [loss for values in run.losses.values() for loss in values]
        line = Learned(
            document.name,
            self._num_tokens(document),
            len(losses),
            losses[0] if losses else None,
            losses[-1] if losses else None,
            time.monotonic() - started,
            datetime.now(UTC).isoformat(timespec="seconds"),
            source,
            ", ".join(run.notes),
        )
        self.documents.append(document)
        self.history.append(line)
        return line

    def ask(self, question: str) -> str:
        """Return what the model answers.

        Raises:
            ConfigError: If nothing is asked.
            ModelError: If the question is over the limit.
        """
        if not question.strip():
            raise ConfigError("the question is empty: ask something")
        example = Example("question", question, None, form=TEXT)
        (prediction,) = self.method.answer([example], self._run("ask"))
        return prediction.raw

    def feedback(self, question: str, answer: str, reward: float) -> str:
        """Tell the method what an answer was worth, and keep that; return its name in the history.

        Args:
            question: What was asked.
            answer: What was answered, or what might have been.
            reward: -1 (wrong) to 1 (right).

        Raises:
            ConfigError: If the method takes no feedback, or this is none.
        """
        take = getattr(self.method, "feedback", None)
        if take is None:
            raise ConfigError(
                f"{self.config.method_name} takes no feedback: learn into another --memory with "
                "--method jitrl"
            )
        name: str = take(question, answer, reward)
        num_tokens = len(self.model.chat.target_ids(f"{question}\n{answer}"))
        when = datetime.now(UTC).isoformat(timespec="seconds")
        self.history.append(Learned(name, num_tokens, 0, None, None, 0.0, when))
        self.save()
        return name

    def forget(self, words: Sequence[str], say: Callable[[str], None]) -> list[str]:
        """Forget documents, or the feedback on questions, and return their names.

        A method that can take them out exactly does so, the last learned first; another one, or one
        that cannot take out these, is taught the other documents again from the start, and `say` is
        told. The file is replaced when all that is done.

        Args:
            words: Names of documents, or of files and folders that they were learned from.
            say: Is told what else is done.

        Raises:
            ConfigError: If nothing of that name has been learned.
            CompositionalError: If the others cannot be taught again; the memory stays as it was.
        """
        names = documents_named(words, self.history)
        rest = [document for document in self.documents if document.name not in names]
        if self._take_out(names):
            self.history = [line for line in self.history if line.name not in names]
            self.documents = rest
        else:
            if rest:
                say(
                    f"{self.config.method_name} cannot take a document out exactly: the "
                    f"{len(rest)} others are taught again from the start"
                )
            fresh = open_new(self.folder, self.config)
            prepared = getattr(self.method, "prepared", None)
            if prepared is not None:
                fresh.method.load_state_dict(prepared())
            sources = {line.name: line.source for line in self.history}
            for document in rest:
                fresh._teach(document, sources[document.name])
            self.model, self.method = fresh.model, fresh.method
            self.documents, self.history = fresh.documents, fresh.history
        self.save()
        return names

    def _take_out(self, names: Sequence[str]) -> bool:
        """Let the method take documents out, the last learned first; return whether it could.

        Where it could not take out all of them, it may lack some, and another is to replace it.
        """
        remove = getattr(self.method, "forget", None)
        can = getattr(self.method, "can_forget", None)
        learned = dict.fromkeys(line.name for line in reversed(self.history))
        for name in (name for name in learned if name in names):
            if remove is None or (can is not None and not can(name)):
                return False
            remove(name)
        return True

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

    def _num_tokens(self, document: Document) -> int:
        return len(self.model.chat.text_ids(document.text))

    def _run(self, name: str) -> RunContext:
        return RunContext(
            streams=Streams(self.config.seed),
            name=name,
            training=self.config.training,
            evaluation=self.config.evaluation,
            progress=Progress(enabled=True),
        )

    def save(self) -> None:
        """Replace the memory's file; keep what the method begins with beside it."""
        self.config = with_own_files(self.folder, self.config)
        kept = Kept(
            self.config.settings(),
            self.model.sha256,
            self.method.state_dict(),
            tuple(self.documents),
            tuple(self.history),
            self.model.name,
        )
        write_kept(self.folder, kept)


def round_of(document: Document, index: int, passes: int) -> Round:
    """Return a document as a round of its own, about which nothing is asked."""
    return Round(index, document.name, passes, (), (), (), (), (document,))


def with_own_files(folder: Path, config: RunConfig) -> RunConfig:
    """Copy the files that a method begins with into a folder; return the settings that name those.

    Raises:
        CompositionalError: If one cannot be copied.
    """
    method: Any = config.method
    own = {}
    for name in LEARNED_BEFORE:
        given = getattr(method, name, "")
        path = folder / f"{name}.safetensors"
        if given and given != str(path):
            with atomic_path(path) as temporary:
                shutil.copyfile(Path(given).expanduser(), temporary)
            own[name] = str(path)
    return replace(config, method=replace(method, **own))


def open_new(folder: Path, config: RunConfig) -> Memory:
    """Return a memory in which nothing has been learned; nothing is written yet.

    Raises:
        ConfigError: If the method learns no document by itself.
        ModelError: If the model cannot be had.
    """
    name = config.method_name
    if name in REFERENCES or DOCUMENTS not in tasks_of(config.method):
        able = [n for n in set(METHODS) - set(REFERENCES) if DOCUMENTS in tasks_of(METHODS[n])]
        choices = did_you_mean(name, able)
        raise ConfigError(f"method {name!r} learns no document by itself; {choices}")
    model = load_for(config)
    nothing = Benchmark((), None, (), (), {}, {"rounds": []}, "", task=DOCUMENTS)
    return Memory(folder, config, model, config.method.build(model, nothing))


def open_memory(folder: Path, overrides: Sequence[str] = ()) -> Memory:
    """Return a memory with what was learned.

    Args:
        folder: Holds its file.
        overrides: Flags laid over the settings that it was made with, such as
            `--evaluation.max_new_tokens 8`.

    Raises:
        ResultsError: If there is none, it is damaged, of another version, or of another model.
        ConfigError: If a flag would make it another memory.
    """
    for word in overrides:
        if word.startswith("--") and not word.startswith(LAID_OVER):
            raise ConfigError(
                f"{word.partition('=')[0]} belongs to how a memory was made; to ask it takes "
                "--evaluation.*, --method.backend.*, --model.device and --model.dtype"
            )
    kept = read_kept(folder)
    memory = open_new(folder, resolve(kept.settings, overrides))
    if memory.model.sha256 != kept.model_sha256:
        raise ResultsError(
            f"{folder / FILE} was learned by another model: "
            f"{model_label(kept.model_name, kept.model_sha256)}, and this is "
            f"{model_label(memory.model.name, memory.model.sha256)}; put that model back where it "
            "was, or learn into another --memory"
        )
    memory.method.load_state_dict(kept.state)
    memory.documents, memory.history = list(kept.documents), list(kept.history)
    return memory
