"""From a run's config to its benchmark, of tools or of documents, and to its model."""

from collections.abc import Callable

from compositional.config import RunConfig
from compositional.documents.benchmark import prepare_documents
from compositional.models.language_model import LanguageModel
from compositional.models.loading import LoadedModel, load_model
from compositional.models.model_config import ModelConfig
from compositional.tasks.benchmark import DOCUMENTS, Benchmark, prepare
from compositional.training.losses import check_kernel


def prepare_benchmark(config: RunConfig) -> Benchmark:
    """Return what a run teaches and asks, loaded and checked.

    Raises:
        ConfigError: If what is asked for cannot be built.
        DataError: If data is missing, malformed, or does not match what is asked for.
    """
    if config.task == DOCUMENTS:
        return prepare_documents(config.documents, config.seed)
    return prepare(config.data, config.seed)


def load_for(
    config: RunConfig, load: Callable[[ModelConfig], LoadedModel] = load_model
) -> LanguageModel:
    """Load the model of a run, nothing attached.

    Args:
        config: The run.
        load: Loads the model, or lends one.

    Raises:
        ModelError: If it cannot be had.
        ConfigError: If the loss that is asked for cannot be computed on its device.
    """
    loaded = load(config.model)
    check_kernel(config.training.cross_entropy, loaded.device)
    return LanguageModel(
        loaded,
        config.model.system_message,
        config.model.max_length,
        answer_tokens=config.evaluation.max_new_tokens,
    )
