"""What a verb is given for a recipe: a recipe, or a schedule of another tool with what that leaves open."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import click

from remix.client.cli.completion import among
from remix.client.recipes import recipe_text
from remix.errors import BadInput, RecipeError
from remix.job import recipe_of
from remix.plan import Mix, Recipe
from remix.plan.documents import decoded
from remix.plan.moments import length
from remix.syntax import SYNTAXES, detect, read
from remix.syntax.recipes import NO_YAML

YAML = (".yaml", ".yml")


class ReadRecipe(NamedTuple):
    """A recipe, and the name of the syntax that it was read in, None for a recipe of ours."""

    recipe: Recipe
    syntax: str | None = None


@dataclass(frozen=True)
class Reading:
    """How a file is read: its syntax (None: as it looks), and what holds before what it says itself."""

    syntax: str | None = None
    frames: str | None = None
    fps: float | None = None
    size: str | None = None

    @property
    def length(self) -> int | str | None:
        """The number of frames or the time that is asked for; None where the file says it."""
        return length(self.frames) if self.frames else None

    def refuse_for(self, job: Path, overrides: Sequence[str] = ()) -> None:
        """Raises BadInput for options, `overrides` too, that would change the recipe of a job folder."""
        options = {"--from": self.syntax, "--frames": self.frames, "--fps": self.fps, "--size": self.size}
        if given := [*(option for option, value in options.items() if value is not None), *overrides]:
            raise BadInput(
                f"{', '.join(given)}: {job} is a job folder, whose recipe stays as it is; leave this out, or give a "
                "recipe and a folder of its own"
            )

    def recipe(self, path: Path, **given: Any) -> Recipe:
        """The recipe in the file or job folder at `path`; the rest as for `read`."""
        return self.read(path, **given).recipe

    def read(self, path: Path, *, image: str | None = None, **given: Any) -> ReadRecipe:
        """The recipe in the file or job folder at `path`, and the syntax of a schedule of another tool.

        `image` is the init picture of a schedule, beside the recipe. The syntax, and what was understood differently,
        goes to the terminal. RecipeError, with the position, for what
        cannot be read; it asks for the frames where they are not known.
        """
        frames = self.length
        if path.is_dir():
            return ReadRecipe(_sized(recipe_of(path), self.size, {"frames": frames, "fps": self.fps}))
        text = None if path.suffix.lower() == ".toml" and not self.syntax else self._foreign(path)
        if text is None:
            recipe, syntax = Recipe.load(path), None
            changes = {"frames": frames, "fps": self.fps}
        else:
            parts = read(text, self.syntax, source=str(path), frames=frames, fps=self.fps, **given)
            syntax = parts.syntax
            click.echo(f"syntax  {syntax}: {SYNTAXES[syntax].title}", err=True)
            for note in parts.notes:
                click.echo(f"note    {note}", err=True)
            if image is not None:
                first, *rest = parts.keyframes
                parts = replace(parts, keyframes=(replace(first, image=Mix.one(image)), *rest))
            recipe = self._whole(path, parts)
            changes = {}
        return ReadRecipe(_sized(recipe, self.size, changes), syntax)

    def _foreign(self, path: Path) -> bytes | None:
        """The text of a schedule in another tool's syntax; None when the file is a recipe."""
        raw = recipe_text(path)
        if path.suffix.lower() in YAML and self.syntax is None:
            raise RecipeError(NO_YAML, source=str(path))
        if path.suffix.lower() == ".json" and self.syntax is None:
            try:
                if detect(decoded(raw)) == "json":
                    return None
            except RecipeError:
                return None  # the reader of recipes says what is wrong with it
        return raw

    def _whole(self, path: Path, parts: Any) -> Recipe:
        try:
            whole: Recipe = parts.recipe(folder=str(path.parent))
        except RecipeError as error:
            raise RecipeError(error.problem, path=error.path, source=str(path)) from error
        return whole


def _sized(recipe: Recipe, size: str | None, changes: dict[str, Any]) -> Recipe:
    given = {name: value for name, value in changes.items() if value is not None}
    if size is not None:
        sized = Recipe.from_dict({"frames": 1, "keyframes": [{}], "size": size})
        given |= {"width": sized.width, "height": sized.height}
    return recipe.replace(**given) if given else recipe


def schedule_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options for a schedule of another tool to a verb, which is given them as one `reading`."""

    @click.option(
        "--from",
        "syntax",
        metavar="NAME",
        shell_complete=among(SYNTAXES),
        help="Syntax of a schedule; detected automatically if omitted.",
    )
    @click.option("--frames", metavar="N", help="How many frames, or a time such as 4s, where the file leaves it open.")
    @click.option("--fps", type=float, help="Frames per second.")
    @click.option("--size", metavar="WxH", help="Size of the pictures, such as 512x768.")
    @functools.wraps(command)
    def packed(
        *args: Any, syntax: str | None, frames: str | None, fps: float | None, size: str | None, **rest: Any
    ) -> None:
        command(*args, reading=Reading(syntax, frames, fps, size), **rest)

    return packed
