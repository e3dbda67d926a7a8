"""Random prompts, and toy models whose answers end and hold memory rows."""

from dataclasses import replace
from pathlib import Path

import torch

from compositional.generation.uncached import greedy
from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from tests.rounds_toy import toy_context
from tests.toy import Arch, load_toy

ARCHS: tuple[Arch, ...] = ("llama", "gpt2", "qwen2", "gemma")
LENGTHS = (1, 4, 9, 30, 2, 17)


def prompts_of(lengths: tuple[int, ...], prefix: int = 0, seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)

    def ids(length: int) -> list[int]:
        return torch.randint(5, 250, (length,), generator=generator).tolist()

    shared = ids(prefix)
    return [[*shared, *ids(length)] for length in lengths]


def stopping_model(folder: Path, arch: Arch) -> LanguageModel:
    """A model whose answers end at several lengths: one of its favourite tokens is an end."""
    model = LanguageModel(load_toy(folder, arch))
    answers = [greedy(model, prompt, 12).ids for prompt in prompts_of(LENGTHS)]
    tokens = [token for answer in answers for token in answer[3:]]
    favourite = max(set(tokens), key=lambda token: sum(token in a[3:] for a in answers))
    loaded = load_toy(folder, arch)
    loaded.model.generation_config.eos_token_id = favourite
    return LanguageModel(loaded)


def add_random_rows(model: LanguageModel, num_rows: int = 4, size: float = 0.5) -> None:
    """Rows large enough that the model often chooses one."""
    generator = torch.Generator().manual_seed(4)
    rows = size * torch.randn(num_rows, 32, generator=generator)
    names = [f"row{index}" for index in range(num_rows)]
    model.add_rows(decoupled=False).load(names, rows, rows)


def context(batch_size: int = 4, max_new_tokens: int = 12) -> RunContext:
    run = toy_context(max_new_tokens=max_new_tokens)
    return replace(run, evaluation=replace(run.evaluation, batch_size=batch_size))
