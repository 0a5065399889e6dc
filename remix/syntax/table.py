"""The table of syntaxes, and how a text is read by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from remix.errors import RecipeError
from remix.plan import fields as check
from remix.plan.keyframe import MAX_SEED
from remix.plan.moments import MAX_FRAMES, frame_count
from remix.plan.names import nearest
from remix.plan.read import decoded, read_file
from remix.plan.recipe import Recipe
from remix.syntax import (
    animatediff_cli,
    animatediff_evolved,
    deforum_prompts,
    deforum_settings,
    deforum_values,
    fizznodes,
    freenoise,
    own,
    parseq,
    prompt_editing,
    prompt_travel,
    sd_webui_animatediff,
    seed_explorer,
    seed_travel,
    shift_attention,
    stable_diffusion_videos,
    timed_lines,
)
from remix.syntax.completed import completed
from remix.syntax.detect import detect
from remix.syntax.parts import Given, Parts
from remix.syntax.scan import Source, straightened
from remix.syntax.values import target_of
from remix.syntax.writing import Export

Reader = Callable[[Source, Given], Parts]
Writer = Callable[[Recipe, str], Export]


@dataclass(frozen=True)
class Syntax:
    """A syntax: whose it is, and how it is read and, where that is possible, written."""

    title: str
    read: Reader
    write: Writer | None = None


SYNTAXES: Mapping[str, Syntax] = {
    "toml": Syntax("a recipe of this toolkit", own.read_toml, own.write_toml),
    "json": Syntax("a recipe of this toolkit", own.read_json, own.write_json),
    "fizznodes": Syntax("FizzNodes' prompt schedule", fizznodes.read, fizznodes.write),
    "deforum-prompts": Syntax("Deforum's prompts", deforum_prompts.read, deforum_prompts.write),
    "deforum-values": Syntax("Deforum's and FizzNodes' values", deforum_values.read, deforum_values.write),
    "deforum-settings": Syntax("Deforum's settings file", deforum_settings.read),
    "parseq": Syntax("Parseq's manifest", parseq.read),
    "animatediff-evolved": Syntax(
        "AnimateDiff-Evolved's schedules", animatediff_evolved.read, animatediff_evolved.write
    ),
    "animatediff-cli": Syntax("animatediff-cli-prompt-travel's JSON", animatediff_cli.read),
    "sd-webui-animatediff": Syntax("sd-webui-animatediff's box", sd_webui_animatediff.read, sd_webui_animatediff.write),
    "moments": Syntax("lines with frames, times or shares", timed_lines.read),
    "freenoise": Syntax("FreeNoise in diffusers", freenoise.read),
    "a1111": Syntax("one A1111 prompt", prompt_editing.read_a1111),
    "prompt-control": Syntax("one prompt for ComfyUI's prompt-control", prompt_editing.read_prompt_control),
    "prompt-travel": Syntax("A1111's prompt travel script", prompt_travel.read),
    "shift-attention": Syntax("A1111's shift attention script", shift_attention.read),
    "seed-travel": Syntax("A1111's seed travel script", seed_travel.read),
    "seed-explorer": Syntax("Inspire's seed explorer", seed_explorer.read),
    "stable-diffusion-videos": Syntax("stable-diffusion-videos", stable_diffusion_videos.read),
}
"""Every syntax by its name."""

AROUND = frozenset(SYNTAXES) - {
    *("toml", "json", "parseq", "freenoise", "stable-diffusion-videos"),
    *("deforum-values", "seed-travel", "seed-explorer"),
}
"""The syntaxes whose readers put text before and after prompts themselves."""


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
    """The parts of a recipe that a schedule text says.

    `name` is its syntax, detected where it is left out; `source` names the text in errors. `frames`, which
    may be a time at `fps`, holds before the text's own number. `seed` is the main seed (`s`). `before` and
    `after` go around every prompt. `numbers` are those that the text takes from outside, each one number or
    one for each frame. `field` is what a value schedule sets that does not say it: cfg, denoise, strength, seed or
    sampler.
    `spacing` is the way from each stage to the next, in frames, where a text has stages alone. `loop` closes
    the film where the text cannot say it. RecipeError with line and column for whatever is not understood.
    """
    plain = straightened(decoded(text, source=source))
    given = _given(frames, fps, seed, before, after, numbers or {}, field, spacing, loop)
    held = Source(plain, source)
    if name is not None:
        named(name)  # told without a place in the text: it stands elsewhere
    try:
        name = name or detect(plain, source)
        parts = completed(held, named(name).read(held, given), given, surrounded=name in AROUND)
    except RecipeError as error:
        raise _placed(held, error) from error
    return replace(parts, notes=tuple(held.notes), syntax=name)


def write(recipe: Recipe, name: str, *, field: str | None = None) -> Export:
    """The recipe as a text in the syntax called `name`, with a sentence for each thing that it cannot express.

    `field` is what a value schedule has the values of (cfg, denoise, strength, seed, sampler), and whether one
    of AnimateDiff-Evolved has the prompts ("prompt") or the negatives ("negative"). RecipeError for a syntax
    that is read alone.
    """
    writer = named(name).write
    if writer is None:
        known = ", ".join(key for key, syntax in SYNTAXES.items() if syntax.write)
        raise RecipeError(f"{name} is read and not written; write one of {known}")
    return writer(recipe, field or "cfg")


def named(name: str) -> Syntax:
    """The syntax called `name`; RecipeError, with the nearest names, where there is none."""
    if name not in SYNTAXES:
        raise RecipeError(f"there is no syntax {check.show(name)}; {nearest(name, SYNTAXES)}")
    return SYNTAXES[name]


def load(path: str | Path, name: str | None = None, **given: Any) -> Parts:
    """The parts that the schedule in the file at `path` says; the rest as for `read`."""
    return read(read_file(Path(path)), name, source=str(path), **given)


def _given(
    frames: int | str | None,
    fps: float | None,
    seed: int | None,
    before: str,
    after: str,
    numbers: Mapping[str, float | Sequence[float]],
    field: str | None,
    spacing: Sequence[int],
    loop: bool,
) -> Given:
    """What a reader is told, checked."""
    fps = None if fps is None else check.number(fps, "fps", 0.001, 240)
    count = None if frames is None else frame_count(frames, fps or 12.0)
    for name, values in numbers.items():
        if not isinstance(values, (int, float)) and len(values) != (count or len(values)):
            raise RecipeError(f"{len(values)} values for {count} frames; give one for each", path=f"numbers.{name}")
    if field is not None:
        target_of(field)
    return Given(
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
    """The error with a position and its line shown; one about the whole text is about its beginning."""
    if error.excerpt:
        return error
    line = error.line or 1
    starts = sum(len(text) + 1 for text in source.text.split("\n")[: line - 1])
    problem = f"{error.path}: {error.problem}" if error.path else error.problem
    return source.refuse(min(starts + (error.column or 1) - 1, len(source.text)), problem)
