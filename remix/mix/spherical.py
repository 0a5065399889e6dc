"""The coefficients of spherical mixing, worked out from lengths and angles alone.

Everything here is a handful of numbers in float64 on the CPU (some devices have no float64); the
long vectors are only touched to measure them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Closer to a half turn than this, the plane through two vectors is lost in float32 rounding: its
# second axis is what is left of a + b, an error of 6e-8 on a length of 1e-4.
HALF_TURN = math.pi - 1e-4

# From the first of these distances to a half turn on, a path between ends of unlike length is bounded,
# and at the second it is no longer than the longer end. At the first the formula in float32 is off by
# up to 2e-4 of the longer end (measured against float64 in 2 to 4 dimensions, where it is worst, lengths
# up to 20 to 1), and that grows with the inverse square; at 0.1 it is 1e-5. Within the second lie
# opposite ends that were rounded to bfloat16.
BOUNDED, SHORT = 0.02, 4e-3


def angles_between(a: Tensor, b: Tensor) -> Tensor:
    """The angle between unit vectors, row by row: float64 [B] in 0..pi.

    `a` and `b` are [B, D]. Twice the arc tangent of the two chords (Kahan) keeps its accuracy at
    both ends, where the arc cosine of a dot product has lost half of its digits.
    """
    across = torch.linalg.vector_norm(a - b, dim=1).cpu().double()
    along = torch.linalg.vector_norm(a + b, dim=1).cpu().double()
    return 2 * torch.atan2(across, along)


def unit_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """`rows` [B, D] scaled to length 1, and their lengths, float64 [B]; a row of zeros stays zero.

    Rows are divided by their largest element first: squares would overflow or vanish otherwise. A
    length beyond float64 is given as an eighth of its largest number.
    """
    if not rows.shape[1]:
        return rows, torch.zeros(len(rows), dtype=torch.float64)
    largest = rows.abs().amax(dim=1, keepdim=True)
    # A reciprocal of the smallest float32 numbers would be infinite, so this divides twice.
    scaled = rows / largest.masked_fill(largest == 0, 1)
    length = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)
    units = scaled / length.masked_fill(length == 0, 1)
    lengths = (largest.cpu().double() * length.cpu().double()).squeeze(1)
    return units, lengths.clamp(max=torch.finfo(torch.float64).max / 8)


def perpendicular(units: Tensor) -> Tensor:
    """One unit vector at a right angle to each row of `units` [B, D], D >= 2.

    The halves of a row change places and one of them its sign, so that the result has the row's own
    distribution: noise stays noise, where a unit vector along one axis would be a single hot pixel.
    The rule depends on the row alone, and is the same for a row and its opposite, so that a path
    there and the path back are one.
    """
    half = units.shape[1] // 2
    turned = torch.zeros_like(units)
    turned[:, :half] = -units[:, half : 2 * half]
    turned[:, half : 2 * half] = units[:, :half]
    leading = units.gather(1, units.abs().argmax(dim=1, keepdim=True))
    turned *= leading.sign()
    # Only the odd element left over can be non-zero here: the first axis is perpendicular to that.
    alone = (turned == 0).all(dim=1)
    turned[alone, 0] = 1
    return turned / torch.linalg.vector_norm(turned, dim=1, keepdim=True)


def arc(angle: Tensor, length_a: Tensor, length_b: Tensor, t: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """The factors of a and of b at `t` on the arc between them (Shoemake 1985), float64 [B] each.

    sin((1-t) angle) / sin(angle) and sin(t angle) / sin(angle). Below an angle of 2 sqrt(eps), and
    where a length is zero, they are those of a straight line: arc and line are never further apart
    than angle² / 8 of the length, which is half a unit in the last place there.

    Of two ends of unequal length the formula makes an ellipse, which grows without limit towards a
    half turn. It is followed until 0.02 short of that (1.1 degrees), where it is up to 50 times as
    long as the longer end and float32 is off by 2e-4 of that one (BOUNDED). From there on a point is
    brought back to a bound that falls from these 50 times to the longer end, 0.004 short of the half
    turn.
    """
    straight = (angle < 2 * math.sqrt(eps)) | (length_a == 0) | (length_b == 0)
    sine = torch.sin(angle).masked_fill(straight, 1)
    from_a = torch.where(straight, 1 - t, torch.sin((1 - t) * angle) / sine)
    from_b = torch.where(straight, t, torch.sin(t * angle) / sine)
    if not (angle > math.pi - BOUNDED).any():
        return from_a, from_b
    shrink = torch.where(straight, 1, _shrink(angle, from_a, from_b, length_a, length_b))
    return from_a * shrink, from_b * shrink


def _shrink(angle: Tensor, from_a: Tensor, from_b: Tensor, length_a: Tensor, length_b: Tensor) -> Tensor:
    """What brings points with these factors back to the bound near a half turn."""
    longest = torch.maximum(length_a, length_b)
    scale = longest.masked_fill(longest == 0, 1)
    a, b = from_a * (length_a / scale), from_b * (length_b / scale)
    # |a + b|² for a known angle, in the form that does not cancel near a half turn.
    length = torch.sqrt((a - b) ** 2 + 4 * a * b * torch.cos(angle / 2) ** 2)
    # No point of the ellipse is longer than the longer end over the sine, so the bound begins unnoticed.
    rise = ((math.pi - angle - SHORT) / (BOUNDED - SHORT)).clamp(min=0)
    limit = 1 + rise * (1 / math.sin(BOUNDED) - 1)
    beyond = (math.pi - angle < BOUNDED) & (length > limit)
    return torch.where(beyond, limit / length.masked_fill(~beyond, 1), 1)


def half_turn(length_a: Tensor, length_b: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The factors of a, of b and of a perpendicular unit vector at `t` between opposite vectors.

    Between opposite vectors every half circle is as short as any other, so one is chosen
    (`perpendicular`); the length travels in a straight line and never falls to zero.
    """
    length = (1 - t) * length_a + t * length_b
    along = torch.cos(math.pi * t)
    from_a = torch.where(along > 0, along * length / length_a, 0)
    from_b = torch.where(along < 0, -along * length / length_b, 0)
    return from_a, from_b, torch.sin(math.pi * t) * length
