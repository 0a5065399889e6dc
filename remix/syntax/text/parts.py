"""The parts of a schedule text, keyframes and other fields of a recipe, and the options of a reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from dataclasses import field as dataclass_field
from typing import Any

from remix.errors import RecipeError
from remix.plan import fields as check
from remix.plan.expression import verbatim
from remix.plan.keyframe import Keyframe
from remix.plan.mix import Mix
from remix.plan.model import Model
from remix.plan.moments import place
from remix.plan.music import Music
from remix.plan.recipe import Recipe
from remix.syntax.text.pairs import Clock
from remix.syntax.text.source import Source

FAR = 10**12
"""A length greater than every key."""


@dataclass(frozen=True)
class Options:
    """Options for reading a text.

    `frames` and `fps` override those of the text. `seed` is the main seed. `before` and `after` are put around every
    prompt. `numbers` are names that expressions may use (``pw_a``), each with one number or one for each frame.
    `field` is the field that bare values set, `spacing` the frames from one stage to the next where the text has
    stages without frames. `loop` closes a film whose text cannot say so.
    """

    frames: int | None = None
    fps: float | None = None
    seed: int | None = None
    before: str = ""
    after: str = ""
    numbers: Mapping[str, float | Sequence[float]] = dataclass_field(default_factory=dict)
    field: str | None = None
    spacing: tuple[int, ...] = ()
    loop: bool = False

    def clock(self, *, last: int = -1) -> Clock:
        """Returns the values from which keys may be computed; `max_f` is the number of frames plus `last`."""
        return Clock(None if self.frames is None else self.frames + last, self.fps, self.seed or 0)

    def names(self) -> dict[str, float | Sequence[float]]:
        """Returns the names that expressions may use besides `t`."""
        return {**self.clock().names(), **self.numbers}


@dataclass(frozen=True)
class Parts:
    """The fields of a recipe that a text sets, None for those that it leaves open.

    `notes` are sentences about what is read differently here or has no place in a recipe; `syntax` is the name of the
    syntax of the text.
    """

    keyframes: tuple[Keyframe, ...]
    frames: int | None = None
    fps: float | None = None
    width: int | None = None
    height: int | None = None
    model: Model | None = None
    sampler: str | None = None
    scheduler: str | None = None
    steps: int | None = None
    cfg: float | None = None
    loop: bool | None = None
    ease: str | None = None
    curve: str | None = None
    mix: str | None = None
    lengths: str | None = None
    pace: str | None = None
    clock: tuple[float, ...] | None = None
    music: Music | None = None
    emphasis: str | None = None
    chunks: str | None = None
    variants: str | None = None
    variant: int | None = None
    wildcards: str | None = None
    notes: tuple[str, ...] = ()
    syntax: str = ""

    def last_frame(self) -> int | None:
        """Returns the frame of the last key that is a frame or a time, None if there is none."""
        fps = self.fps or Recipe.fps
        keys = [key.at for key in self.keyframes if key.at is not None and not str(key.at).endswith("%")]
        return max((place(at, FAR, fps, False, "at", self.music) for at in keys), default=None)

    def recipe(self, **defaults: Any) -> Recipe:
        """Returns the recipe of these parts; `defaults` fill in the fields that the text leaves open.

        Raises RecipeError if the number of frames is unknown or the parts do not fit together.
        """
        found = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("notes", "syntax")}
        whole = {**defaults, **{name: value for name, value in found.items() if value is not None}}
        if "frames" not in whole:
            last = self.last_frame()
            some = "--frames 48, or a time: 4s" if last is None else f"--frames {last + 1} ends on its last key"
            raise RecipeError(
                f"the schedule does not say how many frames there are; give frames ({some})", path="frames"
            )
        return Recipe(**whole)


def complete(source: Source, parts: Parts, options: Options, *, wraps: bool) -> Parts:
    """Returns the parts with the seed, loop, `before` and `after` of the options, where the text sets none itself.

    `wraps` says that the prompts have `before` and `after` already. A note names what cannot be used.
    """
    if not wraps and (options.before.strip() or options.after.strip()):
        parts = _wrap_prompts(source, parts, options)
    if options.seed is not None and all(key.seed is None for key in parts.keyframes):
        first, *rest = parts.keyframes
        parts = replace(parts, keyframes=(replace(first, seed=Mix.one(options.seed)), *rest))
    return _close_loop(source, parts) if options.loop and parts.loop is None else parts


def _wrap_prompts(source: Source, parts: Parts, options: Options) -> Parts:
    if all(key.prompt is None for key in parts.keyframes):
        source.note("there are no prompts here, so the text before and after them is not used")
        return parts

    def wrapped(key: Keyframe) -> Keyframe:
        if key.prompt is None:
            return key
        items = []
        for value, weight in key.prompt.items:
            before, after = (verbatim(text.strip()) for text in (options.before, options.after))
            text = ", ".join(part for part in (before, value, after) if part)
            items.append((check.text(text, "", check.MAX_PROMPT), weight))
        return replace(key, prompt=Mix(tuple(items)))

    return replace(parts, keyframes=tuple(wrapped(key) for key in parts.keyframes))


def _close_loop(source: Source, parts: Parts) -> Parts:
    """Returns the parts as a loop, if their keys allow it."""
    closed = replace(parts, loop=True)
    if parts.frames is None:
        return closed
    try:
        closed.recipe()
    except RecipeError as error:
        source.note(f"the film is not closed to a loop: {error.problem}")
        return parts
    return closed
