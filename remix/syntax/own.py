"""Our own recipes, in TOML and JSON."""

from __future__ import annotations

from remix.plan import fields as check
from remix.plan.recipe import Recipe
from remix.syntax.parts import Given, Parts
from remix.syntax.scan import Source
from remix.syntax.writing import Export


def read_toml(source: Source, given: Given) -> Parts:
    """The parts of a recipe in TOML."""
    return _parts(Recipe.from_toml(source.text, source=source.name), given)


def read_json(source: Source, given: Given) -> Parts:
    """The parts of a recipe in JSON."""
    return _parts(Recipe.from_json(source.text, source=source.name), given)


def _parts(recipe: Recipe, given: Given) -> Parts:
    if given.frames is not None or given.fps is not None:
        recipe = recipe.replace(frames=given.frames or recipe.frames, fps=given.fps or recipe.fps)
    said = check.changed(recipe)
    said.pop("folder", None)
    return Parts(**said)


def write_toml(recipe: Recipe, field: str) -> Export:
    """The recipe in TOML, whole."""
    return Export(recipe.to_toml(), ())


def write_json(recipe: Recipe, field: str) -> Export:
    """The recipe in JSON, whole."""
    return Export(recipe.to_json(), ())
