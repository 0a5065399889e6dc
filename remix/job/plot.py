"""A schedule as pictures: its curves, who takes part in each frame and how the numbers go, and its table."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from remix.plan import Mix, Schedule
from remix.plan.table import chosen_rows, columns_of, row_of

WIDTH, BAND, MARGIN = 960, 110, 16
EDGE = 2
"""Room above and below a band, for lines that are thicker than a pixel."""
TITLE, LEGEND, GAP = 18, 16, 14
FINE = 3
"""Shapes are drawn so many times larger and scaled down, which smooths their edges."""
INK, PAPER, FAINT = (30, 30, 34), (255, 255, 255), (225, 226, 230)
COLOURS = ((66, 103, 178), (224, 122, 63), (76, 153, 92), (190, 71, 90), (128, 96, 176), (60, 150, 160))
LONGEST_LABEL = 100
LONGEST_LEGEND = 12

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
    """Returns a picture of the schedule, uint8 [height, 960, 3]: the `bands`, each with its name and legend."""
    drawn, top = bands(schedule), MARGIN
    height = MARGIN + sum(TITLE + BAND + LEGEND * len(band.legend) + GAP for band in drawn)
    picture = Image.new("RGB", (WIDTH, height), PAPER)
    pen = ImageDraw.Draw(picture)
    for band in drawn:
        picture.paste(Image.fromarray(band.picture), (MARGIN, top + TITLE - EDGE))
        _write(pen, band, top)
        top += TITLE + BAND + LEGEND * len(band.legend) + GAP
    return np.asarray(picture)


def draw_table(schedule: Schedule) -> np.ndarray:
    """Returns the table of a schedule as a picture, uint8 [height, 960, 3]: a line for each of `chosen_rows`.

    Keyframes stand on grey; what is longer than its column is cut.
    """
    names, rows, font = columns_of(schedule), chosen_rows(schedule), ImageFont.load_default()
    keyframes = set(schedule.recipe.positions())
    lines = [names, *([_latin(cell[:WIDTH]) for cell in row_of(schedule, index, names)] for index in rows)]
    picture = Image.new("RGB", (WIDTH, 2 * MARGIN + LEGEND * len(lines)), PAPER)
    pen = ImageDraw.Draw(picture)
    edges = _edges([max(font.getlength(cell) for cell in column) for column in zip(*lines, strict=True)])
    for at, cells in enumerate(lines):
        top = MARGIN + LEGEND * at
        if at and rows[at - 1] in keyframes:
            pen.rectangle([MARGIN - 4, top, WIDTH - MARGIN + 4, top + LEGEND - 1], fill=FAINT)
        for cell, left, right in zip(cells, edges, edges[1:], strict=False):
            pen.text((left, top), _cut(cell, right - left - GAP, font), fill=INK, font=font)
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


def _cut(text: str, room: float, font: Any) -> str:
    """`text` where it fits into so many pixels, else its beginning."""
    if font.getlength(text) <= room:
        return text
    kept = bisect_right(range(len(text)), room, key=lambda count: font.getlength(text[:count] + "...")) - 1
    return text[: max(kept, 0)] + "..."


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


def _write(pen: ImageDraw.ImageDraw, band: Band, top: int) -> None:
    font = ImageFont.load_default()
    pen.text((MARGIN, top), band.name, fill=INK, font=font)
    for k, (colour, label) in enumerate(band.legend):
        y = top + TITLE + BAND + 4 + LEGEND * k
        pen.rectangle([MARGIN, y + 1, MARGIN + 9, y + 10], fill=colour)
        shown = label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 3] + "..."
        pen.text((MARGIN + 16, y), _latin(shown), fill=INK, font=font)


def _latin(text: str) -> str:
    """`text` as the built-in font can write it: it may know Latin-1 only; other letters must not end the drawing."""
    return text.encode("latin-1", "replace").decode("latin-1")
