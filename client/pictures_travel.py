"""Recipes that travel from picture to picture: by the settings that made them, or by the pictures themselves."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from remix.errors import BadInput, RecipeError, RemixError
from remix.hosts.remaking import recipe_of_origin
from remix.job import read_file_metadata
from remix.motion import fit, load_picture
from remix.motion.pictures import Difference, difference
from remix.plan import Keyframe, Lora, Model, Recipe, plan
from remix.plan.schedule import keyframe_of

HALF_WAY = {True: 0.75, False: 0.5}
"""Whether the pictures have prompts -> how much is redrawn half-way between two of them.

Without a prompt to follow, a model that redraws more draws anything.
"""

SHARED = ("sampler", "scheduler", "steps", "width", "height", "mix", "lengths", "emphasis", "chunks")
"""The settings that all frames of a film share."""

WAYS = ("auto", "settings", "pictures")
"""How a film travels: by the settings in the pictures if all of them have some, or by the pictures."""


@dataclass(frozen=True)
class Settings:
    """What made a picture: a recipe of one frame, and notes on what it leaves out."""

    recipe: Recipe
    notes: tuple[str, ...]

    @property
    def frame(self) -> Keyframe:
        """Returns the values of the picture."""
        return keyframe_of(plan(self.recipe)[0], 0)


@dataclass(frozen=True)
class Travel:
    """A recipe whose keyframes show pictures, and notes for the user. `ways` is "settings" or "pictures"."""

    recipe: Recipe
    notes: tuple[str, ...]
    way: str


def settings_in(path: Path) -> Settings | None:
    """Returns what made a picture, according to its metadata or a file next to it; None if that is unknown.

    Pictures that began with another picture count as unknown: that picture is not in the file.
    """
    made = read_file_metadata(path)
    try:
        own = None if made.remix is None or "recipe" not in made.remix else _own(made.remix)
        if own is not None and not own.has_own_settings:
            recipe, notes = own, list[str]()
        elif made.origin is not None:
            recipe, notes = recipe_of_origin(made.origin)
        else:
            return None
        frame = plan(recipe)[0]
    except RemixError:
        return None
    if frame.image is not None or not any(prompt.strip() for prompt in frame.prompt.values):
        return None
    return Settings(recipe, tuple(notes))


def _own(about: Mapping[str, Any]) -> Recipe:
    """Returns the recipe of one frame of a film of ours."""
    recipe = Recipe.from_dict(about["recipe"]).settled()
    frame, engine = about.get("frame"), about.get("engine")
    index = frame.get("index") if isinstance(frame, Mapping) else 0
    if not isinstance(index, int) or not 0 <= index < recipe.frames:
        raise RecipeError("is not a frame of its recipe", path="frame")
    keyframe = keyframe_of(plan(recipe)[index], 0)
    checkpoint = engine.get("checkpoint") if isinstance(engine, Mapping) else None
    if recipe.model.checkpoint == Model.checkpoint and isinstance(checkpoint, str) and checkpoint:
        recipe = recipe.replace(model=replace(recipe.model, checkpoint=checkpoint))
    plain = {"loop": False, "pace": "linear", "clock": None, "budget": None, "rendered": None, "between": 0}
    return recipe.replace(frames=1, keyframes=(keyframe,), music=None, restore=False, **plain)


def travel(
    pictures: Sequence[Path],
    *,
    folder: Path,
    way: str = "auto",
    prompts: Sequence[str] = (),
    denoise: float | None = None,
    loop: bool = False,
    **fields: Any,
) -> Travel:
    """Returns a recipe that travels from each picture to the next, with pictures relative to `folder`.

    By settings, prompts, seeds, cfg and LoRAs travel, and the first picture decides on what a film has only once. By
    pictures, the pictures are mixed and redrawn, `denoise` of them half-way; `prompts` has what each shows.
    `fields` are those of the recipe, such as `frames`. Raises BadInput for arguments that do not fit the pictures.
    """
    if len(pictures) < 2:
        raise BadInput(f"{pictures[0] if pictures else 'pictures'}: is one picture; give two or more")
    if prompts and len(prompts) != len(pictures):
        raise BadInput(f"--prompts: {len(prompts)} for {len(pictures)} pictures; give one for each, separated by |")
    for picture in pictures:
        load_picture(picture)  # before a model is loaded
    found = [settings_in(picture) for picture in pictures]
    known = [each for each in found if each is not None]
    given = bool(prompts) or denoise is not None
    if way == "settings" and len(known) < len(pictures):
        unknown = next(picture for picture, each in zip(pictures, found, strict=True) if each is None)
        raise BadInput(f"{unknown}: does not say what made it; leave out --by settings, or see remix inspect {unknown}")
    if way == "settings" or (way == "auto" and not given and len(known) == len(pictures)):
        return _by_settings(pictures, known, loop, fields)
    texts = list(prompts) or [_prompt_of(each) for each in found]
    return _by_pictures(_names(pictures, folder), texts, denoise, loop, {**fields, "folder": str(folder)})


def _prompt_of(settings: Settings | None) -> str:
    """Returns the prompt that made a picture, "" if it is unknown."""
    if settings is None:
        return ""
    prompt = settings.frame.prompt
    return prompt.heaviest if prompt is not None else ""


def _names(pictures: Sequence[Path], folder: Path) -> list[str]:
    names = []
    for picture in pictures:
        try:
            names.append(Path(os.path.realpath(picture)).relative_to(os.path.realpath(folder)).as_posix())
        except ValueError:
            raise BadInput(
                f"{picture}: is not below {folder}, and a recipe names pictures below its own folder; "
                "write the recipe above all pictures, or copy them next to it"
            ) from None
    return names


def common_folder(pictures: Sequence[Path]) -> Path:
    """Returns the folder that holds all pictures, at any depth."""
    try:
        return Path(os.path.commonpath([os.path.dirname(os.path.realpath(picture)) for picture in pictures]))
    except ValueError:
        raise BadInput(f"{pictures[0]}: is on another drive than the others; copy the pictures together") from None


def _by_pictures(
    names: Sequence[str], prompts: Sequence[str], denoise: float | None, loop: bool, fields: Mapping[str, Any]
) -> Travel:
    half_way = HALF_WAY[any(prompts)] if denoise is None else denoise
    stops = len(names) if loop else len(names) - 1
    keyframes = []
    for place, (name, prompt) in enumerate(zip(names, prompts, strict=True)):
        keyframes.append(Keyframe(_at(2 * place, 2 * stops), prompt=prompt, image=name, denoise=0))
        if place < stops:
            keyframes.append(Keyframe(_at(2 * place + 1, 2 * stops), denoise=half_way))
    recipe = Recipe(
        keyframes=tuple(keyframes), loop=loop, **{"pace": "even", "restore": True, "invert": True, **fields}
    )
    notes = [] if any(prompts) else ["no prompts: with --prompts, the model draws what is between the pictures better"]
    return Travel(recipe, tuple(notes), "pictures")


def _at(place: int, span: int) -> str:
    return f"{100 * place / span:.10g}%"


def _by_settings(pictures: Sequence[Path], found: Sequence[Settings], loop: bool, fields: Mapping[str, Any]) -> Travel:
    first = found[0].recipe
    loras = _lined_up(found)
    stops = len(found) if loop else len(found) - 1
    keyframes = []
    for place, (each, strengths) in enumerate(zip(found, loras, strict=True)):
        frame = each.frame
        cfg = each.recipe.cfg if frame.cfg is None else frame.cfg
        keyframes.append(replace(frame, at=_at(place, stops), cfg=cfg, loras=strengths or None))
    model = replace(first.model, loras=loras[0])
    shared = {name: getattr(first, name) for name in SHARED}
    recipe = Recipe(
        keyframes=tuple(keyframes), model=model, loop=loop, **{"pace": "even", "cfg": first.cfg, **shared, **fields}
    )
    return Travel(recipe, tuple(dict.fromkeys(_lost(pictures, found, fields))), "settings")


def _lined_up(found: Sequence[Settings]) -> list[tuple[Lora, ...]]:
    """Returns the strengths of all LoRAs in each picture, 0 for those that it did not use."""
    used = [{lora.name: lora for lora in (*each.recipe.model.loras, *(each.frame.loras or ()))} for each in found]
    names = sorted({name for loras in used for name in loras})
    return [tuple(loras.get(name, Lora(name, 0.0)) for name in names) for loras in used]


def _lost(pictures: Sequence[Path], found: Sequence[Settings], fields: Mapping[str, Any]) -> Iterator[str]:
    """Yields a note for everything that the film cannot take from each picture."""
    first = found[0].recipe
    for picture, each in zip(pictures, found, strict=True):
        yield from (f"{picture.name}: {note}" for note in each.notes)
        for name in SHARED:
            here, there = getattr(each.recipe, name), getattr(first, name)
            if here != there and name not in fields:
                yield f"{picture.name}: {name} was {here}; the film has {there}, as {pictures[0].name} does"
        for name in ("checkpoint", "vae", "clip_skip"):
            here, there = getattr(each.recipe.model, name), getattr(first.model, name)
            if here != there:
                yield f"{picture.name}: {name} was {here}; the film has {there}, as {pictures[0].name} does"


def ends(recipe: Recipe, pictures: Sequence[Path], frames: Sequence[Path]) -> list[tuple[str, Difference]]:
    """Returns how far the keyframes of a rendered `Travel` are from the given pictures: their names and differences.

    `frames` are the files of the film's frames.
    """
    shown = sorted(set(recipe.positions()))
    places = shown if len(shown) == len(pictures) else shown[::2]
    found = []
    for picture, place in zip(pictures, places, strict=False):
        given = fit(load_picture(picture), recipe.width, recipe.height)
        found.append((picture.name, difference(given, load_picture(frames[place]))))
    return found
