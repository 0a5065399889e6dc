"""The matrix product of all mixes, in full float32 on every device."""

from __future__ import annotations

import torch
from torch import Tensor

from remix.mix.sources import Sources

# Frames at once on a CPU, where rows are gathered or widened, or results narrowed. Some library kernels round
# differently for fewer than eight rows, so blocks are never smaller and a frame is the same in any batch.
BLOCK, LEAST_BLOCK = 24, 8

# Elements of rows and results at once on a CPU: the size of the copies. Other devices prefer few and large steps.
STRIP, STRIP_OF_DEVICE = 2**17, 2**21

# Elements that are widened to float64 at once, few enough for the cache.
WIDENED = 2**15


def product(weights: Tensor, sources: Sources, out: Tensor) -> Tensor:
    """Writes `weights` [F, S] @ the rows of `sources` [S, D] into `out` [F, D], and returns it.

    `weights` are float64 on the CPU. If the rows cannot be used directly, or `out` cannot hold the numbers exactly, the
    columns are computed strip by strip: nothing as large as the rows or the result is allocated, and each number is
    rounded once.
    """
    weights = weights.to(device=sources.device, dtype=sources.wide)
    as_it_is = sources.dtype == sources.wide == out.dtype
    if sources.whole is not None and as_it_is and _is_for_library(sources.whole, len(weights)):
        return _multiply(weights, sources.whole, out, True)
    cpu = sources.device.type == "cpu"
    block, numbers = (min(BLOCK, len(weights)), STRIP) if cpu else (len(weights), STRIP_OF_DEVICE)
    # Whole vectors of 64 columns, so that no kernel sees the end of a row in the middle.
    width = max(numbers // (block + len(sources)) // 64 * 64, 64)
    for start in range(0, sources.width, width):
        _fill(weights, sources.strip(start, start + width), out[:, start : start + width], block)
    return out


def in_range(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns `x` clamped to the range of `dtype`: an arc bulges, which half precision would make infinite."""
    largest = min(torch.finfo(dtype).max, torch.finfo(x.dtype).max)
    return x.clamp_(-largest, largest)


def gram(sources: Sources) -> Tensor:
    """Returns the dot products of all rows with each other: [S, S] in float64 on the CPU.

    They are summed in float64, because angles near a half turn need these digits, and because rounding that depends on
    the number of rows then stays far below float32, so that a frame is the same in any batch.
    """
    # MPS is the only kind of device without float64.
    place = torch.device("cpu") if sources.device.type == "mps" else sources.device
    total = torch.zeros(len(sources), len(sources), dtype=torch.float64, device=place)
    width = max(WIDENED // len(sources), 1)
    for start in range(0, sources.width, width):
        wide = sources.strip(start, start + width).to(device=place, dtype=torch.float64)
        total.addmm_(wide, wide.T)
    return total.cpu()


def _fill(weights: Tensor, rows: Tensor, out: Tensor, block: int) -> Tensor:
    """Writes `weights` @ `rows` into `out`, `block` frames at a time."""
    by_library = _is_for_library(rows, block)
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
        # With `out`, autocast leaves torch.mm alone; without it, hosts would get half precision.
        return torch.mm(weights, rows, out=out)
    torch.mul(weights[:, :1], rows[:1], out=out)
    for source in range(1, len(rows)):
        out.addcmul_(weights[:, source : source + 1], rows[source : source + 1])
    return out


def _is_for_library(rows: Tensor, frames: int) -> bool:
    """Returns whether torch.mm keeps float32 (TF32, which hosts allow, keeps 3 digits) and rounds consistently."""
    if rows.device.type == "cpu" and frames < LEAST_BLOCK:
        return False
    if rows.dtype != torch.float32:
        return True
    try:
        return torch.get_float32_matmul_precision() == "highest"
    except RuntimeError:  # set by newer switches, for which that function raises
        return False
