"""Whether a model keeps sequences apart that stand end to end in one row.

transformers reads positions that begin anew, without an attention mask, as separate sequences.
Models that track positions in another way (a recurrent state, ALiBi) would mix them, so it is
tried once on the model itself.
"""

import torch
from torch import Tensor
from transformers import PreTrainedModel

LENGTH = 6
TOLERANCE = 0.05


@torch.no_grad()
def packs_sequences(model: PreTrainedModel, device: torch.device | str = "cpu") -> bool:
    """Tell whether a model keeps packed sequences apart.

    The logits of a sequence must not change by a bit where only the one before it changes, and
    must be those of the sequence alone but for rounding (`TOLERANCE` of their deviation).

    Args:
        model: The backbone, in evaluation mode, nothing attached.
        device: Where it stands.
    """
    ids = torch.arange(3, 3 + 3 * LENGTH, device=device) % int(model.config.vocab_size)
    one, two, last = ids.split(LENGTH)

    def last_logits(*sequences: Tensor) -> Tensor:
        packed = torch.cat(sequences).unsqueeze(0)
        positions = torch.arange(LENGTH, device=device).repeat(len(sequences)).unsqueeze(0)
        kept = torch.arange(packed.shape[1] - LENGTH, packed.shape[1], device=device)
        logits: Tensor = model(
            input_ids=packed, position_ids=positions, use_cache=False, logits_to_keep=kept
        ).logits
        return logits[0].float()

    try:
        after_one, after_two, alone = (
            last_logits(one, last),
            last_logits(two, last),
            last_logits(last),
        )
    except TypeError:  # a forward without position_ids or logits_to_keep
        return False
    is_close = (after_one - alone).abs().max() <= TOLERANCE * alone.std()
    return bool(is_close) and torch.equal(after_one, after_two)
