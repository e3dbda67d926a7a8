"""ACE: a playbook that a model writes, counts and mends for itself, and reads before every answer.

Zhang et al. 2025 (arXiv 2510.04618). Nothing trains. The documents are read while they are learned;
afterwards the playbook alone stands before a question, unless `document_tokens` says otherwise.

It takes no document out by itself: what a lesson did to counters, order and texts of other entries
cannot be told apart afterwards, so that whoever forgets one teaches the others again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from compositional.chat_backends.base import ChatBackend
from compositional.chat_backends.settings import BackendSettings
from compositional.errors import BackendError, ConfigError, check_at_least, check_choice
from compositional.files import canonical_json
from compositional.logs import LOGGER
from compositional.methods.base import Traits
from compositional.methods.lesson_questions import lesson_questions, say_through, split_held_out
from compositional.methods.prompts import asked
from compositional.methods.questions import answer_prompts, asked_text, documents_of
from compositional.methods.retrieval import sentence_embedder
from compositional.methods.self_study import (
    check_sentences_fit,
    say_alone,
    share_asked_about,
)
from compositional.methods.server_answers import answer_through, check_server_can_run
from compositional.models.language_model import LanguageModel
from compositional.playbooks.asking import Asker
from compositional.playbooks.evolving import Evolver
from compositional.playbooks.lesson import PlaybookLesson, saved_lesson
from compositional.playbooks.limits import Embed
from compositional.playbooks.playbook import Playbook
from compositional.playbooks.roles import Roles, longest_fixed_prompt
from compositional.playbooks.tally import Tally
from compositional.run_context import RunContext
from compositional.states import State
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.types import Document, Example, Prediction, Round

OFFLINE, ONLINE = "offline", "online"
NORMALISED, DENSE = "text", "dense"
HEAD = "What was learned so far:"
SPARE_TOKENS = 16
"""For tokens that join where texts meet."""


@dataclass(frozen=True)
class AceConfig:
    """A playbook that evolves with every question.

    Attributes:
        backend: Who plays the roles and answers.
        mode: `offline` passes over a round's questions `epochs` times and keeps the playbook that
            is best on those held out; `online` takes each question once and keeps the last one.
        epochs: Passes over a round's questions, offline.
        questions: Questions of a document that the model asks itself, or training rows of a tool,
            at the most.
        held_out: Share of them by which the playbook is chosen, offline, rounded down; one at the
            least where there are two, and 0 for none.
        retries: Further answers to a question that was answered wrongly, each after a reflection.
        right_at: F1 from which on an answer to a question of its own counts as right.
        playbook_tokens: Tokens that the playbook may have.
        reply_tokens: The longest reply of a role.
        field_chars: The longest text of a field of a reply and of an entry, in characters.
        temperature: Of the roles; 0 takes the likeliest token. Answers are always greedy.
        duplicates: `text` folds entries with the same normalised text, `dense` those with near
            sentence embeddings as well.
        similarity: The least cosine of near embeddings.
        dense_model: Hub id or folder of the sentence embedder; empty for all-MiniLM-L6-v2.
        document_tokens: Tokens of whole documents, the last ones taught, that stand before a
            question as well; 0 for the playbook alone.
    """

    backend: BackendSettings = field(default_factory=BackendSettings)
    mode: str = OFFLINE
    epochs: int = 1
    questions: int = 4
    held_out: float = 0.25
    retries: int = 1
    right_at: float = 0.5
    playbook_tokens: int = 1024
    reply_tokens: int = 384
    field_chars: int = 200
    temperature: float = 0.0
    duplicates: str = NORMALISED
    similarity: float = 0.9
    dense_model: str = ""
    document_tokens: int = 0

    def build(self, model: LanguageModel, benchmark: Benchmark) -> "Ace":
        """Build the method; prompts with a full playbook must fit, and a server must be there."""
        check_choice("mode", self.mode, (OFFLINE, ONLINE))
        check_choice("duplicates", self.duplicates, (NORMALISED, DENSE))
        for name in ("epochs", "questions", "playbook_tokens", "reply_tokens", "field_chars"):
            check_at_least(name, getattr(self, name), 1)
        for name in ("retries", "temperature", "document_tokens"):
            check_at_least(name, getattr(self, name), 0)
        if not 0 <= self.held_out < 1:
            raise ConfigError(f"held_out is {self.held_out}; it must be from 0 to below 1")
        for name in ("right_at", "similarity"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(
                    f"{name} is {getattr(self, name)}; it must be above 0 and at most 1"
                )
        method = Ace(self, model)
        if self.backend.is_server:
            check_server_can_run(method.backend, benchmark)
        else:
            method.check_fits(benchmark)
        return method


class Ace:
    """The method; see `AceConfig`."""

    traits = Traits(reads_whole=False)

    def __init__(self, config: AceConfig, model: LanguageModel) -> None:
        self.config = config
        self.own_model = model
        self.model = None if config.backend.is_server else model
        self.backend: ChatBackend = config.backend.build(model)
        self.playbook = Playbook()
        self.documents: list[Document] = []
        self.tally = Tally()
        self._embed: Embed | None = None

    def learn(self, round_: Round, run: RunContext) -> None:
        """Let the playbook evolve on the round's questions, from where a cut-off lesson stopped.

        Raises:
            BackendError: If the back end cannot be reached, none of its replies can be used, or it
                asks itself nothing; the playbook is then as it was.
        """
        key = f"round {round_.index}"
        lesson, tally = saved_lesson(key, run) or (self._new_lesson(key, round_, run), None)
        tally = replace(self.tally) if tally is None else tally
        is_offline = self.config.mode == OFFLINE
        passes = self.config.epochs if is_offline else 1
        asker = Asker(self.backend, self.config.reply_tokens, self.config.temperature, tally, run)
        playbook = lesson.run(passes, self._evolver(asker), run)
        new = tally.since(self.tally)
        if new.skipped and not new.usable:
            run.slot.clear()  # whoever tries again begins the lesson anew
            raise BackendError(
                f"{self.backend.name}: none of {new.replies} replies in {key} can be used, so the "
                f"playbook stays as it was; of the last one: {asker.last_wrong}"
            )
        learned = documents_of(round_)
        note = lesson.in_words(new, playbook, [document.name for document in learned])
        if self._share_held_out and not lesson.held_out:
            note += ", none held out to choose the playbook by"
        share = share_asked_about(round_.documents, self.config.questions)
        if share:
            note += f", {share}"
        LOGGER.info("%s: %s: %s", run.name, key, note)
        run.notes.append(note)
        self.playbook, self.tally = playbook, tally
        self.documents += learned
        run.budget.buffer_bytes = len(canonical_json(self.state_dict().metadata).encode())

    def _new_lesson(self, key: str, round_: Round, run: RunContext) -> PlaybookLesson:
        """Return a round's lesson, nothing of it learned."""
        backend = self.backend
        is_server = self.config.backend.is_server
        say = say_through(backend, run) if is_server else partial(say_alone, self.own_model, run)
        questions = lesson_questions(round_, self.config.questions, say, run)
        if not questions:
            raise BackendError(
                f"nothing can be learned from {round_.name!r}: {backend.name} asked itself no "
                "question that it answered, and no training row has a single call; take another "
                "model, or another method"
            )
        kept, held_out = split_held_out(questions, self._share_held_out, key, run)
        return PlaybookLesson(key, kept, held_out, self.playbook)

    @property
    def _share_held_out(self) -> float:
        """The share of a lesson's questions by which its playbook is chosen."""
        return self.config.held_out if self.config.mode == OFFLINE else 0.0

    def _evolver(self, asker: Asker) -> Evolver:
        config = self.config
        if config.duplicates == DENSE and self._embed is None:
            self._embed = sentence_embedder(config.dense_model)
        return Evolver(
            roles=Roles(asker, config.field_chars),
            tally=asker.tally,
            retries=config.retries,
            right_at=config.right_at,
            count_tokens=self.count_tokens,
            budget_tokens=config.playbook_tokens,
            embed=self._embed,
            similarity=config.similarity,
        )

    def count_tokens(self, text: str) -> int:
        """Return a text's length by the tokenizer of the run's own model."""
        return len(self.own_model.chat.target_ids(text))

    def texts(self) -> list[str]:
        """Return what stands before a question: documents where they are wanted, the playbook."""
        rendered = self.playbook.render()
        return [*self._last_documents(), *([f"{HEAD}\n{rendered}"] if rendered else [])]

    def _last_documents(self) -> list[str]:
        """Return the last documents taught that fit whole, in the order taught."""
        left = self.config.document_tokens
        taken: list[str] = []
        for document in reversed(self.documents):
            num_tokens = self.count_tokens(document.text)
            if num_tokens > left:
                break
            taken.insert(0, document.text)
            left -= num_tokens
        return taken

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        """Answer with the playbook before the question; a server gives no likelihoods."""
        before = self.texts()
        asked_texts = [asked_text(example, before) for example in examples]
        if self.model is None:
            return answer_through(self.backend, examples, asked_texts, run)
        prompts = [self.model.chat.prompt_ids(text) for text in asked_texts]
        return answer_prompts(self.model, examples, prompts, run)

    def check_fits(self, benchmark: Benchmark) -> None:
        """Refuse what a full playbook, a reply to mend, or a long sentence takes over the window.

        Raises:
            ModelError: With what is too long.
        """
        config, model = self.config, self.own_model
        full = config.playbook_tokens + SPARE_TOKENS
        for example in asked(benchmark):
            num_tokens = len(model.chat.prompt_ids(asked_text(example, [HEAD])))
            what = f"the prompt of example {example.id} with a full playbook"
            model.check_fits(num_tokens + full + config.document_tokens, 0, what)
        fixed = len(model.chat.prompt_ids(longest_fixed_prompt()))
        model.check_fits(
            fixed + full + config.reply_tokens,
            config.reply_tokens,
            "a role's prompt with a full playbook and a reply to mend",
        )
        for round_ in benchmark.rounds:
            for document in round_.documents:
                self.check_document(document)

    def check_document(self, document: Document) -> None:
        """Refuse a document with a sentence that is too long for the model that is asked about it.

        Raises:
            ModelError: If there is one; a server knows its own window.
        """
        if self.model is not None:
            check_sentences_fit(self.model, document, self.config.questions)

    def describe(self) -> dict[str, Any]:
        """Return what the command `info` says of it."""
        return {
            "back end": self.backend.name,
            "playbook entries": len(self.playbook.entries),
            "playbook tokens": self.count_tokens(self.playbook.render()),
            "playbook tokens at most": self.config.playbook_tokens,
            **{name: count for name, count in vars(self.tally).items() if count},
        }

    def state_dict(self) -> State:
        """Return the playbook, the documents and the counters."""
        return State(
            {},
            {
                "playbook": self.playbook.to_json(),
                "documents": [[d.name, d.text] for d in self.documents],
                "tally": dict(vars(self.tally)),
            },
        )

    def load_state_dict(self, state: State) -> None:
        """Restore the playbook, the documents and the counters."""
        self.playbook = Playbook.from_json(state.metadata["playbook"])
        self.documents = [Document(name, text) for name, text in state.metadata["documents"]]
        self.tally = Tally(**state.metadata["tally"])
