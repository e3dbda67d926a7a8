from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from compositional.errors import ConfigError
from compositional.methods.dual_mlp import DualMlp, DualMlpConfig
from compositional.models.language_model import LanguageModel
from compositional.models.loading import load_model
from compositional.models.model_config import ModelConfig
from compositional.tasks.types import Document
from tests.documents_toy import toy_documents
from tests.rounds_toy import toy_context

FIRST = Document("a", "The mill was built by Kor.")
SECOND = Document("b", "Bread is baked at night.")
Make = Callable[..., DualMlp]


@pytest.fixture
def method(toy_model_folder: Path) -> Make:
    """Builds the method on a model that nothing else hangs on."""

    def build(**settings: object) -> DualMlp:
        loaded = load_model(ModelConfig(name=str(toy_model_folder), device="cpu"))
        config = DualMlpConfig(**{"slice_tokens": 16, **settings})
        return config.build(LanguageModel(loaded), toy_documents(1))

    return build


def test_blending_takes_a_share_of_a_change_and_leaves_what_was_there(method: Make) -> None:
    whole, blended = method(), method(alpha=0.25)
    for each in (whole, blended):
        each.learn_document("text", FIRST, 2, toy_context())
    before = whole.second.initial
    after, found = whole.second.state_dict(), blended.second.state_dict()
    for name, tensor in found.items():
        expected = before[name] + 0.75 * (after[name] - before[name])
        assert torch.allclose(tensor, expected, atol=1e-6), name


def test_alpha_falls_with_each_document_to_its_least(method: Make) -> None:
    built = method(alpha=0.9, alpha_decay=0.3, alpha_min=0.5)
    alphas = []
    for document in (FIRST, SECOND, Document("c", "A third one.")):
        alphas.append(built.alpha)
        built.learn_document("text", document, 1, toy_context())
    assert alphas == pytest.approx([0.9, 0.6, 0.5])


def test_reset_begins_each_document_anew_and_carry_over_does_not(method: Make) -> None:
    for mode, is_anew in (("reset", True), ("carry_over", False)):
        both, alone = method(between_documents=mode), method(between_documents=mode)
        for built, documents in ((both, (FIRST, SECOND)), (alone, (SECOND,))):
            for document in documents:
                built.learn_document("text", document, 2, toy_context())
        found, expected = both.second.state_dict(), alone.second.state_dict()
        assert all(found[name].equal(tensor) for name, tensor in expected.items()) == is_anew


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"share_of_blocks": 0}, "share_of_blocks is 0"),
        ({"alpha": 0.3, "alpha_min": 0.5}, "alpha_min not above alpha"),
        ({"optimiser": "adam"}, "adam"),
        ({"between_documents": "carry"}, "did you mean 'carry_over'"),
        ({"lr": -1}, "lr is -1"),
    ],
)
def test_settings_that_cannot_be_are_refused(method: Make, settings, message) -> None:
    with pytest.raises(ConfigError, match=message):
        method(**settings)
