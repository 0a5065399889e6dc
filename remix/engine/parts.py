"""A request's share of a film: its frames as a separate recipe, so that a request costs the same in any film.

A client cuts the blocks of a request out of the schedule and sends them as one keyframe per frame. The server reads
that recipe once, without detecting a syntax, and plans only those frames. `Whole` goes with it: the properties of the
rest of the film that these frames depend on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from remix.errors import RecipeError
from remix.plan import Recipe, Schedule, plan
from remix.plan import fields as check
from remix.plan.keyframe import MAX_SEED
from remix.plan.schedule import Whole, keyframe_of

FIELDS = ("recipe", "prompts", "negatives", "seed")


def part_of(schedule: Schedule, span: range) -> Schedule:
    """Returns the frames of `span`, numbered from 0, as a separate schedule.

    Its recipe has a keyframe for each frame, and `plan` returns the same frames again.
    """
    frames = tuple(replace(schedule[index], index=number) for number, index in enumerate(span))
    recipe = schedule.recipe.replace(
        frames=len(frames),
        keyframes=tuple(keyframe_of(frame, frame.index) for frame in frames),
        loop=False,
        ease="linear",
        curve="linear",
        pace="linear",
        clock=None,
        budget=None,
        rendered=None,
        restore=False,  # the client restores the frames
        between=0,
        music=None,
        defaulted=frozenset(),  # leaves no defaults to the server
    )
    return Schedule(recipe, frames, Whole(schedule.prompts, schedule.negatives, schedule.first_seed))


def plain_part(part: Schedule) -> dict[str, Any]:
    """Returns a part of a film as plain JSON values, the inverse of `read_part`."""
    return {
        "recipe": part.recipe.to_dict(),
        "prompts": list(part.prompts),
        "negatives": list(part.negatives),
        "seed": part.first_seed,
    }


def read_part(data: Any, folder: str = "") -> Schedule:
    """Returns the part of a film that `plain_part` wrote. Raises `RecipeError`, naming the field, for anything else.

    `folder` is the base of relative picture paths.
    """
    found: Mapping[str, Any] = check.only(data, FIELDS)
    for name in FIELDS:
        if name not in found:
            raise RecipeError("is missing; send the whole part", path=name)
    with check.under("recipe"):
        schedule = plan(Recipe.from_dict(found["recipe"], folder=folder))
    whole = Whole(
        _texts(found["prompts"], "prompts", schedule.prompts),
        _texts(found["negatives"], "negatives", schedule.negatives),
        check.integer(found["seed"], "seed", 0, MAX_SEED),
    )
    return Schedule(schedule.recipe, schedule.frames, whole)


def _texts(value: Any, path: str, used: tuple[str, ...]) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise RecipeError(f"{check.show(value)} is not a list of prompts", path=path)
    texts = tuple(check.text(text, f"{path}[{number}]", check.MAX_PROMPT) for number, text in enumerate(value))
    if missing := set(used) - set(texts):
        raise RecipeError(f"{check.show(min(missing))} is missing, and a frame uses it", path=path)
    return texts
