from collections.abc import Sequence

from compositional.generation.answers import Answer
from compositional.methods import self_study
from compositional.methods.questions import question_text
from compositional.methods.self_study import ASK, sentences_of, study
from compositional.models.language_model import LanguageModel
from compositional.tasks.types import Document
from tests.rounds_toy import toy_context

TEXT = 'Kor built it in 1712. He was a baker! "Was he?" asked Dr. Hale.\nIt stands yet.'


def test_sentences_end_before_a_capital_and_at_lines() -> None:
    assert sentences_of(TEXT) == [
        "Kor built it in 1712.", "He was a baker!", '"Was he?" asked Dr.', "Hale.",
        "It stands yet.",
    ]  # fmt: skip
    assert sentences_of(" \n ") == []


def test_rows_are_questions_with_answers_and_paraphrases(toy, monkeypatch) -> None:
    model, run = LanguageModel(toy), toy_context()
    asked: list[str] = []

    def answered(_model: object, prompts: Sequence[Sequence[int]], *_: object) -> list[Answer]:
        texts = [model.text(list(prompt)) for prompt in prompts]
        asked.extend(texts)
        said = [f"said {len(asked)}\nand more" if "Write one" in t else "Kor" for t in texts]
        return [Answer(tuple(model.chat.target_ids(text)), True) for text in said]

    monkeypatch.setattr(self_study, "generate", answered)
    rows = study(model, [Document("a", TEXT)], 2, run)
    # Two of five sentences, the first and the third: a question, an answer, a paraphrase of each.
    assert sum(ASK.format(sentence="Kor built it in 1712.") in text for text in asked) == 1
    assert len(asked) == 6
    assert len(rows) == 4
    question, answer = rows[0].prompt, rows[0].target
    assert list(question) == model.chat.prompt_ids(question_text("said 2"))
    assert list(answer) == [*model.chat.target_ids("Kor"), model.chat.end_id]
    assert run.budget.input_tokens > 0
