import pytest

from compositional.generation.answers import Answer
from compositional.generation.generate import generate
from compositional.generation.uncached import greedy
from compositional.models.language_model import LanguageModel
from tests.generation.toy_prompts import (
    ARCHS,
    LENGTHS,
    add_random_rows,
    context,
    prompts_of,
    stopping_model,
)


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("prefix", [0, 40])
def test_forced_rows_come_out_and_the_rest_is_as_uncached(tmp_path, arch, prefix) -> None:
    model = stopping_model(tmp_path, arch)
    add_random_rows(model)
    first = model.num_text_ids
    forced = [[first], [first + 1, first + 2], [], [first + 3] * 3, [first, first], [first + 2]]
    prompts = prompts_of(LENGTHS, prefix)
    limit = 20
    expected = [greedy(model, p, limit, f) for p, f in zip(prompts, forced, strict=True)]
    found = generate(model, prompts, context(max_new_tokens=limit), "t", forced)
    assert found == expected
    assert found[2] == Answer((), ended=True)  # nothing expected: the end at once
    for answer, rows in zip(found, forced, strict=True):
        chosen = [token for token in answer.ids if token >= first]
        assert chosen == rows[: len(chosen)]
        assert len(chosen) == len(rows) or not answer.ended
        assert not rows or answer.ids[0] == rows[0]
    assert sum(len(rows) > 1 and answer.ended for answer, rows in zip(found, forced, strict=True))


def test_no_stop_id_ends_an_answer_before_its_rows_came(toy) -> None:
    """Every end that the model knows is replaced, not the chat template's alone."""
    prompt = [5, 60, 7, 200]
    plain = LanguageModel(toy)
    add_random_rows(plain, size=1e-3)
    first = plain.num_text_ids
    started = greedy(plain, prompt, 6, [first]).ids
    toy.model.set_input_embeddings(toy.model.get_input_embeddings().base)
    toy.model.set_output_embeddings(toy.model.get_output_embeddings().base)
    toy.model.generation_config.eos_token_id = started[2]
    model = LanguageModel(toy)
    add_random_rows(model, size=1e-3)
    forced = [first, first + 1]
    answer = generate(model, [prompt], context(), "t", [forced])[0]
    assert [token for token in answer.ids if token >= first] == forced
    assert answer == greedy(model, prompt, 12, forced)
