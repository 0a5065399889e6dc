"""Writes a recipe for another tool: the lines of its prompts, and notes on parts that the text cannot express."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from remix.plan.fields import show
from remix.plan.keyframe import Keyframe
from remix.plan.mix import STEPS, Mix, between
from remix.plan.recipe import Recipe
from remix.plan.schedule import plan
from remix.plan.travel import changes

SHOWN_AS = {"width": "size", "height": "size"}


@dataclass(frozen=True)
class Export:
    """A text for another tool, and a sentence for each part of the recipe that it cannot express."""

    text: str
    lost: tuple[str, ...]


class Line(NamedTuple):
    """The prompt and negative at a frame; `holds` is true if they stay the same until the next line."""

    frame: int
    prompt: Mix[str]
    negative: Mix[str]
    holds: bool


class Draft:
    """The prompts of a recipe sorted by frame, and the parts that are lost when they become a text."""

    def __init__(self, recipe: Recipe, supported: Sequence[str] = ()) -> None:
        self.recipe = recipe
        self.lost: list[str] = []
        self._mixed: set[int] = set()
        self._lose_unsupported(supported)

    def lose(self, sentence: str) -> None:
        """Adds a sentence about a part that the text cannot express, once."""
        if sentence not in self.lost:
            self.lost.append(sentence)

    def export(self, text: str) -> Export:
        """Returns the text with its losses."""
        mixed = f"{_runs(self._mixed)}: a mix of prompts; the heaviest is written" if self._mixed else ""
        return Export(text, (*self.lost, mixed) if mixed else tuple(self.lost))

    def one(self, mix: Mix[str], frame: int) -> str:
        """Returns the prompt of a mix with the largest weight; the export notes that the others are lost."""
        if len(mix.items) > 1:
            self._mixed.add(frame)
        return mix.heaviest

    @cached_property
    def lines(self) -> list[Line]:
        """Returns a line with prompt and negative for each frame where one of them is set.

        Losses of prompts are noted only when lines are used: value schedules have none.
        """
        recipe = self.recipe
        at = sorted(zip(recipe.positions(), recipe.keyframes, strict=True), key=lambda pair: pair[0])
        stops = [(frame, key) for frame, key in at if key.prompt is not None or key.negative is not None]
        frames = plan(recipe).frames
        for frame, key in stops:
            if any(changes(mix) for mix in (key.prompt, key.negative) if mix):
                self.lose(f"the numbers in backticks at frame {frame}; the text has their values at that frame")
        if not stops:
            return [Line(0, frames[0].prompt, frames[0].negative, True)]
        if recipe.loop and stops[0][0] > 0:
            self.lose(f"the loop closes at frame {stops[0][0]}; the text begins with the prompt of frame 0")
            stops.insert(0, (0, Keyframe(at=0, ease=stops[-1][1].ease)))
        lines = []
        for i, (frame, key) in enumerate(stops):
            ease = key.ease or recipe.ease
            if ease not in ("linear", "hold") and (i + 1 < len(stops) or recipe.loop) and len(stops) > 1:
                self.lose(f"the ease {ease} at frame {frame}; the text travels straight from there")
            lines.append(Line(frame, frames[frame].prompt, frames[frame].negative, ease == "hold"))
        return lines

    def straight_lines(self) -> list[Line]:
        """Returns lines for a text that always travels linearly. Holds are written out, and loops are closed."""
        lines = self.unmixed_lines()
        if self.recipe.loop and len(lines) > 1:
            lines.append(lines[0]._replace(frame=self.recipe.frames, holds=True))
        found: list[Line] = []
        for i, line in enumerate(lines):
            found.append(line)
            if line.holds and i + 1 < len(lines) and lines[i + 1].frame > line.frame + 1:
                found.append(line._replace(frame=lines[i + 1].frame - 1))
        return found

    def unmixed_lines(self) -> list[Line]:
        """Returns the lines; if mixes in them result from linear travels between single prompts, the lines of these."""
        lines = self.lines
        if self.recipe.loop or not any(len(mix.items) > 1 for line in lines for mix in (line.prompt, line.negative)):
            return list(lines)
        sides = [(frame.prompt, frame.negative) for frame in plan(self.recipe)]
        single = [i for i, side in enumerate(sides) if all(len(mix.items) == 1 for mix in side)]
        if not single or single[0] != 0 or single[-1] != len(sides) - 1:
            return list(lines)
        kept = [0]
        for start, end in pairwise(single):
            if not _is_straight(sides, start, end):
                return list(lines)
            if sides[start] != sides[end]:
                kept += [start, end]
        return [Line(i, *sides[i], False) for i in dict.fromkeys(kept)]

    def _lose_unsupported(self, supported: Sequence[str]) -> None:
        """Notes the fields of the recipe and its keyframes that are set and not `supported` by the text."""
        recipe = self.recipe
        keys = [f for f in ("seed", "cfg", "denoise", "image", "mask", "loras") if f not in supported]
        set_ = [f for f in keys if any(getattr(key, f, None) is not None for key in recipe.keyframes)]
        default = Recipe(frames=1, keyframes=(Keyframe(),))
        for name in (
            "model",
            "width",
            "sampler",
            "scheduler",
            "steps",
            "cfg",
            "curve",
            "mix",
            "lengths",
            "emphasis",
            "chunks",
            "fps",
        ):
            if name not in supported and name not in set_ and getattr(recipe, name) != getattr(default, name):
                set_.append(SHOWN_AS.get(name, name))
            elif name == "width" and recipe.height != default.height:
                set_.append("size")
        if set_:
            self.lose(f"the text has no place for: {', '.join(dict.fromkeys(set_))}")


def _is_straight(sides: Sequence[tuple[Mix[str], Mix[str]]], start: int, end: int) -> bool:
    """Returns whether the mixes between two frames are those of a straight travel, as far as a schedule rounds them."""
    steps = [round((i - start) / (end - start) * STEPS) for i in range(start + 1, end)]
    for side in (0, 1):
        travel = between(sides[start][side], sides[end][side], steps)
        for mix, found in zip(travel, sides[start + 1 : end], strict=True):
            wanted, got = dict(mix.items), dict(found[side].items)
            if any(abs(wanted.get(text, 0) - got.get(text, 0)) > 2e-9 for text in {**wanted, **got}):
                return False
    return True


def _runs(frames: Iterable[int]) -> str:
    """Returns the frames in words: "frames 3 to 9, 12"."""
    runs: list[tuple[int, int]] = []
    for frame in sorted(frames):
        first = runs.pop()[0] if runs and runs[-1][1] == frame - 1 else frame
        runs.append((first, frame))
    many = "s" if len(runs) > 1 or runs[0][0] < runs[0][1] else ""
    return f"frame{many} " + ", ".join(f"{first}" if first == last else f"{first} to {last}" for first, last in runs)


def lose_misread(draft: Draft, text: str, signs: Mapping[str, str]) -> None:
    """Notes each of the `signs` in a prompt that the other tool would read as something else."""
    for sign, meaning in signs.items():
        if sign in text:
            draft.lose(f"{show(text)} has {sign!r} in it, which is read as {meaning}")


def number_text(value: float) -> str:
    """Returns a number as schedules write it."""
    return repr(round(value, 9)).removesuffix(".0")
