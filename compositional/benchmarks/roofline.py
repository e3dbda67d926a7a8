"""The least time that work takes on a machine: its operations over the rate of matrix products."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from compositional.benchmarks.work import Work
from compositional.generation.answers import Answer
from compositional.models.language_model import LanguageModel


@dataclass(frozen=True)
class Machine:
    """What the machine reaches at best.

    Attributes:
        product_rate: Floating-point operations a second of one large matrix product.
        read_rate: Bytes a second of reading a large matrix.
    """

    product_rate: float
    read_rate: float


@dataclass(frozen=True)
class Sizes:
    """What one token costs in a model, in multiplications that are added up.

    Attributes:
        body: Weights of all linear layers but the head.
        head: Weights of the head.
        bytes: Bytes of all of them.
        pair: Multiplications of one token that attends to one, in all layers.
        bytes_kept: Bytes of one token's keys and values in all layers.
    """

    body: int
    head: int
    bytes: int
    pair: int = 0
    bytes_kept: int = 0


def sizes_of(model: LanguageModel) -> Sizes:
    """Count a backbone's weights that take part in products."""
    head = model.backbone.get_output_embeddings()
    head = getattr(head, "base", head)  # below memory rows
    num_head = int(head.weight.numel())
    num_body = sum(
        module.weight.numel()
        for name, module in model.backbone.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head and "lora_" not in name
    )
    width = model.embedding.element_size()
    config = model.backbone.config.get_text_config()
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    kept_heads = getattr(config, "num_key_value_heads", None) or heads
    layers = config.num_hidden_layers
    return Sizes(
        body=int(num_body),
        head=num_head,
        bytes=width * (int(num_body) + num_head),
        pair=2 * layers * heads * size,
        bytes_kept=2 * layers * kept_heads * size * width,
    )


def pairs(num_tokens: int, num_before: int = 0) -> int:
    """Return how many tokens some in a row attend to in all, themselves and those before."""
    return num_tokens * num_before + num_tokens * (num_tokens + 1) // 2


def rows_operations(sizes: Sizes, work: Work, epochs: int) -> float:
    """Return the operations that memory rows need over some epochs.

    Each prompt runs forward once; targets forward, and backward to their inputs, in every epoch.
    """
    rows = [(len(row.prompt), len(row.target)) for row in work.sequences]
    once = sizes.body * work.num_prompt_tokens + sizes.pair * sum(pairs(n) for n, _ in rows)
    attended = sizes.pair * sum(pairs(m, n) for n, m in rows)
    learning = (sizes.body + sizes.head) * work.num_target_tokens + attended
    return 2 * once + epochs * 4 * learning


def lora_operations(sizes: Sizes, work: Work, epochs: int) -> float:
    """Return the operations that LoRA needs: all tokens forward and backward to their inputs."""
    num_tokens = work.num_prompt_tokens + work.num_target_tokens
    attended = sum(pairs(len(row.prompt) + len(row.target)) for row in work.sequences)
    learning = sizes.body * num_tokens + sizes.head * work.num_target_tokens
    return epochs * 4 * (learning + sizes.pair * attended)


def decoding_seconds(
    sizes: Sizes,
    machine: Machine,
    prompts: Sequence[int],
    num_shared: int,
    answers: Sequence[Answer],
    batch_size: int,
) -> float:
    """Return the least time of answering: prompts as products, steps by reading or computing.

    Args:
        sizes: The model's.
        machine: What it reaches.
        prompts: Tokens of each prompt, the shared ones included.
        num_shared: Tokens that all prompts begin with, which run once and are read once a step.
        answers: The answers.
        batch_size: Answers side by side.
    """
    own = [length - num_shared for length in prompts]
    entering = sizes.body * (num_shared + sum(own)) + sizes.head * len(own)
    entering += sizes.pair * (pairs(num_shared) + sum(pairs(n, num_shared) for n in own))
    steps = [len(answer.ids) for answer in answers]
    num_steps, num_attended = sum(steps), sum(map(pairs, steps, prompts))
    computing = (sizes.body + sizes.head) * num_steps + sizes.pair * num_attended
    num_read = num_attended - num_shared * num_steps * (1 - 1 / batch_size)
    reading = sizes.bytes * num_steps / batch_size + sizes.bytes_kept * num_read
    seconds = max(reading / machine.read_rate, 2 * computing / machine.product_rate)
    return 2 * entering / machine.product_rate + seconds
