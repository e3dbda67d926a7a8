"""Whether a model decodes in slots as it does without: tried once on the model itself."""

import torch

from compositional.generation.slot_cache import SlotCache
from compositional.generation.slots import next_logits
from compositional.models.language_model import LanguageModel
from compositional.models.parts import run_parts

TOLERANCE = 0.05


@torch.inference_mode()
def can_decode_in_slots(model: LanguageModel) -> bool:
    """Tell whether a model's logits in slots are those of whole sequences, but for rounding.

    Two sequences of different lengths go on behind a shared prefix, as `SlotDecoder` does it.
    """
    if not (model.packs_sequences and model.attends_to_all):
        return False
    ids = [token % model.num_text_ids for token in range(3, 17)]
    shared, own, last = ids[:4], [ids[4:6], ids[6:11]], ids[11:13]
    try:
        prefix = run_parts(model, [shared], logits_to_keep=1)[1][0]
        _, states = run_parts(model, own, prefix=prefix, logits_to_keep=1)
        cache = SlotCache(states[0], len(own), capacity=6)
        for slot, computed in enumerate(states):
            cache.fill(slot, computed)
        found = next_logits(model, last, cache, prefix)
    except (AttributeError, TypeError, ValueError, IndexError):
        return False  # an attention or a cache of its own
    for logits, part, token in zip(found, own, last, strict=True):
        whole = torch.tensor([[*shared, *part, token]], device=model.device)
        plain = model.backbone(input_ids=whole, use_cache=False).logits[0, -1]
        if (logits - plain).abs().max() > TOLERANCE * plain.float().std():
            return False
    return True
