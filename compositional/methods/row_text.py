"""Calls as tokens: rows with their arguments, written for training and read from answers.

The training text is `query, row, arguments, row, arguments, end`, where a row may end each call.
"""

from collections.abc import Mapping, Sequence

from compositional.generation.answers import Answer
from compositional.models.language_model import LanguageModel
from compositional.tasks.parsing import parse_arguments
from compositional.tasks.types import Call, Example, Prediction
from compositional.training.batching import TokenSequence

END_OF_CALL = "end_of_call"


def row_sequence(
    model: LanguageModel, example: Example, row_ids: Mapping[str, int]
) -> TokenSequence:
    """Return a training row: the query; then each row with its arguments; the end.

    Args:
        model: Whose tokens are meant.
        example: A query with its calls.
        row_ids: Token id of each tool's row.
    """
    target: list[int] = []
    for step in example.steps or ():
        target += [row_ids[str(step.skill)], *model.chat.target_ids(step.response)]
        if END_OF_CALL in row_ids:
            target.append(row_ids[END_OF_CALL])
    prompt = model.chat.prompt_ids(example.query)
    target.append(model.chat.end_id)
    return TokenSequence(tuple(prompt), tuple(target), len(example.steps or ()))


def expected_rows(example: Example, row_ids: Mapping[str, int]) -> list[int]:
    """Return the rows of an example's tools, as far as they are taught, in order."""
    end = [row_ids[END_OF_CALL]] if END_OF_CALL in row_ids else []
    taught = [str(step.skill) for step in example.steps or () if step.skill in row_ids]
    return [row for name in taught for row in (row_ids[name], *end)]


def read_answer(model: LanguageModel, names: Sequence[str], answer: Answer) -> Prediction:
    """Cut an answer at its rows; what follows each must be one JSON object.

    Args:
        model: Whose tokens are meant.
        names: The rows' names, in the order of their ids.
        answer: What was generated.
    """
    first = model.num_text_ids
    chosen: list[str] = []
    texts: list[list[int]] = []
    for token in answer.ids:
        if token < first:
            if texts:
                texts[-1].append(token)
        elif names[token - first] != END_OF_CALL:
            chosen.append(names[token - first])
            texts.append([])
    arguments = [parse_arguments(model.text(ids)) for ids in texts]
    parts = tuple(
        None if values is None else Call(name, values)
        for name, values in zip(chosen, arguments, strict=True)
    )
    calls = tuple(part for part in parts if part is not None)
    parsed = len(calls) == len(parts)
    return Prediction(
        raw=model.text(list(answer.ids)),
        calls=calls if parsed else None,
        tools=tuple(chosen),
        num_tokens=len(answer.ids),
        parts=() if parsed else parts,
        reused=answer.reused,
    )
