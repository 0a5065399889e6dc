"""Tables of shares: the weight of each source in every frame, for mixes of things that recipes cannot name.

A table is a list of rows, one for each frame, with one weight for each source; every row sums to 1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar

from remix.errors import RecipeError
from remix.plan.fields import show
from remix.plan.keyframe import Keyframe
from remix.plan.mix import Mix
from remix.plan.recipe import Recipe
from remix.plan.schedule import Schedule, plan

V = TypeVar("V")

MIXED = ("prompt", "negative", "seed", "image")
"""The fields of a frame that are mixes."""


def table(mixes: Sequence[Mix[V]]) -> tuple[list[V], list[list[float]]]:
    """Returns the distinct values of `mixes`, in order of first appearance, and the weight of each in each mix.

    >>> table([Mix.one("a"), Mix((("a", 1), ("b", 3)))])
    (['a', 'b'], [[1.0, 0.0], [0.25, 0.75]])
    """
    values = list(dict.fromkeys(value for mix in mixes for value, _ in mix.items))
    place = {value: index for index, value in enumerate(values)}
    rows = [[0.0] * len(values) for _ in mixes]
    for row, mix in zip(rows, mixes, strict=True):
        for value, weight in mix.items:
            row[place[value]] = weight
    return values, rows


def written_shares(text: str, count: int) -> list[list[float]]:
    """Returns the table in `text` for `count` sources: a line for each frame, with a part for each source.

    Parts are numbers of 0 or more, separated by commas or spaces, and relative: ``2, 1`` is two thirds and one third.
    Raises RecipeError, with the line, if it is invalid.

    >>> written_shares("1, 0; 1 3", 2)
    [[1.0, 0.0], [0.25, 0.75]]
    """
    lines = [line for line in re.split(r"[\n;]", text) if line.strip()]
    if not lines:
        raise RecipeError(f"there are none; write {count} numbers, such as {', '.join(['1'] * count)}", path="weights")
    return [_row(line, count, number) for number, line in enumerate(lines, 1)]


def _row(line: str, count: int, number: int) -> list[float]:
    words = [word for word in re.split(r"[,\s]+", line) if word]
    if len(words) != count:
        raise RecipeError(
            f"{show(line.strip())} has {len(words)} part(s), and there are {count} sources; write {count} in each line",
            path="weights",
            line=number,
        )
    try:
        mix = Mix(tuple((index, float(word)) for index, word in enumerate(words)))
    except ValueError as error:
        raise RecipeError(
            f"{show(line.strip())} is not numbers alone; write parts such as 2, 1", path="weights", line=number
        ) from error
    except RecipeError as error:
        raise RecipeError(f"{show(line.strip())}: {error.problem}", path="weights", line=number) from error
    found = dict(mix.items)
    return [found.get(index, 0.0) for index in range(count)]


def travelled_shares(count: int, frames: int, *, ease: str = "linear", loop: bool = False) -> list[list[float]]:
    """Returns the table of a travel of `frames` frames through `count` sources, evenly spaced and in order.

    `ease` shapes the travel from each to the next. With `loop`, the last travels on to the first, and the frame that
    would repeat the first is left out. Raises RecipeError if there are fewer frames than sources.

    >>> travelled_shares(2, 3)
    [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    """
    if frames < count:
        raise RecipeError(f"{frames} cannot visit {count} sources; give {count} or more", path="frames")
    keyframes = tuple(Keyframe(seed=source) for source in range(count))
    travel = plan(Recipe(frames=frames, keyframes=keyframes, ease=ease, loop=loop))
    return table([frame.seed for frame in travel])[1]


def scheduled_shares(schedule: Schedule, field: str, count: int) -> list[list[float]]:
    """Returns the table of one field of MIXED in `schedule`, for `count` sources that stand for its values.

    The first source stands for the first value in the film, and so on. Raises RecipeError if the numbers of values and
    sources differ.
    """
    values, rows = table(_mixes(schedule, field))
    if len(values) != count:
        listed = ", ".join(map(show, values[:4])) + (", ..." if len(values) > 4 else "")
        raise RecipeError(
            f"the schedule has {len(values)} ({listed}), and {count} sources are given; give one for each, in order",
            path=field,
        )
    return rows


def _mixes(schedule: Schedule, field: str) -> list[Mix[Any]]:
    if field not in MIXED:
        raise RecipeError(f"{show(field)} is not mixed; choose one of {', '.join(MIXED)}", path="field")
    mixes = [getattr(frame, field) for frame in schedule]
    if any(mix is None for mix in mixes):
        raise RecipeError("no keyframe sets it; set it in the recipe, or choose another field", path=field)
    return mixes
