"""A tiny benchmark of documents made in memory: three rounds of one or two short documents."""

from compositional.documents.benchmark import prepare_documents
from compositional.documents.config import DocumentsConfig
from compositional.tasks.benchmark import Benchmark


def toy_documents(num_rounds: int = 3, epochs: int = 1) -> Benchmark:
    """A benchmark of synthetic documents of four facts, with untaught ones and no general part."""
    config = DocumentsConfig(
        source="synthetic",
        num_rounds=num_rounds,
        documents_per_round=1,
        num_facts=4,
        questions_per_document=3,
        untaught=1,
        epochs=epochs,
        general=False,
    )
    return prepare_documents(config, seed=0)
