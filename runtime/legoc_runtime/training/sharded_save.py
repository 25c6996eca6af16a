"""The part of a checkpoint that every process writes: its own rows of the optimizer's moments."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from legoc_runtime.checkpoint.layout import directory, shard_name
from legoc_runtime.checkpoint.write import Header, draft_of, not_written
from legoc_runtime.training.holding import Whole, key_of
from legoc_runtime.training.ranks import Ranks
from legoc_runtime.training.state import TrainState


def write_shards(run: Path, header: Header, state: TrainState, ranks: Ranks) -> dict[str, str]:
    """Write every process's rows into the draft of a checkpoint; called by all of them.

    The draft becomes the checkpoint when the first process has written the rest (`checkpoint.write_checkpoint`).

    Returns:
        file -> SHA-256; empty where every process holds the moments whole.

    Raises:
        RunError: the disk of one of them is full; earlier checkpoints are as they were.
    """
    held = state.held
    if isinstance(held, Whole):
        return {}
    from legoc_runtime.checkpoint.shards import write_shard

    final = directory(run, header.images)
    draft, refused = draft_of(final), ""
    if ranks.first:
        try:
            draft.mkdir(parents=True)
        except OSError as error:
            refused = str(error.strerror or error)
    if refused := ranks.text(refused):  # the others wait here until the folder is there
        raise not_written(run, final, refused)
    rows = {name: held.spread(key_of(name), tensor) for name, tensor in state.shards().items()}
    try:
        digest = ranks.together(lambda: write_shard(draft, ranks.rank, ranks.size, header, rows))
    except OSError as error:
        if ranks.first:
            shutil.rmtree(draft, ignore_errors=True)
        raise not_written(run, final, str(error)) from error
    digests = ranks.gather(torch.frombuffer(bytearray.fromhex(digest), dtype=torch.uint8))
    return {shard_name(rank, ranks.size): each.numpy().tobytes().hex() for rank, each in enumerate(digests)}
