"""What the machine can do at best: the roofline that work is held against."""

import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from compositional.environment import describe_environment
from compositional.models.packed_linear import pack_linear_layers

PRODUCT_SIZE = 3072
MATRIX_BYTES = 2**29


def product_rate(device: torch.device, dtype: torch.dtype, repeats: int = 5) -> float:
    """Return the floating-point operations a second of one large matrix product, the median.

    On a CPU the faster of PyTorch's plain product and oneDNN's with a packed matrix.
    """
    n = PRODUCT_SIZE * (4 if device.type == "cuda" else 1)
    rows = torch.randn(n, n, device=device, dtype=dtype)
    plain = nn.Linear(n, n, bias=False, device=device, dtype=dtype).requires_grad_(False)
    layers = nn.Sequential(plain)
    if device.type == "cpu":
        pack_linear_layers(layers)
    ways = [partial(layer, rows) for layer in (plain, *layers)]
    seconds = [_median_seconds(way, device, repeats) for way in ways]
    return 2 * n**3 / min(seconds)


def read_rate(device: torch.device, dtype: torch.dtype, repeats: int = 5) -> float:
    """Return the bytes a second at which a large matrix is read by a product with a vector."""
    width = 4096
    rows = MATRIX_BYTES // (width * torch.finfo(dtype).bits // 8)
    matrix = torch.randn(rows, width, device=device, dtype=dtype)
    vector = torch.randn(width, device=device, dtype=dtype)
    return MATRIX_BYTES / _median_seconds(lambda: matrix @ vector, device, repeats)


def synchronise(device: torch.device) -> None:
    """Wait until a GPU has done what it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _median_seconds(action: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Return the median time of an action after a warm-up."""
    times = []
    for _ in range(repeats + 1):
        synchronise(device)
        started = time.perf_counter()
        action()
        synchronise(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def describe(device: torch.device) -> str:
    """Return machine, versions and date in one line."""
    facts = describe_environment(device)
    packages = ", ".join(f"{name} {facts['packages'][name]}" for name in ("torch", "transformers"))
    commit = str(facts["git"]["commit"] or "no commit")[:10]
    if facts["git"]["clean"] is False:
        commit += " with changes"
    return (
        f"{facts['processor']}, {facts['threads']} threads, device {facts['device']}; "
        f"Python {facts['python']}, {packages}; commit {commit}; {facts['started']}"
    )
