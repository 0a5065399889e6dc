"""Reads a recipe from a `Recipe`, a `Schedule`, a file, a job folder, or a text in any known syntax."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from remix.errors import BadInput, PictureError, RecipeError
from remix.hosts.remaking import recipe_of_origin
from remix.job import Made, is_job, read_metadata, recipe_of
from remix.job.reading import INPUTS
from remix.motion.regular import open_file
from remix.plan import Model, Recipe, Schedule
from remix.plan.documents import decoded, read_file, read_toml
from remix.syntax import detect, read_text
from remix.syntax.comfyui_workflow import NODES
from remix.syntax.inputs import recipe_of_data

RecipeLike = Recipe | Schedule | str | os.PathLike[str]
"""Anything that `read_any` accepts."""

PICTURES = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")
"""First bytes of picture files."""

FILMS = (b"\x1aE\xdf\xa3", b"OggS")
"""First bytes of film files. MP4 and MOV have `ftyp` at byte 4."""


class ReadAny(NamedTuple):
    """A recipe or schedule, with notes on the parts of another tool's syntax that are interpreted differently."""

    recipe: Recipe | Schedule
    notes: tuple[str, ...] = ()


class Remade(NamedTuple):
    """A recipe that renders a picture again, with notes, and the names of its format and tool."""

    recipe: Recipe
    notes: tuple[str, ...]
    kind: str
    tool: str


def read_any(recipe: RecipeLike) -> ReadAny:
    """Returns a recipe or schedule, with notes.

    A string that contains a line break or starts with ``{`` is a text; any other string is a path. A path may be a
    recipe (.toml, .json), a schedule in another tool's syntax, or a job folder.

    >>> read_any('frames = 2' + chr(10) + '[[keyframes]]' + chr(10) + 'prompt = "a cat"').recipe.frames
    2

    Raises `RecipeError` with the position for a text that cannot be parsed, and `BadInput` for any other value.
    """
    if isinstance(recipe, (Recipe, Schedule)):
        return ReadAny(recipe)
    if isinstance(recipe, str) and is_text(recipe):
        found = read_text(recipe)
        return ReadAny(found.recipe, found.notes)
    if not isinstance(recipe, (str, os.PathLike)):
        kind = type(recipe).__name__
        raise BadInput(f"recipe: {kind} is not a recipe; give a Recipe, a Schedule, the path of a file, or a text")
    path = Path(recipe)
    if path.is_dir():
        return ReadAny(recipe_of(path))
    if (remade := picture_recipe(path)) is not None:
        return ReadAny(remade.recipe, remade.notes)
    if path.suffix.lower() == ".toml":
        text = recipe_text(path)
        return ReadAny(recipe_of_data(read_toml(text, source=str(path)), text, str(path), str(path.parent)))
    found = read_text(decoded(recipe_text(path), source=str(path)), folder=str(path.parent), source=str(path))
    return ReadAny(found.recipe, found.notes)


def is_text(recipe: str) -> bool:
    """Returns whether a string is the text of a recipe rather than a path.

    >>> is_text("morph.toml"), is_text('{"frames": 2}')
    (False, True)
    """
    return "\n" in recipe or recipe.lstrip().startswith("{")


def recipe_text(path: Path) -> bytes:
    """Returns the bytes of a text file, or the ComfyUI workflow or A1111 infotext embedded in a picture or film.

    Raises `RecipeError` for a file that cannot be read, and for a picture or film without these.
    """
    if (kind := _kind_of(path)) is None:
        return read_file(path)
    made = read_metadata(path)
    for name in ("prompt", "workflow", "parameters"):
        if name in made.texts:
            return made.texts[name].encode()
    raise RecipeError(f"is a {kind}, not a recipe. To see what made it: remix inspect {path}", source=str(path))


def picture_recipe(path: Path) -> Remade | None:
    """Returns the recipe that renders a picture or film again, with notes: that in it, or one of its settings.

    None for other files, and for a picture with a schedule in it, which `recipe_text` returns.
    """
    if _kind_of(path) is None:
        return None
    made = read_metadata(path)
    if made.remix is not None and "recipe" in made.remix:
        recipe, found = own_recipe(made.remix, folder=str(_folder_of_inputs(path)))
        frame = made.remix.get("frame")
        whole = ["this is the recipe of the whole film"] if recipe.frames > 1 and isinstance(frame, Mapping) else []
        return Remade(recipe, (*whole, *found), "remix", "Remix Toolkit")
    if made.remix is not None or made.origin is None or not made.origin.passes or _has_schedule(made):
        return None
    try:
        recipe, notes = recipe_of_origin(made.origin)
    except RecipeError as error:
        raise RecipeError(error.problem, path=error.path, source=str(path)) from error
    return Remade(recipe, tuple(notes), made.origin.kind, made.origin.tool)


def own_recipe(about: Mapping[str, Any], folder: str = "") -> tuple[Recipe, list[str]]:
    """Returns the recipe in the metadata of a film of ours, with notes. `folder` is the base of its pictures.

    Raises RecipeError if it cannot be read.
    """
    recipe, notes = Recipe.from_dict(about["recipe"], folder=folder).settled(), list[str]()
    engine = about.get("engine")
    if recipe.model.checkpoint == Model.checkpoint and isinstance(engine, Mapping):
        host, name = engine.get("engine"), engine.get("checkpoint")
        files = [str(key).removeprefix("file ") for key in engine if str(key).startswith("file ")]
        if isinstance(name, str) and name not in ("", Model.checkpoint):
            recipe = recipe.replace(model=replace(recipe.model, checkpoint=name))
            notes.append(f"{host} calls the checkpoint by this name; for the local engine, write the path of its file")
        elif files:
            notes.append(f"{host} rendered it with {', '.join(files)}; write the checkpoint below [model]")
    return recipe, notes


def _folder_of_inputs(path: Path) -> Path:
    """Returns the folder of the pictures of a recipe in a film or frame: that of the job that it is in, or its own."""
    jobs = [folder for folder in (path.parent, path.parent.parent) if is_job(folder)]
    return jobs[0] / INPUTS if jobs else path.parent


def _has_schedule(made: Made) -> bool:
    """Returns whether the metadata holds prompts or values over frames, in a node or in another tool's syntax."""
    if made.comfyui is not None:
        found = NODES.keys() & made.comfyui.nodes.keys()
        # Most Wan prompts are a single one; between | they change over the film.
        return any(NODES[kind].syntax != "wan" or any("|" in text for text in made.comfyui.prompts) for kind in found)
    if made.a1111 is None:
        return False
    return "AnimateDiff" in made.a1111.settings or detect(made.texts["parameters"]) != "a1111"


def _kind_of(path: Path) -> str | None:
    """Returns "picture", "film", or None for anything else."""
    try:
        with open_file(path) as file:
            raw = file.read(16)
    except PictureError:  # `read_file` raises a better error
        return None
    if raw.startswith(PICTURES):
        return "picture"
    return "film" if raw.startswith(FILMS) or raw[4:8] == b"ftyp" else None


def default_folder(recipe: RecipeLike, number: int) -> str | Path:
    """Returns the name of a job folder for a recipe: its file name, or else ``film-3``.

    The path of a job folder is returned unchanged.
    """
    if isinstance(recipe, (Recipe, Schedule)) or (isinstance(recipe, str) and is_text(recipe)):
        return f"film-{number}"
    path = Path(recipe)
    return path if is_job(path) else path.stem
