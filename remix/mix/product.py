"""The matrix product that all mixing goes through, in full float32 on every device."""

from __future__ import annotations

import torch
from torch import Tensor

# On a CPU a product of many frames is limited by writing them, and eight rows at a time stay in the
# cache until they are whole: 1.5 to 3 times as fast as one call for 240 frames. Library kernels for
# fewer rows round differently, so blocks are never smaller and a frame is the same in any batch.
BLOCK = 8

# Half precision results are cast from a float32 strip of this many numbers, not from a whole copy.
STRIP = 2**21

# Columns that are widened to float64 at once, few enough for the cache.
WIDENED = 2**14


def product(weights: Tensor, rows: Tensor, out: Tensor) -> Tensor:
    """`weights` [F, S] @ `rows` [S, D], written into `out` [F, D] and returned.

    `weights` are float64 on the CPU, `rows` float32 or float64. Where `out` has another dtype, its
    columns are computed strip by strip in that of `rows` and rounded once.
    """
    weights = weights.to(device=rows.device, dtype=rows.dtype)
    if out.dtype == rows.dtype:
        return _fill(weights, rows, out)
    # Whole vectors of 64 columns, so that no kernel sees the end of a row where there is none.
    width = max(STRIP // max(len(weights), 1) // 64 * 64, 64)
    for start in range(0, rows.shape[1], width):
        strip = rows[:, start : start + width]
        scratch = torch.empty(len(weights), strip.shape[1], dtype=rows.dtype, device=rows.device)
        out[:, start : start + width] = in_range(_fill(weights, strip, scratch), out.dtype)
    return out


def in_range(x: Tensor, dtype: torch.dtype) -> Tensor:
    """`x` within the numbers of `dtype`: an arc bulges, and half precision would make that infinite."""
    largest = torch.finfo(dtype).max
    return x.clamp_(-largest, largest)


def gram(rows: Tensor) -> Tensor:
    """The dot products of all `rows` [S, D] with each other: [S, S] in float64 on the CPU.

    Summed in float64: angles near a half turn need these digits, and whatever rounding depends on
    the number of rows stays far below float32, so that a frame is the same in any batch.
    """
    # The one kind of device without float64.
    place = torch.device("cpu") if rows.device.type == "mps" else rows.device
    total = torch.zeros(len(rows), len(rows), dtype=torch.float64, device=place)
    for strip in rows.split(WIDENED, dim=1):
        wide = strip.to(device=place, dtype=torch.float64)
        total.addmm_(wide, wide.T)
    return total.cpu()


def _fill(weights: Tensor, rows: Tensor, out: Tensor) -> Tensor:
    frames = len(weights)
    cpu = rows.device.type == "cpu"
    if not _library_is_exact(rows) or (cpu and frames < BLOCK):
        torch.mul(weights[:, :1], rows[:1], out=out)
        for source in range(1, len(rows)):
            out.addcmul_(weights[:, source : source + 1], rows[source : source + 1])
        return out
    # With `out` given, autocast leaves torch.mm alone; without, hosts would get half precision.
    if not cpu:
        return torch.mm(weights, rows, out=out)
    for start in range(0, frames, BLOCK):
        start = min(start, frames - BLOCK)
        torch.mm(weights[start : start + BLOCK], rows, out=out[start : start + BLOCK])
    return out


def _library_is_exact(rows: Tensor) -> bool:
    """Whether torch.mm keeps float32: hosts allow TF32, which keeps 3 digits, for their models' sake."""
    if rows.dtype != torch.float32:
        return True
    try:
        return torch.get_float32_matmul_precision() == "highest"
    except RuntimeError:  # set through newer switches, which that function refuses to sum up
        return False
