import pytest

from compositional.documents.names import TEST, TRAIN, split_of
from compositional.documents.task_families import FAMILIES, described_tasks
from compositional.errors import ConfigError

LABELS = {"red", "blue", "green", "north", "sugar", "bread"}


def test_training_and_test_share_no_label_and_no_wording() -> None:
    train, test = (described_tasks(60, 4, 0, split) for split in (TRAIN, TEST))
    for part, split in ((train, TRAIN), (test, TEST)):
        words = {word.strip(".,") for task in part for word in task.document.text.split()}
        assert {split_of(word) for word in words & LABELS} <= {split}
    texts = [{task.document.text for task in part} for part in (train, test)]
    assert not texts[0] & texts[1]
    theirs = described_tasks(6, 1, 0, TEST, TRAIN)
    assert {task.document.text.split()[0] for task in theirs} != {
        task.document.text.split()[0] for task in described_tasks(6, 1, 0, TEST)
    }


def test_the_answers_follow_from_description_and_input() -> None:
    seen = set()
    for number, task in enumerate(described_tasks(36, 6, 1, TEST)):
        family = FAMILIES[number % len(FAMILIES)]
        seen.add(family)
        words = [w.strip(".,") for w in task.document.text.split()]
        assert len({q.text for q in task.questions}) == 6
        for question in task.questions:
            (answer,) = question.answers
            if family in ("append", "prepend"):
                said, added = answer.split() if family == "append" else answer.split()[::-1]
                assert (said, added in words) == (question.text, True)
                continue
            assert answer in words
            if family == "parity":
                place = words.index(answer) > words.index("odd")
                assert place == (int(question.text) % 2 == 1)
            if family == "size":
                assert (words.index(answer) > words.index("larger")) == (int(question.text) >= 50)
    assert seen == set(FAMILIES)


def test_they_are_the_same_for_a_seed() -> None:
    assert described_tasks(7, 3, 5, TRAIN) == described_tasks(7, 3, 5, TRAIN)
    assert described_tasks(7, 3, 5, TRAIN) != described_tasks(7, 3, 6, TRAIN)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 1, 0, TRAIN), "count is 0"), ((1, 41, 0, TRAIN), "inputs is 41"),
     ((1, 1, 0, "dev"), "split 'dev'")],
)  # fmt: skip
def test_what_cannot_be_is_refused(arguments, message) -> None:
    with pytest.raises(ConfigError, match=message):
        described_tasks(*arguments)
