"""One loaded model for many runs that are only checked or planned: copies that share weights."""

import copy
from dataclasses import replace

from transformers import PreTrainedModel

from compositional.models.loading import LoadedModel, load_model
from compositional.models.model_config import ModelConfig


class Lender:
    """Loads a model when it is first asked for, and lends copies of it that share its weights.

    A copy takes what a method attaches, and leaves the others as they are. One model is held at a
    time, the one that was asked for last.
    """

    def __init__(self) -> None:
        self._config: ModelConfig | None = None
        self._loaded: LoadedModel | None = None

    def lend(self, config: ModelConfig) -> LoadedModel:
        """Return a model to attach things to, not to train its weights.

        Args:
            config: The model; one process holds it whole.

        Raises:
            ModelError: If it cannot be had.
        """
        weights = replace(config, system_message="", max_length=None)  # which touch no weight
        if self._loaded is None or weights != self._config:
            self._loaded = None  # two need not fit into memory
            self._loaded, self._config = load_model(weights), weights
        return replace(self._loaded, model=sharing_copy(self._loaded.model))


def sharing_copy(model: PreTrainedModel) -> PreTrainedModel:
    """Return a copy of a model's modules with the very parameters of the model."""
    shared = {id(parameter): parameter for parameter in model.parameters()}
    return copy.deepcopy(model, shared)
