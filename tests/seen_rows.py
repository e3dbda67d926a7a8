"""What a backbone is given in training, read from its own inputs."""

from itertools import pairwise

from torch import Tensor

from compositional.models.language_model import LanguageModel


def seen_sequences(model: LanguageModel) -> list[list[tuple[int, ...]]]:
    """A list that fills with the sequences of each pack: one begins where positions begin anew."""
    batches: list[list[tuple[int, ...]]] = []

    def record(_module, _args, kwargs: dict[str, Tensor]) -> None:
        (ids,), (positions,) = kwargs["input_ids"], kwargs["position_ids"]
        starts = [*(positions == 0).nonzero().flatten().tolist(), len(ids)]
        batches.append([tuple(ids[start:end].tolist()) for start, end in pairwise(starts)])

    model.backbone.register_forward_pre_hook(record, with_kwargs=True)
    return batches
