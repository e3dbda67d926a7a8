import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from compositional.cli.main import main
from compositional.document_memory import FILE, open_memory
from compositional.errors import ConfigError, ModelError, ResultsError
from compositional.methods.doc2lora import Doc2Lora, Doc2LoraConfig
from compositional.models.language_model import LanguageModel
from compositional.models.last_blocks import LastBlocks
from compositional.models.low_rank import compose
from compositional.states import load_state
from compositional.tasks.types import TEXT, Document, Example, Round
from tests.documents_toy import toy_documents
from tests.hypernetwork_toy import toy_hypernetwork
from tests.methods_toy import fresh_model
from tests.rounds_toy import toy_context
from tests.toy import toy_model

FIRST = Document("a", "The mill was built by Kor.")
SECOND = Document("b", "Bread is baked at night in Temba, and sold before the sun is up.")
IDS = torch.tensor([[30, 41, 52, 63, 74, 85, 96, 107]])
Make = Callable[..., Doc2Lora]


@pytest.fixture
def make(tmp_path: Path, toy_model_folder: Path) -> Make:
    """Builds the method on a model that nothing else hangs on."""
    path = toy_hypernetwork(tmp_path / "h.safetensors", fresh_model(toy_model_folder))

    def build(**settings: Any) -> Doc2Lora:
        config = Doc2LoraConfig(**{"hypernetwork": str(path), **settings})
        return config.build(fresh_model(toy_model_folder), toy_documents(1))

    return build


def round_of(*documents: Document) -> Round:
    return Round(1, "r", 1, (), (), (), (), documents)


def logits(model: LanguageModel) -> torch.Tensor:
    with torch.no_grad():
        return model.backbone(input_ids=IDS, use_cache=False).logits


def test_a_document_is_read_in_chunks_and_nothing_is_left_out(make: Make) -> None:
    method, run = make(chunk_tokens=10), toy_context()
    seen: list[int] = []
    hook = method.model.backbone.model.register_forward_pre_hook(
        lambda _m, _a, kwargs: seen.append(kwargs["input_ids"].shape[1]), with_kwargs=True
    )
    method.learn(round_of(FIRST, SECOND), run)
    hook.remove()
    lengths = [len(method.model.chat.text_ids(d.text)) for d in (FIRST, SECOND)]
    assert sum(seen) == sum(lengths) == run.budget.input_tokens
    assert len(seen) == sum(-(-length // 10) for length in lengths)  # one pass a chunk
    assert [method.updates[d].rank for d in ("a", "b")] == [2 * -(-n // 10) for n in lengths]
    assert run.budget.trained_parameters == run.budget.steps == 0


def test_documents_and_bias_add_up_and_come_off_bit_for_bit(make: Make) -> None:
    method = make()
    before = logits(method.model)
    method.learn(round_of(FIRST), toy_context())
    with_first = logits(method.model)
    assert not torch.equal(with_first, before)
    method.learn(round_of(SECOND), toy_context())
    both = logits(method.model)
    bias = method.trained.network.bias()
    assert bias is not None
    updates = [*method.updates.values(), bias]
    method.forget("b")
    assert torch.equal(logits(method.model), with_first)
    method.forget("a")
    assert torch.equal(logits(method.model), before)
    assert method.model.lora is None
    blocks = LastBlocks(method.model.backbone, 2)
    with blocks.updated(compose(updates)):
        assert torch.allclose(logits(method.model), both, atol=1e-4)


def test_a_document_is_read_without_the_others(make: Make) -> None:
    together, alone = make(), make()
    together.learn(round_of(FIRST), toy_context())
    together.learn(round_of(SECOND), toy_context())
    alone.learn(round_of(SECOND), toy_context())
    assert together.updates["b"].a.equal(alone.updates["b"].a)
    assert together.updates["b"].b.equal(alone.updates["b"].b)


def test_later_tokens_change_nothing_before_and_a_cache_changes_nothing(make: Make) -> None:
    method = make()
    method.learn(round_of(FIRST), toy_context())
    backbone, whole = method.model.backbone, logits(method.model)
    changed = IDS.clone()
    changed[0, 5:] = 33
    with torch.no_grad():
        assert torch.allclose(backbone(input_ids=changed).logits[:, :5], whole[:, :5], atol=1e-5)
        first = backbone(input_ids=IDS[:, :5], use_cache=True)
        rest = backbone(input_ids=IDS[:, 5:], past_key_values=first.past_key_values).logits
    assert torch.allclose(torch.cat([first.logits, rest], dim=1), whole, atol=1e-4)


def test_a_state_of_another_hypernetwork_is_refused(make: Make, tmp_path, toy_model_folder) -> None:
    method = make()
    method.learn(round_of(FIRST), toy_context())
    path = toy_hypernetwork(tmp_path / "i.safetensors", fresh_model(toy_model_folder), "doc", 25)
    with pytest.raises(ResultsError, match="was made by another hypernetwork"):
        make(hypernetwork=str(path)).load_state_dict(method.state_dict())


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"hypernetwork": ""}, ConfigError, "doc2lora needs method.hypernetwork"),
        ({"hypernetwork": "none.safetensors"}, ResultsError, "none.safetensors"),
        ({"chunk_tokens": -1}, ConfigError, "chunk_tokens is -1"),
        ({"chunk_tokens": 4000}, ModelError, "a chunk of a document"),
    ],
)
def test_settings_that_cannot_be_are_refused(make: Make, settings, error, message) -> None:
    with pytest.raises(error, match=message):
        make(**settings)


def test_in_text_mode_an_input_stands_alone_in_the_prompt(
    make: Make, tmp_path, toy_model_folder
) -> None:
    model = fresh_model(toy_model_folder)
    path = toy_hypernetwork(tmp_path / "t.safetensors", model, "text")
    asked = Example("e", "dog", None, form=TEXT)
    prompts = [model.text(m._prompt(asked)) for m in (make(hypernetwork=str(path)), make())]
    assert prompts[0] == model.text(model.chat.prompt_ids("dog"))
    assert "Question: dog" in prompts[1]


@pytest.mark.parametrize("arch", ["llama", "gpt2", "gemma"])
def test_what_is_exported_gives_peft_the_same_logits(tmp_path: Path, arch, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = toy_model(tmp_path / "model", arch, None if arch == "gpt2" else "chatml")
    toy_hypernetwork(tmp_path / "h.safetensors", fresh_model(folder))
    Path("a.txt").write_text(FIRST.text)
    Path("b.txt").write_text(SECOND.text * 40)  # over the window of 1,024: read in chunks
    flags = ["--method", "doc2lora", "--method.hypernetwork", "h.safetensors"]
    flags += ["--model.name", str(folder), "--model.device", "cpu"]
    assert main(["learn", "a.txt", "b.txt", *flags]) == 0
    assert main(["export-adapter", "adapter"]) == 0
    memory = open_memory(Path("checkpoints/memories/default"))
    expected = logits(memory.model)
    plain = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        assert not torch.allclose(plain(input_ids=IDS).logits, expected, atol=1e-2)
        with warnings.catch_warnings():  # peft asks transformers for a name of old
            warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)
            loaded = PeftModel.from_pretrained(plain, "adapter").eval()
        assert torch.allclose(loaded(input_ids=IDS).logits, expected, atol=1e-3)
    assert main(["export-adapter", "adapter"]) != 0


def test_learned_asked_and_forgotten_from_the_shell(
    tmp_path: Path, toy_model_folder, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    toy_hypernetwork(tmp_path / "h.safetensors", fresh_model(toy_model_folder))
    for name, document in (("a.txt", FIRST), ("b.txt", SECOND)):
        Path(name).write_text(document.text)
    flags = ["--method", "doc2lora", "--method.hypernetwork", "h.safetensors"]
    flags += ["--model.name", str(toy_model_folder), "--model.device", "cpu"]
    assert main(["learn", "a.txt", *flags]) == 0
    memory = Path("checkpoints/memories/default") / FILE
    expected = load_state(memory)
    assert main(["learn", "b.txt"]) == 0
    assert main(["ask", "Who?", "--evaluation.max_new_tokens", "3"]) == 0
    assert main(["info"]) == 0
    said = capsys.readouterr().out
    for line in (r"mode +doc\n", r"LoRA in blocks +0 to 1\n", r"rank attached +\d+\n"):
        assert re.search(line, said)
    assert main(["forget", "b.txt"]) == 0
    found = load_state(memory)
    assert set(found.tensors) == set(expected.tensors)
    assert all(found.tensors[name].equal(t) for name, t in expected.tensors.items())
    assert main(["forget", "a.txt"]) == 0
    assert main(["export-adapter", "adapter"]) != 0
    assert "has no LoRA on its model" in capsys.readouterr().err
