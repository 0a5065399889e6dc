"""Easing by name, and smooth curves through numbers.

The easings are Robert Penner's equations ("Programming Macromedia Flash MX", chapter 7) and CSS's
``cubic-bezier``. A family has three forms: *in* starts slowly, *out* ends slowly, *in-out* does both.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

from remix.errors import RecipeError
from remix.plan.wording import nearest

Curve = Callable[[float], float]


def _power(exponent: int, t: float) -> float:
    return math.prod([t] * exponent)  # products give the same result on every machine; pow() does not


def _sine(t: float) -> float:
    return 1.0 - math.cos(t * math.pi / 2)


def _exponential(t: float) -> float:
    return 2.0 ** (10 * t - 10) if t > 0 else 0.0


def _bounce(t: float) -> float:
    back = 1.0 - t
    for middle, floor, end in ((0, 0, 1), (1.5, 0.75, 2), (2.25, 0.9375, 2.5), (2.625, 0.984375, 2.75)):
        if back <= end / 2.75:
            return 1.0 - (7.5625 * (back - middle / 2.75) ** 2 + floor)
    return 0.0


def _elastic(period: float, t: float) -> float:
    return -(2.0 ** (10 * t - 10)) * math.sin((t - 1 - period / 4) * 2 * math.pi / period) if t > 0 else 0.0


def _out(curve: Curve, t: float) -> float:
    return 1.0 - curve(1.0 - t)


def _in_out(curve: Curve, t: float) -> float:
    return curve(2 * t) / 2 if t < 0.5 else 1.0 - curve(2 - 2 * t) / 2


def _forms(family: str, curve: Curve, both: Curve | None = None) -> dict[str, Curve]:
    """Returns the three forms of a family; `both` is the curve whose halves make in-out, if it differs."""
    lead = f"{family}-" if family else ""
    return {
        f"{lead}in": curve,
        f"{lead}out": partial(_out, curve),
        f"{lead}in-out": partial(_in_out, both or curve),
    }


_CURVES: dict[str, Curve] = {
    "linear": lambda t: t,
    **_forms("", partial(_power, 2)),
    **_forms("cubic", partial(_power, 3)),
    **_forms("sine", _sine),
    **_forms("exponential", _exponential),
    **_forms("bounce", _bounce),
    **_forms("elastic", partial(_elastic, 0.3), partial(_elastic, 0.45)),
    "hold": lambda t: 0.0,
}

EASINGS = tuple(_CURVES)
"""The name of every easing, in addition to ``cubic-bezier(x1, y1, x2, y2)``."""

_FAMILIES = {"quad": "", "quadratic": "", "expo": "exponential"}
_ALIASES = {"step": "hold", "constant": "hold"}
_NUMBER = r"\s*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?)\s*"
_BEZIER = re.compile(rf"\s*cubic[ _-]?bezier\s*\({','.join([_NUMBER] * 4)}\)\s*", re.IGNORECASE)


def easing_name(text: str) -> str:
    """Returns the canonical name of the easing in `text`. Raises RecipeError if it is unknown.

    Case, ``-``, ``_`` and the word "ease" make no difference, nor does the order of the words. A family alone means its
    in-out form.

    >>> [easing_name(text) for text in ("ease_in_out", "easeOutCubic", "Ease In", "sine", "step")]
    ['in-out', 'cubic-out', 'in', 'sine-in-out', 'hold']
    >>> easing_name("cubic-bezier(.42,0,1,1)")
    'cubic-bezier(0.42, 0, 1, 1)'
    """
    if len(text) > 200:
        raise RecipeError(f"{len(text)} characters are too many for an easing; known: {', '.join(EASINGS)}")
    bezier = _BEZIER.fullmatch(text)
    if bezier:
        return _bezier_name([float(number) + 0.0 for number in bezier.groups()])
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower().replace("inout", "in out")
    words = [word for word in re.split(r"[\s_-]+", spaced) if word not in ("", "ease", "easing")]
    direction = "-".join(word for word in words if word in ("in", "out"))
    families = [_FAMILIES.get(word, word) for word in words if word not in ("in", "out")]
    if len(families) <= 1:
        family = families[0] if families else ""
        name = "-".join(part for part in (family, direction) if part)
        name = _ALIASES.get(name, name)
        if words and not direction and name not in _CURVES:
            name = f"{name}-in-out".lstrip("-")
        if name in _CURVES:
            return name
    raise RecipeError(f"{text!r} is not an easing; {nearest('-'.join(words), EASINGS)}, cubic-bezier(x1, y1, x2, y2)")


def _bezier_name(numbers: Sequence[float]) -> str:
    x1, y1, x2, y2 = numbers
    if not (0 <= x1 <= 1 and 0 <= x2 <= 1):
        raise RecipeError(f"x1 = {x1:g} and x2 = {x2:g} of cubic-bezier must both lie in 0..1; change them")
    if not (abs(y1) <= 10 and abs(y2) <= 10):
        raise RecipeError(f"y1 = {y1:g} and y2 = {y2:g} of cubic-bezier must both lie in -10..10; change them")
    return f"cubic-bezier({', '.join(repr(number).removesuffix('.0') for number in numbers)})"


def ease(name: str, t: float) -> float:
    """Returns the progress of a travel at the share `t` (0 to 1) of its time: exactly 0 at 0 and 1 at 1.

    In between it may leave 0..1 (elastic, cubic-bezier). `hold` is 0 until t = 1. `t` is clamped to 0..1. Raises
    RecipeError if there is no easing with this name.

    >>> ease("in", 0.5), ease("hold", 0.99), ease("bounce-out", 1.0)
    (0.25, 0.0, 1.0)
    """
    curve = _curve(name)
    if t <= 0:
        return 0.0
    return 1.0 if t >= 1 else curve(t)


@lru_cache(maxsize=256)
def _curve(text: str) -> Curve:
    name = easing_name(text)
    if name in _CURVES:
        return _CURVES[name]
    return partial(_bezier, *(float(number) for number in name[len("cubic-bezier(") : -1].split(",")))


def _bezier(x1: float, y1: float, x2: float, y2: float, t: float) -> float:
    """Returns y where x = t (CSS Easing Functions, section 2.2), by Newton's method in a shrinking bracket."""
    low, high, u = 0.0, 1.0, t
    for _ in range(60):
        error = _bernstein(x1, x2, u) - t
        if abs(error) < 1e-15:
            break
        low, high = (u, high) if error < 0 else (low, u)
        slope = 3 * (1 - u) ** 2 * x1 + 6 * (1 - u) * u * (x2 - x1) + 3 * u**2 * (1 - x2)
        step = u - error / slope if slope > 1e-9 else low
        u = step if low < step < high else (low + high) / 2
    return _bernstein(y1, y2, u)


def _bernstein(first: float, second: float, u: float) -> float:
    """Returns the cubic Bezier curve from 0 to 1 with the inner points `first` and `second`."""
    return 3 * (1 - u) * (1 - u) * u * first + 3 * (1 - u) * u * u * second + u * u * u


def slopes(at: Sequence[float], values: Sequence[float], period: float | None = None) -> list[float]:
    """Returns the slope at each of the points, for a curve that never overshoots them.

    `at` is strictly ascending. With `period`, the last point is followed by the first, `period` further on. Fritsch and
    Carlson, "Monotone Piecewise Cubic Interpolation", SIAM J. Numer. Anal. 17 (1980): slopes of three points, after
    which each span's pair is moved into the circle of radius 3. A slope uses the smaller factor of its two spans, so
    that the curve is the same in reverse.
    """
    count = len(at)
    if count < 2:
        return [0.0] * count
    spans = [at[i + 1] - at[i] for i in range(count - 1)]
    secants = [(values[i + 1] - values[i]) / spans[i] for i in range(count - 1)]
    if period is None:
        before, after = [None, *range(count - 1)], [*range(count - 1), None]
    else:
        spans.append(at[0] + period - at[-1])
        secants.append((values[0] - values[-1]) / spans[-1])
        before, after = [count - 1, *range(count - 1)], list(range(count))
    found = [_slope(spans, secants, left, right) for left, right in zip(before, after, strict=True)]
    factors = [_factor(secants[i], found[i], found[(i + 1) % count]) for i in range(len(secants))]
    return [
        slope * min(factors[i] for i in (left, right) if i is not None)
        for slope, left, right in zip(found, before, after, strict=True)
    ]


def _slope(spans: Sequence[float], secants: Sequence[float], left: int | None, right: int | None) -> float:
    """Returns the slope between two spans: 0 at a peak, valley or flat, else that of the parabola of three points."""
    if left is None or right is None:
        return secants[left if right is None else right]  # type: ignore[index]
    if secants[left] * secants[right] <= 0:
        return 0.0
    return (spans[right] * secants[left] + spans[left] * secants[right]) / (spans[left] + spans[right])


def _factor(secant: float, start: float, end: float) -> float:
    """Returns the factor for the two slopes of a span that keeps the curve monotone there."""
    if secant == 0:
        return 0.0
    a, b = start / secant, end / secant
    return 3 / math.sqrt(a * a + b * b) if a * a + b * b > 9 else 1.0


def hermite(start: float, end: float, slope_in: float, slope_out: float, t: float) -> float:
    """Returns the cubic at t in 0..1 from `start` to `end`, with slopes per unit of t, clamped to the two."""
    change = end - start
    value = start + t * (
        slope_in + t * (3 * change - 2 * slope_in - slope_out + t * (slope_in + slope_out - 2 * change))
    )
    return min(max(value, min(start, end)), max(start, end))
