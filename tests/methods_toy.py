"""What tests of methods that train share: a small adapter, a fresh model, a method that learned."""

from pathlib import Path

from compositional.methods.memory_tokens import MemoryTokens, MemoryTokensConfig
from compositional.models.adapters import LoraSettings
from compositional.models.language_model import LanguageModel
from compositional.models.loading import load_model
from compositional.models.model_config import ModelConfig
from compositional.run_context import RunContext
from tests.rounds_toy import toy_benchmark, toy_context

SMALL = LoraSettings(rank=2, alpha=4)
ROWS_ALONE = MemoryTokensConfig(adaptation="none")


def fresh_model(folder: Path) -> LanguageModel:
    """Load the toy model anew: training changes what is attached to it."""
    return LanguageModel(load_model(ModelConfig(name=str(folder), device="cpu")))


def learned(
    config: MemoryTokensConfig,
    model: LanguageModel,
    num_rounds: int = 1,
    run: RunContext | None = None,
) -> MemoryTokens:
    """Return memory tokens that have learned the first rounds."""
    benchmark = toy_benchmark(3)
    method = config.build(model, benchmark)
    for round_ in benchmark.rounds[:num_rounds]:
        method.learn(round_, run or toy_context())
    return method
