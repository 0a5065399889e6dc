"""Recipes of this toolkit, in TOML and JSON."""

from __future__ import annotations

import re

from remix.plan.keyframe import KEYFRAME_FIELDS
from remix.plan.recipe import RECIPE_FIELDS, Recipe
from remix.syntax.text.export import Export
from remix.syntax.text.parts import Options, Parts
from remix.syntax.text.source import Source
from remix.syntax.text.syntax import Shape, Syntax

_TABLE = re.compile(r"(?m)^[ \t]*\[\[?(?:keyframes|model|music)[\].]")
_FIELD = re.compile(rf"(?m)^[ \t]*(?:{'|'.join(RECIPE_FIELDS)})[ \t]*=")
_YAML = re.compile(
    r"""(?m)^(?:keyframes:[ \t]*$|frames:[ \t]*["']?[0-9.]{1,12}s?["']?[ \t]*$)"""
    rf"|^[ \t]*-[ \t]+(?:{'|'.join(KEYFRAME_FIELDS)}):[ \t]"
)

NO_YAML = "recipes are not written in YAML; write it as TOML or JSON"


def looks_json(shape: Shape) -> bool:
    if not shape.braced:
        return False
    # Without keys and a closing brace it is a prompt that begins with a choice: {red|blue} cats
    return bool(shape.keys) or shape.text.rstrip().endswith("}")


def looks_toml(shape: Shape) -> bool:
    if not shape.braced and (_TABLE.search(shape.text) or _FIELD.search(shape.text)):
        return True
    if found := _YAML.search(shape.text):
        # The lines of a YAML recipe would pass for prompts.
        raise shape.source.error(found.start(), NO_YAML)
    return False


def read_toml(source: Source, options: Options) -> Parts:
    """Returns the parts of a recipe in TOML."""
    return _parts(Recipe.from_toml(source.text, source=source.name), options)


def read_json(source: Source, options: Options) -> Parts:
    """Returns the parts of a recipe in JSON."""
    return _parts(Recipe.from_json(source.text, source=source.name), options)


def _parts(recipe: Recipe, options: Options) -> Parts:
    if options.frames is not None or options.fps is not None:
        recipe = recipe.replace(frames=options.frames or recipe.frames, fps=options.fps or recipe.fps)
    return Parts(**recipe.given())


def write_toml(recipe: Recipe, field: str) -> Export:
    """Returns the whole recipe in TOML."""
    return Export(recipe.to_toml(), ())


def write_json(recipe: Recipe, field: str) -> Export:
    """Returns the whole recipe in JSON."""
    return Export(recipe.to_json(), ())


TOML = Syntax("toml", "a recipe of this toolkit", looks_toml, read_toml, write_toml, wraps=False)
JSON = Syntax("json", "a recipe of this toolkit", looks_json, read_json, write_json, wraps=False)
