"""One number for each frame of a schedule, for inputs of a host that accept numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from remix.errors import RecipeError
from remix.plan.expression import parse
from remix.plan.keyframe import CHANGING, Keyframe
from remix.plan.recipe import Recipe
from remix.plan.schedule import Schedule
from remix.plan.shares import table
from remix.plan.travel import Travel

LARGEST_WHOLE = 2**63 - 1


def setting_values(schedule: Schedule, field: str) -> list[float]:
    """Returns the `cfg` or the `denoise` of each frame."""
    if field not in ("cfg", "denoise"):
        raise RecipeError(f"{field!r} is not a number of a frame; choose cfg or denoise", path="field")
    return [getattr(frame, field) for frame in schedule]


def ramp_values(schedule: Schedule, start: float, end: float, ease: str = "linear") -> list[float]:
    """Returns numbers that travel from `start` at the first frame to `end` at the last, along `ease`.

    An ease that overshoots does so here too. In a schedule that loops, the numbers return to `start`.

    >>> from remix.plan import Keyframe, Recipe, plan
    >>> ramp_values(plan(Recipe(frames=3, keyframes=(Keyframe(),))), 2, 4)
    [2.0, 3.0, 4.0]
    """
    ends = (Keyframe(cfg=0.0), Keyframe(cfg=1.0)) if len(schedule) > 1 else (Keyframe(cfg=0.0),)
    ways = Travel(Recipe(frames=len(schedule), keyframes=ends, ease=ease, loop=schedule.recipe.loop))
    return [_between(start, end, way) for way in ways.numbers("cfg", 0.0, -math.inf, math.inf)]


def share_values(schedule: Schedule, field: str, number: int, low: float = 0.0, high: float = 1.0) -> list[float]:
    """Returns the share of one value of a mixed field in each frame, scaled from `low` (none) to `high` (all).

    `number` counts the field's values from 0 in order of first appearance. Raises RecipeError if there are fewer.
    """
    mixes = [getattr(frame, field) for frame in schedule]
    if any(mix is None for mix in mixes):
        raise RecipeError("no keyframe sets it; set it in the recipe, or choose another field", path=field)
    values, rows = table(mixes)
    if not 0 <= number < len(values):
        raise RecipeError(f"{number} is not one of its {len(values)} values; give 0 to {len(values) - 1}", path=field)
    return [_between(low, high, row[number]) for row in rows]


def expression_values(schedule: Schedule, text: str) -> list[float]:
    """Returns the value of an expression at each frame (see remix.plan.expression).

    Its variables are `t` (the frame), `max_f` (the last frame), `s` (the frame's heaviest seed), `fps`, the frame's
    own `cfg` and `denoise`, and `MUSIC_NAMES` if the recipe has music.
    """
    frames = range(len(schedule))
    recipe = schedule.recipe
    music = {} if recipe.music is None else recipe.music.columns(frames, recipe.fps)
    return parse(text, (*CHANGING, *music, "cfg", "denoise")).over(
        frames,
        max_f=float(len(schedule) - 1),
        s=[frame.seed.heaviest for frame in schedule],
        fps=recipe.fps,
        cfg=setting_values(schedule, "cfg"),
        denoise=setting_values(schedule, "denoise"),
        **music,
    )


def whole(values: Sequence[float]) -> list[int]:
    """Returns the nearest integer of each value, halves up. Raises RecipeError for values beyond 64 bits.

    >>> whole([0.5, 1.49, -0.5])
    [1, 1, 0]
    """
    found = [math.floor(value + 0.5) for value in values]
    for frame, number in enumerate(found):
        if abs(number) > LARGEST_WHOLE:
            raise RecipeError(f"{values[frame]:g} is beyond what a whole number here can be; keep it below 9e18")
    return found


def _between(low: float, high: float, share: float) -> float:
    return float(low if share == 0 else high if share == 1 else low + (high - low) * share)
