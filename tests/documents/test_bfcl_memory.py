import json
from pathlib import Path
from typing import Any

import pytest

from compositional.documents.bfcl_memory import CONVERSATIONS, QUESTIONS, read_bfcl_memory
from compositional.errors import DataError

TALKS = [
    ("student", "school", ["I study maths at Alba college.", "My teacher is Kor."]),
    ("student", "sports", ["I play chess on Fridays with Temba."]),
    ("finance", "work", ["I trade copper and play chess on Fridays."]),
]
ASKED = [
    ("q1", "student", "What do I study?", ["maths"], "I study maths at Alba college"),
    ("q2", "student", "When do I play?", ["Friday", "Fridays"], "play chess on Fridays with"),
]


def turn(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, rows)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for scenario in ("finance", "student"):
        rows = [
            {"scenario": s, "topic": topic, "question": [turn(text) for text in texts]}
            for s, topic, texts in TALKS
            if s == scenario
        ]
        write(tmp_path, f"{CONVERSATIONS}/memory_{scenario}.json", rows)
    questions = [{"id": i, "scenario": s, "question": [turn(q)]} for i, s, q, _, _ in ASKED]
    answers = [{"id": i, "ground_truth": a, "source": source} for i, _, _, a, source in ASKED]
    write(tmp_path, QUESTIONS, questions)
    write(tmp_path, f"possible_answer/{QUESTIONS}", answers)
    return tmp_path


def test_a_question_goes_to_the_conversation_of_its_scenario_that_it_rests_on(folder) -> None:
    found = {each.document.name: each for each in read_bfcl_memory(folder)}
    assert list(found) == ["finance: work", "student: school", "student: sports"]
    assert found["student: school"].document.text == "\n".join(TALKS[0][2])
    (question,) = found["student: school"].questions
    assert (question.id, question.text, question.answers) == ("q1", "What do I study?", ("maths",))
    assert found["student: sports"].questions[0].answers == ("Friday", "Fridays")
    assert found["finance: work"].questions == ()


def test_a_question_that_rests_on_nothing_is_one_line(folder) -> None:
    answers = [
        {"id": i, "ground_truth": a, "source": "nobody ever said this"} for i, _, _, a, _ in ASKED
    ]
    write(folder, f"possible_answer/{QUESTIONS}", answers)
    with pytest.raises(DataError, match="question q1: no conversation of its scenario"):
        read_bfcl_memory(folder)


def test_what_is_missing_or_malformed_is_one_line(folder, tmp_path_factory) -> None:
    write(folder, QUESTIONS, [{"id": "q1"}])
    with pytest.raises(DataError, match="malformed row"):
        read_bfcl_memory(folder)
    with pytest.raises(DataError, match="holds no conversation"):
        read_bfcl_memory(tmp_path_factory.mktemp("empty"))
