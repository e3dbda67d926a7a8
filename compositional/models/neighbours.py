"""A store of hidden states and the tokens that followed them, mixed into every next-token step.

Source: Khandelwal et al. 2020 (kNN-LM, arXiv 1911.00172), equations 1 and 2.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel


class NeighbourStore:
    """Hidden states as keys, next tokens as values, by document.

    Legend: n keys, d their width, V tokens.

    Args:
        backbone: What its head reads are the queries; its logits become those of the mixture,
            after all that it does to them behind its head.
        k: Neighbours that count.
        temperature: Squared distances are divided by it, in units of d.
        share: Lambda, the share of the neighbours' distribution, 0 to below 1.
    """

    def __init__(self, backbone: PreTrainedModel, k: int, temperature: float, share: float) -> None:
        self.k = k
        self.temperature = temperature
        self.share = share
        self._backbone = backbone
        self._head = backbone.get_output_embeddings()
        self._handles: list[RemovableHandle] = []
        self.keys: dict[str, Tensor] = {}
        self.values: dict[str, Tensor] = {}
        self._all_keys = torch.empty(0)
        self._all_values = torch.empty(0, dtype=torch.long)
        self._queries = torch.empty(0)

    def put(self, name: str, keys: Tensor, values: Tensor) -> None:
        """Add a document.

        Args:
            name: The document.
            keys: The hidden state before each token, [n, d]; kept in fp16.
            values: The tokens, [n].
        """
        self.keys[name], self.values[name] = keys.half(), values
        self._renew()

    def remove(self, name: str) -> None:
        """Take a document out."""
        del self.keys[name], self.values[name]
        self._renew()

    def settings(self) -> dict[str, Any]:
        """Return what answers depend on beside the tensors; the order of documents breaks ties."""
        return {
            "k": self.k,
            "temperature": self.temperature,
            "share": self.share,
            "documents": list(self.keys),
        }

    def state_dict(self) -> dict[str, Tensor]:
        """Return all keys and values, by document and in order."""
        keys = {f"keys.{name}": tensor for name, tensor in self.keys.items()}
        return keys | {f"values.{name}": tensor for name, tensor in self.values.items()}

    def load_state_dict(self, state: dict[str, Tensor], names: list[str]) -> None:
        """Restore what `state_dict` returned.

        Args:
            state: The tensors.
            names: The documents, in their order.
        """
        device = self._head.weight.device  # where those of the next document will be
        self.keys = {name: state[f"keys.{name}"].to(device) for name in names}
        self.values = {name: state[f"values.{name}"].to(device) for name in names}
        self._renew()

    def _renew(self) -> None:
        """Join all documents; an empty store takes no part in what the model computes."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        if not self.keys:
            return
        self._all_keys = torch.cat(list(self.keys.values())).float()
        self._all_values = torch.cat(list(self.values.values()))
        self._handles = [
            self._head.register_forward_pre_hook(self._note),
            self._backbone.register_forward_hook(self._mix),
        ]

    @torch.no_grad()
    def distribution(self, queries: Tensor, num_tokens: int) -> Tensor:
        """Return p(token), proportional to the sum of exp(-distance) over its nearest keys.

        Args:
            queries: Hidden states, [m, d].
            num_tokens: V.

        Returns:
            Probabilities, [m, V].
        """
        rows = queries.float()
        distances = torch.cdist(rows, self._all_keys).square() / rows.shape[-1]
        nearest = distances.topk(min(self.k, len(self._all_keys)), largest=False)
        weights = (-nearest.values / self.temperature).softmax(dim=-1)
        spread = torch.zeros(len(rows), num_tokens, device=rows.device)
        return spread.scatter_add_(1, self._all_values[nearest.indices], weights)

    def mixed(self, queries: Tensor, logits: Tensor) -> Tensor:
        """Return log((1 - lambda) p_LM + lambda p_kNN), [..., V].

        Args:
            queries: Hidden states, [..., d].
            logits: Of p_LM behind them, [..., V].
        """
        near = self.distribution(queries.reshape(-1, queries.shape[-1]), logits.shape[-1])
        own = logits.float().log_softmax(dim=-1)
        mixed = torch.logaddexp(
            own + torch.log1p(own.new_tensor(-self.share)),
            near.view(logits.shape).log() + own.new_tensor(self.share).log(),
        )
        return mixed.to(logits.dtype)

    def _note(self, _head: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Keep what the head reads in the pass under way."""
        self._queries = inputs[0]

    def _mix(self, _backbone: torch.nn.Module, _inputs: tuple[Any, ...], output: Any) -> None:
        """Put the mixture in the place of the logits."""
        output.logits = self.mixed(self._queries, output.logits)
        self._queries = torch.empty(0)
