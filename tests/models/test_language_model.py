from pathlib import Path

import pytest
import torch

from compositional.errors import ModelError
from compositional.models.adapters import LoraSettings
from compositional.models.language_model import LanguageModel
from compositional.models.loading import LoadedModel, load_model
from compositional.models.model_config import ModelConfig
from tests.toy import load_toy

SMALL = LoraSettings(rank=2)


def fresh(folder: Path) -> LanguageModel:
    return LanguageModel(load_model(ModelConfig(name=str(folder), device="cpu")))


def with_update(folder: Path, settings: LoraSettings, seed: int = 1) -> LanguageModel:
    model = fresh(folder)
    stack = model.add_lora(settings)
    stack.attach(seed)
    for parameter in stack.named_parameters().values():
        parameter.data.fill_(0.01)
    return model


def test_a_fresh_adapter_or_an_empty_bank_of_rows_counts_as_none(toy_model_folder) -> None:
    plain = fresh(toy_model_folder).fingerprint()
    model = fresh(toy_model_folder)
    model.add_rows(decoupled=True)
    stack = model.add_lora(SMALL)
    assert model.fingerprint() == plain
    stack.attach(seed=3)
    assert model.fingerprint() == plain


def test_a_fresh_adapter_above_a_merged_one_counts_as_none(toy_model_folder) -> None:
    model = with_update(toy_model_folder, SMALL)
    attached = model.fingerprint()
    model.lora.merge()
    merged = model.fingerprint()
    model.lora.attach(seed=4)
    assert model.fingerprint() == merged
    assert merged != attached  # merged weights round otherwise


def test_every_trained_value_counts(toy_model_folder) -> None:
    seen = {fresh(toy_model_folder).fingerprint()}

    def is_new(model: LanguageModel) -> bool:
        print_ = model.fingerprint()
        known = print_ in seen
        seen.add(print_)
        return not known

    model = with_update(toy_model_folder, SMALL)
    assert is_new(model)
    for parameter in model.lora.named_parameters().values():
        parameter.data[0, 0] += 1e-7
        assert is_new(model)
    rows = model.add_rows(decoupled=False)
    rows.begin(["a"], torch.zeros(1, 32))
    assert is_new(model)
    rows.current_input.data[0, 5] = 1.0
    assert is_new(model)
    before = model.fingerprint()
    rows.finish()  # the same values, now finished
    assert model.fingerprint() == before


def test_the_scale_of_an_update_counts(toy_model_folder) -> None:
    """The same matrices at another alpha give other answers."""
    prints = {
        with_update(toy_model_folder, LoraSettings(rank=2, alpha=alpha)).fingerprint()
        for alpha in (4.0, 8.0)
    }
    assert len(prints) == 2


def test_another_backbone_is_another_model(tmp_path) -> None:
    one = LanguageModel(load_toy(tmp_path / "one", seed=0)).fingerprint()
    other = LanguageModel(load_toy(tmp_path / "other", seed=1)).fingerprint()
    assert one != other
    assert LanguageModel(load_toy(tmp_path / "again", seed=0)).fingerprint() == one


def test_a_bf16_model_has_one_as_well(toy_model_folder: Path) -> None:
    config = ModelConfig(name=str(toy_model_folder), dtype="bfloat16", device="cpu")
    model = LanguageModel(load_model(config))
    plain = model.fingerprint()
    stack = model.add_lora(SMALL)
    stack.attach(1)
    assert model.fingerprint() == plain
    for parameter in stack.named_parameters().values():
        parameter.data.fill_(0.01)
    assert model.fingerprint() != plain


def test_text_shows_rows_by_name_and_keeps_special_tokens(toy: LoadedModel) -> None:
    model = LanguageModel(toy)
    rows = model.add_rows(decoupled=False)
    rows.begin(["get_time", "set.alarm"], torch.zeros(2, 32))
    first = model.num_text_ids
    ids = [first, *model.chat.target_ids('{"a": "ü"}'), first + 1, model.chat.end_id]
    assert model.text(ids) == '<|get_time|>{"a": "ü"}<|set.alarm|><|im_end|>'
    assert model.text([]) == ""
    assert model.text([first, first]) == "<|get_time|><|get_time|>"


def test_both_ends_of_an_answer_are_stop_ids(tmp_path) -> None:
    loaded = load_toy(tmp_path, "llama", "llama3")
    assert LanguageModel(loaded).stop_ids == [loaded.tokenizer.convert_tokens_to_ids("<|eot_id|>")]
    end_of_turn, end_of_text = loaded.tokenizer.convert_tokens_to_ids(
        ["<|eot_id|>", "<|end_of_text|>"]
    )
    for eos in (end_of_text, [end_of_text, end_of_turn]):
        loaded.model.generation_config.eos_token_id = eos
        assert LanguageModel(loaded).stop_ids == [end_of_turn, end_of_text]
    assert LanguageModel(loaded).stop_ids == [end_of_turn, end_of_text]  # and it stays so


def test_the_window_is_the_lesser_of_the_models_and_the_limit(toy: LoadedModel) -> None:
    assert LanguageModel(toy).window_tokens == 2048
    assert LanguageModel(toy, max_length=4096).window_tokens == 2048
    model = LanguageModel(toy, max_length=100)
    model.check_fits(90, 10, "it")
    with pytest.raises(ModelError, match=r"^the prompt takes 101 tokens, over the window of 100"):
        model.check_fits(90, 11, "the prompt")


def test_room_for_the_longest_answer_is_reserved(toy: LoadedModel) -> None:
    model = LanguageModel(toy, max_length=100, answer_tokens=20)
    model.check_fits(80, 10, "it")
    with pytest.raises(ModelError, match=r"^it with 20 for its answer takes 101 tokens"):
        model.check_fits(81, 10, "it")


def test_mean_embedding_by_hand(toy: LoadedModel) -> None:
    model = LanguageModel(toy)
    first, second = model.chat.target_ids("ab")
    expected = (model.embedding[first] + model.embedding[second]) / 2
    torch.testing.assert_close(model.mean_embedding("ab"), expected)


def test_head_gives_the_logits_of_text_and_rows(toy: LoadedModel) -> None:
    model = LanguageModel(toy)
    hidden = torch.randn(2, 32, generator=torch.Generator().manual_seed(0))
    text = hidden @ model.embedding.T
    torch.testing.assert_close(model.head(hidden), text)
    model.add_rows(decoupled=False).begin(["a"], torch.ones(1, 32))
    expected = torch.cat([text, hidden.sum(dim=1, keepdim=True)], dim=1)
    torch.testing.assert_close(model.head(hidden), expected)
