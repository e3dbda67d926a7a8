"""What a benchmark is made of: skills, examples, documents and the rounds that teach them.

One shape serves every kind of task. A tool call is an example whose steps name tools and hold
JSON arguments; a question about a document is an example with one step and no tool. So every
method runs on every benchmark.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

JsonObject = dict[str, Any]
CALLS, TEXT = "calls", "text"
"""Forms of an answer."""


@dataclass(frozen=True)
class Skill:
    """Something that a round teaches: a tool with its parameters.

    Attributes:
        name: Unique name, as the source spells it, dots included.
        description: One or more sentences; may be empty.
        parameters: JSON Schema of type object: `{"type": "object", "properties": {...},
            "required": [...]}`.
    """

    name: str
    description: str
    parameters: JsonObject


@dataclass(frozen=True)
class Step:
    """One step of an answer.

    Attributes:
        skill: Name of the tool that is called; None for an answer in plain text.
        response: The arguments as a JSON object, or the plain text.
        acceptable: For each argument the list of values that count as right; `""` in a list
            means that the argument may be left out. None where only `response` is right. Of a
            plain text, `answers`: the texts that are right, none where only to abstain is.
    """

    skill: str | None
    response: str
    acceptable: JsonObject | None = None


@dataclass(frozen=True)
class Example:
    """A query and the steps that answer it.

    Attributes:
        id: Unique within its file.
        query: What the user asks.
        steps: The answer; `()` where no call is expected, None where it is hidden from a method.
        round: Index (1-based) of the round that it belongs to; None where hidden or in no round.
        base_ids: The single-tool rows whose queries are joined in it; a question's own id. Examples
            that share one are not independent: intervals resample them together.
        form: What answers it: `calls` or `text`.
        choices: Texts of which one is right, each to be given its likelihood; `()` for none.
        generates: Whether an answer is to be generated, beside the likelihoods.
        kind: Kind of a question, for tables: `direct`, `reversed` and so on; "" for none.
        document: Name of the document that a question is about; "" for none.
    """

    id: str
    query: str
    steps: tuple[Step, ...] | None
    round: int | None = None
    base_ids: tuple[str, ...] = ()
    form: str = CALLS
    choices: tuple[str, ...] = ()
    generates: bool = True
    kind: str = ""
    document: str = ""

    def hidden(
        self, sees: frozenset[str] = frozenset(), *, generates: bool | None = None
    ) -> "Example":
        """Return the example as a method may see it before it answers.

        Args:
            sees: What the method declares that it sees: `round`, `tools` (the names of the
                expected calls, without their arguments), `document` (which one is asked about), or
                nothing.
            generates: Whether an answer is to be generated; None for as the example has it.
        """
        tools = tuple(Step(step.skill, "") for step in self.steps or ())
        return replace(
            self,
            steps=tools if "tools" in sees else None,
            base_ids=(),
            round=self.round if "round" in sees else None,
            generates=self.generates if generates is None else generates,
            kind="",
            document=self.document if "document" in sees else "",
        )


@dataclass(frozen=True)
class Document:
    """A text to learn.

    Attributes:
        name: Unique name.
        text: The whole text.
    """

    name: str
    text: str


@dataclass(frozen=True)
class Round:
    """What is taught and asked between two rows of the matrix.

    Attributes:
        index: Position in the order taught, from 1.
        name: Name of the column, for example `tools2-4`.
        epochs: Passes over `train`.
        skills: What the round teaches, each of them in no other round.
        train: Examples to learn from.
        validation: Examples for choosing settings; never scored in a matrix.
        test: Examples of the round's column.
        documents: Texts to learn; empty in tool rounds.
    """

    index: int
    name: str
    epochs: int
    skills: tuple[Skill, ...]
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    documents: tuple[Document, ...] = ()


@dataclass(frozen=True)
class Call:
    """One call of a tool, as predicted or as expected.

    Attributes:
        name: The tool.
        arguments: Its arguments by name, as JSON values.
    """

    name: str
    arguments: JsonObject


@dataclass(frozen=True)
class Prediction:
    """What a method answered to one example.

    Attributes:
        raw: The text as generated, special tokens kept.
        calls: The calls in it; `()` for none, None where it did not parse.
        tools: The names that could be read even where arguments did not parse, in order.
        num_tokens: Length of the answer.
        parts: Where `calls` is None: each call that was begun, None for one that does not parse.
            The seed's figures count them; `()` counts as one call that does not parse.
        reused: Whether the answer was kept from an earlier time, not generated for this.
        likelihoods: Of each choice, the sum of the log-likelihoods of its tokens; `()` where none
            was asked for or the method has none.
        choice_tokens: Tokens of each choice.
        answered: Whether an answer was generated; `raw` is empty where it was not.
    """

    raw: str
    calls: tuple[Call, ...] | None
    tools: tuple[str, ...] = ()
    num_tokens: int = 0
    parts: tuple[Call | None, ...] = ()
    reused: bool = field(default=False, compare=False)
    likelihoods: tuple[float, ...] = ()
    choice_tokens: tuple[int, ...] = ()
    answered: bool = True


def token_means(sums: Sequence[float], num_tokens: Sequence[int]) -> list[float]:
    """Return the mean log-likelihood a token of each choice, in nats.

    Args:
        sums: Of each choice, over its tokens.
        num_tokens: Of each choice.
    """
    return [total / count for total, count in zip(sums, num_tokens, strict=True)]


def skill_names(rounds: Sequence[Round]) -> list[str]:
    """Return the names of all skills of some rounds, in the order taught."""
    return [skill.name for round_ in rounds for skill in round_.skills]
