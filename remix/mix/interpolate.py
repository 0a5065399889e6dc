"""Interpolates two or more tensors: lerp, slerp, and the mix of all frames by one matrix product."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from remix.errors import MixError
from remix.mix.arc_factors import lerp_factors, noise_factors, slerp_factors
from remix.mix.checks import floating, known, numbers, size
from remix.mix.product import in_range, product
from remix.mix.sources import Sources, largest_magnitude, merged, sources_of, weight_table
from remix.mix.spherical import angles_between, perpendicular, turn, unit_rows

# No rule makes an element of a mix larger than the largest of its sources by more than this factor.
MOST_GROWTH = 1e6

HOWS = {"lerp": lerp_factors, "slerp": slerp_factors, "noise": noise_factors}


def lerp(a: Tensor, b: Tensor, t: float | Tensor) -> Tensor:
    """Returns the point at `t` on the straight line from `a` to `b`: (1 - t) a + t b.

    `a` and `b` are [B, ...] of one shape; a batch of one is broadcast. `t` is a number or a tensor [B]. 0 returns `a`
    and 1 returns `b` bit for bit; values beyond extrapolate. Computes in float32 (float64 if one is given); the result
    has `a`'s dtype and device.

    >>> lerp(torch.tensor([[0.0, 4.0]]), torch.tensor([[1.0, 0.0]]), 0.25)
    tensor([[0.2500, 3.0000]])
    """
    along = _along(t)
    rows_a, rows_b = _rows(a, b, along)
    # Two products, not a + t (b - a): the difference of two large numbers of opposite sign overflows.
    mixed = _column(1 - along, rows_a) * rows_a + _column(along, rows_b) * rows_b
    return _with_ends(torch.where(rows_a == rows_b, rows_a, mixed), a, b, along)


@torch.no_grad()
def slerp(a: Tensor, b: Tensor, t: float | Tensor) -> Tensor:
    """Returns the point at `t` on the arc from `a` to `b`, with each sample as one vector of all its elements.

    Shapes, `t`, endpoints and dtypes are those of `lerp`. Ends of equal length keep that length on the way. Source:
    Shoemake 1985, the factors sin((1-t)θ)/sin θ and sin(tθ)/sin θ applied to `a` and `b` unnormalized.

    Every finite input has a result:

    - Equal ends are returned unchanged, bit for bit.
    - Nearly equal ends, an end of zeros, and vectors of one element, which have no perpendicular, are mixed linearly.
    - Opposite ends (within 1e-4 of a half turn) turn through a perpendicular that depends on them alone. The length
      changes linearly.
    - For ends of different length within 0.02 of a half turn, where float32 loses the formula, the result is bounded
      (see `arc`).
    - An element beyond the largest number of `a`'s dtype is clamped to it.

    Not differentiable. Raises MixError for an end with inf or NaN, at any `t` but 0 and 1.

    >>> slerp(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), 0.5)
    tensor([[0.7071, 0.7071]])
    """
    along = _along(t)
    rows_a, rows_b = _rows(a, b, along)
    if rows_a.shape[1] < 2:
        return lerp(a, b, t)
    units_a, length_a = unit_rows(rows_a)
    units_b, length_b = unit_rows(rows_b)
    _refuse_infinite(length_a, length_b, along)
    angles = angles_between(units_a, units_b)
    shares = torch.stack([1 - along, along], dim=1)
    factors = _turned(angles, length_a, length_b, shares, torch.finfo(rows_a.dtype).eps)
    if not angles.all():
        equal = (angles == 0) & (rows_a == rows_b).all(dim=1).cpu()
        factors[:, 0].masked_fill_(equal, 1)
        factors[:, 1].masked_fill_(equal, 0)
    mixed = _column(factors[:, 0], rows_a) * rows_a + _column(factors[:, 1], rows_b) * rows_b
    if factors.shape[1] > 2:
        axis, _ = unit_rows(units_a - units_b)
        mixed += _column(factors[:, 2], axis) * perpendicular(axis)
    return _with_ends(in_range(mixed, a.dtype), a, b, along)


def _turned(angles: Tensor, length_a: Tensor, length_b: Tensor, shares: Tensor, eps: float) -> Tensor:
    """Returns the factors of each sample, [B, 2], or [B, 3] if some turn through a perpendicular."""
    measured = torch.stack(torch.broadcast_tensors(angles, length_a, length_b), dim=1).tolist()
    if len(measured) == 1:
        return turn(measured[0][0], measured[0][1:], shares, eps).clone()
    rows = shares.expand(len(measured), 2)
    turned = [turn(angle, lengths, rows[at : at + 1], eps) for at, (angle, *lengths) in enumerate(measured)]
    width = max((factors.shape[1] for factors in turned), default=2)
    return torch.cat([rows.new_empty(0, width), *(pad(factors, (0, width - factors.shape[1])) for factors in turned)])


@torch.no_grad()
def mix(
    sources: Tensor | Sequence[Tensor],
    weights: Tensor | Sequence[Sequence[float]],
    *,
    how: str = "lerp",
    out: Tensor | None = None,
) -> Tensor:
    """Returns all frames of a batch, [F, ...], from `sources` [S, ...] and `weights` [F, S], by a matrix product.

    `sources` is a tensor [S, ...] or a sequence of S tensors, [1, ...] or [...] each. Every row of `weights` is 0 or
    more and sums to 1 within 1e-6. Sources that are equal bit for bit count as one, and a frame with one source is that
    source, bit for bit. `how` sets the rule for the others:

    - "lerp": the weighted sum.
    - "slerp": two sources by `slerp`; more by the weighted sum, rescaled to the weighted mean length.
    - "noise": two by `slerp`; more by the weighted sum over the root of the summed squares of the
      weights, which keeps unit variance.

    Computes in float32 (float64 for float64 sources). The result has the sources' dtype, or is written into the first F
    items of `out`, a contiguous floating-point buffer [at least F, ...]. Except for the result, nothing of its size is
    allocated. Not differentiable. Raises MixError for shapes, weights and sources that do not match, and for inf and
    NaN in a source that is used.

    >>> mix(torch.tensor([[0.0, 8.0], [4.0, 0.0]]), [[1, 0], [0.25, 0.75]])
    tensor([[0., 8.],
            [3., 2.]])
    """
    factors_of = HOWS[known(how, HOWS, "how")]
    given = sources_of(sources)
    table = weight_table(weights, len(given))
    result = result_of(given, len(table), out)
    if not result.numel():
        return result
    used = [source for source, held in enumerate((table > 0).any(dim=0).tolist()) if held]
    if len(used) < len(given):
        given, table = given.only(used), table[:, used]
    largest = largest_magnitude(given, used)
    given, table = merged(given, table)
    flat = result.view(len(table), -1)
    held = table > 0
    alone = (held & (held.sum(dim=1, keepdim=True) == 1)).nonzero().tolist()
    if len(alone) < len(table):
        product(*factors_of(table, given), flat)
        if flat.dtype == given.wide and largest > torch.finfo(given.wide).max / MOST_GROWTH:
            in_range(flat, flat.dtype)
    for start, stop, source in _runs(alone):
        row = given.rows[source]
        if row.dtype != flat.dtype:
            row = in_range(row.to(given.wide, copy=True), flat.dtype).to(flat.dtype)
        flat[start:stop] = row
    return result


def _runs(alone: list[list[int]]) -> Iterator[tuple[int, int, int]]:
    """Yields runs of neighboring frames with the same single source: first frame, end, source."""
    for at, (frame, source) in enumerate(alone):
        if not at or alone[at - 1] != [frame - 1, source]:
            start = frame
        if alone[at + 1 : at + 2] != [[frame + 1, source]]:
            yield start, frame + 1, source


def result_of(sources: Sources, frames: int, out: Tensor | None) -> Tensor:
    """Returns the tensor for `frames` mixes of `sources`: the front of `out`, checked, or a new tensor."""
    shape = (frames, *sources.shape)
    if out is None:
        return torch.empty(shape, dtype=sources.dtype, device=sources.device)
    floating("out", out)
    if out.ndim != len(shape) or out.shape[1:] != shape[1:] or len(out) < frames:
        raise MixError(f"out: {size(out.shape)} cannot hold {size(shape)}; give a buffer of at least that size.")
    if out.device != sources.device or not out.is_contiguous():
        raise MixError(f"out: a buffer on {out.device}; give a contiguous one on {sources.device}.")
    if any(out.untyped_storage().data_ptr() == row.untyped_storage().data_ptr() for row in sources.rows):
        raise MixError("out: it shares its memory with a source, which would be overwritten; give another buffer.")
    return out[:frames]


def _along(t: float | Tensor) -> Tensor:
    """Returns `t` as float64 [B or 1] on the CPU."""
    along = numbers("t", t, "one number, or a tensor [batch]")
    if along.ndim > 1:
        raise MixError(f"t: {size(along.shape)}; give one number, or a tensor [batch].")
    along = along.reshape(-1)
    if not torch.isfinite(along).all():
        raise MixError(f"t: {t} is not a number to mix by; give 0 to 1.")
    return along


def _rows(a: Tensor, b: Tensor, along: Tensor) -> tuple[Tensor, Tensor]:
    """Returns both ends as rows [B or 1, D] of the dtype to compute in, after checking that they match."""
    floating("a", a)
    floating("b", b)
    if a.device != b.device:
        raise MixError(f"a is on {a.device} and b on {b.device}; move one of them with .to().")
    fits = a.ndim > 0 and b.ndim > 0 and a.shape[1:] == b.shape[1:]
    batches = {n for n in (*a.shape[:1], *b.shape[:1], len(along)) if n != 1}
    if not fits or len(batches) > 1:
        raise MixError(
            f"a is {size(a.shape)}, b is {size(b.shape)} and t has {len(along)} value(s); give one shape"
            " [batch, ...], where only a batch of 1 may meet another batch."
        )
    wide = torch.float64 if torch.float64 in (a.dtype, b.dtype) else torch.float32
    width = a.shape[1:].numel()
    return a.reshape(len(a), width).to(wide), b.reshape(len(b), width).to(wide)


def _refuse_infinite(length_a: Tensor, length_b: Tensor, along: Tensor) -> None:
    """Raises MixError for ends without a finite length, unless only the other end is used."""
    between = (along != 0) & (along != 1)
    for name, length in (("a", length_a), ("b", length_b)):
        if (between & ~torch.isfinite(length)).any():
            raise MixError(f"{name}: it holds inf or NaN, which would spread over the whole sample; make it again.")


def _column(factors: Tensor, like: Tensor) -> Tensor:
    """Returns one factor for each sample, as a column that multiplies rows."""
    return factors.to(device=like.device, dtype=like.dtype).unsqueeze(1)


def _with_ends(mixed: Tensor, a: Tensor, b: Tensor, along: Tensor) -> Tensor:
    """Returns `mixed` rows in `a`'s shape and dtype; `a` itself where `along` is 0, `b` where it is 1."""
    result = mixed.to(a.dtype).reshape(len(mixed), *a.shape[1:])
    column = (-1, *(1,) * (a.ndim - 1))
    first, last = ((along == end).to(a.device).reshape(column) for end in (0, 1))
    return torch.where(first, a, torch.where(last, b.to(a.dtype), result))
