"""Travels in separate fields in addition to a recipe: seeds, cfg, denoise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from remix.errors import RecipeError
from remix.plan import Keyframe, Recipe
from remix.plan import fields as check
from remix.plan.moments import places
from remix.syntax import detect, read
from remix.syntax.text.literal import number
from remix.syntax.text.source import Source
from remix.syntax.text.values import random_seed

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+", re.ASCII)
_NUMBERS = re.compile(rf"\s*(?:{_NUMBER.pattern})\s*(?:,\s*(?:{_NUMBER.pattern})\s*)*", re.ASCII)
_RANDOM = re.compile(r"\s*(?:-1|[0-9]+)\s*(?:,\s*(?:-1|[0-9]+)\s*)*", re.ASCII)
"""Seeds of which some may be -1, which is a random one."""
SCHEDULES = {"seed": ("seed-travel", "seed-explorer", "deforum-values")}
"""The syntaxes that a travel accepts in addition to a plain list of numbers."""


def travel_of(text: str, name: str, recipe: Recipe, seed: int) -> tuple[Keyframe, ...]:
    """Returns the keyframes in a field called `name`: `0:(7), 24:(9)` or `7, 9`. Raises RecipeError with a position."""
    with check.under(name):
        if name == "seed" and "-1" in text and _RANDOM.fullmatch(text):
            text = _drawn(text, seed)
        if _NUMBERS.fullmatch(text):
            source = Source(text)
            numbers = (number(source, found[0], found.start()) for found in _NUMBER.finditer(text))
            values_at: list[dict[str, Any]] = [{name: value} for value in numbers]
            return tuple(Keyframe(**values) for values in values_at)
        syntax = detect(text) if name in SCHEDULES else "deforum-values"
        if syntax not in SCHEDULES.get(name, (syntax,)):
            syntax = "deforum-values"
        given: dict[str, Any] = {"frames": recipe.frames, "fps": recipe.fps, "seed": seed, "loop": recipe.loop}
        return read(text, syntax, field=name, **given).keyframes


def _drawn(text: str, seed: int) -> str:
    """Returns the list of seeds with a seed in place of each -1: the host's, and others that follow from it.

    They are the same for the same seed of the host, so a film whose seed was drawn can be continued.
    """
    place, seeds = 0, []
    for written in text.split(","):
        if written.strip() == "-1":
            written, place = str(random_seed(seed, place) if place else seed), place + 1
        seeds.append(written.strip())
    return ", ".join(seeds)


def lay_over(recipe: Recipe, name: str, keyframes: Sequence[Keyframe]) -> Recipe:
    """Returns the recipe with a field's travel added. Raises RecipeError if the recipe itself sets that field."""
    if any(getattr(keyframe, name) is not None for keyframe in recipe.keyframes):
        raise RecipeError("travels in the recipe too; keep one of the two", path=name)
    taken = places([keyframe.at for keyframe in keyframes], recipe.frames, recipe.fps, recipe.loop, recipe.music)
    values_at: dict[int, dict[str, Any]] = {}
    for at, keyframe in (*zip(recipe.positions(), recipe.keyframes, strict=True), *zip(taken, keyframes, strict=True)):
        values = {field.name: getattr(keyframe, field.name) for field in fields(keyframe) if field.name != "at"}
        values_at.setdefault(at, {}).update({field: value for field, value in values.items() if value is not None})
    return recipe.replace(keyframes=tuple(Keyframe(at=at, **values_at[at]) for at in sorted(values_at)))
