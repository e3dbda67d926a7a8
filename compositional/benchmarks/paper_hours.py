"""How long a long sequence takes on accelerators, on paper: rates of a data sheet, none fitted."""

from dataclasses import dataclass

from compositional.benchmarks.cost_model import answers_by_row
from compositional.benchmarks.roofline import Sizes


@dataclass(frozen=True)
class LongPlan:
    """A sequence of 100 rounds with 10,000 tools, in tokens.

    Attributes:
        num_rounds: Rounds.
        rows: Training rows of each.
        epochs: Passes over them.
        row_tokens: Tokens of a row.
        num_tests: Test examples of each.
        prompt_tokens: Tokens of a prompt.
        answer_tokens: Tokens of an answer.
    """

    num_rounds: int = 100
    rows: int = 1000
    epochs: int = 2
    row_tokens: int = 80
    num_tests: int = 100
    prompt_tokens: int = 45
    answer_tokens: int = 30

    @property
    def trained_tokens(self) -> int:
        """Tokens trained on in all."""
        return self.num_rounds * self.rows * self.epochs * self.row_tokens

    @property
    def answers_by_row(self) -> list[int]:
        """Answers after each round."""
        return answers_by_row(self.num_rounds, self.num_tests)

    @property
    def num_answers(self) -> int:
        """Answers in all."""
        return sum(self.answers_by_row)


@dataclass(frozen=True)
class Hours:
    """How long a sequence takes, by its parts.

    Attributes:
        training: Of its lessons.
        answering: Of its prompts and answers.
    """

    training: float
    answering: float

    @property
    def total(self) -> float:
        """Both together."""
        return self.training + self.answering


@dataclass(frozen=True)
class Accelerator:
    """What one accelerator sustains, on paper.

    Attributes:
        name: What it is.
        product_rate: Floating-point operations a second that training sustains.
        read_rate: Bytes a second that decoding sustains.
        batch_size: Answers side by side.
    """

    name: str
    product_rate: float
    read_rate: float
    batch_size: int


# NVIDIA's data sheet names 989 TFLOP/s in bf16 and 3.35 TB/s; 40 % and 60 % of them are sustained.
H100 = Accelerator("H100", 0.4 * 989e12, 0.6 * 3.35e12, 256)


def paper_hours(sizes: Sizes, wanted: LongPlan, device: Accelerator, num_devices: int) -> Hours:
    """Return the hours of a sequence on some accelerators: weights in bf16, work shared evenly.

    Args:
        sizes: The model's.
        wanted: The sequence.
        device: Each accelerator.
        num_devices: How many.
    """
    weights = sizes.body + sizes.head
    training = 4 * weights * wanted.trained_tokens / device.product_rate
    prompts = 2 * sizes.body * wanted.num_answers * wanted.prompt_tokens / device.product_rate
    reading = 2 * weights / device.read_rate / device.batch_size
    computing = 2 * weights / device.product_rate
    answers = wanted.num_answers * wanted.answer_tokens * max(reading, computing)
    return Hours(training / num_devices / 3600, (prompts + answers) / num_devices / 3600)


def hours_on_paper(sizes: Sizes) -> dict[str, Hours]:
    """Return hours on one and eight H100 for a model, and for one of 8 billion weights.

    Args:
        sizes: The model's.
    """
    large = Sizes(body=7_500_000_000, head=525_000_000, bytes=16_000_000_000)
    return {
        f"{name}, {count} x {H100.name}": paper_hours(kind, LongPlan(), H100, count)
        for name, kind in (("this model", sizes), ("8 billion weights", large))
        for count in (1, 8)
    }
