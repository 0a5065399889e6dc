"""From the weights of a schedule to the factors of the matrix product.

Each function takes a table of weights [F, S] (float64, rows sum to 1) and the sources as rows
[S, D], and returns the factors [F, S + P] with the rows [S + P, D] that they belong to; P
perpendicular rows are added where opposite sources are mixed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from remix.mix.product import gram
from remix.mix.spherical import HALF_TURN, arc, half_turn, perpendicular, unit_rows

# A mix of many that cancels itself out is not enlarged beyond this factor.
LARGEST_RESCALE = 1e3


def lerp_factors(table: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The weights themselves: a weighted sum."""
    return table, rows


def slerp_factors(table: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Factors of the arc where a frame has two sources, else of a weighted sum of the weighted length.

    Three and more sources have no common arc: their weighted sum is rescaled to the weighted mean
    of their lengths, at most by LARGEST_RESCALE.
    """
    if not _mixes(table).any():
        return table, rows
    cosines, lengths = _measured(rows)
    shares = table * (lengths / lengths.max().clamp(min=torch.finfo(torch.float64).tiny))
    wanted = shares.sum(dim=1)
    reached = ((shares @ cosines) * shares).sum(dim=1).clamp(min=0).sqrt()
    reached = torch.maximum(reached, wanted / LARGEST_RESCALE)
    rescale = torch.where(wanted > 0, wanted / reached.masked_fill(wanted == 0, 1), 1)
    return _with_arcs(table * rescale.unsqueeze(1), table, rows, cosines, lengths)


def noise_factors(table: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Factors of the arc where a frame has two sources, else the weights over the root of their squares.

    The variance of a sum of independent noises is the sum of the squared weights: divided by its
    root, unit variance is kept.
    """
    if not _mixes(table).any():
        return table, rows
    cosines, lengths = _measured(rows)
    root = (table**2).sum(dim=1, keepdim=True).sqrt()
    return _with_arcs(table / root, table, rows, cosines, lengths)


def _mixes(table: Tensor) -> Tensor:
    return (table > 0).sum(dim=1) > 1


def _measured(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The cosines [S, S] and lengths [S] of `rows`, in float64 and safe for any finite rows."""
    dots = gram(rows)
    squares = dots.diagonal()
    # Squares that left the range of float64, and rows of zeros, are measured again with care.
    if bool((torch.isfinite(squares) & (squares > 1e-290)).all()):
        lengths = squares.sqrt()
        return (dots / lengths.unsqueeze(0) / lengths.unsqueeze(1)).clamp(-1, 1), lengths
    units, lengths = unit_rows(rows)
    return gram(units).clamp(-1, 1), lengths


def _with_arcs(factors: Tensor, table: Tensor, rows: Tensor, cosines: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """`factors` with those frames that have two sources replaced by the factors of the arc."""
    frames = ((table > 0).sum(dim=1) == 2).nonzero().squeeze(1)
    if not len(frames):
        return factors, rows
    first, second = (table[frames] > 0).nonzero()[:, 1].reshape(-1, 2).T
    t = table[frames, second] / (table[frames, first] + table[frames, second])
    length_a, length_b = lengths[first], lengths[second]
    angle = torch.arccos(cosines[first, second])
    if rows.shape[1] == 1:  # a single element has no perpendicular
        angle = torch.zeros_like(angle)
    eps = torch.finfo(rows.dtype).eps
    factors = factors.clone()
    factors[frames, first], factors[frames, second] = arc(angle, length_a, length_b, t, eps)
    opposite = (angle > HALF_TURN) & (length_a > 0) & (length_b > 0)
    for a, b in sorted(set(zip(first[opposite].tolist(), second[opposite].tolist(), strict=True))):
        here = (first == a) & (second == b)
        turn_a, turn_b, turn_axis = half_turn(length_a[here], length_b[here], t[here])
        factors[frames[here], a], factors[frames[here], b] = turn_a, turn_b
        lift = torch.zeros(len(factors), 1, dtype=factors.dtype)
        lift[frames[here], 0] = turn_axis
        factors, rows = torch.cat([factors, lift], dim=1), torch.cat([rows, _axis(rows[[a, b]])])
    return factors, rows


def _axis(ends: Tensor) -> Tensor:
    """The perpendicular [1, D] through which two opposite `ends` [2, D] turn, the one that `slerp` takes."""
    units, _ = unit_rows(ends)
    axis, _ = unit_rows(units[:1] - units[1:])
    return perpendicular(axis)
