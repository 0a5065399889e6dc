"""A mix: values with weights that sum to 1, exactly."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

from remix.errors import RecipeError

V = TypeVar("V")

UNITS = 10**9
"""Weights are integers in billionths, so they sum to 1 exactly and print the same everywhere."""

STEPS = 10**12
"""The number of steps between one mix and another."""


@dataclass(frozen=True, slots=True)
class Mix(Generic[V]):
    """Values with weights that sum to 1.

    A mix is built from pairs ``(value, part)``. Parts are relative, so ``(("a", 2), ("b", 1))`` is two thirds and one
    third. Equal values are merged, and values below half a billionth are dropped. `items` then holds distinct values,
    in order of first appearance, with positive weights in whole billionths. Raises RecipeError if no part is positive,
    or if one is negative or not finite.

    >>> Mix((("a cat", 0.7), ("a dog", 0.3))).items
    (('a cat', 0.7), ('a dog', 0.3))
    """

    items: tuple[tuple[V, float], ...]

    def __post_init__(self) -> None:
        parts: dict[V, Fraction] = {}
        for value, part in self.items:
            if isinstance(part, (str, bool)) or not 0 <= part < math.inf:
                found = f"the weight {reprlib.repr(part)} of {reprlib.repr(value)}"
                raise RecipeError(f"{found} is not a number from 0 up; correct it")
            parts[value] = parts.get(value, Fraction(0)) + Fraction(part)
        if not any(parts.values()):
            raise RecipeError("a mix needs at least one value with a weight above 0; give it one")
        scale = math.lcm(*[part.denominator for part in parts.values()])
        exact = [int(part * scale) for part in parts.values()]
        units = share_out([part * UNITS for part in exact], sum(exact))
        object.__setattr__(self, "items", _weighed(tuple(parts), units))

    @classmethod
    def one(cls, value: V) -> Mix[V]:
        """Returns the mix of `value` alone."""
        return _settled(((value, 1.0),))

    @property
    def values(self) -> tuple[V, ...]:
        """Returns the values, in order."""
        return tuple(value for value, _ in self.items)

    @property
    def weights(self) -> tuple[float, ...]:
        """Returns the weights, in the order of the values."""
        return tuple(weight for _, weight in self.items)

    @property
    def heaviest(self) -> V:
        """Returns the value with the largest weight, the first of equal ones."""
        return max(self.items, key=lambda item: item[1])[0]

    def toward(self, other: Mix[V], t: float) -> Mix[V]:
        """Returns the mix (1 - t) of this and t of `other`; t is clamped to 0..1, and the ends are exact.

        >>> Mix.one("a").toward(Mix.one("b"), 0.25).items
        (('a', 0.75), ('b', 0.25))
        """
        return between(self, other, [round(min(max(t, 0.0), 1.0) * STEPS)])[0]


def between(a: Mix[V], b: Mix[V], steps: Sequence[int]) -> list[Mix[V]]:
    """Returns the mixes between `a` and `b`, one for each number of `steps` out of STEPS.

    They are computed in integers, so that every machine gets the same weights. Steps before 0 give `a`, steps after
    STEPS give `b`.
    """
    if a == b:
        return [a] * len(steps)
    before, after = _units(a), _units(b)
    values = tuple({**before, **after})
    ends = [(before.get(value, 0) * STEPS, after.get(value, 0) - before.get(value, 0)) for value in values]
    mixes = []
    for step in steps:
        if step <= 0:
            mixes.append(a)
        elif step >= STEPS:
            mixes.append(b)
        else:
            exact = [start + change * step for start, change in ends]
            mixes.append(_settled(_weighed(values, share_out(exact, STEPS))))
    return mixes


def share_out(exact: Sequence[int], per: int) -> list[int]:
    """Returns integers near ``exact[i] / per`` with the same sum, which must be an integer, by largest remainders.

    Each differs by less than 1 from its quotient. Of equal remainders, the earlier one is rounded up first.
    """
    if len(exact) == 2:  # the most common case, which needs no sorting
        first, second = exact
        second_whole = -((per - 2 * second) // (2 * per))  # to the nearest, halves down
        return [(first + second) // per - second_whole, second_whole]
    whole = [part // per for part in exact]
    missing = sum(exact) // per - sum(whole)
    if missing:
        order = sorted(range(len(exact)), key=lambda i: -(exact[i] % per))
        for i in order[:missing]:
            whole[i] += 1
    return whole


def _units(mix: Mix[V]) -> dict[V, int]:
    return {value: round(weight * UNITS) for value, weight in mix.items}


def _weighed(values: tuple[V, ...], units: Sequence[int]) -> tuple[tuple[V, float], ...]:
    return tuple([(value, count / UNITS) for value, count in zip(values, units, strict=True) if count])


def _settled(items: tuple[tuple[V, float], ...]) -> Mix[V]:
    """Returns a Mix of items that are already in order, without the checks of the constructor."""
    mix: Mix[V] = object.__new__(Mix)
    object.__setattr__(mix, "items", items)
    return mix
