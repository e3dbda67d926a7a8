"""What every method must hold; a new one is a line here."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from compositional.methods.ace import AceConfig
from compositional.methods.base import MethodConfig, Traits, tasks_of
from compositional.methods.bounds import JointConfig, OracleConfig
from compositional.methods.constant import ConstantConfig
from compositional.methods.doc2lora import Doc2LoraConfig
from compositional.methods.dual_mlp import DualMlpConfig
from compositional.methods.full_finetuning import FullFinetuningConfig
from compositional.methods.icl import IclConfig
from compositional.methods.jitrl import JitrlConfig
from compositional.methods.knn_lm import KnnLmConfig
from compositional.methods.lora import LoraConfig
from compositional.methods.memory_tokens import MemoryTokensConfig
from compositional.methods.own_document import OwnDocumentConfig
from compositional.methods.rag import RagConfig
from compositional.methods.registry import METHODS
from compositional.methods.rehearsal import RehearsalSettings
from compositional.methods.sparse_memory import SparseMemoryConfig
from compositional.methods.text_lora import TextLoraConfig
from compositional.methods.text_rag import TextRagConfig
from compositional.methods.zero_shot import ZeroShotConfig
from compositional.models.language_model import LanguageModel
from compositional.models.loading import load_model
from compositional.models.model_config import ModelConfig
from compositional.models.product_keys import ProductKeySettings
from compositional.states import load_state, save_state
from compositional.tasks.benchmark import DOCUMENTS, TOOLS, Benchmark
from compositional.tasks.types import TEXT, Prediction
from tests.documents_toy import toy_documents
from tests.hypernetwork_toy import toy_hypernetwork
from tests.methods_toy import SMALL, fresh_model
from tests.rounds_toy import toy_benchmark, toy_context

CONFIGS: dict[str, MethodConfig] = {
    "memory_tokens": MemoryTokensConfig(adapter=SMALL),
    "memory_tokens_merged_decoupled": MemoryTokensConfig(
        adapter=SMALL,
        after_adaptation="merge",
        decouple_embeddings=True,
        renorm_active_tools=True,
        end_of_call=True,
        rehearsal=RehearsalSettings(vectors_per_round=5, vectors_per_step=3),
    ),
    "memory_tokens_ground_truth": MemoryTokensConfig(
        adaptation="none", init="orthogonal", use_ground_truth_tools=True
    ),
    "memory_tokens_every_round": MemoryTokensConfig(adaptation="every_round", adapter=SMALL),
    "lora": LoraConfig(adapter=SMALL),
    "lora_merge_replay": LoraConfig(
        adapter=SMALL, between_rounds="merge", use_replay_buffer=True, replay_buffer_size=3
    ),
    "lora_drop": LoraConfig(adapter=SMALL, between_rounds="drop"),
    "lora_freeze": LoraConfig(adapter=SMALL, between_rounds="freeze"),
    "zero_shot": ZeroShotConfig(),
    "icl": IclConfig(demonstrations=1),
    "rag": RagConfig(k=1, tool_format="full"),
    "constant": ConstantConfig(),
    "joint": JointConfig(LoraConfig(adapter=SMALL)),
    "oracle": OracleConfig(LoraConfig(adapter=SMALL)),
    "joint_memory_tokens": JointConfig(MemoryTokensConfig(adapter=SMALL)),
    "oracle_memory_tokens": OracleConfig(MemoryTokensConfig(adapter=SMALL)),
    "own_document": OwnDocumentConfig(),
    "text_rag": TextRagConfig(k=2, chunk_words=8, overlap_words=2),
    "text_rag_bias": TextRagConfig(k=2, chunk_words=8, overlap_words=2, bias=4.0),
    "text_lora": TextLoraConfig(adapter=SMALL, slice_tokens=64, context_tokens=16),
    "text_lora_study": TextLoraConfig(adapter=SMALL, self_study=1),
    "full_finetuning": FullFinetuningConfig(),
    "dual_mlp": DualMlpConfig(slice_tokens=64, alpha=0.5, alpha_decay=0.2),
    "dual_mlp_reset": DualMlpConfig(optimiser="sgd", lr=0.1, between_documents="reset"),
    "sparse_memory": SparseMemoryConfig(
        num_slots=20, slots_per_token=4, background_batches=3, share_of_blocks=1.0
    ),
    "sparse_memory_second_mlp": SparseMemoryConfig(
        slots="second_mlp",
        num_slots=20,
        slots_per_token=4,
        background_batches=3,
        share_of_blocks=1.0,
    ),
    "sparse_memory_product_keys": SparseMemoryConfig(
        slots="product_keys",
        product_keys=ProductKeySettings(sub_keys=8, heads=2, key_width=8),
        num_slots=20,
        slots_per_token=4,
        background_batches=3,
        lr=100.0,
    ),
    "knn_lm": KnnLmConfig(k=4),
    "ace": AceConfig(questions=1, retries=0, playbook_tokens=160, reply_tokens=384, field_chars=12),
    "ace_online_sampled_with_documents": AceConfig(
        mode="online",
        questions=1,
        playbook_tokens=160,
        reply_tokens=384,
        field_chars=12,
        temperature=0.5,
        document_tokens=200,
    ),
    "jitrl": JitrlConfig(gaps=6, choices=3),
    "jitrl_shuffled": JitrlConfig(gaps=4, rewards="shuffled"),
    "doc2lora": Doc2LoraConfig(),
    "joint_text_lora": JointConfig(TextLoraConfig(adapter=SMALL)),
    "oracle_dual_mlp": OracleConfig(DualMlpConfig()),
}
MAKERS = {TOOLS: toy_benchmark, DOCUMENTS: toy_documents}
CASES = [(name, task) for name, config in CONFIGS.items() for task in tasks_of(config)]


@pytest.fixture(params=CASES, ids="-".join)
def case(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


@pytest.fixture
def config(case: tuple[str, str], toy_model_folder: Path, tmp_path: Path) -> MethodConfig:
    found = CONFIGS[case[0]]
    if isinstance(found, Doc2LoraConfig):
        path = tmp_path / "hypernetwork.safetensors"
        return replace(
            found, hypernetwork=str(toy_hypernetwork(path, fresh_model(toy_model_folder)))
        )
    return found


@pytest.fixture
def make(case: tuple[str, str]) -> Callable[[int], Benchmark]:
    return MAKERS[case[1]]


def same(found: list[Prediction], expected: list[Prediction]) -> bool:
    """Whether predictions are the same; likelihoods may round otherwise in other company."""
    return [replace(p, likelihoods=()) for p in found] == [
        replace(p, likelihoods=()) for p in expected
    ] and all(
        one.likelihoods == pytest.approx(other.likelihoods, abs=1e-4)
        for one, other in zip(found, expected, strict=True)
    )


@pytest.fixture
def fresh(toy_model_folder: Path) -> Callable[[], LanguageModel]:
    return lambda: LanguageModel(load_model(ModelConfig(name=str(toy_model_folder), device="cpu")))


def test_every_method_is_under_the_contract() -> None:
    assert {type(config) for config in CONFIGS.values()} == set(METHODS.values())


def test_has_what_the_loop_reads(config, make, fresh) -> None:
    method = config.build(fresh(), make())
    assert isinstance(method.traits, Traits)
    assert method.model is None or isinstance(method.model, LanguageModel)


def test_answers_every_example_and_is_the_same_twice(config, make, fresh) -> None:
    benchmark = make(2)
    states = []
    for _ in range(2):
        method, run = config.build(fresh(), benchmark), toy_context()
        for round_ in benchmark.rounds:
            method.learn(round_, run)
        examples = [e.hidden(method.traits.sees) for r in benchmark.rounds for e in r.test]
        predictions = method.answer(examples, run)
        assert len(predictions) == len(examples)
        states.append((method.state_dict(), predictions, run.budget))
    (first, answers, budget), (second, answers_again, budget_again) = states
    assert answers == answers_again
    assert budget == budget_again
    assert first.metadata == second.metadata
    assert list(first.tensors) == list(second.tensors)
    for name, tensor in first.tensors.items():
        assert torch.equal(tensor, second.tensors[name]), name


def test_a_saved_state_goes_on_as_the_method_would(config, make, fresh, tmp_path: Path) -> None:
    benchmark = make(3)
    run = toy_context()
    method = config.build(fresh(), benchmark)
    for round_ in benchmark.rounds[:2]:
        method.learn(round_, run)
    save_state(tmp_path / "state", method.state_dict())
    restored = config.build(fresh(), benchmark)
    restored.load_state_dict(load_state(tmp_path / "state"))
    examples = [e.hidden(method.traits.sees) for r in benchmark.rounds for e in r.test]
    assert restored.answer(examples, toy_context()) == method.answer(examples, toy_context())
    for each in (method, restored):
        each.learn(benchmark.rounds[2], toy_context())
    expected, found = method.state_dict(), restored.state_dict()
    assert found.metadata == expected.metadata
    assert set(found.tensors) == set(expected.tensors)
    for name, tensor in expected.tensors.items():
        assert torch.equal(found.tensors[name], tensor), name


def test_loading_an_early_state_undoes_what_was_learned_since(config, make, fresh) -> None:
    benchmark = make(2)
    run = toy_context()
    method = config.build(fresh(), benchmark)
    examples = [e.hidden(method.traits.sees) for e in benchmark.rounds[0].test]
    method.learn(benchmark.rounds[0], run)
    state = method.state_dict()
    before = method.answer(examples, toy_context())
    method.learn(benchmark.rounds[1], run)
    method.load_state_dict(state)
    assert method.answer(examples, toy_context()) == before


def test_answers_do_not_depend_on_their_company(config, make, fresh) -> None:
    benchmark = make(2)
    run = toy_context()
    method = config.build(fresh(), benchmark)
    method.learn(benchmark.rounds[0], run)
    examples = [e.hidden(method.traits.sees) for r in benchmark.rounds for e in r.test]
    together = method.answer(examples, run)
    assert same([method.answer([e], run)[0] for e in examples], together)


def test_hides_answers_and_rounds(config, make, fresh) -> None:
    benchmark = make(1)
    sees = config.build(fresh(), benchmark).traits.sees
    hidden = benchmark.rounds[0].test[2].hidden(sees)
    assert (hidden.round is None) == ("round" not in sees)
    assert (hidden.steps is None) == ("tools" not in sees)
    assert all(step.response == "" and step.acceptable is None for step in hidden.steps or ())
    assert (hidden.base_ids, hidden.kind) == ((), "")
    assert (hidden.document == "") == ("document" not in sees or hidden.form != TEXT)
