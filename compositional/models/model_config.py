"""Which model a run takes, and how it is loaded."""

from dataclasses import dataclass
from typing import Literal

from compositional.errors import check_at_least

DEFAULT_MODEL = "smollm2"


@dataclass(frozen=True)
class ModelConfig:
    """Which model to load, and how.

    Attributes:
        name: `smollm2`, the path of a GGUF file, a local folder, or a Hub id (`owner/name`).
        revision: Branch, tag or commit of a Hub model.
        dtype: Number type of the weights; `auto` is float32 on CPU and bfloat16 on CUDA.
        device: `cpu`, `cuda` or `cuda:N`; `auto` is CUDA where there is one.
        system_message: System message of every prompt, the same for every method.
        max_length: Longest sequence of prompt and answer, in tokens; a longer one is an error.
            None for the model's window.
        packed_weights: On a CPU, keep frozen matrices once more in the layout of oneDNN's kernels,
            and once again where gradients flow: faster, for up to three times the memory.
        shards: Processes that hold one backbone together, each a part of every block; 1 for none.
            The same results in less memory a process; see docs/clusters.md.
    """

    name: str = DEFAULT_MODEL
    revision: str | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: str = "auto"
    system_message: str = ""
    max_length: int | None = None
    packed_weights: bool = True
    shards: int = 1

    def __post_init__(self) -> None:
        """Refuse values that no model can have."""
        check_at_least("max_length", self.max_length, 1)
        check_at_least("model.shards", self.shards, 1)
