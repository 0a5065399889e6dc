"""A recipe from a text alone, as it stands in a text field: no file, no suffix, any syntax."""

from __future__ import annotations

from typing import Any, NamedTuple

from remix.errors import RecipeError
from remix.plan.read import read_json, read_toml
from remix.plan.recipe import Recipe, located
from remix.syntax import detect, read


class ReadText(NamedTuple):
    """A recipe, sentences on what is understood differently here, and the name of the syntax it was written in."""

    recipe: Recipe
    notes: tuple[str, ...]
    syntax: str


def read_text(
    text: str,
    *,
    frames: int | str | None = None,
    fps: float | None = None,
    width: int | None = None,
    height: int | None = None,
    folder: str = "",
    source: str | None = None,
) -> ReadText:
    """The recipe in `text`, in any syntax that `detect` knows, with notes and the name of that syntax.

    `frames`, `fps`, `width` and `height` stand in place of what the text says, where they are given; a side that
    neither gives is Recipe's own. `folder` is where the recipe's pictures are. RecipeError with line and column.
    """
    if not text.strip("\ufeff \t\r\n"):
        raise RecipeError("is empty; write at least one keyframe", path="recipe", source=source)
    name = detect(text.lstrip("\ufeff"), source)
    sides = {"width": width, "height": height}
    if name not in ("toml", "json"):
        parts = read(text, name, source=source, frames=frames, fps=fps)
        given = {side: value for side, value in sides.items() if value is not None}
        return ReadText(parts.recipe(folder=folder).replace(**given), parts.notes, name)
    data = (read_json if name == "json" else read_toml)(text, source=source)
    if isinstance(data, dict):
        data = _changed(data, {"frames": frames, "fps": fps}, sides)
    return ReadText(located(data, text, source, folder), (), name)


def _changed(data: dict[str, Any], numbers: dict[str, Any], sides: dict[str, int | None]) -> dict[str, Any]:
    """`data` with the numbers and sides that are given in place of its own."""
    found = {**data, **{name: value for name, value in numbers.items() if value is not None}}
    given = {name: value for name, value in sides.items() if value is not None}
    if len(given) == len(sides):
        found.pop("size", None)
    elif given and "size" in found:
        try:
            size = Recipe.from_dict({"frames": 1, "keyframes": [{}], "size": found["size"]})
        except RecipeError:  # told again with its position, when the whole is read
            return found
        del found["size"]
        found.update(width=size.width, height=size.height)
    return {**found, **given}
