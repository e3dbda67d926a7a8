"""Perplexity on plain texts that no round teaches: what learning costs a model in general."""

import json
from importlib.resources import files

import torch
from torch.nn import functional

from compositional.models.language_model import LanguageModel
from compositional.probes import HELD_OUT
from compositional.training.batching import TokenSequence
from compositional.training.targets import target_logits

TEXTS_A_BATCH = 4


def held_out_texts() -> list[str]:
    """Return the texts that ship with the project."""
    resource = files("compositional.documents").joinpath("held_out_texts.json")
    texts: list[str] = json.loads(resource.read_text(encoding="utf-8"))
    return texts


class HeldOutProbe:
    """The mean loss a token on each text, in nats; its exponential is the perplexity.

    Args:
        model: Whose tokenizer reads the texts.
    """

    name = HELD_OUT
    has_first_row = True

    def __init__(self, model: LanguageModel) -> None:
        ids = [model.chat.text_ids(text) for text in held_out_texts()]
        self._sequences = [TokenSequence(tuple(text[:1]), tuple(text[1:])) for text in ids]

    @torch.no_grad()
    def measure(self, model: LanguageModel) -> list[float]:
        """Return the mean loss a token of each text, in nats."""
        losses: list[float] = []
        for start in range(0, len(self._sequences), TEXTS_A_BATCH):
            batch = self._sequences[start : start + TEXTS_A_BATCH]
            logits, targets = target_logits(model, batch)
            each = functional.cross_entropy(logits.float(), targets, reduction="none")
            losses += [float(part.mean()) for part in each.split([len(s.target) for s in batch])]
        return losses
