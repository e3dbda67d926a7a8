"""Lessons that end where a loss reaches a target."""

import pytest
import torch

from compositional.benchmarks.equal_learning import learn_to, text_loss
from compositional.methods.sparse_memory import SparseMemory, SparseMemoryConfig
from compositional.models.language_model import LanguageModel
from compositional.models.loading import LoadedModel
from compositional.tasks.types import Document
from compositional.training.text_lesson import TextTraining
from tests.documents_toy import toy_documents
from tests.rounds_toy import toy_context

DOCUMENT = Document("a", "The mill of Alba was built by Kor, who was a baker.")
TRAINING = TextTraining(1.0)


def method(toy: LoadedModel) -> SparseMemory:
    config = SparseMemoryConfig(
        selection="tf", share_of_blocks=1.0, num_slots=64, slots_per_token=4
    )
    return config.build(LanguageModel(toy), toy_documents(1))


def test_the_loss_of_a_text_is_that_of_the_model(toy) -> None:
    model = LanguageModel(toy)
    ids = torch.tensor([model.chat.text_ids(DOCUMENT.text)])
    with torch.no_grad():
        expected = float(toy.model(input_ids=ids, labels=ids).loss)
    assert text_loss(model, DOCUMENT.text) == pytest.approx(expected, abs=1e-5)


def test_a_lesson_ends_just_at_its_target(toy) -> None:
    built, run = method(toy), toy_context()
    model = built.model
    parameters = built.add(DOCUMENT, run)
    losses = [text_loss(model, DOCUMENT.text)]
    learn_to(0.0, 3, model, DOCUMENT.text, parameters, TRAINING, run)
    losses.append(text_loss(model, DOCUMENT.text))  # after three steps
    built.forget("a")
    assert losses[1] < losses[0]
    target = (losses[0] + losses[1]) / 2
    parameters = built.add(DOCUMENT, run)
    lesson = learn_to(target, 9, model, DOCUMENT.text, parameters, TRAINING, run)
    assert lesson.reached
    assert 1 <= lesson.num_steps <= 3
    found = text_loss(model, DOCUMENT.text)
    assert lesson.loss == pytest.approx(found, abs=1e-5)
    assert target - (losses[0] - losses[1]) / 4 <= found <= target
    assert all(parameter.grad is None for parameter in parameters)


def test_steps_that_do_not_suffice_are_said_and_the_last_one_stands(toy) -> None:
    built, run = method(toy), toy_context()
    parameters = built.add(DOCUMENT, run)
    lesson = learn_to(0.0, 2, built.model, DOCUMENT.text, parameters, TRAINING, run)
    assert (lesson.reached, lesson.num_steps) == (False, 2)
    assert lesson.loss == pytest.approx(text_loss(built.model, DOCUMENT.text), abs=1e-5)
    again = learn_to(99.0, 2, built.model, DOCUMENT.text, parameters, TRAINING, run)
    assert (again.reached, again.num_steps) == (True, 0)
    assert text_loss(built.model, DOCUMENT.text) == pytest.approx(lesson.loss, abs=1e-5)
