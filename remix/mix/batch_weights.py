"""Batches among the sources of a mix: which of their items each frame takes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from remix.errors import MixError
from remix.mix.sources import weight_table


def spread(counts: Sequence[int], weights: Tensor | Sequence[Sequence[float]]) -> Tensor:
    """The weights [F, items] of all items of S sources, from `weights` [F or 1, S] of the sources.

    `counts` is how many items each source has. A source of one serves every frame; one of F serves each frame
    with its own item. One row of weights serves every frame. MixError where counts and rows disagree.

    >>> spread([1, 2], [[0.25, 0.75]])
    tensor([[0.2500, 0.7500, 0.0000],
            [0.2500, 0.0000, 0.7500]], dtype=torch.float64)
    """
    table = weight_table(weights, len(counts))
    frames = _frames(counts, len(table))
    table = table.expand(frames, -1)
    found = torch.zeros(frames, sum(counts), dtype=table.dtype)
    first = 0
    for source, count in enumerate(counts):
        items = torch.arange(frames) if count > 1 else torch.zeros(frames, dtype=torch.long)
        found[torch.arange(frames), first + items] = table[:, source]
        first += count
    return found


def _frames(counts: Sequence[int], rows: int) -> int:
    frames, named = (rows, "the weights are for") if rows > 1 else (1, "")
    for index, count in enumerate(counts):
        if count < 1:
            raise MixError(f"sources[{index}]: an empty batch; give at least one item.")
        if count > 1 and frames > 1 and count != frames:
            raise MixError(
                f"sources[{index}]: a batch of {count}, and {named} {frames} frames; give a batch of {frames}, or of 1."
            )
        if count > 1 and frames == 1:
            frames, named = count, f"sources[{index}] has"
    return frames
