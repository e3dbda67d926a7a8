"""Liger's kernel computes PyTorch's loss and gradients, and is refused where it cannot run."""

import pytest
import torch
from torch import Tensor, nn

from compositional.config import resolve
from compositional.errors import ConfigError
from compositional.models.language_model import LanguageModel
from compositional.models.loading import LoadedModel, load_model
from compositional.models.memory_rows import ExtendedHead, MemoryRows
from compositional.models.model_config import ModelConfig
from compositional.models.second_mlp import SecondMlps
from compositional.preparing import load_for
from compositional.run_context import RunContext
from compositional.settings import TrainingConfig
from compositional.streams import Streams
from compositional.training.batching import TokenSequence
from compositional.training.fit import ParameterGroup
from compositional.training.lesson import Lesson
from compositional.training.losses import check_kernel, summed_cross_entropy
from compositional.training.text_lesson import TextTraining, learn_text

TARGETS = torch.tensor([0, 3, 12, 7, 3])


def head_with_rows() -> tuple[ExtendedHead, MemoryRows]:
    torch.manual_seed(0)
    base = nn.Linear(6, 10, bias=False).requires_grad_(False)
    rows = MemoryRows(6, decoupled=False, device=torch.device("cpu"))
    rows.begin(["a", "b", "c"], torch.randn(3, 6))
    return ExtendedHead(base, rows), rows


def loss_and_gradients(kernel: str, dtype: torch.dtype) -> tuple[float, Tensor, Tensor]:
    head, rows = head_with_rows()
    head.base.to(dtype)
    hidden = torch.randn(5, 6, generator=torch.Generator().manual_seed(1)).to(dtype)
    hidden.requires_grad_(True)
    loss = summed_cross_entropy(head(hidden), TARGETS, kernel)
    torch.autograd.backward(loss / 5)
    assert loss.dtype == torch.float32
    assert hidden.grad is not None
    assert rows.current_head.grad is not None
    return loss.item(), hidden.grad, rows.current_head.grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_liger_is_equal_to_torch(dtype) -> None:
    """With memory rows behind the vocabulary, which stay fp32 over any backbone."""
    pytest.importorskip("liger_kernel", reason="Triton is for Linux")
    loss, hidden, rows = loss_and_gradients("torch", dtype)
    own_loss, own_hidden, own_rows = loss_and_gradients("liger", dtype)
    assert own_loss == pytest.approx(loss, rel=1e-6)
    torch.testing.assert_close(own_hidden, hidden)
    torch.testing.assert_close(own_rows, rows)


def losses_of_lessons(loaded: LoadedModel, kernel: str) -> list[float]:
    """A lesson on rows, then one on a text, as methods give them."""
    run = RunContext(Streams(5), training=TrainingConfig(batch_size=2, cross_entropy=kernel))
    model = LanguageModel(loaded)
    rows = model.add_rows(decoupled=False)
    rows.begin(["a"], torch.ones(1, 32))
    sequences = [TokenSequence((10 + n, 60), (90 + n, 2), 1) for n in range(5)]
    lesson = Lesson("rows", model, sequences, 2, run, prompts_are_frozen=True)
    lesson.fit([ParameterGroup(rows.named_current(), lr=1e-2)])
    second = SecondMlps(loaded.model, 1)
    second.attach()
    parameters = list(second.named_parameters().values())
    learn_text("text", model, "A mill of 1712.", 3, parameters, TextTraining(0.1), run)
    return [*run.losses["rows"], *run.losses["text"]]


def test_lessons_with_liger_take_the_same_course(toy_model_folder) -> None:
    pytest.importorskip("liger_kernel", reason="Triton is for Linux")
    torches, ligers = (
        losses_of_lessons(load_model(ModelConfig(name=str(toy_model_folder), device="cpu")), kernel)
        for kernel in ("torch", "liger")
    )
    assert ligers == pytest.approx(torches, abs=1e-5)
    assert len(set(torches)) == len(torches)


def test_the_summed_loss_of_even_logits() -> None:
    """By hand: every one of 8 tokens has probability 1/8."""
    loss = summed_cross_entropy(torch.zeros(3, 8), torch.tensor([0, 5, 7]), "torch")
    assert loss.item() == pytest.approx(3 * torch.log(torch.tensor(8.0)).item())


def test_a_processor_refuses_liger(monkeypatch, toy) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    config = resolve({"method": "lora", "training": {"cross_entropy": "liger"}})
    with pytest.raises(ConfigError, match="liger cannot run on cpu: its kernels need a GPU"):
        load_for(config, lambda _config: toy)


def test_a_missing_package_is_named_with_its_command(monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"pip install -r requirements-gpu\.txt"):
        check_kernel("liger", torch.device("cuda"))


def test_an_unknown_kernel_is_refused_with_the_choices() -> None:
    with pytest.raises(
        ConfigError, match=r"unknown training\.cross_entropy 'cce'; Choices: liger, torch"
    ):
        resolve({"method": "lora", "training": {"cross_entropy": "cce"}})
