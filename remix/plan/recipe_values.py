"""Values of a recipe's fields that need more than one check. Functions raise RecipeError with the field's path."""

from __future__ import annotations

import re
from typing import Any

from remix.catalog.samplers import SAMPLERS, sampler_of
from remix.errors import RecipeError
from remix.plan import fields as check
from remix.plan.keyframe import LIST, MAX_CFG, Keyframe

MAX_KEYFRAMES = 10_000


def read_cfg(value: Any) -> float:
    """Returns a cfg. Raises RecipeError for an expression, which belongs to a keyframe."""
    if isinstance(value, str):
        problem = f"{check.show(value)} is text; write a number, or an expression below a [[keyframes]]"
        raise RecipeError(problem, path="cfg")
    return check.number(value, "cfg", 0, MAX_CFG)


def read_side(value: Any, path: str) -> int:
    """Returns a width or height."""
    side = check.integer(value, path, 8, 8192)
    if side % 8:
        raise RecipeError(f"{side} is not a multiple of 8; use {side - side % 8} or {side + 8 - side % 8}", path=path)
    return side


def read_sampler(value: Any) -> str:
    """Returns the name of a sampler. Raises RecipeError for another tool's label, with the name to use instead."""
    meant = sampler_of(value) if isinstance(value, str) and value not in SAMPLERS else None
    if meant is None:
        return check.choice(value, "sampler", SAMPLERS)
    scheduler = f' and scheduler = "{meant[1]}"' if meant[1] else ""
    raise RecipeError(f'{check.show(value)} is what other tools call it; write "{meant[0]}"{scheduler}', path="sampler")


def read_size(value: Any) -> tuple[int, int]:
    """Returns width and height from ``[768, 512]`` or ``"768x512"``."""
    sides = value
    if isinstance(value, str):
        found = re.fullmatch(r"\s*([0-9]{1,9})\s*[xX]\s*([0-9]{1,9})\s*", value)
        sides = found and (int(found[1]), int(found[2]))
    if not isinstance(sides, (list, tuple)) or len(sides) != 2:
        raise RecipeError(f'{check.show(value)} is not a size; write [768, 512] or "768x512"', path="size")
    return read_side(sides[0], "size[0]"), read_side(sides[1], "size[1]")


def read_names(value: Any, path: str) -> tuple[str, ...]:
    """Returns the distinct names in a list."""
    if not isinstance(value, (list, tuple)):
        raise RecipeError(f'{check.show(value)} is not a list of names; write ["KSampler.sampler_name"]', path=path)
    return tuple(dict.fromkeys(check.name(each, f"{path}[{number}]") for number, each in enumerate(value)))


def check_keyframes(value: Any) -> tuple[Keyframe, ...]:
    """Returns a list of keyframes."""
    if not isinstance(value, (list, tuple)):
        raise RecipeError(f"{check.show(value)} is not a list of keyframes; write {LIST}", path="keyframes")
    if not 1 <= len(value) <= MAX_KEYFRAMES:
        raise RecipeError(f"there are {len(value)}; give 1 to {MAX_KEYFRAMES}", path="keyframes")
    for i, keyframe in enumerate(value):
        if not isinstance(keyframe, Keyframe):
            raise RecipeError(
                f"{check.show(keyframe)} is not a Keyframe; write Keyframe(...), or use Recipe.from_dict",
                path=f"keyframes[{i}]",
            )
    return tuple(value)
