"""The table ``[tracks]`` of a recipe file: inputs of its workflow or payload from schedules in any syntax.

    [tracks]
    "KSampler.cfg" = "0:(7), 24:(9*sin(t/8)), 47:(7)"
    "Positive.text" = '"0": "spring", "47": "winter"'

The schedules become keyframes, so the recipe itself has no such field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from remix.errors import RecipeError
from remix.plan import Keyframe, Mix, Recipe
from remix.plan import fields as check
from remix.plan.documents import read_file, read_json, read_toml
from remix.plan.inputs import LARGEST
from remix.plan.locate import locate
from remix.plan.recipe import located
from remix.syntax.table import detect, read
from remix.syntax.text.pairs import by_frame, frame_of, read_pairs
from remix.syntax.text.parts import Options
from remix.syntax.text.source import Source, straighten_quotes
from remix.syntax.text.values import Target, is_text, number_track

TRACKS = "tracks"
NUMBERS = "deforum-values"
"""The syntax of schedules of numbers."""

ANY = Target("input", -LARGEST, LARGEST)


def read_recipe(path: str | Path) -> Recipe:
    """Returns the recipe in the UTF-8 file at `path`: TOML or JSON, depending on its suffix.

    Relative picture paths start at the file's folder. Raises RecipeError, with the position, if it cannot be read.
    """
    path = Path(path)
    if path.suffix.lower() not in (".toml", ".json"):
        return Recipe.load(path)  # raises the error
    raw = read_file(path)
    parse = read_json if path.suffix.lower() == ".json" else read_toml
    return recipe_of_data(parse(raw, source=str(path)), raw, str(path), str(path.parent))


def recipe_of_data(data: Any, text: str | bytes, source: str | None, folder: str) -> Recipe:
    """Returns the recipe of a table that was read from `text`, with its tracks. Errors get their position there."""
    if not isinstance(data, Mapping) or TRACKS not in data:
        return located(data, text, source, folder)
    rest = {name: value for name, value in data.items() if name not in (TRACKS, "hold")}
    recipe = located({"keyframes": [{}], **rest}, text, source, folder)
    try:
        return with_tracks(recipe, data[TRACKS], data.get("hold", ()))
    except RecipeError as error:
        line, column = locate(text, error.path or "")
        raise RecipeError(error.problem, path=error.path, source=source, line=line, column=column) from error


def with_tracks(recipe: Recipe, tracks: Mapping[str, Any], hold: Sequence[str] = ()) -> Recipe:
    """Returns a recipe with schedules of inputs as keyframes: name of the input -> schedule in any syntax, or a value.

    Raises RecipeError, with the track and the position in its text, for a schedule that cannot be read.
    """
    if not isinstance(tracks, Mapping):
        raise RecipeError(f"{check.show(tracks)} is not a table of schedules", path=TRACKS)
    found: dict[int, dict[str, Any]] = {}
    for name, schedule in tracks.items():
        with check.under(f"{TRACKS}{check.joined(name)}"):
            for frame, value in _stops(schedule, recipe):
                found.setdefault(frame, {})[name] = _checked(name, value)
    keyframes = [replace(each, at=frame) for each, frame in zip(recipe.keyframes, recipe.positions(), strict=True)]
    for number, keyframe in enumerate(keyframes):
        assert isinstance(keyframe.at, int)
        if inputs := found.pop(keyframe.at, None):
            keyframes[number] = replace(keyframe, inputs=tuple({**inputs, **dict(keyframe.inputs or ())}.items()))
    keyframes += [Keyframe(at=frame, inputs=inputs) for frame, inputs in found.items()]
    return recipe.replace(keyframes=tuple(sorted(keyframes, key=lambda each: each.at or 0)), hold=hold)


def _checked(name: str, value: Any) -> Any:
    """Returns the value of an input. Raises RecipeError, without a path, for one that no keyframe may set."""
    try:
        return dict(Keyframe(inputs={name: value}).inputs or ())[name]
    except RecipeError as error:
        raise RecipeError(error.problem) from error


def _stops(schedule: Any, recipe: Recipe) -> list[tuple[int, Any]]:
    """Returns the frames and values of a schedule: numbers, expressions in backticks, or mixes of texts."""
    if not isinstance(schedule, str):
        return [(0, schedule)]
    options = Options(frames=recipe.frames, fps=recipe.fps, loop=recipe.loop)
    try:
        syntax = detect(schedule)
        if syntax == NUMBERS:
            return _numbers(schedule, options)
        parts = read(schedule, syntax, frames=recipe.frames, fps=recipe.fps).recipe()
    except RecipeError as error:
        where = "" if error.line is None else f"line {error.line}:{error.column}: "
        raise RecipeError(f"{where}{error.problem}") from error
    prompts = zip(parts.positions(), parts.keyframes, strict=True)
    found = [(frame, keyframe.prompt) for frame, keyframe in prompts if keyframe.prompt is not None]
    if not found:
        raise RecipeError("this schedule has neither numbers nor texts; write one such as 0:(7), 24:(9)")
    return found


def _numbers(schedule: str, options: Options) -> list[tuple[int, Any]]:
    """Returns the frames and values of a schedule of numbers, or of names in quotes."""
    source = Source(straighten_quotes(schedule), None)
    clock = options.clock()
    ordered = by_frame(source, [(frame_of(source, pair.key, clock), pair.key, pair) for pair in read_pairs(source)])
    if all(is_text(pair) for _, pair in ordered):
        return [(frame, Mix.one(pair.value.text.strip("\"'() "))) for frame, pair in ordered]
    stops = number_track(source, ordered, options, ANY)
    return [(stop.frame, f"`{stop.value}`" if isinstance(stop.value, str) else stop.value) for stop in stops]
