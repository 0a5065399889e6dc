"""Turns the weights of a schedule into the factors of the matrix product.

Each function takes a table of weights [F, S] (float64, rows sum to 1) and S sources. It returns the factors [F, S + P]
and the S + P sources that they apply to; P perpendiculars are added where opposite sources are mixed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from remix.mix.product import gram
from remix.mix.sources import Sources, sources_of_rows
from remix.mix.spherical import perpendicular, turn, unit_rows

# The largest factor by which a mix of several sources that cancel each other is rescaled.
LARGEST_RESCALE = 1e3


def lerp_factors(table: Tensor, sources: Sources) -> tuple[Tensor, Sources]:
    """Returns the weights themselves, for a weighted sum."""
    return table, sources


def slerp_factors(table: Tensor, sources: Sources) -> tuple[Tensor, Sources]:
    """Returns factors of the arc for frames with two sources, else of a weighted sum with the weighted length.

    Three or more sources have no common arc, so their weighted sum is rescaled to the weighted mean of their lengths,
    by LARGEST_RESCALE at most.
    """
    cosines, lengths = _measured(sources)
    return _with_arcs(_rescaled(table, cosines, lengths), table, sources, cosines, lengths)


def _rescaled(table: Tensor, cosines: Tensor, lengths: Tensor) -> Tensor:
    """Returns the weights, rescaled to the weighted length. Frames with two sources do not need this."""
    if table.shape[1] < 3 or not ((table > 0).sum(dim=1) > 2).any():
        return table
    shares = table * (lengths / lengths.max().clamp(min=torch.finfo(torch.float64).tiny))
    wanted = shares.sum(dim=1)
    reached = ((shares @ cosines) * shares).sum(dim=1).clamp(min=0).sqrt()
    reached = torch.maximum(reached, wanted / LARGEST_RESCALE)
    rescale = torch.where(wanted > 0, wanted / reached.masked_fill(wanted == 0, 1), 1)
    return table * rescale.unsqueeze(1)


def noise_factors(table: Tensor, sources: Sources) -> tuple[Tensor, Sources]:
    """Returns factors of the arc for frames with two sources, else weights over the root of their summed squares.

    The variance of a sum of independent noises is the sum of the squared weights, so dividing by its root keeps unit
    variance.
    """
    cosines, lengths = _measured(sources)
    root = table.square().sum(dim=1, keepdim=True).sqrt()
    return _with_arcs(table / root, table, sources, cosines, lengths)


def _measured(sources: Sources) -> tuple[Tensor, Tensor]:
    """Returns the cosines [S, S] and lengths [S] of `sources`, in float64 and safe for any finite numbers."""
    dots = gram(sources)
    squares = dots.diagonal()
    # Rows whose squares left the range of float64, and rows of zeros, are measured again after scaling.
    if all(1e-290 < square < math.inf for square in squares.tolist()):
        lengths = squares.sqrt()
        return (dots / lengths.unsqueeze(0) / lengths.unsqueeze(1)).clamp(-1, 1), lengths
    units, lengths = unit_rows(sources.strip(0, sources.width))
    return gram(sources_of_rows(units)).clamp(-1, 1), lengths


def _with_arcs(
    factors: Tensor, table: Tensor, sources: Sources, cosines: Tensor, lengths: Tensor
) -> tuple[Tensor, Sources]:
    """Returns `factors` with frames of two sources replaced by the factors of the arc, pair by pair."""
    if len(sources) == 2:
        # Frames with one source among them keep their factors: all of that source.
        turned = _turned(table, sources, cosines[0, 1], lengths)
        return turned, sources if turned.shape[1] == 2 else sources.also(_axis(sources))
    factors = factors.clone()
    for a, b, here in _pairs(table):
        ends = sources.only([a, b])
        turned = _turned(table[here][:, [a, b]], ends, cosines[a, b], lengths[[a, b]])
        factors[here, a], factors[here, b] = turned[:, 0], turned[:, 1]
        if turned.shape[1] > 2:
            lift = torch.zeros(len(factors), 1, dtype=factors.dtype)
            lift[here] = turned[:, 2:]
            factors, sources = torch.cat([factors, lift], dim=1), sources.also(_axis(ends))
    return factors, sources


def _turned(table: Tensor, ends: Sources, cosine: Tensor, lengths: Tensor) -> Tensor:
    """Returns the factors of two `ends`, and of their perpendicular if they are opposite, for these weights."""
    # A single element has no perpendicular.
    angle = math.acos(cosine) if ends.width > 1 else 0.0
    return turn(angle, lengths.tolist(), table / table.sum(dim=1, keepdim=True), torch.finfo(ends.wide).eps)


def _pairs(table: Tensor) -> Iterator[tuple[int, int, Tensor]]:
    """Yields each pair of sources that frames mix, with those frames."""
    used = table > 0
    frames = (used.sum(dim=1) == 2).nonzero().squeeze(1)
    ends = used[frames].nonzero()[:, 1].reshape(-1, 2)
    for a, b in ends.unique(dim=0).tolist():
        yield a, b, frames[(ends[:, 0] == a) & (ends[:, 1] == b)]


def _axis(ends: Sources) -> Tensor:
    """Returns the perpendicular [D] through which two opposite `ends` turn, the same as in `slerp`."""
    units, _ = unit_rows(ends.strip(0, ends.width))
    axis, _ = unit_rows(units[:1] - units[1:])
    return perpendicular(axis).squeeze(0)
