"""All methods by name: one file, one line here."""

from compositional.methods.base import MethodConfig
from compositional.methods.bounds import JointConfig, OracleConfig
from compositional.methods.constant import ConstantConfig
from compositional.methods.icl import IclConfig
from compositional.methods.lora import LoraConfig
from compositional.methods.memory_tokens import MemoryTokensConfig
from compositional.methods.rag import RagConfig
from compositional.methods.zero_shot import ZeroShotConfig

METHODS: dict[str, type[MethodConfig]] = {
    "memory_tokens": MemoryTokensConfig,
    "lora": LoraConfig,
    "zero_shot": ZeroShotConfig,
    "icl": IclConfig,
    "rag": RagConfig,
    "constant": ConstantConfig,
    "joint": JointConfig,
    "oracle": OracleConfig,
}
