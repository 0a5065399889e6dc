"""Brings different numbers of token rows to one length, by a named policy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from remix.catalog.families import TRAVEL
from remix.errors import MixError
from remix.mix.checks import size

POLICIES = ("tile", "empty", "zero", "front", "equal", "trim")

# Attention costs grow with every repeat: prompts of 77 and 85 rows would need 85 and 77 of them.
MOST_TILES = 16


def common_length(counts: Sequence[int], policy: str, what: str, fewest: int = 1) -> int:
    """Returns the number of rows to which `policy` brings parts with `counts` rows.

    `what` names the parts in errors. `fewest` is the number that the family's encoder returns at least: a part below it
    is the likely reason of a mismatch, and is named in the error.
    """
    if policy == "tile":
        length = math.lcm(*counts)
        if length // min(counts) > MOST_TILES:
            raise MixError(
                f"{what}: to tile {_listed(counts)} rows to a common multiple takes {length} of them, over"
                f' {MOST_TILES} times the shortest; use lengths="empty".'
            )
        return length
    if policy == "equal" and len(set(counts)) > 1:
        raise MixError(
            f'{what}: {_listed(counts)} rows, and lengths="equal" refuses different lengths;'
            f"{_below(counts, fewest)} choose one of"
            f" {', '.join(name for name in POLICIES if name != 'equal')}."
        )
    return min(counts) if policy == "trim" else max(counts)


def rows_of_frame(counts: Sequence[int], shares: Sequence[float], policy: str, what: str = "tokens") -> int:
    """Returns the number of rows of a frame that mixes parts with `counts` rows by `shares`. A share of 0 is unused.

    >>> [rows_of_frame([20, 40], [1 - share, share], "travel") for share in (0, 0.25, 1)]
    [20, 25, 40]
    >>> rows_of_frame([20, 40, 99], [0.75, 0.25, 0], "empty")
    40
    """
    used = [(count, share) for count, share in zip(counts, shares, strict=True) if share > 0]
    met = sorted({count for count, _ in used})
    if len(met) > 1 and policy == TRAVEL:
        return math.floor(sum(count * share for count, share in used) / sum(share for _, share in used) + 0.5)
    return common_length(met, policy, what)


def resized(part: Tensor, axis: int, length: int, padding: Tensor | None = None) -> Tensor:
    """Returns `part` with `length` rows on `axis`: unchanged, cut, or followed by `padding`'s rows or zeros.

    Row k of the padding is row k modulo its length of `padding`, so that blocks of an empty prompt are where the
    encoder would have put them.
    """
    count = part.shape[axis]
    if length <= count:
        return part.narrow(axis, 0, length)
    if padding is None:
        tail = part.new_zeros((*part.shape[:axis], length - count, *part.shape[axis + 1 :]))
    else:
        places = torch.arange(count, length, device=padding.device) % padding.shape[axis]
        tail = padding.index_select(axis, places).to(part)
        tail = tail.expand(*part.shape[:axis], length - count, *part.shape[axis + 1 :])
    return torch.cat([part, tail], dim=axis)


def tiled(part: Tensor, axis: int, length: int) -> Tensor:
    """Returns `part` repeated whole on `axis` until it has `length` rows, a multiple of its own."""
    times = [1] * part.ndim
    times[axis] = length // part.shape[axis]
    return part.repeat(times)


def aligned(
    parts: Sequence[Tensor],
    axis: int,
    policy: str,
    what: str,
    *,
    empty: Tensor | None = None,
    fewest: int = 1,
) -> list[Tensor]:
    """Returns `parts` with the same number of rows on `axis`, by `policy` (docs/mixing.md explains each)."""
    for index, part in enumerate(parts):
        if part.ndim != parts[0].ndim or part.ndim <= axis:
            raise MixError(
                f"{what}: {size(part.shape)} in sources[{index}] has no rows on axis {axis}; give it as encoded."
            )
    counts = [part.shape[axis] for part in parts]
    if len(set(counts)) == 1:
        return list(parts)
    if not min(counts):
        raise MixError(f"{what}: {_listed(counts)} rows; a prompt without any row cannot be mixed.")
    length = common_length(counts, policy, what, fewest)
    if policy == "tile":
        return [tiled(part, axis, length) for part in parts]
    if policy == "front":
        return [
            functional.pad(part, (*[0, 0] * (part.ndim - 1 - axis), length - part.shape[axis], 0)) for part in parts
        ]
    if policy == "empty":
        if empty is None:
            raise MixError(
                f"{what}: {_listed(counts)} rows;{_below(counts, fewest)} give empty=, the encoder's own"
                ' conditioning of "", to pad the shorter ones with, or choose another policy by lengths=.'
            )
        if not _can_pad(empty, parts[0], axis):
            shape = size(empty.shape) if isinstance(empty, Tensor) else type(empty).__name__
            raise MixError(
                f"empty: {what} of {shape} has no rows to pad with that fit {size(parts[0].shape)}; give the same"
                ' encoder\'s conditioning of "".'
            )
    return [resized(part, axis, length, empty if policy == "empty" else None) for part in parts]


def _can_pad(empty: Any, part: Tensor, axis: int) -> bool:
    """Returns whether `empty` has rows of the same width as those of `part`."""
    if not isinstance(empty, Tensor) or empty.ndim != part.ndim or not empty.shape[axis]:
        return False
    leading = zip(empty.shape[:axis], part.shape[:axis], strict=True)
    return all(own in (1, other) for own, other in leading) and empty.shape[axis + 1 :] == part.shape[axis + 1 :]


def _listed(counts: Sequence[int]) -> str:
    return " and ".join(str(count) for count in dict.fromkeys(counts))


def _below(counts: Sequence[int], fewest: int) -> str:
    if min(counts) >= fewest:
        return ""
    return f" {min(counts)} is fewer than this family's encoder gives ({fewest}), so check the family;"
