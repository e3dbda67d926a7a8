"""A tiny benchmark made in memory: three rounds of two tools, with composed examples."""

import json
from dataclasses import replace

from compositional.run_context import RunContext
from compositional.settings import EvaluationConfig, TrainingConfig
from compositional.streams import Streams
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.types import Example, Round, Skill, Step

NAMES = (("get_time", "set_alarm"), ("play_song", "stop_song"), ("turn_on", "turn_off"))


def skill(name: str) -> Skill:
    """A tool with one required parameter."""
    parameters = {
        "type": "object",
        "properties": {"what": {"type": "string"}},
        "required": ["what"],
    }
    return Skill(name, f"{name.replace('_', ' ')}. More words.", parameters)


def example(round_index: int, names: tuple[str, ...], number: int) -> Example:
    """A query that names its tools, one call each."""
    words = [f"{name.replace('_', ' ')} x{number}" for name in names]
    steps = tuple(Step(name, json.dumps({"what": f"x{number}"})) for name in names)
    base_ids = tuple(f"{name}-{number}" for name in names)
    return Example(f"{'+'.join(names)}-{number}", " and ".join(words), steps, round_index, base_ids)


def toy_round(index: int, epochs: int = 1) -> Round:
    """Round `index` (from 1) with four training, two validation and three test examples."""
    first, second = NAMES[index - 1]

    def examples(numbers: range) -> tuple[Example, ...]:
        kinds = ((first,), (second,), (first, second))
        return tuple(example(index, kinds[n % 3], n) for n in numbers)

    return Round(
        index=index,
        name=f"tools{index}",
        epochs=epochs,
        skills=(skill(first), skill(second)),
        train=examples(range(4)),
        validation=examples(range(4, 6)),
        test=examples(range(6, 9)),
    )


def toy_benchmark(num_rounds: int = 3, epochs: int = 1) -> Benchmark:
    """A benchmark of some rounds, with a mixed test set and an unanswerable query."""
    rounds = tuple(toy_round(index, epochs) for index in range(1, num_rounds + 1))
    skills = {s.name: s for round_ in rounds for s in round_.skills}
    mixed = (replace(example(1, ("get_time", "play_song"), 9), round=None),)
    nothing = (Example("nothing", "how are you", ()),)
    return Benchmark(rounds, None, mixed, nothing, skills, {"toy": True}, "0" * 64)


def toy_context(batch_size: int = 2, max_new_tokens: int = 8) -> RunContext:
    """A context that keeps nothing and shows nothing."""
    return RunContext(
        streams=Streams(0),
        training=TrainingConfig(batch_size=batch_size),
        evaluation=EvaluationConfig(max_new_tokens=max_new_tokens, batch_size=2),
    )
