"""What a schedule text says: keyframes, and those fields of a recipe that it speaks of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from dataclasses import field as filled
from typing import Any

from remix.errors import RecipeError
from remix.plan.keyframe import Keyframe
from remix.plan.model import Model
from remix.plan.moments import place
from remix.plan.recipe import Recipe
from remix.syntax.pairs import Clock

FAR = 10**12
"""More frames than any key is away."""


@dataclass(frozen=True)
class Given:
    """What a reader is told beside the text.

    `frames` and `fps` hold before those of the text. `seed` is the main seed. `before` and `after` are put
    around every prompt. `numbers` are those that a text takes from outside (``pw_a``): one for all frames,
    or one for each. `field` is what a bare value schedule sets, None if unspecified; `spacing` how many
    frames lie from one stage to the next, where the text has stages and no frames. `loop` closes a film whose
    text cannot say so.
    """

    frames: int | None = None
    fps: float | None = None
    seed: int | None = None
    before: str = ""
    after: str = ""
    numbers: Mapping[str, float | Sequence[float]] = filled(default_factory=dict)
    field: str | None = None
    spacing: tuple[int, ...] = ()
    loop: bool = False

    def clock(self, *, last: int = -1) -> Clock:
        """What keys may count with; `max_f` is the number of frames and `last` more."""
        return Clock(None if self.frames is None else self.frames + last, self.fps, self.seed or 0)

    def names(self) -> dict[str, float | Sequence[float]]:
        """The numbers that backticks and values may use, beside `t`."""
        return {**self.clock().names(), **self.numbers}


@dataclass(frozen=True)
class Parts:
    """What a text says of a recipe; a field is None where it says nothing.

    `notes` are sentences about what is understood differently here, or has no place in a recipe; `syntax` is the name
    of the syntax that the text was read in.
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
    notes: tuple[str, ...] = ()
    syntax: str = ""

    def last_frame(self) -> int | None:
        """The frame of the last key that names one, or a time; None where no key does."""
        fps = self.fps or Recipe.fps
        keys = [key.at for key in self.keyframes if key.at is not None and not str(key.at).endswith("%")]
        return max((place(at, FAR, fps, False, "at") for at in keys), default=None)

    def recipe(self, **defaults: Any) -> Recipe:
        """The recipe of these parts; `defaults` hold for the fields that the text says nothing of.

        RecipeError when neither says how many frames there are, or the parts do not go together.
        """
        said = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("notes", "syntax")}
        whole = {**defaults, **{name: value for name, value in said.items() if value is not None}}
        if "frames" not in whole:
            last = self.last_frame()
            some = "--frames 48, or a time: 4s" if last is None else f"--frames {last + 1} ends on its last key"
            raise RecipeError(
                f"the schedule does not say how many frames there are; give frames ({some})", path="frames"
            )
        return Recipe(**whole)
