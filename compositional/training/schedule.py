"""Which rows each optimiser step sees, and the learning rate of each step."""

from collections.abc import Sequence

from compositional.settings import TrainingConfig
from compositional.streams import Streams


def plan_steps(
    num_rows: int,
    epochs: int,
    batch_size: int,
    streams: Streams,
    key: str,
    ranks: Sequence[int] | None = None,
) -> list[list[int]]:
    """Return the row indices of every step of a training.

    Args:
        num_rows: Rows; each stands once in every epoch.
        epochs: Passes over the rows.
        batch_size: Rows a step; the last step of an epoch may have fewer.
        streams: The run's streams; each epoch has a shuffle of its own.
        key: What sets this training apart from others of the run.
        ranks: For a curriculum, a number for each row: lesser ones come first in every epoch, and
            rows of one number in their own order. None for a shuffle each epoch.
    """
    steps: list[list[int]] = []
    for epoch in range(epochs):
        rng = streams.generator("order", key, epoch)
        if ranks is None:
            rows = [int(index) for index in rng.permutation(num_rows)]
        else:
            rows = sorted(range(num_rows), key=ranks.__getitem__)
        steps += [rows[start : start + batch_size] for start in range(0, num_rows, batch_size)]
    return steps


def rate_factor(step: int, num_steps: int, config: TrainingConfig) -> float:
    """Return the factor on the learning rate at a step (from 0): linear warm-up, then decay."""
    warmup = int(num_steps * config.warmup_ratio)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if config.scheduler == "constant":
        return 1.0
    return (num_steps - step) / max(1, num_steps - warmup)
