"""Reads the input of a verb: a recipe, a job folder, or a schedule of another tool plus options."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import click

from remix.client.cli.completion import among
from remix.client.recipes import picture_recipe, recipe_text
from remix.errors import BadInput, RecipeError
from remix.job import recipe_of
from remix.plan import Mix, Recipe
from remix.plan.documents import decoded
from remix.plan.moments import length
from remix.plan.wording import printable
from remix.syntax import SYNTAXES, detect, read
from remix.syntax.inputs import read_recipe
from remix.syntax.recipes import NO_YAML

YAML = (".yaml", ".yml")

VALUES = ("deforum-values", "animatediff-evolved")
"""The syntaxes with values of any field."""


class ReadRecipe(NamedTuple):
    """A recipe, and the syntax of the schedule from which it was read, or None."""

    recipe: Recipe
    syntax: str | None = None


@dataclass(frozen=True)
class Reading:
    """Options for reading a file: its syntax (None: detected), and overrides of its settings."""

    syntax: str | None = None
    frames: str | None = None
    fps: float | None = None
    size: str | None = None

    @property
    def length(self) -> int | str | None:
        """The number of frames or duration of `--frames`, or None without it."""
        return length(self.frames) if self.frames else None

    def refuse_for(self, job: Path, overrides: Sequence[str] = ()) -> None:
        """Raises BadInput for options, including `overrides`, that would change the recipe of a job folder."""
        options = {"--from": self.syntax, "--frames": self.frames, "--fps": self.fps, "--size": self.size}
        if given := [*(option for option, value in options.items() if value is not None), *overrides]:
            raise BadInput(
                f"{', '.join(given)}: {job} is a job folder, whose recipe stays as it is; leave this out, or give a "
                "recipe and another folder"
            )

    def recipe(self, path: Path, **given: Any) -> Recipe:
        """Returns the recipe in the file or job folder at `path`. Other arguments are those of `read`."""
        return self.read(path, **given).recipe

    def read(self, path: Path, *, image: str | None = None, **given: Any) -> ReadRecipe:
        """Returns the recipe in the file or job folder at `path`, and the syntax of another tool's schedule.

        `image` is the init picture of a schedule. Prints the syntax and notes. Raises RecipeError with the position for
        an invalid file, or if the number of frames is unknown.
        """
        frames = self.length
        if path.is_dir():
            return ReadRecipe(_sized(recipe_of(path), self.size, {"frames": frames, "fps": self.fps}))
        remade = None if self.syntax or image is not None or any(given.values()) else picture_recipe(path)
        if remade is not None:
            click.echo(f"syntax  {remade.kind}: the metadata of {printable(remade.tool)}", err=True)
            for note in remade.notes:
                click.echo(f"note    {printable(note)}", err=True)
            changes = {"frames": frames, "fps": self.fps}
            return ReadRecipe(_sized(remade.recipe, self.size, changes), remade.kind)
        text = None if path.suffix.lower() == ".toml" and not self.syntax else self._foreign(path)
        if text is None:
            recipe, syntax = read_recipe(path), None
            changes = {"frames": frames, "fps": self.fps}
        else:
            parts = read(text, self.syntax, source=str(path), frames=frames, fps=self.fps, **given)
            syntax = parts.syntax
            click.echo(f"syntax  {syntax}: {SYNTAXES[syntax].title}", err=True)
            _check_field(given.get("field"), syntax)
            for note in parts.notes:
                click.echo(f"note    {note}", err=True)
            if image is not None:
                first, *rest = parts.keyframes
                parts = replace(parts, keyframes=(replace(first, image=Mix.one(image)), *rest))
            recipe = _recipe(path, parts, with_image=image is not None)
            changes = {}
        return ReadRecipe(_sized(recipe, self.size, changes), syntax)

    def _foreign(self, path: Path) -> bytes | None:
        """Returns the text of another tool's schedule, or None if the file is a recipe."""
        raw = recipe_text(path)
        if path.suffix.lower() in YAML and self.syntax is None:
            raise RecipeError(NO_YAML, source=str(path))
        if path.suffix.lower() == ".json" and self.syntax is None:
            try:
                if detect(decoded(raw)) == "json":
                    return None
            except RecipeError:
                return None  # reading the recipe raises a better error
        return raw


def _check_field(field: str | None, syntax: str) -> None:
    """Raises BadInput for a field if the text has no values."""
    of_seeds = field == "seed" and syntax in ("seed-travel", "seed-explorer")
    if field is not None and syntax not in VALUES and not of_seeds:
        raise BadInput(
            f"--field: {field} is for values such as 0:(7), 24:(9), and this text was read as {syntax}; leave the "
            "option out, or name the syntax: --from deforum-values"
        )


def _recipe(path: Path, parts: Any, *, with_image: bool) -> Recipe:
    """Returns a recipe from its parts. Errors name the file and, for denoise, the option that helps."""
    try:
        recipe: Recipe = parts.recipe(folder=str(path.parent))
    except RecipeError as error:
        problem = error.problem
        if not with_image and (error.path or "").endswith(".denoise"):
            problem = f"{problem}, or give a picture: remix import {path} --image init.png"
        raise RecipeError(problem, path=error.path, source=str(path)) from error
    return recipe


def _sized(recipe: Recipe, size: str | None, changes: dict[str, Any]) -> Recipe:
    given = {name: value for name, value in changes.items() if value is not None}
    if size is not None:
        sized = Recipe.from_dict({"frames": 1, "keyframes": [{}], "size": size})
        given |= {"width": sized.width, "height": sized.height}
    return recipe.replace(**given) if given else recipe


def schedule_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options for another tool's schedule to a verb, which receives them as `reading`."""

    @click.option(
        "--from",
        "syntax",
        metavar="NAME",
        shell_complete=among(SYNTAXES),
        help="Syntax of a schedule; detected automatically if omitted.",
    )
    @click.option("--frames", metavar="N", help="Number of frames, or a time such as 4s; overrides the file.")
    @click.option("--fps", type=float, help="Frames per second.")
    @click.option("--size", metavar="WxH", help="Size of the pictures, such as 512x768.")
    @functools.wraps(command)
    def packed(
        *args: Any, syntax: str | None, frames: str | None, fps: float | None, size: str | None, **rest: Any
    ) -> None:
        command(*args, reading=Reading(syntax, frames, fps, size), **rest)

    return packed
