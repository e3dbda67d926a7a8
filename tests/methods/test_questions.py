"""Documents that cannot be learned, in one line each."""

import pytest

from compositional.errors import DataError, ModelError
from compositional.methods.ace import Ace
from compositional.methods.base import Traits
from compositional.methods.doc2lora import Doc2Lora
from compositional.methods.dual_mlp import DualMlp
from compositional.methods.jitrl import Jitrl
from compositional.methods.knn_lm import KnnLm
from compositional.methods.questions import LEARN_FROM_SOME, READ_IN_PARTS, check_documents
from compositional.methods.sparse_memory import SparseMemory
from compositional.methods.text_lora import TextLora
from compositional.methods.text_rag import TextRag
from compositional.models.language_model import LanguageModel
from compositional.tasks.types import Document

CLASSES: dict[str, Traits] = {
    "text_rag": TextRag.traits,
    "text_lora": TextLora.traits,
    "doc2lora": Doc2Lora.traits,
    "jitrl": Jitrl.traits,
    "ace": Ace.traits,
}


def test_a_document_may_fill_the_window_and_no_answer_is_reserved_beside_it(toy) -> None:
    model = LanguageModel(toy, answer_tokens=48)
    assert model.window_tokens == 2048
    check_documents(model, [Document("a", "x" * 2048)], whole=True)
    long = [Document("a", "xy"), Document("b", "x" * 2049)]
    with pytest.raises(ModelError) as caught:
        check_documents(model, long, whole=True)
    assert str(caught.value) == (
        "document 'b' takes 2049 tokens, over the window of 2048: take a method that reads in "
        "parts (text_rag, text_lora, doc2lora) or learns from some of its sentences (jitrl, ace), "
        "or a model with a longer window"
    )
    check_documents(model, long, whole=False)


def test_of_one_token_nothing_can_be_learned(toy) -> None:
    for whole in (True, False):
        with pytest.raises(DataError, match="document 'b' is 1 token long; to predict a token"):
            check_documents(
                LanguageModel(toy), [Document("a", "xy"), Document("b", "x")], whole=whole
            )


def test_those_that_errors_name_read_in_parts_and_the_others_do_not() -> None:
    assert set(CLASSES) == {*READ_IN_PARTS, *LEARN_FROM_SOME}
    assert not any(traits.reads_whole for traits in CLASSES.values())
    assert all(kind.traits.reads_whole for kind in (DualMlp, KnnLm, SparseMemory))
