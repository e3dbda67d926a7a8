"""Prompts and targets of the methods that answer in JSON, one object a call and line."""

import json
from collections.abc import Sequence

from compositional.errors import check_choice
from compositional.generation.answers import Answer
from compositional.models.language_model import LanguageModel
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.parsing import parse_text_calls
from compositional.tasks.types import Example, Prediction, Skill
from compositional.training.batching import TokenSequence

INSTRUCTION = (
    "Answer the request with tool calls in JSON, one object a line, and nothing else. "
    'Each line has this form: {"name": "tool_name", "arguments": {"parameter": "value"}}'
)
TOOL_FORMATS = ("compact", "full")


def call_lines(example: Example) -> str:
    """Return an example's calls as the text that should be answered."""
    return "\n".join(
        f'{{"name": {json.dumps(step.skill, ensure_ascii=False)}, "arguments": {step.response}}}'
        for step in example.steps or ()
    )


def check_tool_format(tool_format: str) -> None:
    """Refuse an unknown way to describe tools."""
    check_choice("tool format", tool_format, TOOL_FORMATS)


def describe_tool(skill: Skill, tool_format: str) -> str:
    """Return a tool as a line of a prompt.

    Args:
        skill: The tool.
        tool_format: `compact` (name, first sentence, parameter names) or `full` (JSON Schema).
    """
    if tool_format == "full":
        fields = {
            "name": skill.name,
            "description": skill.description,
            "parameters": skill.parameters,
        }
        return json.dumps(fields, ensure_ascii=False)
    sentence = skill.description.split(". ")[0].strip().rstrip(".")
    parameters = ", ".join(skill.parameters.get("properties", {}))
    return f"- {skill.name}({parameters})" + (f": {sentence}." if sentence else "")


def request_ids(
    model: LanguageModel,
    query: str,
    instruction: str,
    skills: Sequence[Skill] = (),
    demonstrations: Sequence[Example] = (),
    tool_format: str = "compact",
) -> list[int]:
    """Return the prompt of zero-shot, ICL and RAG.

    Instruction and tools open the first message; demonstrations are earlier turns of the
    conversation, each answered as the query should be.
    """
    head = f"{instruction}\n\n"
    if skills:
        lines = "\n".join(describe_tool(skill, tool_format) for skill in skills)
        head += f"Tools:\n{lines}\n\n"
    said = [*(demonstration.query for demonstration in demonstrations), query]
    said[0] = head + said[0]
    turns = zip(said, map(call_lines, demonstrations), strict=False)
    return model.chat.prompt_ids(said[-1], turns=list(turns))


def asked(benchmark: Benchmark) -> list[Example]:
    """Return every example that a run may ask: of all rounds, and those outside the matrix."""
    of_rounds = [e for round_ in benchmark.rounds for e in (*round_.test, *round_.validation)]
    outside = (benchmark.mixed, benchmark.unanswerable, benchmark.untaught, benchmark.general)
    return [*of_rounds, *(example for examples in outside for example in examples)]


def trained_or_asked(benchmark: Benchmark) -> list[Example]:
    """Return every example that a trained method may see, an adaptation's included."""
    before = [] if benchmark.adaptation is None else [benchmark.adaptation]
    trained = [example for round_ in (*before, *benchmark.rounds) for example in round_.train]
    return [*trained, *asked(benchmark)]


def text_sequence(model: LanguageModel, example: Example) -> TokenSequence:
    """Return the training row of a text method: the query alone, and its calls as lines."""
    target = [*model.chat.target_ids(call_lines(example)), model.chat.end_id]
    prompt = model.chat.prompt_ids(example.query)
    return TokenSequence(tuple(prompt), tuple(target), len(example.steps or ()))


def text_predictions(model: LanguageModel, answers: Sequence[Answer]) -> list[Prediction]:
    """Parse answers given as text."""
    predictions = []
    for answer in answers:
        raw = model.text(list(answer.ids))
        parsed = parse_text_calls(raw)
        predictions.append(
            Prediction(
                raw, parsed.calls, parsed.tools, len(answer.ids), parsed.parts, answer.reused
            )
        )
    return predictions
