"""What a model makes of a document before it learns it: questions with answers, and paraphrases.

The same model writes them, greedily, a sentence at a time; nothing but the document is shown to it.
Source: the implications of SEAL (Zweiger et al. 2025, arXiv 2506.10943), there written by the model
that learns, too.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

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
    chosen = [
        sentence
        for document in documents
        for sentence in _spread(sentences_of(document.text), most)
    ]
    questions = _say(model, [ASK.format(sentence=sentence) for sentence in chosen], run)
    asked = [(s, q) for s, q in zip(chosen, questions, strict=True) if q]
    answers = _say(model, [ANSWER.format(sentence=s, question=q) for s, q in asked], run)
    paraphrases = _say(model, [REPHRASE.format(sentence=sentence) for sentence in chosen], run)
    rows = [
        _row(model, question_text(question), answer)
        for (_, question), answer in zip(asked, answers, strict=True)
        if answer
    ]
    return rows + [
        TokenSequence((ids[0],), (*ids[1:], model.chat.end_id))
        for text in paraphrases
        if len(ids := model.chat.text_ids(text)) > 1
    ]


def _spread(sentences: Sequence[str], most: int) -> list[str]:
    """Return at most so many of the sentences, evenly spread."""
    count = min(most, len(sentences))
    return [sentences[place * len(sentences) // count] for place in range(count)]


def _say(model: LanguageModel, prompts: Sequence[str], run: RunContext) -> list[str]:
    """Return the first line that the model answers to each prompt."""
    limit = replace(run.evaluation, max_new_tokens=MAX_NEW_TOKENS)
    ids = [model.chat.prompt_ids(prompt) for prompt in prompts]
    answers = generate(model, ids, replace(run, evaluation=limit), "self-study")
    run.budget.input_tokens += sum(map(len, ids)) + sum(len(answer.ids) for answer in answers)
    texts = [model.text(list(answer.ids)).strip() for answer in answers]
    return [text.splitlines()[0].strip() if text else "" for text in texts]


def _row(model: LanguageModel, asked: str, answer: str) -> TokenSequence:
    target = (*model.chat.target_ids(answer), model.chat.end_id)
    return TokenSequence(tuple(model.chat.prompt_ids(asked)), target)
