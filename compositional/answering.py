"""What it takes to answer a row of the matrix: tokens computed, and each cell's share of the time.

Tokens are counted in the few places that all answers go through, so that every method is counted
alike. What was taken from before is not computed, and not counted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from compositional.tasks.types import Prediction


@dataclass
class Answering:
    """Tokens that were computed to answer examples.

    A prompt counts with its whole length each time that it is read: once for its choices and once
    for a generated answer, and also where what it begins with is computed once for many prompts.

    Attributes:
        prompt_tokens: Of prompts.
        choice_tokens: Of choices that were given their likelihoods.
        generated_tokens: Of generated answers.
    """

    prompt_tokens: int = 0
    choice_tokens: int = 0
    generated_tokens: int = 0

    def add(
        self,
        prompts: Iterable[Sequence[int]],
        *,
        choices: Iterable[Sequence[int]] = (),
        generated: Iterable[Sequence[int]] = (),
    ) -> None:
        """Count what was computed.

        Args:
            prompts: Token ids of each prompt that was read.
            choices: Of each choice that was read behind one.
            generated: Of each answer that was generated behind one.
        """
        self.prompt_tokens += sum(map(len, prompts))
        self.choice_tokens += sum(map(len, choices))
        self.generated_tokens += sum(map(len, generated))


def is_computed(prediction: Prediction) -> bool:
    """Whether an answer was generated anew, or choices were given their likelihoods."""
    return bool(prediction.likelihoods) or (prediction.answered and not prediction.reused)


def shares(cells: Sequence[Sequence[Prediction]]) -> list[float]:
    """Return each cell's share of the seconds that its row took; they sum to 1.

    A share is by the tokens that were computed: of answers generated anew, and of choices. Where
    there are none in the whole row, it is by the number of examples.

    Args:
        cells: The answers of each cell of the row, one or more cells of one or more examples.
    """
    tokens = [sum(map(_computed_tokens, predictions)) for predictions in cells]
    weights = tokens if any(tokens) else [len(predictions) for predictions in cells]
    return [weight / sum(weights) for weight in weights]


def _computed_tokens(prediction: Prediction) -> int:
    generated = 0 if prediction.reused else prediction.num_tokens
    return generated + sum(prediction.choice_tokens)
