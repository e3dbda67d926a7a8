"""The milestone of every strategy: one line each; sparse memory has one a kind of memory."""

from collections.abc import Callable
from dataclasses import dataclass

from compositional.methods.ace import AceConfig
from compositional.methods.base import MethodConfig
from compositional.methods.doc2lora import Doc2LoraConfig
from compositional.methods.dual_mlp import DualMlpConfig
from compositional.methods.full_finetuning import FullFinetuningConfig
from compositional.methods.jitrl import JitrlConfig
from compositional.methods.knn_lm import KnnLmConfig
from compositional.methods.slot_layers import PRODUCT_KEYS
from compositional.methods.sparse_memory import SparseMemoryConfig
from compositional.methods.text_lora import TextLoraConfig
from compositional.methods.text_rag import TextRagConfig
from compositional.validation.checks import (
    ANSWERED,
    ATTACHED,
    ATTACHED_UNTRAINED,
    CAUSAL,
    DAMAGED,
    FORGOTTEN,
    LEARNED,
    NOTED,
    RESTORED,
    Check,
)
from compositional.validation.recall import RECALLED, with_hypernetwork
from compositional.validation.trial import Bench, as_it_is

TRAINED = (ATTACHED_UNTRAINED, LEARNED, RESTORED, CAUSAL, FORGOTTEN)
"""Of what trains something that hangs on the model."""
STORED = (ATTACHED, LEARNED, RESTORED, CAUSAL, FORGOTTEN)
"""Of what keeps something that the model looks up."""
PROMPTED = (ATTACHED, ANSWERED, RESTORED, FORGOTTEN)
"""Of what changes prompts alone: the model computes what it always did."""
WRITTEN = (ATTACHED, NOTED, RESTORED, FORGOTTEN)
"""Of what a model writes for itself: whether it is of use depends on the model."""
GENERATED = (ATTACHED, RECALLED, RESTORED, CAUSAL, FORGOTTEN)
"""Of what a network makes that was trained for one kind of documents."""
CONTROL = (ATTACHED_UNTRAINED, LEARNED, RESTORED, CAUSAL, DAMAGED, FORGOTTEN)
"""Of what must forget."""


@dataclass(frozen=True)
class Milestone:
    """What a strategy must show.

    Attributes:
        config: Its settings.
        checks: In this order; the last one takes out what was taught.
        passes: Passes over the documents.
        prepare: Completes the settings, where something must be made for them.
    """

    config: MethodConfig
    checks: tuple[Check, ...]
    passes: int = 8
    prepare: Callable[[MethodConfig, Bench], MethodConfig] = as_it_is


MILESTONES: dict[str, Milestone] = {
    "text_lora": Milestone(TextLoraConfig(), TRAINED, passes=16),
    "dual_mlp": Milestone(DualMlpConfig(), TRAINED),
    "sparse_memory": Milestone(SparseMemoryConfig(background_batches=24), TRAINED),
    "sparse_memory_product_keys": Milestone(
        SparseMemoryConfig(slots=PRODUCT_KEYS, background_batches=24), TRAINED
    ),
    "text_rag": Milestone(TextRagConfig(), PROMPTED),
    "knn_lm": Milestone(KnnLmConfig(temperature=0.1), STORED),
    "jitrl": Milestone(JitrlConfig(), PROMPTED),
    "ace": Milestone(AceConfig(mode="online", questions=1, retries=0), WRITTEN),
    "doc2lora": Milestone(Doc2LoraConfig(), GENERATED, prepare=with_hypernetwork),
    "full_finetuning": Milestone(FullFinetuningConfig(), CONTROL),
}
