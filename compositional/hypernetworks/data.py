"""The documents that a hypernetwork is trained and evaluated on, and their questions as tokens."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compositional.documents.asking import asked_questions, in_drawn_order
from compositional.documents.config import SYNTHETIC
from compositional.documents.left_out import not_read, without_questions
from compositional.documents.names import TEST, TRAIN
from compositional.documents.needles import FORMS, SENTENCE, Needles, needles
from compositional.documents.reading import read_documents
from compositional.documents.synthetic import synthetic_documents
from compositional.documents.task_families import described_tasks
from compositional.documents.types import QuestionedDocument
from compositional.errors import ConfigError, DataError, check_at_least, check_choice
from compositional.generation.generate import generate
from compositional.hypernetworks.haystacks import among_other_facts, haystacks
from compositional.logs import LOGGER
from compositional.methods.questions import question_text
from compositional.models.hypernetwork_file import TEXT
from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.streams import Streams
from compositional.training.distillation_set import (
    Chunks,
    DistillationItem,
    DistillationSet,
    chunks_of,
)

NEEDLES, TASKS = "needles", "tasks"
TRAINING, HELD_OUT, OTHER_WORDINGS = "training", "held_out", "other_wordings"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class HypernetworkData:
    """Which contexts a hypernetwork sees, and which are kept from it.

    Attributes:
        source: `needles` (a number in a sentence), `synthetic` (invented facts), `tasks` (for the
            text mode: descriptions of tasks), or a file or folder of documents with questions, for
            example in SQuAD's format.
        contexts: Contexts to train on.
        held_out: Contexts that are only asked about, of each kind.
        digits: Digits of a needle.
        named: Whether needles are the codes of invented companies.
        wordings: Wordings of needles that are trained on; 0 for all.
        answer_form: What is right to answer of a needle: `sentence`, the number in a sentence, as a
            chat model words it, or `number`, the number alone.
        filler_tokens: A needle to train on stands among up to so many tokens of other facts.
        num_facts: Facts of a synthetic document.
        questions: Questions of a context, at the most; inputs of a task.
        haystack_tokens: The longest haystacks that needles are looked for in hold so many tokens of
            other facts, or a sentence less; a quarter and half of it are tried as well. 0 for none.
        skip: Documents of a file or folder that are left out first: with 24 those that
            `compare-documents` teaches and asks about with this seed.
        haystack_needles: Needles of each length and depth.
        seed: Of all that is drawn; synthetic documents that are kept apart are those of the next
            one, so that they are none of a comparison with this seed.
    """

    source: str = NEEDLES
    contexts: int = 1350
    held_out: int = 150
    digits: int = 4
    named: bool = False
    wordings: int = 0
    answer_form: str = SENTENCE
    filler_tokens: int = 0
    num_facts: int = 8
    questions: int = 4
    haystack_tokens: int = 0
    haystack_needles: int = 10
    skip: int = 0
    seed: int = 42

    def __post_init__(self) -> None:
        """Refuse values that cannot be."""
        check_choice("answer_form", self.answer_form, FORMS)
        for name in ("contexts", "held_out"):
            check_at_least(name, getattr(self, name), 2)
        for name in ("questions", "haystack_needles"):
            check_at_least(name, getattr(self, name), 1)
        for name in ("filler_tokens", "haystack_tokens", "skip"):
            check_at_least(name, getattr(self, name), 0)
        if self.haystack_tokens and self.source != NEEDLES:
            raise ConfigError(
                f"haystack_tokens is {self.haystack_tokens}, but source {self.source!r} has no "
                f"needles: leave it out, or take source {NEEDLES}"
            )
        if self.skip and self.source in (NEEDLES, SYNTHETIC, TASKS):
            raise ConfigError(
                f"skip is {self.skip}, but what source {self.source!r} draws is in no comparison: "
                "leave it out, or name a file"
            )

    @property
    def needles(self) -> Needles:
        """What needles are like."""
        return Needles(self.digits, self.named, self.wordings, self.answer_form)


Documents = Sequence[QuestionedDocument]


def documents_of(data: HypernetworkData, model: LanguageModel) -> dict[str, Documents]:
    """Return the contexts to train on, and those that are kept apart, by what sets them apart.

    Raises:
        DataError: If a source cannot be read or has too few documents with questions.
        ConfigError: If there are fewer needles or tasks than are asked for.
    """
    count, held_out, seed = data.contexts, data.held_out, data.seed
    if data.source == NEEDLES:
        kind = data.needles
        return {
            TRAINING: _trained_on(data, model),
            HELD_OUT: needles(kind, held_out, seed, TEST, TRAIN),
            OTHER_WORDINGS: needles(kind, held_out, seed, TEST),
            **_looked_for(data, model),
        }
    if data.source == TASKS:
        return {
            TRAINING: described_tasks(count, data.questions, seed, TRAIN),
            HELD_OUT: described_tasks(held_out, data.questions, seed, TEST, TRAIN),
            OTHER_WORDINGS: described_tasks(held_out, data.questions, seed, TEST),
        }
    if data.source == SYNTHETIC:
        return {
            TRAINING: synthetic_documents(count, data.num_facts, seed, TRAIN),
            HELD_OUT: synthetic_documents(held_out, data.num_facts, seed + 1, TEST),
        }
    found = _questioned(Path(data.source).expanduser())
    needed = data.skip + count + held_out
    if len(found) < needed:
        raise DataError(
            f"{data.source} has {len(found)} documents with questions; skip {data.skip}, contexts "
            f"{count} and held_out {held_out} make {needed}: ask for fewer"
        )
    drawn = in_drawn_order(found, Streams(seed))[data.skip : needed]
    return {TRAINING: drawn[held_out:], HELD_OUT: drawn[:held_out]}


def _questioned(path: Path) -> Documents:
    """Return the documents of a file or folder that have questions, and log what is left out."""
    everything = read_documents(path)
    for line in (*not_read([path]), *without_questions(everything)):
        LOGGER.warning(line)
    return [document for document in everything if document.questions]


def _trained_on(data: HypernetworkData, model: LanguageModel) -> Documents:
    """Return needles to train on, alone or among other facts."""
    found = needles(data.needles, data.contexts, data.seed, TRAIN)
    if not data.filler_tokens:
        return found
    return among_other_facts(found, data.filler_tokens, data.seed, _counter(model))


def _looked_for(data: HypernetworkData, model: LanguageModel) -> Mapping[str, Documents]:
    """Return needles in haystacks, where there are to be any."""
    if not data.haystack_tokens:
        return {}
    count, longest = data.haystack_needles, data.haystack_tokens
    return haystacks(data.needles, count, longest, data.seed + 1, _counter(model))


def _counter(model: LanguageModel) -> Callable[[str], int]:
    return lambda text: len(model.chat.target_ids(text))


def prompt_of(model: LanguageModel, mode: str, query: str, texts: Sequence[str] = ()) -> list[int]:
    """Return the prompt of a question or input, as methods ask it, behind what stands before it."""
    if mode == TEXT:
        return model.chat.prompt_ids("\n\n".join([*texts, query]))
    return model.chat.prompt_ids(question_text(query, texts))


def distillation_set(
    model: LanguageModel,
    documents: Documents,
    mode: str,
    chunk_tokens: int,
    most_questions: int,
    seed: int,
) -> DistillationSet:
    """Return documents and questions as tokens; what a document does not say is "unknown".

    Args:
        model: Its tokenizer and template are used.
        documents: Each with one question or more.
        mode: `doc` or `text`.
        chunk_tokens: The longest chunk of a context.
        most_questions: Questions of a document, at the most; of each kind in turn.
        seed: Draws them.

    Raises:
        ModelError: If a question does not fit the window with its document.
    """
    contexts: list[Chunks] = []
    items: list[DistillationItem] = []
    for place, document in enumerate(documents):
        text = document.document.text
        contexts.append(chunks_of(model.chat.text_ids(text), chunk_tokens))
        rng = Streams(seed).generator("questions", document.document.name)
        for question in asked_questions(document.questions, most_questions, rng):
            prompt = prompt_of(model, mode, question.text)
            behind = prompt_of(model, mode, question.text, [text])
            answer = question.answers[0] if question.answers else UNKNOWN
            target = (*model.chat.target_ids(answer), model.chat.end_id)
            model.check_fits(len(behind), len(target), f"question {question.id} with its document")
            items.append(DistillationItem(place, tuple(prompt), tuple(behind), target))
    return DistillationSet(tuple(contexts), tuple(items))


def answered_by_teacher(
    model: LanguageModel, data: DistillationSet, run: RunContext
) -> DistillationSet:
    """Return a set whose answers are those that the model gives with the context before it."""
    answers = generate(model, [item.in_context for item in data.items], run, "teacher")
    end = (model.chat.end_id,)
    items = (
        DistillationItem(
            i.context, i.prompt, i.in_context, (*a.ids, *(end if a.ended or not a.ids else ()))
        )
        for i, a in zip(data.items, answers, strict=True)
    )
    return DistillationSet(data.contexts, tuple(items))
