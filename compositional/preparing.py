"""From a run's config to its benchmark, of tools or of documents."""

from compositional.config import RunConfig
from compositional.documents.benchmark import prepare_documents
from compositional.tasks.benchmark import Benchmark, prepare


def prepare_benchmark(config: RunConfig) -> Benchmark:
    """Return what a run teaches and asks, loaded and checked.

    Raises:
        ConfigError: If what is asked for cannot be built.
        DataError: If data is missing, malformed, or does not match what is asked for.
    """
    if config.documents.source is not None:
        return prepare_documents(config.documents, config.seed)
    return prepare(config.data, config.seed)
