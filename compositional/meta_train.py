"""`compositional meta-train`: an initialisation for dual_mlp, kept in a file with what it is of."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from compositional.documents.config import SYNTHETIC
from compositional.documents.names import TRAIN
from compositional.documents.reading import read_documents
from compositional.documents.synthetic import synthetic_documents
from compositional.errors import ConfigError, check_at_least
from compositional.methods.dual_mlp import DualMlpConfig, save_initial
from compositional.models.blocks import num_last_blocks
from compositional.models.language_model import LanguageModel
from compositional.models.second_mlp import SecondMlps
from compositional.run_context import RunContext
from compositional.tasks.types import Document
from compositional.training.meta_learning import meta_learn


@dataclass(frozen=True)
class MetaTraining:
    """How an initialisation is learned.

    Attributes:
        source: `synthetic` (its training part, which shares no name and no wording with what is
            asked), or a file or folder of texts.
        num_documents: Synthetic documents, or the first ones of a source.
        num_facts: Facts of a synthetic document.
        epochs: How often each document is taken.
        passes: Passes over a document in its inner steps.
        outer_rate: Share of the way to what was learned, above 0 and at most 1.
        seed: Of documents and orders.
    """

    source: str = SYNTHETIC
    num_documents: int = 32
    num_facts: int = 8
    epochs: int = 2
    passes: int = 4
    outer_rate: float = 0.5
    seed: int = 42

    def __post_init__(self) -> None:
        """Refuse values that no training can have."""
        for name in ("num_documents", "epochs", "passes"):
            check_at_least(name, getattr(self, name), 1)
        if not 0 < self.outer_rate <= 1:
            raise ConfigError(f"outer_rate is {self.outer_rate}; it must be above 0 and at most 1")


def meta_train(
    model: LanguageModel, method: DualMlpConfig, training: MetaTraining, path: Path, run: RunContext
) -> list[float]:
    """Learn an initialisation and write it.

    Args:
        model: The model, nothing attached.
        method: The inner steps: rate, optimiser, slices, blocks.
        training: The outer steps.
        path: The file to write, which `method.initial` names.
        run: Streams, counters, progress.

    Returns:
        The losses of the inner steps, the first and the last of each text.

    Raises:
        DataError: If the source cannot be read.
        ModelError: If a document is over the model's window.
    """
    documents = _documents(training)
    for document in documents:
        num_tokens = len(model.chat.text_ids(document.text))
        model.check_fits(num_tokens, 0, f"document {document.name!r}")
    second = SecondMlps(model.backbone, num_last_blocks(model.backbone, method.share_of_blocks))
    second.attach()
    losses = meta_learn(
        model,
        second,
        [document.text for document in documents],
        training.epochs,
        training.passes,
        method.training,
        training.outer_rate,
        run,
    )
    second.detach()
    save_initial(path, second, model, asdict(training))
    return losses


def _documents(training: MetaTraining) -> Sequence[Document]:
    if training.source == SYNTHETIC:
        found = synthetic_documents(
            training.num_documents, training.num_facts, training.seed, TRAIN
        )
    else:
        found = read_documents(Path(training.source).expanduser())[: training.num_documents]
    return [each.document for each in found]
