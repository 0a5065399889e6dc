"""The matrix product that all mixing goes through, in full float32 on every device."""

from __future__ import annotations

import torch
from torch import Tensor

from remix.mix.sources import Sources

# On a CPU a product of many frames is limited by writing them. Strips that stay in the cache until they are whole
# were 1.5 to 3 times as fast as one call for 240 frames on one processor; on another, which writes past its cache,
# every call costs, and blocks of 24 rows come nearer to one call than blocks of eight. Library kernels for fewer rows
# than eight round differently on some, so blocks are never smaller and a frame is the same in any batch.
BLOCK, LEAST_BLOCK = 24, 8

# Numbers of rows and results at once. Where rows have to be gathered or widened, or results narrowed,
# this is the size of the copies; else it is what a CPU's last cache holds (16 MiB), and results of that size are
# computed by one call. Devices want few and large steps.
STRIP, STRIP_OF_VIEWS, STRIP_OF_DEVICE, ALL = 2**17, 2**22, 2**21, 2**62

# Numbers that are widened to float64 at once, few enough for the cache.
WIDENED = 2**15


def product(weights: Tensor, sources: Sources, out: Tensor) -> Tensor:
    """`weights` [F, S] @ the rows of `sources` [S, D], written into `out` [F, D] and returned.

    `weights` are float64 on the CPU. The columns are computed strip by strip: nothing as large as the
    rows or the result is allocated, and what `out` cannot hold exactly is rounded once.
    """
    weights = weights.to(device=sources.device, dtype=sources.wide)
    block, most = _steps(len(weights), sources, out)
    # Whole vectors of 64 columns, so that no kernel sees the end of a row where there is none.
    width = max(most // (block + len(sources)) // 64 * 64, 64)
    for start in range(0, sources.width, width):
        _fill(weights, sources.strip(start, start + width), out[:, start : start + width], block)
    return out


def _steps(frames: int, sources: Sources, out: Tensor) -> tuple[int, int]:
    """How many frames, and how many numbers, are computed at once."""
    as_it_is = sources.whole is not None and sources.dtype == sources.wide == out.dtype
    if sources.device.type != "cpu":
        return frames, ALL if as_it_is else STRIP_OF_DEVICE
    if as_it_is and out.numel() <= STRIP_OF_VIEWS:
        return frames, ALL
    return min(BLOCK, frames), STRIP_OF_VIEWS if as_it_is else STRIP


def in_range(x: Tensor, dtype: torch.dtype) -> Tensor:
    """`x` within the numbers of `dtype`: an arc bulges, and half precision would make that infinite."""
    largest = min(torch.finfo(dtype).max, torch.finfo(x.dtype).max)
    return x.clamp_(-largest, largest)


def gram(sources: Sources) -> Tensor:
    """The dot products of all rows with each other: [S, S] in float64 on the CPU.

    Summed in float64: angles near a half turn need these digits, and whatever rounding depends on
    the number of rows stays far below float32, so that a frame is the same in any batch.
    """
    # The one kind of device without float64.
    place = torch.device("cpu") if sources.device.type == "mps" else sources.device
    total = torch.zeros(len(sources), len(sources), dtype=torch.float64, device=place)
    width = max(WIDENED // len(sources), 1)
    for start in range(0, sources.width, width):
        wide = sources.strip(start, start + width).to(device=place, dtype=torch.float64)
        total.addmm_(wide, wide.T)
    return total.cpu()


def _fill(weights: Tensor, rows: Tensor, out: Tensor, block: int) -> Tensor:
    """`weights` @ `rows` into `out`, `block` frames at a time."""
    by_library = _library_is_exact(rows) and (rows.device.type != "cpu" or block >= LEAST_BLOCK)
    scratch = None if out.dtype == rows.dtype else rows.new_empty(block, rows.shape[1])
    for start in range(0, len(weights), block):
        start = min(start, len(weights) - block)
        part = out[start : start + block]
        found = _multiply(weights[start : start + block], rows, part if scratch is None else scratch, by_library)
        if scratch is not None:
            part.copy_(in_range(found, out.dtype))
    return out


def _multiply(weights: Tensor, rows: Tensor, out: Tensor, by_library: bool) -> Tensor:
    if by_library:
        # With `out` given, autocast leaves torch.mm alone; without, hosts would get half precision.
        return torch.mm(weights, rows, out=out)
    torch.mul(weights[:, :1], rows[:1], out=out)
    for source in range(1, len(rows)):
        out.addcmul_(weights[:, source : source + 1], rows[source : source + 1])
    return out


def _library_is_exact(rows: Tensor) -> bool:
    """Whether torch.mm keeps float32: hosts allow TF32, which keeps 3 digits, for their models' sake."""
    if rows.dtype != torch.float32:
        return True
    try:
        return torch.get_float32_matmul_precision() == "highest"
    except RuntimeError:  # set through newer switches, which that function refuses to sum up
        return False
