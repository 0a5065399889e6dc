"""What goes into a mix, checked: the sources as one tensor, the weights as one table."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from remix.errors import MixError
from remix.mix.names import size

# Weights that were once float32 sum to 1 within this.
TOLERANCE = 1e-6


def stacked_sources(sources: Tensor | Sequence[Tensor]) -> Tensor:
    """All `sources` as one tensor [S, ...].

    A tensor is taken as it is. In a sequence each source is [1, ...] (a batch of one, joined along
    it) or [...] (stacked). Sources of unlike shape, dtype or device are a MixError.
    """
    if isinstance(sources, Tensor):
        stacked = sources
        if not stacked.ndim or not len(stacked):
            raise MixError(f"sources: a tensor of {size(stacked.shape)}; give [sources, ...], at least one.")
    else:
        stacked = _joined(list(sources))
    if not stacked.is_floating_point():
        raise MixError(f"sources: {stacked.dtype} cannot hold a mix; convert with .float().")
    return stacked.detach()


def _joined(parts: list[Tensor]) -> Tensor:
    if not parts:
        raise MixError("sources: there are none; give at least one.")
    first = parts[0]
    for index, part in enumerate(parts):
        if not isinstance(part, Tensor):
            raise MixError(f"sources[{index}]: {type(part).__name__} is not a tensor.")
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
    batched = first.ndim > 0 and first.shape[0] == 1
    return torch.cat(parts) if batched else torch.stack(parts)


def weight_table(weights: Tensor | Sequence[Sequence[float]], sources: int) -> Tensor:
    """`weights` [F, S] as float64 on the CPU; every row is 0 or more and sums to 1."""
    try:
        table = torch.as_tensor(weights, dtype=torch.float64, device="cpu").detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise MixError(f"weights: not a table of numbers ({error}); give [frames, sources].") from error
    if table.ndim != 2 or table.shape[1] != sources:
        raise MixError(f"weights: {size(table.shape)}; give [frames, sources] with {sources} weight(s) for each frame.")
    wrong = (~torch.isfinite(table) | (table < 0)).nonzero()
    if len(wrong):
        frame, source = wrong[0].tolist()
        raise MixError(f"weights[{frame}][{source}]: {table[frame, source].item()}; a weight is a number of 0 or more.")
    off = ((table.sum(dim=1) - 1).abs() > TOLERANCE).nonzero()
    if len(off):
        frame = int(off[0])
        raise MixError(
            f"weights[{frame}]: they sum to {table[frame].sum().item():.9g}; divide them by that, so that"
            " they sum to 1."
        )
    return table


def largest_magnitude(rows: Tensor, used: Tensor) -> float:
    """The largest magnitude in `rows`, whose sources' numbers are `used`; a MixError for inf and NaN."""
    # One pass without a copy; the slow look for the source is for the error alone.
    low, high = torch.aminmax(rows)
    largest = max(-low.item(), high.item())
    if not (math.isfinite(low.item()) and math.isfinite(high.item())):
        row = (~torch.isfinite(rows)).any(dim=1).nonzero()[0]
        raise MixError(
            f"sources[{int(used[row])}]: it holds inf or NaN, which would spread into every frame of the mix;"
            " make this source again, in float32 if it overflowed."
        )
    return largest
