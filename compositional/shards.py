"""A frozen backbone in shards: each of some processes holds a part of every block (FSDP).

For a backbone that does not fit into one device. `model.shards` neighbouring processes are a group:
a block is gathered in all of them when it runs, and let go again (torch's `fully_shard`). Packs and
slots are of no fixed number, so the processes of a group compute the same share of the work, in
step; several groups divide the work as single processes do. What trains lies outside the shards,
whole in every process, and so do the embeddings. Values are gathered as they are: a group computes,
bit for bit, what one process computes.
"""

from functools import cache

import torch
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard, share_comm_ctx
from transformers import PreTrainedModel

from compositional.errors import ConfigError, ModelError
from compositional.launched import PATIENCE


def check_shards(shards: int, count: int | None = None) -> None:
    """Refuse shards that some processes cannot hold.

    Args:
        shards: Parts of the backbone.
        count: Processes in all; None for those that have joined.

    Raises:
        ConfigError: If the processes are not a multiple of the shards.
    """
    if count is None:
        joined = torch.distributed.is_initialized()
        count = torch.distributed.get_world_size() if joined else 1
    if count % shards:
        raise ConfigError(
            f"model.shards is {shards}, but processes are {count}: start a multiple of {shards} by "
            f"accelerate launch --multi_gpu --num_processes {shards}, or set model.shards 1"
        )


def check_whole(shards: int, what: str) -> None:
    """Refuse shards for what one process does alone.

    Args:
        shards: Parts of the backbone.
        what: What needs it whole.

    Raises:
        ConfigError: If there is more than one part.
    """
    if shards > 1:
        raise ConfigError(
            f"model.shards is {shards}, but {what} takes one process: set model.shards 1"
        )


@cache
def group_mesh(shards: int, device_type: str) -> DeviceMesh:
    """Return the group of processes that hold one backbone together, of which this is one.

    All processes must ask for it, in the same order of groups.
    """
    count, own = torch.distributed.get_world_size(), torch.distributed.get_rank() // shards
    groups = [
        torch.distributed.new_group(list(range(first, first + shards)), timeout=PATIENCE)
        for first in range(0, count, shards)
    ]
    # peft takes the whole size of a weight in shards where their dimension has this name.
    return DeviceMesh.from_group(groups[own], device_type, mesh_dim_names=("fsdp",))


def shard_blocks(model: PreTrainedModel, shards: int, device: torch.device) -> None:
    """Leave a part of each block of a frozen model in this process, on the device.

    Args:
        model: On the CPU; its embeddings and head stay whole.
        shards: Parts, more than one.
        device: Where the blocks are to run.

    Raises:
        ModelError: If the model does not say what its blocks are.
    """
    names = set(model._no_split_modules or ())
    blocks = [module for module in model.modules() if type(module).__name__ in names]
    if not blocks:
        raise ModelError(
            f"{type(model).__name__} does not say what its blocks are: set model.shards 1"
        )
    mesh = group_mesh(shards, device.type)
    sharded = [
        fully_shard(block, mesh=mesh, reshard_after_forward=True)
        for block in reversed(blocks)  # where blocks are nested, the inner ones first
    ]
    share_comm_ctx(sharded)  # one stream, so that one block's memory serves the next


def largest_in_group(number: int | None, shards: int, device_type: str) -> int | None:
    """Return the largest number that a process of this group has; None where none has one.

    Args:
        number: This process's own, above 0; None for none.
        shards: Processes of a group; they all must ask at the same point.
        device_type: Where they compute.
    """
    mesh = group_mesh(shards, device_type)
    value = torch.tensor(number or 0, device=device_type)
    torch.distributed.all_reduce(value, torch.distributed.ReduceOp.MAX, group=mesh.get_group())
    return int(value) or None
