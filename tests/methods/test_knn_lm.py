from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma2Config, PreTrainedModel

from compositional.generation.generate import generate
from compositional.generation.uncached import greedy
from compositional.methods.knn_lm import KnnLm, KnnLmConfig
from compositional.models.language_model import LanguageModel
from compositional.models.loading import LoadedModel
from compositional.tasks.types import Document, Round
from tests.documents_toy import toy_documents
from tests.generation.toy_prompts import LENGTHS, context, prompts_of
from tests.methods_toy import fresh_model
from tests.rounds_toy import toy_context

TEXT = "The mill of Alba was built by Kor, who was a baker and sold bread at night."


def taught(model: LanguageModel, **settings: float) -> KnnLm:
    """The method with one document in it."""
    config = KnnLmConfig(**{"k": 4, "temperature": 0.1, "share": 0.5, **settings})
    method = config.build(model, toy_documents(1))
    method.learn(Round(1, "r", 1, (), (), (), (), (Document("a", TEXT),)), toy_context())
    return method


def capped(toy: LoadedModel) -> PreTrainedModel:
    """A tiny model that caps its logits behind the head, and slides its window."""
    config = Gemma2Config(
        vocab_size=len(toy.tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=8, initializer_range=0.2,
        max_position_embeddings=2048, final_logit_softcapping=2.0,
    )  # fmt: skip
    torch.manual_seed(0)
    found: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    return found.eval().requires_grad_(False)


@pytest.mark.parametrize("is_capped", [False, True])
def test_answers_equal_an_uncached_loop_on_the_mixture(toy: LoadedModel, is_capped: bool) -> None:
    """In slots, or in padded batches where a window slides; with and without a cap."""
    model = LanguageModel(replace(toy, model=capped(toy)) if is_capped else toy)
    plain = generate(model, prompts_of(LENGTHS), context(), "t")
    method = taught(model)
    expected = [greedy(model, prompt, 12) for prompt in prompts_of(LENGTHS)]
    assert generate(model, prompts_of(LENGTHS), context(), "t") == expected
    assert expected != plain
    ids = torch.tensor([model.chat.text_ids(TEXT)])
    with torch.no_grad():
        mixed = model.backbone(input_ids=ids, use_cache=False).logits[0, :-1].softmax(dim=-1)
    # Most states find themselves; were the mixture capped, no token could have more than 0.03.
    assert mixed.gather(1, ids[0, 1:, None]).mean() > 0.2
    method.forget("a")
    assert generate(model, prompts_of(LENGTHS), context(), "t") == plain


def test_no_answer_is_taken_from_a_run_with_other_settings(toy_model_folder) -> None:
    run = context()
    for settings in ({"k": 4}, {"k": 1}, {"temperature": 9.0}, {"share": 0.9}):
        method = taught(fresh_model(toy_model_folder), **settings)
        answers = generate(method.model, prompts_of(LENGTHS), run, "t")
        assert not any(answer.reused for answer in answers), settings
        again = generate(method.model, prompts_of(LENGTHS), run, "t")
        assert all(answer.reused for answer in again)
