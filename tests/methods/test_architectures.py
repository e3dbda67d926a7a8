"""The trained methods on models and templates unlike the one of the contract test."""

import pytest
import torch

from compositional.methods.base import MethodConfig
from compositional.methods.lora import LoraConfig
from compositional.methods.memory_tokens import MemoryTokensConfig
from compositional.methods.rehearsal import RehearsalSettings
from compositional.models.language_model import LanguageModel
from compositional.models.loading import load_model
from compositional.models.model_config import ModelConfig
from compositional.states import load_state, save_state
from tests.methods_toy import SMALL
from tests.rounds_toy import toy_benchmark, toy_context
from tests.toy import toy_model

CONFIGS: dict[str, MethodConfig] = {
    "memory_tokens": MemoryTokensConfig(
        adapter=SMALL, after_adaptation="merge", renorm_active_tools=True, end_of_call=True,
        rehearsal=RehearsalSettings(vectors_per_round=4, vectors_per_step=2),
    ),
    "lora": LoraConfig(adapter=SMALL, between_rounds="merge", use_replay_buffer=True),
}  # fmt: skip


@pytest.mark.parametrize(
    ("arch", "template", "dtype"),
    [
        ("gpt2", None, "float32"),  # positions of its own, Conv1D, no template
        ("qwen2", "llama3", "float32"),  # an untied head, ids without tokens
        ("gemma", "gemma", "float32"),  # scaled embeddings, no system message
        ("llama", "chatml", "bfloat16"),
    ],
)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=list(CONFIGS))
def test_learns_answers_and_is_restored(tmp_path, config, arch, template, dtype) -> None:
    toy_model(tmp_path / "model", arch, template)

    def fresh() -> LanguageModel:
        where = ModelConfig(name=str(tmp_path / "model"), dtype=dtype, device="cpu")
        return LanguageModel(load_model(where))

    benchmark, run = toy_benchmark(3, epochs=3), toy_context()
    method = config.build(fresh(), benchmark)
    for round_ in benchmark.rounds[:2]:
        method.learn(round_, run)
    assert run.losses["round 1"][-1] < run.losses["round 1"][0]
    save_state(tmp_path / "state", method.state_dict())
    restored = config.build(fresh(), benchmark)
    restored.load_state_dict(load_state(tmp_path / "state"))
    examples = [example.hidden() for round_ in benchmark.rounds for example in round_.test]
    answers = method.answer(examples, toy_context())
    assert restored.answer(examples, toy_context()) == answers
    if dtype == "float32":  # in bfloat16 a batch may round otherwise than one alone
        assert [method.answer([e], toy_context())[0] for e in examples] == answers
    for each in (method, restored):
        each.learn(benchmark.rounds[2], toy_context())
    expected, found = method.state_dict().tensors, restored.state_dict().tensors
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
