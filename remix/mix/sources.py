"""The checked inputs of a mix: the sources as rows of equal width, the weights as one table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from remix.errors import MixError
from remix.mix.checks import floating, numbers, sequence, size

# The tolerance within which weights that were once float32 sum to 1.
TOLERANCE = 1e-6

# The number of leading elements that are compared before two rows are compared completely.
SAMPLES = 64

BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True)
class Sources:
    """S sources of one shape as rows [D]. They are not copied; functions read them strip by strip.

    `whole` holds the same rows as one tensor [S, D], if it already exists.
    """

    shape: torch.Size
    rows: tuple[Tensor, ...]
    whole: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def width(self) -> int:
        return self.shape.numel()

    @property
    def dtype(self) -> torch.dtype:
        return self.rows[0].dtype

    @property
    def device(self) -> torch.device:
        return self.rows[0].device

    @property
    def wide(self) -> torch.dtype:
        """Returns the dtype to compute in."""
        return torch.float64 if self.dtype == torch.float64 else torch.float32

    def strip(self, start: int, stop: int) -> Tensor:
        """Returns the columns from `start` to `stop` of all rows, [S, stop - start], in the dtype to compute in."""
        if self.whole is not None:
            return self.whole[:, start:stop].to(self.wide)
        return torch.stack([row[start:stop].to(self.wide) for row in self.rows])

    def only(self, indices: Sequence[int]) -> Sources:
        """Returns the sources of these indices, or `self` if these are all."""
        if list(indices) == list(range(len(self))):
            return self
        return Sources(self.shape, tuple(self.rows[index] for index in indices))

    def also(self, row: Tensor) -> Sources:
        """Returns these sources and one more row [D]."""
        return Sources(self.shape, (*self.rows, row))


def sources_of(sources: Any) -> Sources:
    """Returns all `sources` as rows.

    A tensor is [S, ...]. In a sequence each source is [1, ...] (a batch of one) or [...]. Raises MixError for sources
    that differ in shape, dtype or device.
    """
    if isinstance(sources, Tensor):
        floating("sources", sources)
        if not sources.ndim or not len(sources):
            raise MixError(f"sources: a tensor of {size(sources.shape)}; give [sources, ...], at least one.")
        return sources_of_rows(sources.detach().reshape(len(sources), sources.shape[1:].numel()), sources.shape[1:])
    parts = _fitting(sequence("sources", sources, "a tensor [sources, ...] or a sequence of tensors"))
    first = parts[0]
    shape = first.shape[1:] if first.ndim and first.shape[0] == 1 else first.shape
    return Sources(shape, tuple(part.detach().reshape(-1) for part in parts))


def sources_of_rows(rows: Tensor, shape: torch.Size | None = None) -> Sources:
    """Returns the rows of one tensor [S, D] as sources."""
    return Sources(rows.shape[1:] if shape is None else shape, tuple(rows.unbind()), rows)


def _fitting(parts: list[Any]) -> list[Tensor]:
    first = floating("sources[0]", parts[0])
    for index, part in enumerate(parts):
        floating(f"sources[{index}]", part)
        if part.shape != first.shape:
            raise MixError(
                f"sources[{index}]: {size(part.shape)} does not match sources[0], {size(first.shape)};"
                " resize one of them first."
            )
        if (part.dtype, part.device) != (first.dtype, first.device):
            raise MixError(
                f"sources[{index}]: {part.dtype} on {part.device} does not match sources[0], {first.dtype} on"
                f" {first.device}; convert one of them with .to()."
            )
    return parts


def weight_table(weights: Any, sources: int) -> Tensor:
    """Returns `weights` [F, S] as float64 on the CPU. Every row must be 0 or more and sum to 1."""
    table = numbers("weights", weights, "a table of numbers, [frames, sources]")
    if table.ndim != 2 or table.shape[1] != sources:
        raise MixError(f"weights: {size(table.shape)}; give [frames, sources] with {sources} weight(s) for each frame.")
    if not len(table):
        return table
    sums = table.sum(dim=1)
    off = max(abs(float(end) - 1) for end in torch.aminmax(sums))
    if off <= TOLERANCE and float(table.min()) >= 0:
        return table
    wrong = (~torch.isfinite(table) | (table < 0)).nonzero()
    if len(wrong):
        frame, source = wrong[0].tolist()
        raise MixError(f"weights[{frame}][{source}]: {table[frame, source].item()}; a weight is a number of 0 or more.")
    frame = int(((sums - 1).abs() > TOLERANCE).nonzero()[0])
    raise MixError(
        f"weights[{frame}]: they sum to {sums[frame].item():.9g}; divide them by that, so that they sum to 1."
    )


def largest_magnitude(sources: Sources, names: Sequence[int]) -> float:
    """Returns the largest magnitude in `sources`, numbered by `names`. Raises MixError for inf and NaN."""
    # One pass, widened row by row, since torch 2.1 has no aminmax of float16 on the CPU. Only the error needs the slow
    # search for the source.
    parts = (sources.whole,) if sources.whole is not None and sources.dtype == sources.wide else sources.rows
    ends = torch.stack([end for part in parts for end in torch.aminmax(part.to(sources.wide))]).tolist()
    if not all(map(math.isfinite, ends)):
        odd = next(name for name, row in zip(names, sources.rows, strict=True) if not torch.isfinite(row).all())
        raise MixError(
            f"sources[{odd}]: it holds inf or NaN, which would spread into every frame of the mix;"
            " make this source again, in float32 if it overflowed."
        )
    largest: float = max(map(abs, ends))
    return largest


def merged(sources: Sources, table: Tensor) -> tuple[Sources, Tensor]:
    """Returns `sources` without bitwise duplicates, whose weights [F, S] are added to those of the first."""
    # Rows that agree in these elements almost always agree in all, so long comparisons are rarely wasted.
    heads = [row[:: max(sources.width // SAMPLES, 1)].tolist() for row in sources.rows]
    keep: list[int] = []
    place: list[int] = []
    for index, row in enumerate(sources.rows):
        equal = (at for at, k in enumerate(keep) if heads[k] == heads[index] and _same_bits(sources.rows[k], row))
        at = next(equal, len(keep))
        place.append(at)
        if at == len(keep):
            keep.append(index)
    if len(keep) == len(sources):
        return sources, table
    columns = torch.zeros(len(table), len(keep), dtype=table.dtype)
    return sources.only(keep), columns.index_add_(1, torch.tensor(place), table)


def _same_bits(a: Tensor, b: Tensor) -> bool:
    """Returns whether two rows are equal as integers, since 0.0 == -0.0."""
    return torch.equal(*(row.view(BITS[row.itemsize]) for row in (a, b)))
