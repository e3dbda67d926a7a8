import pytest
import torch

from compositional.benchmarks.roofline import (
    Machine,
    Sizes,
    decoding_seconds,
    lora_operations,
    rows_operations,
    sizes_of,
)
from compositional.benchmarks.work import Work
from compositional.generation.answers import Answer
from compositional.models.language_model import LanguageModel
from compositional.training.batching import TokenSequence
from tests.rounds_toy import toy_benchmark
from tests.toy import load_toy

SIZES = Sizes(body=100, head=10, bytes=440)
WORK = Work(
    "toy",
    toy_benchmark(1),
    [TokenSequence((1, 2, 3), (4, 5)), TokenSequence((1,), (6,))],
    torch.zeros(1, 4),
)


def test_weights_of_products_are_counted(tmp_path) -> None:
    model = LanguageModel(load_toy(tmp_path, "llama"))
    model.add_rows(decoupled=False)
    layers = [m for m in model.backbone.model.modules() if isinstance(m, torch.nn.Linear)]
    found = sizes_of(model)
    assert found.body == sum(layer.weight.numel() for layer in layers) > 0
    assert found.head == model.embedding.numel()
    assert found.bytes == 4 * (found.body + found.head)


def test_operations_by_hand() -> None:
    # 4 prompt tokens forward once; 3 target tokens forward and backward in each of 2 epochs
    assert rows_operations(SIZES, WORK, 2) == 2 * 100 * 4 + 2 * 4 * 110 * 3
    # 7 tokens forward and backward through the body, 3 of them through the head
    assert lora_operations(SIZES, WORK, 2) == 2 * 4 * (100 * 7 + 10 * 3)


@pytest.mark.parametrize(("read_rate", "step"), [(44.0, 10.0), (4400.0, 0.88)])
def test_a_step_is_bound_by_reading_or_by_computing(read_rate: float, step: float) -> None:
    machine = Machine(product_rate=1000.0, read_rate=read_rate)
    answers = [Answer((1, 2, 3), ended=True), Answer((1,), ended=False)]
    found = decoding_seconds(SIZES, machine, 50, answers, batch_size=4)
    # 50 prompt tokens; 4 + 2 tokens, four side by side
    assert found == pytest.approx(2 * 100 * 50 / 1000 + 6 / 4 * step)
