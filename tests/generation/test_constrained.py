import json

import pytest
import torch
from jsonschema import Draft202012Validator

from compositional.errors import ModelError
from compositional.generation.constrained import ConstrainedDecoder
from compositional.generation.uncached import greedy
from compositional.models.language_model import LanguageModel
from compositional.playbooks.operations import operations_schema
from compositional.playbooks.playbook import Playbook
from tests.toy import load_toy

BOOK = (
    Playbook().add("facts", "a", ["a"]).add("facts", "b", ["a"]).count([("str-00001", "harmful")])
)
SCHEMA = {
    "type": "object",
    "properties": {
        "said": {"type": "string", "maxLength": 6},
        "ids": {"type": "array", "items": {"enum": list(BOOK.ids)}, "maxItems": 2},
        "none": {"type": "array", "items": {"enum": [""]}, "maxItems": 0},
        "operations": {**operations_schema(BOOK, 6), "maxItems": 2},
    },
    "required": ["said", "ids", "none", "operations"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("arch", ["llama", "gpt2", "qwen2", "gemma"])
def test_any_model_answers_by_the_schema(tmp_path, arch: str) -> None:
    template = "gemma" if arch == "gemma" else "chatml"
    model = LanguageModel(load_toy(tmp_path, arch, template))  # type: ignore[arg-type]
    decoder = ConstrainedDecoder(model)
    for query in ("hi", "who built it?"):
        answer = decoder.decode(model.chat.prompt_ids(query), SCHEMA, 500)
        value = json.loads(model.text(list(answer.ids)))
        assert answer.ended
        assert Draft202012Validator(SCHEMA).is_valid(value), value


def test_each_token_is_the_likeliest_of_those_that_stay_in_the_schema(toy) -> None:
    """Against the slow way: the whole sequence anew, every token tried as a continuation."""
    model = LanguageModel(toy)
    schema = {"type": "string", "enum": ["ab", "aabb", "b", "ba"]}
    possible = [json.dumps(text) for text in schema["enum"]]
    for query in ("hi", "a", "who?"):
        prompt = model.chat.prompt_ids(query)
        answer = ConstrainedDecoder(model).decode(prompt, schema, 20)
        text = ""
        ids: list[int] = []
        while text not in possible or any(p != text and p.startswith(text) for p in possible):
            with torch.no_grad():
                logits = model.backbone(torch.tensor([[*prompt, *ids]])).logits[0, -1]
            allowed = [
                token
                for token in range(model.num_text_ids)
                if (more := model.text([token]))
                and any(p.startswith(text + more) for p in possible)
            ]
            best = max(allowed, key=lambda token: float(logits[token]))
            ids.append(best)
            text += model.text([best])
        assert list(answer.ids) == ids


def test_without_a_schema_it_is_greedy_decoding(toy) -> None:
    model = LanguageModel(toy)
    prompt = model.chat.prompt_ids("hi")
    assert ConstrainedDecoder(model).decode(prompt, None, 8) == greedy(model, prompt, 8)


def test_sampling_follows_its_seed_and_touches_no_other_randomness(toy) -> None:
    model = LanguageModel(toy)
    prompt = model.chat.prompt_ids("hi")
    decoder = ConstrainedDecoder(model)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    drawn = [decoder.decode(prompt, SCHEMA, 200, 1.0, seed).ids for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert torch.equal(torch.rand(3), expected)


def test_an_answer_that_the_limit_cuts_did_not_end(toy) -> None:
    model = LanguageModel(toy)
    answer = ConstrainedDecoder(model).decode(model.chat.prompt_ids("hi"), SCHEMA, 9)
    assert (len(answer.ids), answer.ended) == (9, False)


def test_a_schema_that_cannot_be_enforced_is_an_error(toy) -> None:
    model = LanguageModel(toy)
    with pytest.raises(ModelError, match="cannot be enforced"):
        ConstrainedDecoder(model).decode([1, 2], {"type": "nothing"}, 8)
