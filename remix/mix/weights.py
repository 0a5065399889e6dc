"""Tables of weights, from a schedule's mixes and for batches among the sources of a mix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from remix.errors import MixError
from remix.mix.sources import weight_table


def weights_of(mixes: Iterable[Any], values: Sequence[Any] | None = None) -> tuple[list[Any], Tensor]:
    """Returns the values of these mixes, and the weight of each value in each mix: float64 [mixes, values].

    A mix is a sequence of (value, weight), or an object with such pairs in `.items`. The values are the distinct ones
    in a fixed order, so that sums do not depend on which frames are mixed together, or `values` if given. Raises
    MixError for a value that is not in `values`.

    >>> weights_of([[("a", 1.0)], [("b", 0.75), ("a", 0.25)]])[1].tolist()
    [[1.0, 0.0], [0.25, 0.75]]
    """
    rows = [list(getattr(mix, "items", mix)) for mix in mixes]
    known = sorted({value for row in rows for value, _ in row}, key=repr) if values is None else list(values)
    column = {value: at for at, value in enumerate(known)}
    table = torch.zeros(len(rows), len(known), dtype=torch.float64)
    for at, row in enumerate(rows):
        for value, weight in row:
            if value not in column:
                raise MixError(f"mixes[{at}]: {value!r} is not among the {len(known)} value(s); give it there too.")
            table[at, column[value]] = weight
    return known, table


def batch_weights(counts: Sequence[int], weights: Tensor | Sequence[Sequence[float]]) -> Tensor:
    """Returns the weights [F, items] of all items of S sources, from `weights` [F or 1, S] of the sources.

    `counts` is the number of items of each source. A source with one item is used for every frame; a source with F
    items provides one for each frame. A single row of weights applies to every frame. Raises MixError if counts and
    rows do not match.

    >>> batch_weights([1, 2], [[0.25, 0.75]])
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
