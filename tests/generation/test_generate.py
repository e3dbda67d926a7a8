from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, MistralConfig

from compositional.answering import Answering
from compositional.errors import ModelError
from compositional.generation.answers import Answer
from compositional.generation.generate import generate
from compositional.generation.shared_prefix import shared_prefix
from compositional.generation.uncached import greedy
from compositional.models.adapters import LoraSettings
from compositional.models.language_model import LanguageModel
from compositional.models.loading import load_model
from compositional.models.model_config import ModelConfig
from tests.generation.toy_prompts import (
    ARCHS,
    LENGTHS,
    add_random_rows,
    context,
    prompts_of,
    stopping_model,
)
from tests.toy import load_toy, toy_tokenizer


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("prefix", [0, 60])
def test_batched_answers_equal_an_uncached_loop(tmp_path, arch, prefix) -> None:
    """Different lengths, left padding, with and without a long shared prefix."""
    model = stopping_model(tmp_path, arch)
    prompts = prompts_of(LENGTHS, prefix)
    assert len(shared_prefix(prompts)) == prefix
    expected = [greedy(model, prompt, 12) for prompt in prompts]
    if prefix == 0:
        assert {answer.ended for answer in expected} == {True, False}
    assert generate(model, prompts, context(), "t") == expected
    assert [generate(model, [prompt], context(), "t")[0] for prompt in prompts] == expected
    assert generate(model, prompts, context(batch_size=1), "t") == expected


@pytest.mark.parametrize("arch", ARCHS)
def test_rows_are_chosen_and_read_back_as_any_token(tmp_path, arch) -> None:
    model = LanguageModel(load_toy(tmp_path, arch))
    add_random_rows(model)
    prompts = prompts_of(LENGTHS, prefix=40)
    expected = [greedy(model, prompt, 16) for prompt in prompts]
    assert any(token >= model.num_text_ids for answer in expected for token in answer.ids)
    assert generate(model, prompts, context(max_new_tokens=16), "t") == expected


@pytest.mark.parametrize("arch", ARCHS)
def test_an_adapter_is_decoded_with(tmp_path, arch) -> None:
    model = LanguageModel(load_toy(tmp_path, arch))
    stack = model.add_lora(LoraSettings(rank=2, dropout=0.5))
    plain = generate(model, prompts_of(LENGTHS), context(), "t")
    stack.attach(1)
    for parameter in stack.named_parameters().values():
        parameter.data.normal_(generator=torch.Generator().manual_seed(1))
    expected = [greedy(model, prompt, 12) for prompt in prompts_of(LENGTHS)]
    assert expected != plain
    assert generate(model, prompts_of(LENGTHS), context(), "t") == expected


def test_a_shared_prefix_is_computed_once(toy) -> None:
    model = LanguageModel(toy)
    seen: list[tuple[int, int]] = []
    body = model.backbone.get_decoder()
    body.register_forward_pre_hook(
        lambda _module, _args, kwargs: seen.append(tuple(kwargs["input_ids"].shape)),
        with_kwargs=True,
    )
    prompts = prompts_of((3, 5, 2, 4, 1, 6), prefix=60)
    generate(model, prompts, context(batch_size=3, max_new_tokens=2), "t")
    after = seen[seen.index((1, 60)) + 1 :]
    entered = [length for batch, length in after if batch == 1]
    assert entered == [6 + 5 + 4, 3 + 2 + 1]  # own parts, longest first, no padding
    assert {batch for batch, length in after if length == 1} <= {1, 2, 3}


@pytest.mark.parametrize("prefix", [0, 60])
def test_a_sliding_window_is_decoded_as_without_a_cache(tmp_path, prefix) -> None:
    """Its window must not be filled by the padding behind a shared prefix."""
    tokenizer = toy_tokenizer()
    config = MistralConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=8, sliding_window=16,
        initializer_range=0.2, bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = LanguageModel(load_model(ModelConfig(name=str(tmp_path), device="cpu")))
    prompts = prompts_of(LENGTHS, prefix)
    expected = [greedy(model, prompt, 12) for prompt in prompts]
    assert generate(model, prompts, context(), "t") == expected


def test_models_own_penalties_do_not_bend_greedy_decoding(tmp_path) -> None:
    prompts = prompts_of(LENGTHS)
    plain = LanguageModel(load_toy(tmp_path, "llama"))
    expected = [greedy(plain, prompt, 12) for prompt in prompts]
    assert any(len(set(answer.ids)) < len(answer.ids) for answer in expected)  # it repeats itself
    loaded = load_toy(tmp_path, "llama")
    loaded.model.generation_config.update(
        repetition_penalty=5.0, no_repeat_ngram_size=1, temperature=0.1, top_k=3, do_sample=True
    )
    assert generate(LanguageModel(loaded), prompts, context(), "t") == expected


def test_the_chat_templates_end_stops(toy) -> None:
    loaded, prompt = toy, [5, 60, 7, 200]
    model = LanguageModel(loaded)
    first, second, third, *_ = greedy(model, prompt, 6).ids
    assert third not in (first, second)
    with torch.no_grad():  # the end becomes likelier than the third token of the answer, just so
        model.embedding[model.chat.end_id] = 1.001 * model.embedding[third]
    assert generate(model, [prompt], context(), "t") == [Answer((first, second), ended=True)]


def test_the_generation_configs_end_stops(toy) -> None:
    prompt = [5, 60, 7, 200]
    first, second, third, *_ = greedy(LanguageModel(toy), prompt, 6).ids
    toy.model.generation_config.eos_token_id = third
    assert generate(LanguageModel(toy), [prompt], context(), "t") == [
        Answer((first, second), ended=True)
    ]


def test_a_prompt_is_answered_once(toy) -> None:
    model, run = LanguageModel(toy), context()
    one, two, three = prompts_of((3, 5, 4))
    first = generate(model, [one, two, one], run, "t")
    assert not any(answer.reused for answer in first)
    assert first[0] == first[2] == greedy(model, one, 12)
    again = generate(model, [two, three, one], run, "again")
    assert [answer.reused for answer in again] == [True, False, True]
    assert [answer.ids for answer in again] == [greedy(model, p, 12).ids for p in (two, three, one)]


def test_tokens_are_counted_where_they_are_computed(toy) -> None:
    model, run = LanguageModel(toy), context()
    one, two, three = prompts_of((3, 5, 4))
    first = generate(model, [one, two, one], run, "t")
    generated = len(first[0].ids) + len(first[1].ids)
    assert run.answering == Answering(prompt_tokens=8, generated_tokens=generated)
    limit = replace(run.evaluation, max_new_tokens=11)
    generate(model, [three], replace(run, evaluation=limit), "a copy of the context counts too")
    generate(model, [one, two], run, "again")
    assert run.answering.prompt_tokens == 12
    assert run.answering.choice_tokens == 0


def test_another_prompt_limit_batch_size_or_model_is_asked_anew(toy) -> None:
    model, run = LanguageModel(toy), context()
    stack, rows = model.add_lora(LoraSettings(rank=2)), model.add_rows(decoupled=False)
    prompts = prompts_of((3, 5))

    def num_reused(**kwargs) -> int:
        arguments = {"prompts": prompts, "run": run, "what": "t", **kwargs}
        return sum(answer.reused for answer in generate(model, **arguments))

    assert num_reused() == 0
    assert num_reused(prompts=prompts[::-1]) == 2  # the order asked is none of the model's matter
    assert num_reused(prompts=prompts_of((3, 5), seed=1)) == 0
    for change in ({"max_new_tokens": 11}, {"batch_size": 2}):
        assert num_reused(run=replace(run, evaluation=replace(run.evaluation, **change))) == 0
    rows.begin(["a"], torch.ones(1, 32))
    assert num_reused() == 0
    assert num_reused(forced=[[model.num_text_ids], []]) == 0
    assert num_reused(forced=[[model.num_text_ids]] * 2) == 1
    stack.attach(1)
    assert num_reused() == 2  # its update is zero
    for parameter in stack.named_parameters().values():
        parameter.data.fill_(0.1)
    assert num_reused() == 0
    stack.drop()
    assert num_reused() == 2


def test_an_answer_that_may_pass_the_window_is_refused(toy) -> None:
    model = LanguageModel(toy, max_length=20)
    prompts = prompts_of((3, 8))
    assert len(generate(model, prompts, context(max_new_tokens=12), "t")) == 2
    with pytest.raises(ModelError, match="a prompt of 8 takes 21 tokens"):
        generate(model, prompts, context(max_new_tokens=13), "t")


def test_nothing_to_ask(toy) -> None:
    assert generate(LanguageModel(toy), [], context(), "t") == []
