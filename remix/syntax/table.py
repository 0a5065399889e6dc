"""The table of syntaxes, detection, and reading and writing by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from remix.errors import RecipeError
from remix.plan import fields as check
from remix.plan.documents import decoded, read_file, read_json, read_toml
from remix.plan.keyframe import MAX_SEED
from remix.plan.moments import MAX_FRAMES, frame_count
from remix.plan.recipe import Recipe
from remix.plan.wording import nearest
from remix.prompt import Reading
from remix.syntax import (
    animatediff_cli,
    animatediff_evolved,
    brackets,
    comfyui_workflow,
    compel,
    deforum,
    deforum_settings,
    diffusers_calls,
    fizznodes,
    moments,
    parseq,
    piped,
    prompt_editing,
    prompt_relay,
    prompt_travel,
    recipes,
    sd_webui_animatediff,
    seeds,
    shift_attention,
)
from remix.syntax.text.export import Export
from remix.syntax.text.parts import Options, Parts, complete
from remix.syntax.text.source import Source, straighten_quotes
from remix.syntax.text.syntax import Shape, Syntax
from remix.syntax.text.values import target_of


def _read_nested(source: Source, options: Options, name: str | None) -> Parts:
    """Returns the parts of a text within another, in the syntax called `name` or, if that is None, a detected one."""
    return named(name or _detected(source)).read(source, options)


SYNTAXES: Mapping[str, Syntax] = {
    syntax.name: syntax
    for syntax in (
        comfyui_workflow.syntax(_read_nested),
        parseq.SYNTAX,
        animatediff_cli.SYNTAX,
        prompt_relay.SYNTAX,
        diffusers_calls.FREENOISE,
        animatediff_evolved.SYNTAX,
        deforum.PROMPTS,
        diffusers_calls.STABLE_DIFFUSION_VIDEOS,
        deforum_settings.SYNTAX,
        recipes.JSON,
        recipes.TOML,
        compel.SYNTAX,
        deforum.VALUES,
        fizznodes.SYNTAX,
        seeds.EXPLORER,
        seeds.TRAVEL,
        brackets.TIMED,
        brackets.WANGP,
        piped.ANIMATOR,
        piped.REPLICATE,
        moments.COMFYROLL,
        moments.MOMENTS,
        sd_webui_animatediff.SYNTAX,
        shift_attention.SYNTAX,
        piped.WAN,
        prompt_travel.SYNTAX,
        prompt_editing.PROMPT_CONTROL,
        prompt_editing.A1111,
    )
}
"""Every syntax by its name, in the order of detection: the most distinctive first."""

WRITTEN = tuple(name for name, syntax in SYNTAXES.items() if syntax.write is not None)
"""The names of the syntaxes that can be written."""


def detect(text: str, source: str | None = None) -> str:
    """Returns the name of the syntax of `text`: the first in the table whose `looks` accepts it.

    `source` names the text in errors. Raises RecipeError if no syntax accepts it.

    >>> detect("0: closed mouth\\n8: open mouth"), detect("0:(7), 24:(9)"), detect("a [cat:dog:0.5]")
    ('sd-webui-animatediff', 'deforum-values', 'a1111')
    """
    return _detected(Source(straighten_quotes(text), source))


def _detected(source: Source) -> str:
    start = source.after_blanks(0)
    if start >= len(source.text):
        raise source.error(len(source.text), "there is nothing in this text; write a schedule")
    shape = Shape(source)
    for name, syntax in SYNTAXES.items():
        if syntax.looks(shape):
            return name
    raise source.error(
        start,
        "this is one line of plain text, with no frame and no sign of a syntax; name the syntax (--from), "
        "or write each prompt on its own line after its frame: 0: first",
    )


def read(
    text: str | bytes,
    name: str | None = None,
    *,
    source: str | None = None,
    frames: int | str | None = None,
    fps: float | None = None,
    seed: int | None = None,
    before: str = "",
    after: str = "",
    numbers: Mapping[str, float | Sequence[float]] | None = None,
    field: str | None = None,
    spacing: Sequence[int] = (),
    loop: bool = False,
) -> Parts:
    """Returns the parts of a recipe that a schedule text sets.

    - `name` is its syntax, detected if omitted; `source` names the text in errors.
    - `frames`, which may be a time at `fps`, overrides the text's own number.
    - `seed` is the main seed (`s`).
    - `before` and `after` are added around every prompt.
    - `numbers` are names for expressions, each with one number or one for each frame.
    - `field` is the field of a value schedule without a label: cfg, denoise, strength, seed or sampler.
    - `spacing` holds the frames from each stage to the next, for texts that only have stages.
    - `loop` closes the film if the text cannot express it.

    Raises RecipeError with line and column for anything that cannot be read.
    """
    plain = straighten_quotes(decoded(text, source=source))
    options = _options(frames, fps, seed, before, after, numbers or {}, field, spacing, loop)
    origin = Source(plain, source)
    if name is not None:
        named(name)  # outside the try: the name has no position in the text
    try:
        name = name or detect(plain, source)
        parts = complete(origin, named(name).read(origin, options), options, wraps=named(name).wraps)
        parts = _with_emphasis(parts, named(name).emphasis)
    except RecipeError as error:
        raise _placed(origin, error) from error
    return replace(parts, notes=tuple(origin.notes), syntax=name)


def _with_emphasis(parts: Parts, rule: str | None) -> Parts:
    """Returns the parts with the rule of emphasis of their tool, if their prompts may be read otherwise without it."""
    if rule is None or parts.emphasis is not None:
        return parts
    own, default = Reading.of(rule, None), Reading.of(None, None)
    mixes = [mix for keyframe in parts.keyframes for mix in (keyframe.prompt, keyframe.negative) if mix]
    prompts = dict.fromkeys(prompt for mix in mixes for prompt in mix.values)
    return replace(parts, emphasis=rule) if any(own.may_differ(default, prompt) for prompt in prompts) else parts


def write(recipe: Recipe, name: str, *, field: str | None = None) -> Export:
    """Returns the recipe as a text in the syntax called `name`, with a sentence for each thing that it cannot express.

    `field` selects what a value schedule has (cfg, denoise, strength, seed, sampler), and whether one of
    AnimateDiff-Evolved has the prompts ("prompt") or the negatives ("negative"). Raises RecipeError for a syntax that
    cannot be written.
    """
    if name not in SYNTAXES:
        raise RecipeError(f"there is no syntax {check.show(name)} to write; {nearest(name, WRITTEN)}")
    writer = SYNTAXES[name].write
    if writer is None:
        raise RecipeError(f"{name} can be read but not written; choose one of {', '.join(WRITTEN)}")
    return writer(recipe, field or "cfg")


def named(name: str) -> Syntax:
    """Returns the syntax called `name`. Raises RecipeError with the nearest name if there is none."""
    if name not in SYNTAXES:
        raise RecipeError(f"there is no syntax {check.show(name)}; {nearest(name, SYNTAXES)}")
    return SYNTAXES[name]


def load(path: str | Path, name: str | None = None, **options: Any) -> Parts:
    """Returns the parts of the schedule in the file at `path`; the other arguments are those of `read`."""
    return read(read_file(Path(path)), name, source=str(path), **options)


def _options(
    frames: int | str | None,
    fps: float | None,
    seed: int | None,
    before: str,
    after: str,
    numbers: Mapping[str, float | Sequence[float]],
    field: str | None,
    spacing: Sequence[int],
    loop: bool,
) -> Options:
    """Returns the checked options of a reader."""
    fps = None if fps is None else check.number(fps, "fps", 0.001, 240)
    count = None if frames is None else frame_count(frames, fps or 12.0)
    for name, values in numbers.items():
        if not isinstance(values, (int, float)) and len(values) != (count or len(values)):
            raise RecipeError(f"{len(values)} values for {count} frames; give one for each", path=f"numbers.{name}")
    if field is not None:
        target_of(field)
    return Options(
        frames=count,
        fps=fps,
        seed=None if seed is None else check.integer(seed, "seed", 0, MAX_SEED),
        before=check.text(before, "before", check.MAX_PROMPT),
        after=check.text(after, "after", check.MAX_PROMPT),
        numbers=dict(numbers),
        field=field,
        spacing=tuple(check.integer(way, "spacing", 1, MAX_FRAMES) for way in spacing),
        loop=loop,
    )


def _placed(source: Source, error: RecipeError) -> RecipeError:
    """Returns the error with a position and an excerpt; errors about the whole text get the position of its start."""
    if error.excerpt:
        return error
    line = error.line or 1
    starts = sum(len(text) + 1 for text in source.text.split("\n")[: line - 1])
    problem = f"{error.path}: {error.problem}" if error.path else error.problem
    return source.error(min(starts + (error.column or 1) - 1, len(source.text)), problem)


class ReadText(NamedTuple):
    """A recipe, notes on what is read differently here, and the name of its syntax."""

    recipe: Recipe
    notes: tuple[str, ...]
    syntax: str


def read_text(
    text: str,
    name: str | None = None,
    *,
    frames: int | str | None = None,
    fps: float | None = None,
    width: int | None = None,
    height: int | None = None,
    folder: str = "",
    source: str | None = None,
) -> ReadText:
    """Returns the recipe in `text`, in any syntax that `detect` knows, with notes and the name of that syntax.

    `name` is its syntax, detected if omitted. `frames`, `fps`, `width` and `height` override those of the text.
    `folder` is where relative picture paths start. Raises RecipeError with line and column.
    """
    if not text.strip("\ufeff \t\r\n"):
        raise RecipeError("is empty; write at least one keyframe", path="recipe", source=source)
    name = detect(text.lstrip("\ufeff"), source) if name is None else named(name).name
    sides = {"width": width, "height": height}
    if name not in ("toml", "json"):
        parts = read(text, name, source=source, frames=frames, fps=fps)
        known = {side: value for side, value in sides.items() if value is not None}
        return ReadText(parts.recipe(folder=folder).replace(**known), parts.notes, name)
    data = (read_json if name == "json" else read_toml)(text, source=source)
    if isinstance(data, dict):
        data = _overridden(data, {"frames": frames, "fps": fps}, sides)
    from remix.syntax.inputs import recipe_of_data  # reads schedules within a recipe by this table

    return ReadText(recipe_of_data(data, text, source, folder), (), name)


def _overridden(data: dict[str, Any], numbers: dict[str, Any], sides: dict[str, int | None]) -> dict[str, Any]:
    """Returns the data with the given numbers and sides instead of its own."""
    found = {**data, **{name: value for name, value in numbers.items() if value is not None}}
    known = {name: value for name, value in sides.items() if value is not None}
    if len(known) == len(sides):
        found.pop("size", None)
    elif known and "size" in found:
        try:
            size = Recipe.from_dict({"frames": 1, "keyframes": [{}], "size": found["size"]})
        except RecipeError:  # raised again, with its position, when the whole recipe is read
            return found
        del found["size"]
        found.update(width=size.width, height=size.height)
    return {**found, **known}
