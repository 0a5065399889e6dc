"""A schedule as pictures: its curves, who takes part in each frame and how the numbers go, and its table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from remix.motion.lettering import LINE, shortened, width_of, write
from remix.plan import Mix, Schedule
from remix.plan.table import chosen_rows, columns_of, row_of

WIDTH, BAND, MARGIN = 960, 110, 16
EDGE = 2
"""Room above and below a band, for lines that are thicker than a pixel."""
AXIS, TICK, GAP = 24, 4, 14
"""The frames' numbers below a band, the strokes that lead to them, and the room between bands."""
MOST_TICKS = 10
FINE = 3
"""Shapes are drawn so many times larger and scaled down, which smooths their edges."""
INK, PAPER, FAINT = (30, 30, 34), (255, 255, 255), (225, 226, 230)
COLOURS = ((66, 103, 178), (224, 122, 63), (76, 153, 92), (190, 71, 90), (128, 96, 176), (60, 150, 160))
SECONDS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
"""The steps of an axis, where they fall on whole frames."""
LONGEST_LEGEND = 12
LONGEST_CELL = 400
"""Letters of a text of which some may be shown: more of them would not fit."""

Points = Sequence[tuple[float, float]]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Band:
    """One field of a schedule as a picture, uint8 [BAND + 2 * EDGE, WIDTH - 2 * MARGIN, 3], frame 0 at its left end.

    Shares of a mix are stacked, numbers are a line; upright lines mark the keyframes. `legend` has a colour and a
    text for each value of a mix, or the range of a number.
    """

    name: str
    picture: np.ndarray
    legend: tuple[tuple[Colour, str], ...]


def bands(schedule: Schedule) -> list[Band]:
    """Returns a band for each field that travels, and the prompt's where none does.

    Mixes are prompt, negative, seed, image and mask; numbers cfg, denoise and the strengths of LoRAs.
    """
    fields = ("prompt", "negative", "seed", "image", "mask", "cfg", "denoise")
    travelling = [name for name in fields if _travels(schedule, name)]
    columns = {name: [getattr(frame, name) for frame in schedule] for name in travelling or ["prompt"]}
    for k, lora in enumerate(schedule[0].loras):
        strengths = [frame.loras[k].strength for frame in schedule]
        if len(set(strengths)) > 1:
            columns[f"LoRA {lora.name}"] = strengths
    keyframes = schedule.recipe.positions()
    return [Band(name, _band(values, keyframes), _legend(values)) for name, values in columns.items()]


def draw(schedule: Schedule) -> np.ndarray:
    """Returns a picture of the schedule, uint8 [height, 960, 3].

    It has the `bands`, each with its name, the frames' numbers and times below it, and its legend.
    """
    drawn, top = bands(schedule), MARGIN
    heights = [LINE + BAND + AXIS + LINE * len(band.legend) + GAP for band in drawn]
    picture = Image.new("RGB", (WIDTH, MARGIN + sum(heights)), PAPER)
    for band, height in zip(drawn, heights, strict=True):
        picture.paste(Image.fromarray(band.picture), (MARGIN, top + LINE - EDGE))
        write(picture, (MARGIN, top - 2), band.name, INK)
        _write_axis(picture, schedule, top + LINE + BAND + EDGE)
        _write_legend(picture, band, top + LINE + BAND + AXIS)
        top += height
    return np.asarray(picture)


def draw_table(schedule: Schedule) -> np.ndarray:
    """Returns the table of a schedule as a picture, uint8 [height, 960, 3]: a line for each of `chosen_rows`.

    Keyframes stand on grey; what is longer than its column is cut.
    """
    names, rows = columns_of(schedule), chosen_rows(schedule)
    keyframes = set(schedule.recipe.positions())
    lines = [names, *([cell[:LONGEST_CELL] for cell in row_of(schedule, index, names)] for index in rows)]
    picture = Image.new("RGB", (WIDTH, 2 * MARGIN + LINE * len(lines)), PAPER)
    edges = _edges([max(map(width_of, column)) for column in zip(*lines, strict=True)])
    for at, cells in enumerate(lines):
        top = MARGIN + LINE * at
        if at and rows[at - 1] in keyframes:
            picture.paste(FAINT, (MARGIN - 4, top, WIDTH - MARGIN + 5, top + LINE))
        for cell, left, right in zip(cells, edges, edges[1:], strict=False):
            write(picture, (left, top), shortened(cell, right - left - GAP), INK)
    return np.asarray(picture)


def _edges(widths: Sequence[float]) -> list[float]:
    """Where columns of these widths begin, and the last ends: the widest give way until all fit side by side."""
    room = WIDTH - 2 * MARGIN - GAP * len(widths)
    most = max(widths)
    while sum(min(width, most) for width in widths) > room:
        most -= 1
    edges = [float(MARGIN)]
    for width in widths:
        edges.append(edges[-1] + min(width, most) + GAP)
    return edges


def _travels(schedule: Schedule, name: str) -> bool:
    first = getattr(schedule[0], name)
    return any(getattr(frame, name) != first for frame in schedule)


def _legend(values: Sequence[Any]) -> tuple[tuple[Colour, str], ...]:
    """The colour and the text of each line below a band: the values of a mix, or the range of a number."""
    texts = [f"{min(values):g} to {max(values):g}"] if not isinstance(values[0], Mix) else _values(values)
    return tuple((COLOURS[k % len(COLOURS)], text) for k, text in enumerate(texts))


def _values(mixes: Sequence[Mix[Any]]) -> list[str]:
    texts = [str(value) for value in _parts(mixes)]
    more = len(texts) - LONGEST_LEGEND
    return texts if more <= 0 else [*texts[:LONGEST_LEGEND], f"and {more} more"]


def _parts(mixes: Sequence[Mix[Any]]) -> list[object]:
    return list(dict.fromkeys(value for mix in mixes for value, _ in mix.items))


def _x(index: float, count: int) -> float:
    return (WIDTH - 2 * MARGIN) * index / max(count - 1, 1)


def _band(values: Sequence[Any], keyframes: Sequence[int]) -> np.ndarray:
    size = (WIDTH - 2 * MARGIN, BAND + 2 * EDGE)
    canvas = Image.new("RGB", (size[0] * FINE, size[1] * FINE), PAPER)
    shapes = ImageDraw.Draw(canvas)
    if isinstance(values[0], Mix):
        _shares(shapes, values)
    else:
        low, high = min(values), max(values)
        _line(shapes, [(0, EDGE + BAND), (size[0], EDGE + BAND)], FAINT, 1)
        heights = [EDGE + BAND * (1 - (value - low) / ((high - low) or 1)) for value in values]
        _line(shapes, [(_x(i, len(values)), y) for i, y in enumerate(heights)], COLOURS[0], 2)
    for index in keyframes:
        # The first and the last stand within the picture with all of their width.
        x = min(max(_x(index, len(values)), 1), size[0] - 1)
        _line(shapes, [(x, EDGE), (x, EDGE + BAND)], INK, 1)
    return np.asarray(canvas.resize(size, Image.Resampling.BOX))


def _shares(shapes: ImageDraw.ImageDraw, mixes: Sequence[Mix]) -> None:
    # One frame alone is drawn as two, so that its shares have a width.
    mixes = mixes if len(mixes) > 1 else [*mixes, *mixes]
    floor = [0.0] * len(mixes)
    for k, part in enumerate(_parts(mixes)):
        ceiling = [low + dict(mix.items).get(part, 0.0) for low, mix in zip(floor, mixes, strict=True)]
        edge = [
            *((_x(i, len(mixes)), EDGE + BAND * (1 - share)) for i, share in enumerate(ceiling)),
            *((_x(i, len(mixes)), EDGE + BAND * (1 - share)) for i, share in reversed(list(enumerate(floor)))),
        ]
        shapes.polygon(_fine(edge), fill=COLOURS[k % len(COLOURS)])
        floor = ceiling


def _line(shapes: ImageDraw.ImageDraw, points: Points, colour: Colour, width: int) -> None:
    shapes.line(_fine(points), fill=colour, width=width * FINE)


def _fine(points: Points) -> list[tuple[float, float]]:
    return [(x * FINE, y * FINE) for x, y in points]


def _write_axis(picture: Image.Image, schedule: Schedule, top: int) -> None:
    """The numbers and the times of some frames, each below its place in the band, as far as the margins let them."""
    pen, fps = ImageDraw.Draw(picture), schedule.recipe.fps
    for index in ticks(len(schedule), fps):
        x = MARGIN + _x(index, len(schedule))
        pen.line([(x, top), (x, top + TICK)], fill=INK)
        label = f"{index} · {index / fps:.4g} s" if index else "frame 0"
        width = width_of(label)
        write(picture, (min(max(x - width / 2, MARGIN), WIDTH - MARGIN - width), top + TICK), label, INK)


def ticks(count: int, fps: float) -> range:
    """Returns the frames that an axis tells, three at least where there are so many: at even times, if those exist.

    >>> list(ticks(48, 12)), list(ticks(5, 12))
    ([0, 6, 12, 18, 24, 30, 36, 42], [0, 1, 2, 3, 4])
    """
    even = [round(seconds * fps) for seconds in SECONDS if round(seconds * fps, 6) % 1 == 0]
    plain = [digit * 10**power for power in range(len(str(count))) for digit in (1, 2, 5)]
    fitting = (step for step in (*even, *plain) if 2 * step < count <= MOST_TICKS * step)
    return range(0, count, next(fitting, 1))


def _write_legend(picture: Image.Image, band: Band, top: int) -> None:
    for k, (colour, label) in enumerate(band.legend):
        y = top + LINE * k
        picture.paste(colour, (MARGIN, y + 4, MARGIN + 10, y + 14))
        write(picture, (MARGIN + 16, y), shortened(label[:LONGEST_CELL], WIDTH - 2 * MARGIN - 16), INK)
