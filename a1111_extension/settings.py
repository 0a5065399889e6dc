"""The fields of the panel, or of an API request, and the recipe that they describe.

`panel.settings(args)` turns the values of the panel's components into `Settings`, whose defaults leave everything to
the recipe. `Settings.recipe(host)` returns the recipe, or raises RecipeError.

Over the API, `script_args` is `[recipe]`, as JSON or as text in any syntax, or `[{"recipe": ..., ...}]` with other
fields of `Settings` by name. Values that a recipe leaves out come from the fields of the request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from remix.engine.draft import draft_frames
from remix.errors import BadInput, RecipeError
from remix.hosts.a1111.labels import names_of_labels
from remix.plan import Keyframe, Mix, Recipe
from remix.plan import fields as check
from remix.plan.documents import read_json, read_toml
from remix.plan.expression import verbatim
from remix.plan.moments import MAX_FRAMES, length
from remix.plan.recipe import located
from remix.syntax import detect, read

from .travels import lay_over, travel_of

AUTO = "auto"
OWN = ("toml", "json")
LARGEST_BATCH, MOST_BETWEEN, MOST_EVERY = 64, 63, 1000


@dataclass(frozen=True)
class Fields:
    """The host's own fields, used for values that a recipe leaves out.

    `sampler` and `scheduler` are the host's labels, `width` and `height` the size of the finished pictures, and
    `images` the names of the init pictures in `folder`.
    """

    prompt: str = ""
    negative: str = ""
    seed: int = 0
    steps: int = 20
    cfg: float = 7.0
    width: int = 512
    height: int = 512
    sampler: str = "Euler"
    scheduler: str | None = None
    denoise: float = 1.0
    images: tuple[str, ...] = ()
    folder: str = ""


@dataclass(frozen=True)
class Reading:
    """A recipe, and how it was read.

    `syntax` is its name, "" without a text. `notes` list what is read differently than in other tools. `of_host` names
    the fields of keyframes whose values come from the host's own fields.
    """

    recipe: Recipe
    syntax: str = ""
    notes: tuple[str, ...] = ()
    of_host: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Settings:
    """The fields of the panel. "", 0 and False leave a field to the recipe, and then to the host's own fields.

    - `text`, `syntax`: the recipe, and the name of its syntax or "auto".
    - `frames`: a count or a time ("4s").
    - `seeds`, `cfg`, `denoise`: how these travel, as `0:(7), 24:(9)` or as evenly spaced values, `7, 9`.
    - `batch`: frames in one call of the host.
    - `film`: a format such as "mp4"; "" for frames only.
    - `name`: the beginning of the job folder's name.
    - `new`: starts a new job even if one of the same recipe exists.
    - `portable`: uses noise and steps that are the same in every tool, instead of the host's own.
    - `between`: in-betweens from each frame of the film to the next.
    - `every`: a draft, in which only every few frames and the last are rendered. 1 renders all.
    - `first`, `count`: the frames to return (count 0: all from the first).
    """

    text: str = ""
    syntax: str = AUTO
    frames: str = ""
    fps: float = 0.0
    ease: str = ""
    loop: bool = False
    mix: str = ""
    seeds: str = ""
    cfg: str = ""
    denoise: str = ""
    batch: int = 8
    film: str = "mp4"
    name: str = "film"
    new: bool = False
    portable: bool = True
    between: int = 0
    every: int = 1
    first: int = 0
    count: int = 0

    @classmethod
    def of_request(cls, given: Any) -> Settings:
        """Returns the settings in the first of `script_args`: a text, a recipe as JSON, or fields by name."""
        if not isinstance(given, Mapping):
            return cls(text=check.text(given, "script_args[0]", 2**22))
        if "recipe" not in given:
            return cls(text=json.dumps(given))
        names = ("recipe", *(field.name for field in fields(cls) if field.name != "text"))
        found: dict[str, Any] = dict(check.only(given, names))
        text = found.pop("recipe")
        if isinstance(found.get("frames"), int):
            found["frames"] = str(found["frames"])
        for field in fields(cls):
            if field.name in found:
                found[field.name] = _checked(field.name, found[field.name], field.default)
        return cls(text=text if isinstance(text, str) else json.dumps(text), **found)

    @property
    def film_name(self) -> str | None:
        """Returns the film's file name in the job folder, None for frames only."""
        return f"film.{self.film}" if self.film else None

    def recipe(self, host: Fields) -> Recipe:
        """Returns the recipe. Raises RecipeError, with line and column if they are known."""
        return self.read(host).recipe

    def read(self, host: Fields) -> Reading:
        """Returns the recipe and how it was read. Raises the same errors as `recipe`."""
        read = self._read(host)
        recipe = read.recipe
        for name, text in (("seed", self.seeds), ("cfg", self.cfg), ("denoise", self.denoise)):
            if text.strip():
                recipe = lay_over(recipe, name, travel_of(text, name, recipe, host.seed))
        completed, of_host = _completed(recipe, host)
        return replace(read, recipe=completed, of_host=of_host)

    def _read(self, host: Fields) -> Reading:
        if not self.text.strip("﻿ \t\r\n"):
            if not self._travels():
                raise RecipeError("is empty; write at least one keyframe", path="recipe")
            keyframes = _with_image((Keyframe(at=0),), host)
            filled = {**_defaults({}, host), **self._given({"frames": "2s"})}
            return Reading(Recipe(keyframes=keyframes, folder=host.folder, **filled))
        name = self._syntax()
        if name == "a1111" and self._travels() and not self.frames.strip():
            return replace(self, frames="2s")._read(host)
        if name in OWN:
            data = (read_json if name == "json" else read_toml)(self.text)
            if isinstance(data, dict):
                data = {**_defaults(data, host), **data, **self._given({})}
                data |= {"keyframes": _with_image(data["keyframes"], host)} if "keyframes" in data else {}
            # Read without the folder, which has the host's pictures: songs are not looked for there.
            return Reading(located(data, self.text, None, "").replace(folder=host.folder), name)
        given = self._given({})
        parts = read(
            self.text,
            name,
            frames=given.pop("frames", None),
            fps=given.pop("fps", None),
            seed=host.seed,
            loop=self.loop,
        )
        written = {field.name for field in fields(parts) if getattr(parts, field.name) is not None}
        if "frames" not in written:
            last = parts.last_frame()
            if not last:
                raise RecipeError("the text does not say how many there are; set them, such as 48 or 4s", path="frames")
            found = replace(self, frames=str(last + 1))._read(host)
            note = f"Frames is empty, so the film ends on the last keyframe: {last + 1} frames."
            return replace(found, notes=(note, *found.notes))
        start, *rest = parts.keyframes
        if start.seed == Mix.one(host.seed) and all(key.seed is None for key in rest):
            # The reader has put the main seed there; Seeds or the host's seed replace it below.
            parts = replace(parts, keyframes=(replace(start, seed=None), *rest))
        parts = replace(parts, keyframes=_with_image(parts.keyframes, host))
        recipe = parts.recipe(folder=host.folder, **_defaults(dict.fromkeys(written), host)).replace(**given)
        return Reading(recipe, name, parts.notes)

    def _travels(self) -> bool:
        """Returns whether a field of the panel makes a film of a single prompt."""
        return any(text.strip() for text in (self.seeds, self.cfg, self.denoise))

    def _syntax(self) -> str:
        """Returns the syntax of the text. One line of plain text is a prompt if something else travels."""
        if self.syntax != AUTO:
            return self.syntax
        try:
            return detect(self.text)
        except RecipeError:
            if self._travels() and "\n" not in self.text.strip():
                return "a1111"
            raise

    def _given(self, otherwise: dict[str, Any]) -> dict[str, Any]:
        """Returns the fields of a recipe that the panel sets."""
        given: dict[str, Any] = {"frames": length(self.frames.strip()), "fps": self.fps}
        given |= {"ease": self.ease, "mix": self.mix, "loop": self.loop, "between": self.between}
        return {**otherwise, **{name: value for name, value in given.items() if value}}

    def wanted(self, frames: int) -> Sequence[int]:
        """Returns the frames to return, of a film with `frames` frames. Raises BadInput if there are none."""
        if self.every > 1:
            if self.first or self.count:
                raise BadInput("every: a draft is of the whole film; leave first and count out")
            return draft_frames(frames, self.every)
        if self.first >= frames:
            raise BadInput(f"first: {self.first} is past the last frame ({frames - 1}); give a smaller one")
        return range(self.first, min(self.first + self.count, frames) if self.count else frames)


def _checked(name: str, value: Any, like: Any) -> Any:
    """Returns a field of a request, checked against the type of its default."""
    if isinstance(like, bool):
        return check.flag(value, name)
    if name == "batch":
        return check.integer(value, name, 1, LARGEST_BATCH)
    if name == "every":
        return check.integer(value, name, 1, MOST_EVERY)
    if name == "between":
        return check.integer(value, name, 0, MOST_BETWEEN)
    if isinstance(like, int):
        return check.integer(value, name, 0, MAX_FRAMES)
    if isinstance(like, float):
        return check.number(value, name, 0, 240)
    return check.text(value, name, 2**20)


def _defaults(written: Mapping[str, Any], host: Fields) -> dict[str, Any]:
    """Returns the host's values for the fields that a recipe leaves out."""
    found: dict[str, Any] = {"steps": host.steps, "cfg": host.cfg}
    if "size" not in written:
        found |= {"width": host.width, "height": host.height}
    if "sampler" not in written:
        sampler, scheduler = names_of_labels(host.sampler, host.scheduler)
        found |= {"sampler": sampler, "scheduler": scheduler}
    return {name: value for name, value in found.items() if name not in written}


def _completed(recipe: Recipe, host: Fields) -> tuple[Recipe, frozenset[str]]:
    """Returns the recipe with the host's values where no keyframe sets one, and the names of those fields."""
    first: dict[str, Any] = {}
    prompts = {"prompt": verbatim(host.prompt), "negative": verbatim(host.negative)}
    for name, value in {**prompts, "seed": host.seed}.items():
        if all(getattr(keyframe, name) is None for keyframe in recipe.keyframes):
            first[name] = Mix.one(value)
    if host.images and all(keyframe.denoise is None for keyframe in recipe.keyframes):
        first["denoise"] = host.denoise
    start, *rest = recipe.keyframes
    return recipe.replace(keyframes=(replace(start, **first), *rest)), frozenset(first)


def _with_image(keyframes: Any, host: Fields) -> Any:
    """Returns keyframes, also plain tables, with the host's init picture in the first unless one sets a picture.

    Anything else is returned unchanged: the recipe refuses it later, with its position.
    """
    if not host.images or not keyframes or not isinstance(keyframes, list | tuple):
        return keyframes
    start, *rest = keyframes
    if isinstance(start, Keyframe):
        set_already = any(keyframe.image is not None for keyframe in keyframes)
        return keyframes if set_already else (replace(start, image=Mix.one(host.images[0])), *rest)
    if not all(isinstance(keyframe, dict) for keyframe in keyframes) or any(
        "image" in keyframe for keyframe in keyframes
    ):
        return keyframes
    return [{**start, "image": host.images[0]}, *rest]
