"""A schedule as a picture: its curves, with the shares of each mix and the course of each number."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from remix.motion import Picture
from remix.plan import Mix, Schedule
from remix.plan.travel import used_columns
from remix.show.lettering import LINE, shortened, width_of, write
from remix.show.table import value_of

WIDTH, BAND, MARGIN = 960, 110, 16
EDGE = 2
"""Room above and below a band, for lines that are thicker than a pixel."""
AXIS, TICK, GAP = 24, 4, 14
"""Heights of the frame numbers below a band and of their tick marks, and the space between bands."""
MOST_TICKS = 10
FINE = 3
"""Shapes are drawn larger by this factor and scaled down, which smooths their edges."""
COLOURS = ((66, 103, 178), (224, 122, 63), (76, 153, 92), (190, 71, 90), (128, 96, 176), (60, 150, 160))
SECONDS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
"""The steps of an axis, where they fall on whole frames."""
LONGEST_LEGEND = 12
ROOM, STROKE = 6, 8
"""Keyframes closer than this, in pixels, are drawn as short strokes at the bottom: full lines would hide the band."""
LONGEST_CELL = 400
"""The number of characters of a text that are considered; longer texts never fit."""

SAMPLES = 3_600
"""The maximum number of frames that a band draws: about four for each of its pixels."""

Points = Sequence[tuple[float, float]]
Color = tuple[int, int, int]


class Theme(NamedTuple):
    """The colors of text, of the background, and of what is between them."""

    ink: Color
    paper: Color
    faint: Color


LIGHT = Theme((30, 30, 34), (255, 255, 255), (225, 226, 230))
DARK = Theme((222, 222, 226), (32, 33, 36), (66, 68, 74))


@dataclass(frozen=True)
class Band:
    """One field of a schedule as a picture, uint8 [BAND + 2 * EDGE, WIDTH - 2 * MARGIN, 3], frame 0 at its left end.

    Shares of a mix are stacked, numbers are a line; upright lines mark the keyframes. `legend` has a color and a
    text for each of the first values of a mix, or the range of a number, and says how many more there are.
    """

    name: str
    picture: Picture
    legend: tuple[tuple[Color, str], ...]


def bands(schedule: Schedule, theme: Theme = LIGHT) -> list[Band]:
    """Returns a band for each field that travels, or only that of the prompt if none does.

    Mixes are prompt, negative, seed, image and mask; numbers are cfg, denoise and the strengths of LoRAs, and what the
    expressions use of the music, such as `beat`.
    """
    keyframes = schedule.recipe.positions()
    return [
        Band(name, _band(values, keyframes, theme), _legend(values))
        for name, values in traveling_fields(schedule).items()
    ]


def traveling_fields(schedule: Schedule) -> dict[str, list[Any]]:
    """Returns the values of each field that travels, one for each frame, by name; only the prompts if none does.

    The fields are those of `bands`.
    """
    fields = ("prompt", "negative", "seed", "image", "mask", "cfg", "denoise")
    travelling = [name for name in fields if _travels(schedule, name)]
    columns = {name: [getattr(frame, name) for frame in schedule] for name in travelling or ["prompt"]}
    for k, lora in enumerate(schedule[0].loras):
        strengths = [frame.loras[k].strength for frame in schedule]
        in_text = [frame.loras[k].in_text for frame in schedule]
        if len(set(strengths)) > 1:
            columns[f"LoRA {lora.name}"] = strengths
        if in_text != strengths and len(set(in_text)) > 1:
            columns[f"LoRA {lora.name}, text encoder"] = in_text
    if schedule[0].inputs:
        tracks = {name: [value_of(frame, name) for frame in schedule] for name, _ in schedule[0].inputs}
        columns = {name: _plotted(values) for name, values in tracks.items() if len(set(values)) > 1} or {
            name: _plotted(values) for name, values in list(tracks.items())[:1]
        }
    columns |= used_columns(schedule.recipe, range(len(schedule)))
    return columns


def _plotted(values: list[Any]) -> list[Any]:
    """Returns the values of an input as a plot shows them: switches as a mix of one value."""
    return [Mix.one(str(value).lower()) if isinstance(value, bool) else value for value in values]


def sampled(values: Sequence[Any], most: int = SAMPLES) -> Sequence[int]:
    """Returns the frames that a plot draws, in order: all, or of a long film `most` spread evenly, with both ends.

    Of numbers, the lowest and the highest of each stretch are among them, so that no peak is lost.
    """
    count = len(values)
    if count <= most:
        return range(count)
    evenly = {k * (count - 1) // (most - 1) for k in range(most)}
    if isinstance(values[0], Mix):
        return sorted(evenly)
    edges = [k * count // (most // 4) for k in range(most // 4 + 1)]
    for stretch in map(range, edges, edges[1:]):
        evenly |= {min(stretch, key=values.__getitem__), max(stretch, key=values.__getitem__)}
    return sorted(evenly)


def draw(schedule: Schedule, theme: Theme = LIGHT) -> Picture:
    """Returns a picture of the schedule, uint8 [height, 960, 3].

    It has the `bands`, each with its name, the frames' numbers and times below it, and its legend.
    """
    drawn, top = bands(schedule, theme), MARGIN
    heights = [LINE + BAND + AXIS + LINE * len(band.legend) + GAP for band in drawn]
    picture = Image.new("RGB", (WIDTH, MARGIN + sum(heights)), theme.paper)
    for band, height in zip(drawn, heights, strict=True):
        picture.paste(Image.fromarray(band.picture), (MARGIN, top + LINE - EDGE))
        write(picture, (MARGIN, top - 2), band.name, theme.ink)
        _write_axis(picture, schedule, top + LINE + BAND + EDGE, theme.ink)
        _write_legend(picture, band, top + LINE + BAND + AXIS, theme.ink)
        top += height
    return np.asarray(picture)


def _travels(schedule: Schedule, name: str) -> bool:
    first = getattr(schedule[0], name)
    return any(getattr(frame, name) != first for frame in schedule)


def _legend(values: Sequence[Any]) -> tuple[tuple[Color, str], ...]:
    """Returns the color and the text of each line below a band: the values of a mix, or the range of a number."""
    if not isinstance(values[0], Mix):
        return ((COLOURS[0], f"{min(values):g} to {max(values):g}"),)
    parts = parts_of(values)
    lines = [(COLOURS[k % len(COLOURS)], str(part)) for k, part in enumerate(parts[:LONGEST_LEGEND])]
    more = len(parts) - len(lines)
    return (*lines, (LIGHT.faint, f"and {more:,} more")) if more else tuple(lines)


def parts_of(mixes: Sequence[Mix[Any]]) -> list[object]:
    """Returns the values of mixes, each once, in the order in which they appear."""
    return list(dict.fromkeys(value for mix in mixes for value, _ in mix.items))


def _x(index: float, count: int) -> float:
    return (WIDTH - 2 * MARGIN) * index / max(count - 1, 1)


def _band(values: Sequence[Any], keyframes: Sequence[int], theme: Theme) -> Picture:
    size = (WIDTH - 2 * MARGIN, BAND + 2 * EDGE)
    canvas = Image.new("RGB", (size[0] * FINE, size[1] * FINE), theme.paper)
    shapes = ImageDraw.Draw(canvas)
    if isinstance(values[0], Mix):
        _shares(shapes, values, sampled(values))
    else:
        low, high = min(values), max(values)
        _line(shapes, [(0, EDGE + BAND), (size[0], EDGE + BAND)], theme.faint, 1)
        heights = {i: EDGE + BAND * (1 - (values[i] - low) / ((high - low) or 1)) for i in sampled(values)}
        _line(shapes, [(_x(i, len(values)), y) for i, y in heights.items()], COLOURS[0], 2)
    crowded = len(keyframes) > size[0] / ROOM
    for index in keyframes:
        # The first and the last label are moved to fit completely within the picture.
        x = min(max(_x(index, len(values)), 1), size[0] - 1)
        _line(shapes, [(x, EDGE + (BAND - STROKE if crowded else 0)), (x, EDGE + BAND)], theme.ink, 1)
    return np.asarray(canvas.resize(size, Image.Resampling.BOX))


def _shares(shapes: ImageDraw.ImageDraw, mixes: Sequence[Mix[Any]], frames: Sequence[int]) -> None:
    """Stacks the shares of all values, the first one lowest: one shape for each run of frames with that value.

    Only `frames` are drawn. The work is proportional to the items of their mixes, however many values there are.
    """
    numbers = {part: k for k, part in enumerate(parts_of(mixes))}
    stacks = [_stack(mixes[i], numbers) for i in frames]
    places = [_x(i, len(mixes)) for i in frames]
    if len(stacks) == 1:  # one frame alone is drawn as two, so that its shares have a width
        stacks, places = stacks * 2, [0, _x(1, 2)]
    for k, runs in _runs(stacks).items():
        for first, last in runs:
            # A run grows from nothing at the frame before it, and shrinks to nothing at the frame after it.
            span = range(max(first - 1, 0), min(last + 2, len(stacks)))
            sides = [stacks[i].between(k) for i in span]
            edge = [(places[i], EDGE + BAND * (1 - high)) for i, (_, high) in zip(span, sides, strict=True)]
            edge += [
                (places[i], EDGE + BAND * (1 - low))
                for i, (low, _) in zip(reversed(span), reversed(sides), strict=True)
            ]
            shapes.polygon(_fine(edge), fill=COLOURS[k % len(COLOURS)])


class Stack(NamedTuple):
    """The shares of one frame, stacked: the numbers of its values in ascending order, and where each begins and ends.

    `edges` has one number more than `numbers`.
    """

    numbers: Sequence[int]
    edges: Sequence[float]

    def between(self, number: int) -> tuple[float, float]:
        """Returns where the share of a value begins and ends: at the same height where it has none."""
        at = bisect_left(self.numbers, number)
        there = at < len(self.numbers) and self.numbers[at] == number
        return self.edges[at], self.edges[at + there]


def _stack(mix: Mix[Any], numbers: Mapping[object, int]) -> Stack:
    shares = sorted((numbers[value], weight) for value, weight in mix.items)
    return Stack([number for number, _ in shares], [0.0, *accumulate(weight for _, weight in shares)])


def _runs(stacks: Sequence[Stack]) -> dict[int, list[tuple[int, int]]]:
    """Returns the first and the last stack of each run of stacks with a value, by the number of the value."""
    runs: dict[int, list[tuple[int, int]]] = {}
    for index, stack in enumerate(stacks):
        for number in stack.numbers:
            spans = runs.setdefault(number, [])
            if spans and spans[-1][1] == index - 1:
                spans[-1] = (spans[-1][0], index)
            else:
                spans.append((index, index))
    return dict(sorted(runs.items()))


def _line(shapes: ImageDraw.ImageDraw, points: Points, color: Color, width: int) -> None:
    shapes.line(_fine(points), fill=color, width=width * FINE)


def _fine(points: Points) -> list[tuple[float, float]]:
    return [(x * FINE, y * FINE) for x, y in points]


def _write_axis(picture: Image.Image, schedule: Schedule, top: int, ink: Color) -> None:
    """Writes the numbers and the times of some frames, each below its place in the band, within the margins."""
    pen, fps = ImageDraw.Draw(picture), schedule.recipe.fps
    for index in ticks(len(schedule), fps):
        x = MARGIN + _x(index, len(schedule))
        pen.line([(x, top), (x, top + TICK)], fill=ink)
        label = f"{index} · {index / fps:.4g} s" if index else "frame 0"
        width = width_of(label)
        write(picture, (min(max(x - width / 2, MARGIN), WIDTH - MARGIN - width), top + TICK), label, ink)


def ticks(count: int, fps: float) -> range:
    """Returns the frames to label on an axis, at least three of them if possible, at round times if possible.

    >>> list(ticks(48, 12)), list(ticks(5, 12))
    ([0, 6, 12, 18, 24, 30, 36, 42], [0, 1, 2, 3, 4])
    """
    even = [round(seconds * fps) for seconds in SECONDS if round(seconds * fps, 6) % 1 == 0]
    plain = [digit * 10**power for power in range(len(str(count))) for digit in (1, 2, 5)]
    fitting = (step for step in (*even, *plain) if 2 * step < count <= MOST_TICKS * step)
    return range(0, count, next(fitting, 1))


def _write_legend(picture: Image.Image, band: Band, top: int, ink: Color) -> None:
    for k, (color, label) in enumerate(band.legend):
        y = top + LINE * k
        picture.paste(color, (MARGIN, y + 4, MARGIN + 10, y + 14))
        write(picture, (MARGIN + 16, y), shortened(label[:LONGEST_CELL], WIDTH - 2 * MARGIN - 16), ink)
