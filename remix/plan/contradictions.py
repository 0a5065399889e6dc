"""Checks of a recipe as a whole: fields that contradict each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remix.errors import RecipeError
from remix.plan import fields as check
from remix.plan.inputs import kind_of
from remix.plan.keyframe import plain_keyframe
from remix.plan.music import MUSIC_NAMES
from remix.plan.wording import nearest

if TYPE_CHECKING:
    from remix.plan.recipe import Recipe

MAX_PIXELS = 64_000_000


def refuse_contradictions(recipe: Recipe) -> None:
    """Raises RecipeError for invalid combinations: too many pixels, equal keyframes, denoise without a picture."""
    if recipe.width * recipe.height > MAX_PIXELS:
        raise RecipeError(
            f"{recipe.width}x{recipe.height} is {recipe.width * recipe.height} pixels; keep to {MAX_PIXELS}",
            path="size",
        )
    recipe.positions()
    if recipe.music is None:
        _refuse_music(recipe)
    _check_inputs(recipe)
    if any(keyframe.image for keyframe in recipe.keyframes):
        return
    for i, keyframe in enumerate(recipe.keyframes):
        if keyframe.mask is not None:
            raise RecipeError(
                'says where a picture is drawn again, but no keyframe sets one; set "image", or leave "mask" out',
                path=f"keyframes[{i}].mask",
            )
        if keyframe.denoise is not None and keyframe.denoise != 1:
            denoise = plain_keyframe(keyframe)["denoise"]
            raise RecipeError(
                f'{denoise} keeps part of a picture, but no keyframe sets one; set "image", or leave "denoise" out',
                path=f"keyframes[{i}].denoise",
            )


def _refuse_music(recipe: Recipe) -> None:
    """Raises RecipeError if an expression uses a name of `MUSIC_NAMES`, which has no value without music."""
    for i, keyframe in enumerate(recipe.keyframes):
        for name, variables in keyframe.variables():
            if used := [each for each in MUSIC_NAMES if each in variables]:
                raise RecipeError(
                    f'"{used[0]}" is a name of music, and there is none; write a number, or below [music] the line '
                    'file = "song.mp3"',
                    path=f"keyframes[{i}].{name}",
                )


def _check_inputs(recipe: Recipe) -> None:
    """Raises RecipeError for inputs of nothing, of two kinds, or of clips that cannot be cut or paced."""
    kinds: dict[str, str] = {}
    for i, keyframe in enumerate(recipe.keyframes):
        for name, value in keyframe.inputs or ():
            path = f"keyframes[{i}].inputs{check.joined(name)}"
            if recipe.workflow is None and recipe.payload is None:
                raise RecipeError(
                    'is an input of nothing; write file = "mine.json" below [workflow], or the fields of an A1111 '
                    "payload below [payload]",
                    path=path,
                )
            if kinds.setdefault(name, kind_of(value)) != kind_of(value):
                raise RecipeError(
                    f"is {kind_of(value)} here and {kinds[name]} in another keyframe; write one kind of value",
                    path=path,
                )
    if unknown := [name for name in recipe.hold if name not in kinds]:
        raise RecipeError(f'no keyframe sets "{unknown[0]}"; {nearest(unknown[0], sorted(kinds))}', path="hold")
    if recipe.workflow is not None and recipe.payload is not None:
        raise RecipeError("is for A1111, and [workflow] is for ComfyUI; keep one of them", path="payload")
    if recipe.workflow is not None and recipe.workflow.clip != 1:
        with check.under("workflow"):
            recipe.clips()
        if recipe.pace == "even" or recipe.budget is not None:
            name = "pace" if recipe.pace == "even" else "budget"
            raise RecipeError("chooses single moments, and the workflow gives clips; leave it out", path=name)
