"""A frozen backbone with its tokenizer, its chat template and what a method attached to it."""

import hashlib
from typing import cast

import torch
from torch import Tensor, nn
from transformers import DynamicCache, GenerationConfig
from transformers.cache_utils import DynamicLayer

from compositional.errors import ConfigError, ModelError
from compositional.files import canonical_json
from compositional.models.adapters import LoraSettings, LoraStack
from compositional.models.attachments import Attachment
from compositional.models.chat import ChatTemplate
from compositional.models.finished_logits import finished_logits, finishes_logits
from compositional.models.loading import LoadedModel
from compositional.models.memory_rows import MemoryRows, attach_rows
from compositional.models.packing_probe import packs_sequences
from compositional.states import add_tensor

UNLIMITED = 1 << 30


class LanguageModel:
    """What methods train on, generate with and are fingerprinted by.

    Args:
        loaded: The backbone and its tokenizer, all weights frozen.
        system_message: The system message of every prompt; empty by default.
        max_length: Longest sequence in tokens; None for the model's window.
        answer_tokens: Length that every answer may have, for `check_fits`.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        system_message: str = "",
        max_length: int | None = None,
        answer_tokens: int = 0,
    ) -> None:
        self.answer_tokens = answer_tokens
        self.backbone = loaded.model
        self.tokenizer = loaded.tokenizer
        self.chat = ChatTemplate(loaded.tokenizer, system_message)
        self.name = loaded.name
        self.sha256 = loaded.sha256
        self.window_tokens = min(loaded.window_tokens or UNLIMITED, max_length or UNLIMITED)
        self.device = loaded.device
        self.is_sharded = loaded.is_sharded
        self.stop_ids = self._find_stop_ids()
        # A model's own settings, such as a repetition penalty, would bend greedy decoding.
        self.backbone.generation_config = GenerationConfig(eos_token_id=self.stop_ids)
        self.num_text_ids = int(self.embedding.shape[0])
        # The first pass: buffers of shards that inference mode made could never be trained through.
        self.packs_sequences = packs_sequences(self.backbone, self.device)
        self.decodes_in_slots: bool | None = None  # not tried yet
        self.freezes_prompts: bool | None = None
        self.finishes_logits: bool | None = None
        self.rows: MemoryRows | None = None
        self.lora: LoraStack | None = None
        self.attachments: dict[str, Attachment] = {}

    def _find_stop_ids(self) -> list[int]:
        """Return the ids that end an answer, the chat template's own first."""
        settings = self.backbone.generation_config
        eos = None if settings is None else settings.eos_token_id
        others = eos if isinstance(eos, list) else [] if eos is None else [eos]
        return list(dict.fromkeys([self.chat.end_id, *others]))

    @property
    def embedding(self) -> Tensor:
        """The backbone's own input embedding, [V, d]."""
        return cast(Tensor, self.backbone.get_input_embeddings().weight)

    @property
    def attends_to_all(self) -> bool:
        """Whether every layer attends to all tokens before.

        A sliding window would count padding, or other sequences, that stand between as tokens.
        """
        layers = DynamicCache(config=self.backbone.config).layers
        return all(type(layer) is DynamicLayer for layer in layers)

    def head(self, hidden: Tensor) -> Tensor:
        """Return the logits of hidden states [..., d] over vocabulary and rows, [..., V + m].

        They are those of the model's own forward pass, whatever it does to them behind its head.
        """
        if self.finishes_logits is None:
            self.finishes_logits = finishes_logits(self.backbone, self.device)
        if self.finishes_logits:
            return finished_logits(self.backbone, hidden)
        logits: Tensor = cast(nn.Module, self.backbone.get_output_embeddings())(hidden)
        return logits

    def add_rows(self, *, decoupled: bool) -> MemoryRows:
        """Extend the vocabulary by memory rows, none of them yet."""
        self.rows = MemoryRows(int(self.embedding.shape[1]), decoupled, self.device)
        attach_rows(self.backbone, self.rows)
        return self.rows

    def check_can_merge(self) -> None:
        """Refuse to add an adapter into weights of which this process holds a part only.

        Raises:
            ConfigError: If the backbone is sharded.
        """
        if self.is_sharded:
            raise ConfigError(
                "a LoRA adapter cannot be merged into a backbone in shards: set model.shards 1, or "
                "let the adapter be frozen or dropped"
            )

    def check_whole(self, what: str) -> None:
        """Refuse what needs all of the backbone's weights in this process.

        Raises:
            ConfigError: If the backbone is sharded.
        """
        if self.is_sharded:
            raise ConfigError(f"{what} needs the backbone whole: set model.shards 1")

    def add_lora(self, settings: LoraSettings) -> LoraStack:
        """Prepare the backbone for LoRA adapters; none is attached yet."""
        self.lora = LoraStack(self.backbone, settings)
        return self.lora

    def attached_state(self) -> dict[str, Tensor]:
        """Return every tensor by which this model differs from its backbone."""
        state: dict[str, Tensor] = {}
        if self.rows is not None:
            state["rows.input"] = self.rows.matrix("input").detach()
            if self.rows.decoupled:
                state["rows.head"] = self.rows.matrix("head").detach()
        if self.lora is not None:
            state |= self.lora.state_dict()
        for owner, attachment in self.attachments.items():
            state |= {f"{owner}.{name}": t for name, t in attachment.state_dict().items()}
        return state

    def fingerprint(self) -> str:
        """Return a SHA-256 over the backbone and all that is attached, settings included.

        Two models with one fingerprint give the same answers to the same prompts.
        An adapter whose update is exactly zero counts as none.
        """
        digest = hashlib.sha256(self.sha256.encode())
        state = self.attached_state()
        updates = {
            _adapter_of(name)
            for name, tensor in state.items()
            if name.endswith("lora_B.weight") and tensor.any()
        }
        if updates and self.lora is not None:
            digest.update(f"scale {self.lora.settings.scale}".encode())
        for name, tensor in sorted(state.items()):
            if "lora_" in name and _adapter_of(name) not in updates:
                continue
            if tensor.numel():
                add_tensor(digest, name, tensor)
        for owner, attachment in sorted(self.attachments.items()):
            settings = attachment.settings()
            if settings and any(name.startswith(f"{owner}.") for name in state):
                digest.update(canonical_json([owner, settings]).encode())
        return digest.hexdigest()

    def check_fits(self, num_prompt: int, num_target: int, what: str) -> None:
        """Refuse a sequence that is longer than the window; nothing is ever cut.

        Args:
            num_prompt: Tokens of the prompt.
            num_target: Tokens of what should follow it; at least the longest answer is reserved.
            what: What the sequence is.

        Raises:
            ModelError: If prompt and answer together are over the window.
        """
        num_tokens = num_prompt + max(num_target, self.answer_tokens)
        if num_tokens > self.window_tokens:
            reserved = f" with {self.answer_tokens} for its answer" if self.answer_tokens else ""
            raise ModelError(
                f"{what}{reserved} takes {num_tokens} tokens, over the window of "
                f"{self.window_tokens}: use shorter rows, fewer tools in a prompt, a lower "
                "max_new_tokens, or a model with a longer window"
            )

    def text(self, ids: list[int]) -> str:
        """Decode ids with special tokens kept; a memory row shows as `<|name|>`."""
        parts: list[str] = []
        run: list[int] = []
        for token in [*ids, None]:
            if token is not None and token < self.num_text_ids:
                run.append(token)
                continue
            if run:
                parts.append(str(self.tokenizer.decode(run, skip_special_tokens=False)))
                run = []
            if token is not None and self.rows is not None:
                parts.append(f"<|{self.rows.names[token - self.num_text_ids]}|>")
        return "".join(parts)

    @torch.no_grad()
    def mean_embedding(self, text: str) -> Tensor:
        """Return the mean of the input embeddings of a text's tokens, [d], in fp32."""
        ids = self.chat.target_ids(text)
        return self.embedding[torch.tensor(ids, device=self.device)].float().mean(dim=0)


def _adapter_of(name: str) -> str:
    """Return what stands before a tensor's own name: `adapter`, `merged.0`, and so on."""
    return name.partition(".base_model.")[0]
