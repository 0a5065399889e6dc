"""The functions of an expression, on one number or on a column of numbers, with the same bits.

`libm` differs from system to system and numpy's own functions from processor to processor, in the last
bit. A schedule has to be the same text everywhere, so the functions here are built from what IEEE 754
fixes to the last bit: ``+ - * /``, sqrt, rounding to whole numbers, splitting off the exponent.
They lie within a few units in the last place (2**-52) of the true value. Three things are left
to `libm`, which is exact where the result is: a power whose exponent is not a small whole number,
log10, and sin, cos and tan of angles beyond 1.3e8.

A function takes an `Arithmetic` first: `FLOATS` for floats, `arrays()` for numpy's columns. Nothing here
raises: what has no value is nan, what is too large is an infinity, as in IEEE 754 and in numexpr.

Sources: Cody and Waite, "Software Manual for the Elementary Functions" (1980), for the reductions; the
Taylor series; W. Kahan's forms of log1p and its kin for small arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, partial
from itertools import repeat
from typing import Any

Value = Any
"""A float, or numpy's array of float64."""

Function = Callable[..., Value]


@dataclass(frozen=True)
class Arithmetic:
    """The exact operations that floats and columns spell differently."""

    divide: Function
    floor: Function
    nearest: Function
    root: Function
    fmod: Function
    frexp: Function
    ldexp: Function
    where: Function
    any: Function
    each: Function


def _divide(a: float, b: float) -> float:
    if b != 0:
        return a / b
    return math.copysign(math.inf, a) * math.copysign(1.0, b) if a == a and a != 0 else math.nan


def _rounded(rounding: Callable[[float], int], x: float) -> float:
    """Returns `x` rounded; -0.0 and values without a fraction, also infinities and nan, stay unchanged."""
    return math.copysign(float(rounding(x)), x) if abs(x) < 2.0**52 else x


def _ldexp(x: float, exponent: float) -> float:
    try:
        return math.ldexp(x, int(exponent))
    except OverflowError:
        return math.copysign(math.inf, x)


def _total(function: Callable[..., float], *x: float) -> float:
    """Returns `function` of `x`; where Python raises, the value of IEEE 754."""
    try:
        return function(*x)
    except OverflowError:
        return -math.inf if x[0] < 0 and math.fmod(x[-1], 2) != 0 else math.inf
    except ValueError:
        if x[0] != 0:
            return math.nan
        return -math.inf if function is math.log10 else math.inf


FLOATS = Arithmetic(
    divide=_divide,
    floor=partial(_rounded, math.floor),
    nearest=partial(_rounded, round),
    root=lambda x: math.sqrt(x) if x >= 0 else math.nan,
    fmod=lambda a, b: math.fmod(a, b) if b != 0 and abs(a) < math.inf else math.nan,
    frexp=math.frexp,
    ldexp=_ldexp,
    where=lambda condition, a, b: a if condition else b,
    any=bool,
    each=_total,
)


@lru_cache(maxsize=1)
def arrays() -> Arithmetic:
    """Returns the arithmetic of columns; numpy is loaded by the first call."""
    import numpy as np

    def each(function: Callable[..., float], *x: Value) -> Value:
        columns = [value.tolist() if np.ndim(value) else repeat(value) for value in x]
        try:
            return np.fromiter(map(function, *columns), np.float64)
        except (OverflowError, ValueError):
            return np.fromiter(map(partial(_total, function), *columns), np.float64)

    return Arithmetic(
        divide=np.divide,
        floor=np.floor,
        nearest=np.rint,
        root=np.sqrt,
        fmod=np.fmod,
        frexp=np.frexp,
        ldexp=lambda x, exponent: np.ldexp(x, exponent.astype(np.int32)),
        where=np.where,
        any=np.any,
        each=each,
    )


def _pieces(number: Fraction, bits: int) -> tuple[float, float, float, float]:
    """Returns `number` as a sum of floats of `bits` bits each, so that small multiples of them are exact."""
    found = []
    for _ in range(3):
        scale = 2 ** (bits - math.frexp(number)[1])
        found.append(float(Fraction(math.floor(number * scale), scale)))
        number -= Fraction(found[-1])
    return found[0], found[1], found[2], float(number)


_HALF_PI = _pieces(Fraction("1.5707963267948966192313216916397514420985846996875529104874722961"), 26)
_LN2 = _pieces(Fraction("0.6931471805599453094172321214581765680755001343602552541206800095"), 40)
_SIN = [(-1) ** k / math.factorial(2 * k + 1) for k in range(8, 0, -1)]
_COS = [(-1) ** k / math.factorial(2 * k) for k in range(8, 1, -1)]
_EXP = [1 / math.factorial(k) for k in range(14, 1, -1)]
_ATANH = [2 / (2 * k + 1) for k in range(10, 0, -1)]
_ATAN = [(-1) ** k / (2 * k + 1) for k in range(12, 0, -1)]
_FAR = 2.0**27


def _series(coefficients: Sequence[float], x: Value) -> Value:
    """Returns the polynomial by Horner's rule, highest power first, times `x`."""
    total = coefficients[0] * x  # a new column, which may be worked on in place
    for coefficient in coefficients[1:]:
        total += coefficient
        total *= x
    return total


def _wave(m: Arithmetic, x: Value, ahead: float, far_away: Callable[[float], float]) -> Value:
    """Returns the sine of `x` and `ahead` more quarter turns; `far_away` is libm's, for the largest angles.

    The nearest quarter turn is subtracted, and selects the series and the sign.
    """
    far = abs(x) >= _FAR
    any_far = m.any(far)
    near = m.where(far, 0.0, x) if any_far else x
    turns = m.nearest(near * (2 / math.pi))
    a, b, c, d = _HALF_PI
    rest = near - turns * a - turns * b - turns * c - turns * d
    square = rest * rest
    sine = rest + rest * _series(_SIN, square)
    cosine = 1.0 - (0.5 * square - square * _series(_COS, square))
    turns = turns + ahead
    halves = m.floor(turns * 0.5)
    odd = turns - 2.0 * halves
    sign = 1.0 - 2.0 * (halves - 2.0 * m.floor(halves * 0.5))
    # Selected by products: also exact, and twice as fast as `where`, whose branches processors cannot predict.
    value = sign * (cosine * odd + sine * (1.0 - odd))
    return m.where(far, m.each(far_away, x), value) if any_far else value


def sin(m: Arithmetic, x: Value) -> Value:
    return _wave(m, x, 0.0, math.sin)


def cos(m: Arithmetic, x: Value) -> Value:
    return _wave(m, x, 1.0, math.cos)


def tan(m: Arithmetic, x: Value) -> Value:
    return m.divide(sin(m, x), cos(m, x))


def _exponential(m: Arithmetic, x: Value) -> tuple[Value, Value]:
    """Returns k and p such that exp(x) = 2**k * (1 + p), with p from -0.3 to 0.42."""
    kept = m.where(abs(x) < 800.0, x, m.where(x < 0, -800.0, 800.0))
    k = m.nearest(kept * (1 / math.log(2)))
    rest = kept - k * _LN2[0] - k * _LN2[1]
    return k, rest + rest * _series(_EXP, rest)


def exp(m: Arithmetic, x: Value) -> Value:
    k, part = _exponential(m, x)
    return m.where(x == x, m.ldexp(1.0 + part, k), x)


def expm1(m: Arithmetic, x: Value) -> Value:
    k, part = _exponential(m, x)
    kept = m.where(abs(k) < 60.0, k, 0.0)
    small = m.ldexp(part, kept) + (m.ldexp(part * 0.0 + 1.0, kept) - 1.0)
    return m.where(abs(k) < 60.0, small, exp(m, x) - 1.0)


def _logarithm(m: Arithmetic, x: Value) -> tuple[Value, Value]:
    """Returns e and p such that log(x) = e log(2) + p, for a positive x."""
    fraction, exponent = m.frexp(m.where((x > 0) & (x < math.inf), x, 1.0))
    low = fraction < math.sqrt(0.5)
    more = m.where(low, fraction + fraction, fraction) - 1.0
    ratio = m.divide(more, more + 2.0)
    # log(1+f) = 2 atanh(s) with s = f/(2+f), written so that f, which is exact, carries the weight.
    return m.where(low, exponent - 1.0, exponent + 0.0), more - ratio * (more - _series(_ATANH, ratio * ratio))


def _special(m: Arithmetic, x: Value, value: Value) -> Value:
    """Returns `value`, a logarithm of `x`, if x is positive and finite, else the value of IEEE 754."""
    other = m.where(x == 0, -math.inf, m.where(x > 0, math.inf, math.nan))
    return m.where((x > 0) & (x < math.inf), value, other)


def log(m: Arithmetic, x: Value) -> Value:
    e, part = _logarithm(m, x)
    return _special(m, x, e * _LN2[0] + (part + e * _LN2[1]))


def log2(m: Arithmetic, x: Value) -> Value:
    e, part = _logarithm(m, x)
    return _special(m, x, e + part * (1 / math.log(2)))


def log10(m: Arithmetic, x: Value) -> Value:
    return m.each(math.log10, x)


def log1p(m: Arithmetic, x: Value) -> Value:
    total = 1.0 + x
    lost = m.divide(x - (total - 1.0), total)
    return log(m, total) + m.where((total > 0) & (total < math.inf), lost, 0.0)


def _signed(m: Arithmetic, x: Value, size: Value) -> Value:
    return m.where(x < 0, -size, size)


def arctan(m: Arithmetic, x: Value) -> Value:
    size = abs(x)
    steep = size > 1
    part = m.where(steep, m.divide(1.0, m.where(steep, size, 1.0)), size)
    for _ in range(2):  # half the angle
        part = m.divide(part, 1.0 + m.root(1.0 + part * part))
    angle = 4.0 * (part + part * _series(_ATAN, part * part))
    return _signed(m, x, m.where(steep, math.pi / 2 - angle, angle))


def arctan2(m: Arithmetic, y: Value, x: Value) -> Value:
    angle = m.where((y == 0) & (x == x), 0.0, arctan(m, m.divide(abs(y), abs(x))))
    return _signed(m, y, m.where(x < 0, math.pi - angle, angle))


def arcsin(m: Arithmetic, x: Value) -> Value:
    return arctan2(m, x, m.root((1.0 - x) * (1.0 + x)))


def arccos(m: Arithmetic, x: Value) -> Value:
    return arctan2(m, m.root((1.0 - x) * (1.0 + x)), x)


def sinh(m: Arithmetic, x: Value) -> Value:
    size = abs(x)
    grown = expm1(m, m.where(size < 40, size, 0.0))
    return _signed(m, x, m.where(size < 40, 0.5 * (grown + m.divide(grown, grown + 1.0)), 0.5 * exp(m, size)))


def cosh(m: Arithmetic, x: Value) -> Value:
    grown = exp(m, abs(x))
    return 0.5 * grown + m.divide(0.5, grown)


def tanh(m: Arithmetic, x: Value) -> Value:
    size = abs(x)
    grown = expm1(m, 2.0 * m.where(size > 40, 40.0, size))
    return _signed(m, x, m.divide(grown, grown + 2.0))


def arcsinh(m: Arithmetic, x: Value) -> Value:
    size = abs(x)
    kept = m.where(size < 1e8, size, 0.0)
    near = log1p(m, kept + m.divide(kept * kept, 1.0 + m.root(1.0 + kept * kept)))
    return _signed(m, x, m.where(size < 1e8, near, log(m, size) + math.log(2)))


def arccosh(m: Arithmetic, x: Value) -> Value:
    kept = m.where(x < 1e8, x, 1.0)
    near = log1p(m, (kept - 1.0) + m.root((kept - 1.0) * (kept + 1.0)))
    return m.where(x < 1e8, near, log(m, x) + math.log(2))


def arctanh(m: Arithmetic, x: Value) -> Value:
    size = abs(x)
    return _signed(m, x, 0.5 * log1p(m, m.divide(2.0 * size, 1.0 - size)))


def power(m: Arithmetic, x: Value, y: Value) -> Value:
    return m.each(math.pow, x, y)


def small_power(m: Arithmetic, exponent: int, x: Value) -> Value:
    """Returns `x` to an integer exponent, by squaring: products alone."""
    result, left = 1.0, abs(exponent)
    while left:
        if left & 1:
            result = x * result
        left >>= 1
        x = x * x if left else x
    return m.divide(1.0, result) if exponent < 0 else result


def remainder(m: Arithmetic, x: Value, y: Value) -> Value:
    """Returns the remainder of `x` after whole multiples of `y`, with the sign of `y`, as in Python and numexpr."""
    rest = m.fmod(x, y)
    return m.where((rest != 0) & ((rest < 0) != (y < 0)), rest + y, rest)


def ceil(m: Arithmetic, x: Value) -> Value:
    return -m.floor(-x)


def trunc(m: Arithmetic, x: Value) -> Value:
    return m.where(x < 0, ceil(m, x), m.floor(x))


def sign(m: Arithmetic, x: Value) -> Value:
    return m.where(x > 0, 1.0, m.where(x < 0, -1.0, x))


def hypot(m: Arithmetic, x: Value, y: Value) -> Value:
    return m.root(x * x + y * y)


def minimum(m: Arithmetic, first: Value, *others: Value) -> Value:
    for other in others:
        first = m.where((first <= other) | (first != first), first, other)
    return first


def maximum(m: Arithmetic, first: Value, *others: Value) -> Value:
    for other in others:
        first = m.where((first >= other) | (first != first), first, other)
    return first


def clip(m: Arithmetic, x: Value, low: Value, high: Value) -> Value:
    return minimum(m, maximum(m, x, low), high)
