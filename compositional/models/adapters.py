"""LoRA adapters on a frozen backbone, by peft: trained, merged, dropped, restored.

What was merged is kept as its matrices and merged again at load, in order, so a state holds
trained tensors only and no backbone weight.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig as PeftLoraConfig
from peft import PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from compositional.errors import CompositionalError, ConfigError, check_at_least
from compositional.models.lora_linear import LoraLinear
from compositional.models.lora_targets import target_layers, target_modules
from compositional.models.packed_linear import PackedLinear, forget_packed


@dataclass(frozen=True)
class LoraSettings:
    """Shape of a LoRA adapter (Hu et al. 2022, arXiv 2106.09685).

    Attributes:
        rank: Rank r of the update.
        alpha: The update is scaled by alpha / r.
        dropout: Dropout on the adapter's input while it trains, 0 to 1.
        target_modules: `all-linear` (every linear layer but the head), or names such as
            `q_proj,v_proj`, where need be with the module that they stand in (`mlp.c_proj`).
        layer_indices: Only these layers, from 0; negative ones count from the end. Empty: all.
    """

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    target_modules: tuple[str, ...] = ("all-linear",)
    layer_indices: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse values that no adapter can have."""
        check_at_least("the LoRA rank", self.rank, 1)
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"the LoRA dropout is {self.dropout}; it must be in [0, 1)")

    @property
    def scale(self) -> float:
        """The factor on B @ A."""
        return self.alpha / self.rank


class LoraStack:
    """The adapter in training on a model, above those that were merged before it.

    Args:
        model: The backbone; its layers are wrapped in place while an adapter is attached.
        settings: The shape of every adapter.

    Raises:
        ConfigError: If the model has no such module or layer.
    """

    def __init__(self, model: PreTrainedModel, settings: LoraSettings) -> None:
        self.model = model
        self.settings = settings
        self.merged: list[dict[str, Tensor]] = []
        self._peft: PeftModel | None = None
        self._original: dict[str, Tensor] = {}
        self._modules = target_modules(model, settings.target_modules)
        self._layers = target_layers(model, settings.layer_indices)

    @property
    def attached(self) -> bool:
        """Whether an adapter is on the model now."""
        return self._peft is not None

    def attach(self, seed: int) -> None:
        """Put a fresh adapter on the model; its update is zero until it trains."""
        if self._peft is not None:
            raise RuntimeError("an adapter is attached already")
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            with warnings.catch_warnings():  # peft asks transformers for a name of old
                warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)
                self._peft = get_peft_model(self.model, self._peft_config())
        self.freeze()

    def _peft_config(self) -> PeftLoraConfig:
        config = PeftLoraConfig(
            r=self.settings.rank,
            lora_alpha=self.settings.alpha,  # type: ignore[arg-type]  # peft only divides it
            lora_dropout=self.settings.dropout,
            target_modules=self._modules,
            layers_to_transform=self._layers or None,
            fan_in_fan_out=any(isinstance(module, Conv1D) for module in self.model.modules()),
            task_type="CAUSAL_LM",
        )
        config._register_custom_module({PackedLinear: LoraLinear})
        return config

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """Return the attached adapter's trainable tensors by name, in fp32."""
        named = {
            name: parameter
            for name, parameter in self.model.named_parameters()
            if ".lora_A." in name or ".lora_B." in name
        }
        return dict(sorted(named.items()))

    def train(self) -> None:
        """Switch the attached adapter's dropout on, and make its tensors fp32."""
        for parameter in self.named_parameters().values():
            parameter.data = parameter.data.float()
        self._set_dropout(training=True)

    def freeze(self) -> None:
        """Make the attached adapter constant: no gradients, no dropout."""
        for parameter in self.named_parameters().values():
            parameter.requires_grad_(False)
        self._set_dropout(training=False)

    def _set_dropout(self, *, training: bool) -> None:
        for name, module in self.model.named_modules():
            if ".lora_dropout" in name:
                module.train(training)

    def merge(self) -> None:
        """Add the attached adapter's update to the backbone's weights, and take it off."""
        if self._peft is None:
            raise RuntimeError("no adapter is attached")
        self.merged.append(self._adapter_tensors())
        if not self._original:
            self._original = self._target_weights()
        self._peft.merge_and_unload()
        forget_packed(self.model)
        self._forget_peft()

    def drop(self) -> None:
        """Take the attached adapter off; the backbone is as before."""
        if self._peft is not None:
            self._peft.unload()
            self._forget_peft()

    def save_adapter(self, folder: Path) -> None:
        """Write the attached adapter as `PeftModel.from_pretrained` reads it.

        Raises:
            ConfigError: If no adapter is attached, or others were merged before it.
            CompositionalError: If the folder cannot be written.
        """
        if self._peft is None or self.merged:
            what = "adapters were merged before it" if self.merged else "none is attached"
            raise ConfigError(f"there is no adapter that stands by itself to export: {what}")
        try:
            self._peft.save_pretrained(str(folder), save_embedding_layers=False)
        except OSError as error:
            raise CompositionalError(f"cannot write {folder}: {error}") from error

    def _forget_peft(self) -> None:
        self._peft = None
        if hasattr(self.model, "peft_config"):
            del self.model.peft_config

    def _target_weights(self) -> dict[str, Tensor]:
        return {
            name.removesuffix(".base_layer.weight") + ".weight": tensor.detach().clone()
            for name, tensor in self.model.named_parameters()
            if name.endswith(".base_layer.weight")
        }

    def _adapter_tensors(self) -> dict[str, Tensor]:
        state = get_peft_model_state_dict(self._peft, save_embedding_layers=False)
        return {name: tensor.detach().clone() for name, tensor in sorted(state.items())}

    def state_dict(self) -> dict[str, Tensor]:
        """Return the matrices of all merged adapters and of the attached one."""
        state = {
            f"merged.{index}.{name}": tensor
            for index, adapter in enumerate(self.merged)
            for name, tensor in adapter.items()
        }
        if self._peft is not None:
            state |= {f"adapter.{name}": t for name, t in self._adapter_tensors().items()}
        return state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Bring the model to a saved state: original weights, merges in order, the adapter.

        Args:
            state: What `state_dict` returned; tensors of other owners are passed over.
        """
        self.drop()
        self.merged = []
        with torch.no_grad():
            for name, weight in self._original.items():
                self.model.get_parameter(name).copy_(weight)
        groups: dict[str, dict[str, Tensor]] = {}
        for key, tensor in state.items():
            head, _, name = key.partition(".")
            if head == "merged":
                index, _, name = name.partition(".")
                groups.setdefault(f"merged.{index}", {})[name] = tensor
            elif head == "adapter":
                groups.setdefault("adapter", {})[name] = tensor
        for place in range(sum(key.startswith("merged.") for key in groups)):
            self._attach_with(groups[f"merged.{place}"])
            self.merge()
        if "adapter" in groups:
            self._attach_with(groups["adapter"])

    def _attach_with(self, tensors: dict[str, Tensor]) -> None:
        self.attach(seed=0)
        for parameter in self.named_parameters().values():
            parameter.data = parameter.data.float()
        set_peft_model_state_dict(self._peft, tensors)
