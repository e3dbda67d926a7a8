"""What a model makes of a document before it learns it: questions with answers, and paraphrases.

The same model writes them, greedily, a sentence at a time; nothing but the document is shown to it.
Source: the implications of SEAL (Zweiger et al. 2025, arXiv 2506.10943), there written by the model
that learns, too.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from compositional.errors import ModelError
from compositional.generation.generate import generate
from compositional.methods.questions import question_text
from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.tasks.types import Document
from compositional.training.batching import TokenSequence

MAX_NEW_TOKENS = 48
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'(]?[A-Z0-9])")
ASK = "Text: {sentence}\n\nWrite one question that this text answers. Write the question only."
ANSWER = "Text: {sentence}\n\nAnswer in a few words: {question}"
REPHRASE = "Write this in other words: {sentence}"

Thing = TypeVar("Thing")
Say = Callable[[Sequence[str]], list[str]]
"""Answers prompts, a line each; empty where a model says nothing."""


@dataclass(frozen=True)
class StudyQuestion:
    """A question that a model asked itself.

    Attributes:
        text: The question.
        answer: What the model answered with the sentence before it.
        sentence: What it is about.
        document: Name of the document that the sentence stands in.
    """

    text: str
    answer: str
    sentence: str
    document: str


def sentences_of(text: str) -> list[str]:
    """Return a text's sentences, by full stops before capitals and by lines."""
    parts = [part for line in text.splitlines() for part in _SENTENCE_END.split(line)]
    return [part.strip() for part in parts if part.strip()]


def study(
    model: LanguageModel, documents: Sequence[Document], most: int, run: RunContext
) -> list[TokenSequence]:
    """Return rows of questions with answers and of paraphrases that the model wrote itself.

    Args:
        model: As it is before it learns the documents.
        documents: The texts.
        most: Sentences of a document that are asked about and put in other words, at the most,
            evenly spread.
        run: Decoding settings; what was written is counted as input tokens.
    """
    say = partial(say_alone, model, run)
    asked = study_questions(documents, most, say)
    chosen = [sentence for _, sentence in _chosen(documents, most)]
    paraphrases = say([REPHRASE.format(sentence=sentence) for sentence in chosen])
    rows = [_row(model, question_text(question.text), question.answer) for question in asked]
    return rows + [
        TokenSequence((ids[0],), (*ids[1:], model.chat.end_id))
        for text in paraphrases
        if len(ids := model.chat.text_ids(text)) > 1
    ]


def study_questions(documents: Sequence[Document], most: int, say: Say) -> list[StudyQuestion]:
    """Return the questions with answers that a model makes of documents.

    Args:
        documents: The texts.
        most: Sentences of a document that are asked about, at the most, evenly spread. One without
            a question or an answer is left out.
        say: The model.
    """
    chosen = _chosen(documents, most)
    questions = say([ASK.format(sentence=sentence) for _, sentence in chosen])
    asked = [
        (*pair, question) for pair, question in zip(chosen, questions, strict=True) if question
    ]
    answers = say([ANSWER.format(sentence=s, question=q) for _, s, q in asked])
    return [
        StudyQuestion(question, answer, sentence, name)
        for (name, sentence, question), answer in zip(asked, answers, strict=True)
        if answer
    ]


def check_sentences_fit(model: LanguageModel, document: Document, most: int) -> None:
    """Refuse a document with a sentence that leaves no room to ask about it, and to answer that.

    Args:
        model: Who would be asked.
        document: The text.
        most: As in `study_questions`.

    Raises:
        ModelError: With the document.
    """
    for _, sentence in _chosen([document], most):
        num_tokens = len(model.chat.prompt_ids(ASK.format(sentence=sentence)))
        if num_tokens + 2 * MAX_NEW_TOKENS > model.window_tokens:
            raise ModelError(
                f"document {document.name!r} has a sentence that takes {num_tokens} tokens to ask "
                f"about, with {2 * MAX_NEW_TOKENS} for a question and its answer over the window "
                f"of {model.window_tokens}: break it into shorter ones, a line each"
            )


def _chosen(documents: Sequence[Document], most: int) -> list[tuple[str, str]]:
    """Return the sentences that are asked about, each behind its document's name."""
    return [
        (document.name, sentence)
        for document in documents
        for sentence in evenly_spread(sentences_of(document.text), most)
    ]


def evenly_spread(things: Sequence[Thing], most: int) -> list[Thing]:
    """Return at most so many things of a sequence, evenly spread."""
    count = min(most, len(things))
    return [things[place * len(things) // count] for place in range(count)]


def share_asked_about(documents: Sequence[Document], most: int) -> str:
    """Say of how many sentences of documents not one is asked about; empty where there are none.

    Args:
        documents: The texts.
        most: As in `study_questions`.
    """
    total = sum(len(sentences_of(document.text)) for document in documents)
    chosen = len(_chosen(documents, most))
    return f"{chosen} of {total} sentences asked about" if chosen < total else ""


def say_alone(model: LanguageModel, run: RunContext, prompts: Sequence[str]) -> list[str]:
    """Return the first line that a model answers to each prompt, greedily."""
    limit = replace(run.evaluation, max_new_tokens=MAX_NEW_TOKENS)
    ids = [model.chat.prompt_ids(prompt) for prompt in prompts]
    answers = generate(model, ids, replace(run, evaluation=limit), "self-study")
    run.budget.input_tokens += sum(map(len, ids)) + sum(len(answer.ids) for answer in answers)
    return [first_line(model.text(list(answer.ids))) for answer in answers]


def first_line(text: str) -> str:
    """Return the first line of a text, less the blanks around both; empty where there is none."""
    bare = text.strip()
    return bare.splitlines()[0].strip() if bare else ""


def _row(model: LanguageModel, asked: str, answer: str) -> TokenSequence:
    target = (*model.chat.target_ids(answer), model.chat.end_id)
    return TokenSequence(tuple(model.chat.prompt_ids(asked)), target)
