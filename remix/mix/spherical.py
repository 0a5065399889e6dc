"""The coefficients of spherical mixing, computed from lengths and angles alone.

Everything here is a handful of numbers in float64 on the CPU (some devices have no float64); the long vectors are only
read to measure them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

# Closer to a half turn than this, the plane through two vectors is lost in float32 rounding: its second axis is the
# remainder a + b, an error of 6e-8 on a length of 1e-4.
HALF_TURN = math.pi - 1e-4

# A path between ends of different length is bounded from the first of these distances to a half turn on; at the second
# it is no longer than the longer end. At the first, the formula in float32 is off by up to 2e-4 of the longer end
# (measured against float64 in 2 to 4 dimensions, the worst case, with lengths up to 20 to 1), and the error grows with
# the inverse square; at 0.1 it is 1e-5. Opposite ends that were rounded to bfloat16 are within the second.
BOUNDED, SHORT = 0.02, 4e-3


def angles_between(a: Tensor, b: Tensor) -> Tensor:
    """Returns the angle between unit vectors, row by row: float64 [B] in 0..pi.

    `a` and `b` are [B, D]. Twice the arc tangent of the two chords (Kahan) is accurate at both ends, where the arc
    cosine of a dot product loses half of its digits.
    """
    across = torch.linalg.vector_norm(a - b, dim=1).cpu().double()
    along = torch.linalg.vector_norm(a + b, dim=1).cpu().double()
    return 2 * torch.atan2(across, along)


def unit_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Returns `rows` [B, D] scaled to length 1, and their lengths, float64 [B]; a row of zeros stays zero.

    Rows are divided by their largest element first, because squares would overflow or vanish. A length beyond float64
    is returned as an eighth of its largest number.
    """
    if not rows.shape[1]:
        return rows, torch.zeros(len(rows), dtype=torch.float64)
    largest = rows.abs().amax(dim=1, keepdim=True)
    # The reciprocal of the smallest float32 numbers would be infinite, so this divides twice.
    scaled = rows / largest.masked_fill(largest == 0, 1)
    length = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)
    units = scaled / length.masked_fill(length == 0, 1)
    lengths = (largest.cpu().double() * length.cpu().double()).squeeze(1)
    return units, lengths.clamp(max=torch.finfo(torch.float64).max / 8)


def perpendicular(units: Tensor) -> Tensor:
    """Returns one unit vector at a right angle to each row of `units` [B, D], D >= 2.

    The halves of a row are swapped and one of them is negated, so that the result has the row's own distribution: noise
    stays noise, whereas a unit vector along one axis would be a single hot pixel. The result depends on the row alone,
    and is the same for a row and its opposite, so that the path back is the same as the path there.
    """
    half = units.shape[1] // 2
    turned = torch.zeros_like(units)
    turned[:, :half] = -units[:, half : 2 * half]
    turned[:, half : 2 * half] = units[:, :half]
    leading = units.gather(1, units.abs().argmax(dim=1, keepdim=True))
    turned *= leading.sign()
    # Only the leftover odd element can be non-zero here, and the first axis is perpendicular to it.
    alone = (turned == 0).all(dim=1)
    turned[alone, 0] = 1
    axes: Tensor = turned / torch.linalg.vector_norm(turned, dim=1, keepdim=True)
    return axes


def turn(angle: float, lengths: Sequence[float], shares: Tensor, eps: float) -> Tensor:
    """Returns the factors of two vectors at `shares` between them: float64 [F, 2], or [F, 3] if they are opposite.

    `angle` and `lengths` are those of the two; `shares` [F, 2] are those of a straight line, 1 - t and t, for each
    frame. A third factor belongs to the perpendicular unit vector through which opposite vectors turn
    (`perpendicular`). The line itself is used if a length is zero, and below an angle of 2 sqrt(`eps`), where `eps` is
    that of the dtype to compute in: there, arc and line differ by angle² / 8 of the length at most, half a unit in the
    last place.
    """
    if angle < 2 * math.sqrt(eps) or not all(lengths):
        return shares
    return arc(angle, lengths, shares) if angle <= HALF_TURN else half_turn(lengths, shares)


def arc(angle: float, lengths: Sequence[float], shares: Tensor) -> Tensor:
    """Returns the factors of a and of b on the arc between them (Shoemake 1985), float64 [F, 2].

    They are sin((1-t) angle) / sin(angle) and sin(t angle) / sin(angle). For two ends of different length, the arc is
    an ellipse that grows without limit towards a half turn. It is followed until 0.02 short of that (1.1 degrees),
    where it is up to 50 times as long as the longer end and float32 is off by 2e-4 of that (BOUNDED). From there on,
    points are limited by a bound that falls from these 50 times to the longer end, 0.004 short of the half turn.
    """
    factors = torch.sin(shares * angle).div_(math.sin(angle))
    return factors if angle <= math.pi - BOUNDED else _bounded(factors, angle, lengths)


def _bounded(factors: Tensor, angle: float, lengths: Sequence[float]) -> Tensor:
    """Returns `factors` with points scaled back to the bound near a half turn."""
    a, b = (factors[:, end] * (length / max(lengths)) for end, length in enumerate(lengths))
    # |a + b|² for a known angle, in the form that does not cancel near a half turn.
    length = torch.sqrt((a - b) ** 2 + 4 * a * b * math.cos(angle / 2) ** 2)
    # No point of the ellipse is longer than the longer end over the sine, so the bound starts continuously.
    rise = max(math.pi - angle - SHORT, 0) / (BOUNDED - SHORT)
    limit = 1 + rise * (1 / math.sin(BOUNDED) - 1)
    return factors * (limit / length.clamp(min=limit)).unsqueeze(1)


def half_turn(lengths: Sequence[float], shares: Tensor) -> Tensor:
    """Returns the factors of a, of b and of a perpendicular unit vector between opposite vectors, float64 [F, 3].

    Between opposite vectors, all half circles are equally short, so one is chosen (`perpendicular`). The length changes
    linearly and never falls to zero.
    """
    length = shares @ torch.tensor(lengths, dtype=shares.dtype)
    turned = math.pi * shares[:, 1]
    along = torch.cos(turned) * length
    ends = (along.clamp(min=0) / lengths[0], (-along).clamp(min=0) / lengths[1])
    return torch.stack([*ends, torch.sin(turned) * length], dim=1)
