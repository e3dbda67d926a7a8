"""`compositional meta-train`: an initialisation for dual_mlp, kept in a file with what it is of."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from compositional.documents.config import SYNTHETIC
from compositional.documents.left_out import not_read
from compositional.documents.names import TRAIN
from compositional.documents.reading import read_documents
from compositional.documents.synthetic import synthetic_documents
from compositional.errors import ConfigError, check_at_least
from compositional.logs import LOGGER
from compositional.methods.dual_mlp import DualMlpConfig, save_initial
from compositional.methods.questions import check_documents
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
        DataError: If the source cannot be read, or a document is too short to learn anything from.
        ModelError: If a document is over the model's window.
    """
    documents = _documents(training)
    check_documents(model, documents, whole=True)
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
    """Return the documents to learn from, and log what of the source is not taken."""
    most = training.num_documents
    if training.source == SYNTHETIC:
        made = synthetic_documents(most, training.num_facts, training.seed, TRAIN)
        return [each.document for each in made]
    path = Path(training.source).expanduser()
    found = read_documents(path)
    for line in not_read([path]):
        LOGGER.warning(line)
    if len(found) > most:
        left = len(found) - most
        LOGGER.warning("%d of %d documents not taken: num_documents is %d", left, len(found), most)
    return [each.document for each in found[:most]]
