import logging

import pytest

from compositional.errors import ConfigError
from compositional.methods.questions import prompt_ids
from compositional.methods.text_rag import TextRag, TextRagConfig, chunks
from compositional.models.language_model import LanguageModel
from compositional.tasks.types import TEXT, Document, Example
from tests.documents_toy import toy_documents
from tests.rounds_toy import toy_context

WORDS = "one two three four five six seven eight nine ten"
QUESTION = Example("q", "Who built the mill?", None, form=TEXT)


def test_passages_overlap_and_hold_every_word() -> None:
    assert list(chunks(WORDS, 4, 1)) == [
        "one two three four", "four five six seven", "seven eight nine ten",
    ]  # fmt: skip
    assert list(chunks(WORDS, 100, 20)) == [WORDS]
    assert list(chunks("one  two\nthree", 2, 0)) == ["one  two", "three"]
    for size in range(1, 12):
        for overlap in range(size):
            found = " ".join(chunks(WORDS, size, overlap)).split()
            assert list(dict.fromkeys(found)) == WORDS.split()


def method(model: LanguageModel, **settings: object) -> TextRag:
    built = TextRagConfig(**settings).build(model, toy_documents(1))
    built.documents = [
        Document("a", "The mill was built by Kor."),
        Document("b", "Bread is baked at night."),
        Document("c", "Kor sold the mill in May."),
    ]
    return built


def test_the_best_passage_stands_next_to_the_question(toy) -> None:
    model = LanguageModel(toy)
    for retriever in ("bm25", "tfidf"):
        (prompt,) = method(model, k=2, retriever=retriever).prompts([QUESTION])
        text = model.text(prompt)
        assert "Bread" not in text
        assert text.index("Kor sold") < text.index("built by Kor") < text.index("Question: Who")


def test_a_budget_leaves_passages_out_whole_and_never_the_question(toy) -> None:
    model = LanguageModel(toy)
    bare = prompt_ids(model, QUESTION)
    one = prompt_ids(model, QUESTION, ["The mill was built by Kor."])
    assert method(model, k=3, prompt_tokens=1).prompts([QUESTION]) == [bare]
    assert method(model, k=3, prompt_tokens=len(one)).prompts([QUESTION]) == [one]
    assert method(model, k=3, prompt_tokens=len(one) - 1).prompts([QUESTION]) != [one]


def test_a_row_says_once_how_many_questions_were_asked_alone(toy, caplog) -> None:
    """Of three passages the shortest fits with the shorter question, and with no other."""
    model = LanguageModel(toy)
    long = Example("l", "Who built the mill that stands at the river Vunda?", None, form=TEXT)
    budget = len(prompt_ids(model, QUESTION, ["Bread is baked at night."]))
    built = method(model, k=3, prompt_tokens=budget)
    with caplog.at_level(logging.WARNING, "compositional"):
        built.answer([QUESTION, long, long], toy_context())
        assert caplog.messages == [
            "run: 2 of 3 questions are asked alone, as without documents: no passage found fits "
            f"with them into {budget} tokens; set method.prompt_tokens higher or "
            "method.chunk_words lower"
        ]
        caplog.clear()
        built.answer([QUESTION], toy_context())
        built.documents = []
        built.answer([long], toy_context())
        assert caplog.messages == []


def test_forgets_exactly(toy) -> None:
    model = LanguageModel(toy)
    built = method(model, k=3)
    built.forget("a")
    assert "built by Kor" not in model.text(built.prompts([QUESTION])[0])


def test_before_anything_is_taught_it_is_the_question(toy) -> None:
    model = LanguageModel(toy)
    built = TextRagConfig().build(model, toy_documents(1))
    assert built.prompts([QUESTION]) == [prompt_ids(model, QUESTION)]
    (prediction,) = built.answer([QUESTION], toy_context())
    assert prediction.answered


def test_settings_that_cannot_be_are_refused(toy) -> None:
    model = LanguageModel(toy)
    for settings, message in (
        ({"overlap_words": 100}, "overlap_words is 100"),
        ({"k": 0}, "k is 0"),
        ({"retriever": "bm26"}, "did you mean 'bm25'"),
    ):
        with pytest.raises(ConfigError, match=message):
            TextRagConfig(**settings).build(model, toy_documents(1))
