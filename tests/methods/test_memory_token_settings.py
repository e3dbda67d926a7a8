from dataclasses import replace

import pytest

from compositional.errors import ConfigError, ModelError
from compositional.methods.memory_tokens import MemoryTokens, MemoryTokensConfig
from compositional.methods.rehearsal import RehearsalSettings
from compositional.methods.row_text import END_OF_CALL, row_sequence
from compositional.models.adapters import LoraSettings
from compositional.models.language_model import LanguageModel
from compositional.models.loading import load_model
from compositional.models.model_config import ModelConfig
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.types import Skill
from tests.methods_toy import ROWS_ALONE
from tests.rounds_toy import toy_benchmark, toy_round


def own_range() -> Benchmark:
    """Rounds 2 and 3 of the toy, after an adaptation on the tools of its first."""
    benchmark = toy_benchmark(3)
    rounds = tuple(replace(r, index=r.index - 1) for r in benchmark.rounds[1:])
    adaptation = replace(toy_round(1), index=0, name="adaptation")
    return replace(benchmark, rounds=rounds, adaptation=adaptation)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (MemoryTokensConfig(init="random"), "unknown init 'random'; Choices: description, mean"),
        (MemoryTokensConfig(init="means"), "did you mean 'mean'"),
        (MemoryTokensConfig(adaptation="always"), "unknown adaptation 'always'"),
        (MemoryTokensConfig(after_adaptation="drop"), "unknown after_adaptation 'drop'"),
        (
            MemoryTokensConfig(
                adaptation="every_round", rehearsal=RehearsalSettings(vectors_per_round=1)
            ),
            "routing rehearsal needs a backbone that no longer changes",
        ),
        (MemoryTokensConfig(adaptation="own_range"), "but the data has no adaptation_tools"),
        (MemoryTokensConfig(adapter=LoraSettings(target_modules=("q",))), "no linear layer 'q'"),
    ],
)
def test_contradictions_are_errors_before_any_training(model, config, message) -> None:
    with pytest.raises(ConfigError, match=message):
        config.build(model, toy_benchmark(1))


def test_adaptation_tools_that_nothing_takes_are_an_error(model) -> None:
    with pytest.raises(ConfigError, match="'first_round', but the data has adaptation_tools"):
        MemoryTokensConfig().build(model, own_range())


def test_a_tool_named_as_the_end_of_call_row_is_an_error(model) -> None:
    benchmark = toy_benchmark(1)
    skills = {**benchmark.skills, END_OF_CALL: Skill(END_OF_CALL, "", {})}
    with pytest.raises(ConfigError, match="a tool is named 'end_of_call'"):
        replace(ROWS_ALONE, end_of_call=True).build(model, replace(benchmark, skills=skills))
    ROWS_ALONE.build(model, replace(benchmark, skills=skills))


def longest(benchmark: Benchmark, method: MemoryTokens, extra: dict[str, int]) -> int:
    ids = dict.fromkeys([*benchmark.skills, *extra], 0)
    rounds = [e for r in benchmark.rounds for e in (*r.train, *r.validation, *r.test)]
    examples = [*rounds, *benchmark.mixed, *benchmark.unanswerable]
    rows = [row_sequence(method.model, e, ids) for e in examples]
    return max(len(row.prompt) + len(row.target) for row in rows)


@pytest.mark.parametrize("end_of_call", [False, True])
def test_the_longest_row_fits_the_window_exactly_or_is_refused(toy_model_folder, end_of_call):
    config = replace(ROWS_ALONE, end_of_call=end_of_call)
    benchmark = toy_benchmark(3)
    loaded = load_model(ModelConfig(name=str(toy_model_folder), device="cpu"))
    extra = {END_OF_CALL: 0} if end_of_call else {}
    limit = longest(benchmark, config.build(LanguageModel(loaded), benchmark), extra)
    for window, fits in ((limit, True), (limit - 1, False)):
        model = LanguageModel(
            load_model(ModelConfig(name=str(toy_model_folder), device="cpu")), max_length=window
        )
        if fits:
            config.build(model, benchmark)
        else:
            with pytest.raises(ModelError, match=f"takes {limit} tokens, over the window"):
                config.build(model, benchmark)


def test_a_long_query_outside_the_rounds_is_refused_too(model) -> None:
    benchmark = toy_benchmark(1)
    for name in ("mixed", "unanswerable"):
        long = replace(getattr(benchmark, name)[0], query="x" * 3000)
        with pytest.raises(ModelError, match="over the window of 2048"):
            ROWS_ALONE.build(model, replace(benchmark, **{name: (long,)}))
