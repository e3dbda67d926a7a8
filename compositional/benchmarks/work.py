"""The work that tables time: rows of a real data set, tokenised, in fixed batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor

from compositional.methods.initial_rows import initial_rows
from compositional.methods.prompts import text_sequence
from compositional.methods.row_text import row_sequence
from compositional.models.language_model import LanguageModel
from compositional.models.loading import LoadedModel
from compositional.streams import Streams
from compositional.tasks.benchmark import Benchmark, prepare
from compositional.tasks.data_config import DataConfig
from compositional.training.batching import TokenSequence

SEED = 42


@dataclass(frozen=True)
class Work:
    """Training rows as token ids, and what memory rows begin with.

    Attributes:
        name: The data set.
        benchmark: Its one round.
        sequences: Training rows; ids from V on are memory rows where `initial` is given.
        initial: First values of the memory rows, [m, d]; None for rows of text.
    """

    name: str
    benchmark: Benchmark
    sequences: Sequence[TokenSequence]
    initial: Tensor | None

    @property
    def num_prompt_tokens(self) -> int:
        """Tokens before the targets, each prompt counted once."""
        return sum(len(row.prompt) for row in self.sequences)

    @property
    def num_target_tokens(self) -> int:
        """Tokens with a loss."""
        return sum(len(row.target) for row in self.sequences)


def one_round(source: Path, training_rounds: str, num_train: int, num_test: int) -> Benchmark:
    """Build one round of a data set in a folder that is thrown away."""
    with TemporaryDirectory() as folder:
        config = DataConfig(
            source=str(source),
            data_dir=Path(folder) / "rounds",
            training_rounds=training_rounds,
            train_size=num_train,
            test_size=num_test,
            train_max_function_calls=3,
            test_max_function_calls=3,
            samples_per_tool=max(1, num_train // 15),
        )
        return prepare(config, SEED)


def rows_for_memory_tokens(loaded: LoadedModel, name: str, benchmark: Benchmark) -> Work:
    """Return a round as rows with memory tokens, initialised from the tools' descriptions."""
    model = LanguageModel(loaded)
    round_ = benchmark.rounds[0]
    rng = Streams(SEED).generator("speed", "rows")
    initial = initial_rows("description", model, round_.skills, rng)
    ids = {skill.name: model.num_text_ids + place for place, skill in enumerate(round_.skills)}
    sequences = [row_sequence(model, example, ids) for example in round_.train]
    return Work(name, benchmark, sequences, initial)


def rows_of_text(loaded: LoadedModel, name: str, benchmark: Benchmark) -> Work:
    """Return a round as rows of text, as LoRA learns them."""
    model = LanguageModel(loaded)
    sequences = [text_sequence(model, example) for example in benchmark.rounds[0].train]
    return Work(name, benchmark, sequences, None)
