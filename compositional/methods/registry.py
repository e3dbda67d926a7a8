"""All methods by name: one file, one line here."""

from compositional.methods.ace import AceConfig
from compositional.methods.base import MethodConfig
from compositional.methods.bounds import JointConfig, OracleConfig
from compositional.methods.constant import ConstantConfig
from compositional.methods.doc2lora import Doc2LoraConfig
from compositional.methods.dual_mlp import DualMlpConfig
from compositional.methods.full_finetuning import FullFinetuningConfig
from compositional.methods.icl import IclConfig
from compositional.methods.jitrl import JitrlConfig
from compositional.methods.knn_lm import KnnLmConfig
from compositional.methods.lora import LoraConfig
from compositional.methods.memory_tokens import MemoryTokensConfig
from compositional.methods.own_document import OwnDocumentConfig
from compositional.methods.rag import RagConfig
from compositional.methods.sparse_memory import SparseMemoryConfig
from compositional.methods.text_lora import TextLoraConfig
from compositional.methods.text_rag import TextRagConfig
from compositional.methods.zero_shot import ZeroShotConfig

METHODS: dict[str, type[MethodConfig]] = {
    "memory_tokens": MemoryTokensConfig,
    "lora": LoraConfig,
    "zero_shot": ZeroShotConfig,
    "icl": IclConfig,
    "rag": RagConfig,
    "own_document": OwnDocumentConfig,
    "text_rag": TextRagConfig,
    "text_lora": TextLoraConfig,
    "full_finetuning": FullFinetuningConfig,
    "dual_mlp": DualMlpConfig,
    "sparse_memory": SparseMemoryConfig,
    "knn_lm": KnnLmConfig,
    "jitrl": JitrlConfig,
    "ace": AceConfig,
    "doc2lora": Doc2LoraConfig,
    "constant": ConstantConfig,
    "joint": JointConfig,
    "oracle": OracleConfig,
}

REFERENCES = ("zero_shot", "own_document", "constant", "joint", "oracle")
"""Floors, ceilings and bounds, for comparison: none of them learns a document by itself."""
