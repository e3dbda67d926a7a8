import pytest
import torch

from compositional.benchmarks.roofline import (
    Machine,
    Sizes,
    decoding_seconds,
    lora_operations,
    pairs,
    rows_operations,
    sizes_of,
)
from compositional.benchmarks.work import Work
from compositional.generation.answers import Answer
from compositional.models.language_model import LanguageModel
from compositional.training.batching import TokenSequence
from tests.rounds_toy import toy_benchmark
from tests.toy import load_toy

SIZES = Sizes(body=100, head=10, bytes=440, pair=3, bytes_kept=8)
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
    config = model.backbone.config
    layers_of_heads = config.num_hidden_layers * config.head_dim
    assert found.pair == 2 * layers_of_heads * config.num_attention_heads
    assert found.bytes_kept == 4 * 2 * layers_of_heads * config.num_key_value_heads


def test_pairs_are_counted_one_by_one() -> None:
    assert pairs(3) == 1 + 2 + 3
    assert pairs(3, 10) == 11 + 12 + 13
    assert pairs(0, 10) == 0


def test_operations_by_hand() -> None:
    # 4 prompt tokens forward once, which attend to 1 + 2 + 3 and 1; 3 target tokens forward and
    # backward in each of 2 epochs, which attend to 4 + 5 and 2
    assert rows_operations(SIZES, WORK, 2) == 2 * (100 * 4 + 3 * 7) + 2 * 4 * (110 * 3 + 3 * 11)
    # 7 tokens forward and backward through the body, 3 of them through the head
    assert lora_operations(SIZES, WORK, 2) == 2 * 4 * (100 * 7 + 10 * 3 + 3 * (15 + 3))


def test_decoding_is_bound_by_reading_or_by_computing() -> None:
    answers = [Answer((1, 2, 3), ended=True), Answer((1,), ended=False)]
    # prompts of 10 shared tokens and 2 and 1 own ones, each with one position at the head
    entering = 2 * (100 * 13 + 10 * 2 + 3 * (55 + 11 + 12 + 11))
    # 4 steps, which attend to 13 + 14 + 15 and 12 tokens; four side by side read the weights once,
    # and the 10 shared tokens once
    computing = 2 * (110 * 4 + 3 * 54)
    reading = 440 * 4 / 4 + 8 * (14 + 10 * 4 / 4)

    def found(read_rate: float) -> float:
        machine = Machine(product_rate=1000.0, read_rate=read_rate)
        return decoding_seconds(SIZES, machine, [12, 11], 10, answers, batch_size=4)

    assert found(44.0) == pytest.approx(entering / 1000 + reading / 44)
    assert found(4400.0) == pytest.approx(entering / 1000 + computing / 1000)
