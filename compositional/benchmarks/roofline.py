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
    """

    body: int
    head: int
    bytes: int


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
    return Sizes(int(num_body), num_head, width * (int(num_body) + num_head))


def rows_operations(sizes: Sizes, work: Work, epochs: int) -> float:
    """Return the operations that memory rows need over some epochs.

    Each prompt runs forward once; targets forward, and backward to their inputs, in every epoch.
    """
    forward_once = 2 * sizes.body * work.num_prompt_tokens
    return forward_once + epochs * 4 * (sizes.body + sizes.head) * work.num_target_tokens


def lora_operations(sizes: Sizes, work: Work, epochs: int) -> float:
    """Return the operations that LoRA needs: all tokens forward and backward to their inputs."""
    num_tokens = work.num_prompt_tokens + work.num_target_tokens
    return epochs * 4 * (sizes.body * num_tokens + sizes.head * work.num_target_tokens)


def decoding_seconds(
    sizes: Sizes,
    machine: Machine,
    num_prompt_tokens: int,
    answers: Sequence[Answer],
    batch_size: int,
) -> float:
    """Return the least time of answering: prompts as products, steps by reading or computing.

    Args:
        sizes: The model's.
        machine: What it reaches.
        num_prompt_tokens: Tokens that must run, a shared prefix once.
        answers: The answers.
        batch_size: Answers side by side.
    """
    num_tokens = sum(len(answer.ids) + 1 for answer in answers)
    steps = num_tokens / batch_size
    prompts = 2 * sizes.body * num_prompt_tokens / machine.product_rate
    reading = sizes.bytes / machine.read_rate
    computing = 2 * (sizes.body + sizes.head) * batch_size / machine.product_rate
    return prompts + steps * max(reading, computing)
