"""A schedule as pictures: its curves, who takes part in each frame and how the numbers go, and its table."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from remix.plan import Mix, Schedule
from remix.plan.table import chosen_rows, columns_of, row_of

WIDTH, BAND, MARGIN = 960, 110, 16
TITLE, LEGEND, GAP = 18, 16, 14
FINE = 3
"""Shapes are drawn so many times larger and scaled down, which smooths their edges."""
INK, PAPER, FAINT = (30, 30, 34), (255, 255, 255), (225, 226, 230)
COLOURS = ((66, 103, 178), (224, 122, 63), (76, 153, 92), (190, 71, 90), (128, 96, 176), (60, 150, 160))
LONGEST_LABEL = 100
LONGEST_LEGEND = 12

Points = Sequence[tuple[float, float]]


def draw(schedule: Schedule) -> np.ndarray:
    """Returns a picture of the schedule, uint8 [height, 960, 3].

    A band for each field that travels: mixes (prompt, seed, ...) as stacked shares with a legend, numbers (cfg,
    denoise, strengths of LoRAs) as lines. Upright lines mark the keyframes.
    """
    fields = ("prompt", "negative", "seed", "image", "mask", "cfg", "denoise")
    travelling = [name for name in fields if _travels(schedule, name)]
    columns = {name: [getattr(frame, name) for frame in schedule] for name in travelling or ["prompt"]}
    for k, lora in enumerate(schedule[0].loras):
        strengths = [frame.loras[k].strength for frame in schedule]
        if len(set(strengths)) > 1:
            columns[f"LoRA {lora.name}"] = strengths
    legends = {name: _legend(values) for name, values in columns.items()}
    height = MARGIN + sum(TITLE + BAND + LEGEND * len(legend) + GAP for legend in legends.values())
    canvas = Image.new("RGB", (WIDTH * FINE, height * FINE), PAPER)
    shapes, top, tops = ImageDraw.Draw(canvas), MARGIN, {}
    for name, values in columns.items():
        tops[name] = top
        _band(shapes, values, top + TITLE)
        for index in schedule.recipe.positions():
            _line(shapes, [(_x(index, len(values)), top + TITLE), (_x(index, len(values)), top + TITLE + BAND)], INK, 1)
        top += TITLE + BAND + LEGEND * len(legends[name]) + GAP
    picture = canvas.resize((WIDTH, height), Image.Resampling.BOX)
    for name, legend in legends.items():
        _write(ImageDraw.Draw(picture), name, legend, tops[name])
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


def _legend(values: Sequence[Any]) -> list[str]:
    """The text of each line below a band: the values of a mix, or the range of a number."""
    if isinstance(values[0], Mix):
        texts = [str(value) for value in _parts(values)]
        more = len(texts) - LONGEST_LEGEND
        return texts if more <= 0 else [*texts[:LONGEST_LEGEND], f"and {more} more"]
    return [f"{min(values):g} to {max(values):g}"]


def _parts(mixes: Sequence[Mix[Any]]) -> list[object]:
    return list(dict.fromkeys(value for mix in mixes for value, _ in mix.items))


def _x(index: float, count: int) -> float:
    return MARGIN + (WIDTH - 2 * MARGIN) * index / max(count - 1, 1)


def _band(shapes: ImageDraw.ImageDraw, values: Sequence, top: int) -> None:
    if isinstance(values[0], Mix):
        _shares(shapes, values, top)
        return
    low, high = min(values), max(values)
    _line(shapes, [(MARGIN, top + BAND), (WIDTH - MARGIN, top + BAND)], FAINT, 1)
    heights = [top + BAND * (1 - (value - low) / ((high - low) or 1)) for value in values]
    _line(shapes, [(_x(i, len(values)), y) for i, y in enumerate(heights)], COLOURS[0], 2)


def _shares(shapes: ImageDraw.ImageDraw, mixes: Sequence[Mix], top: int) -> None:
    # One frame alone is drawn as two, so that its shares have a width.
    mixes = mixes if len(mixes) > 1 else [*mixes, *mixes]
    floor = [0.0] * len(mixes)
    for k, part in enumerate(_parts(mixes)):
        ceiling = [low + dict(mix.items).get(part, 0.0) for low, mix in zip(floor, mixes, strict=True)]
        edge = [
            *((_x(i, len(mixes)), top + BAND * (1 - share)) for i, share in enumerate(ceiling)),
            *((_x(i, len(mixes)), top + BAND * (1 - share)) for i, share in reversed(list(enumerate(floor)))),
        ]
        shapes.polygon(_fine(edge), fill=COLOURS[k % len(COLOURS)])
        floor = ceiling


def _line(shapes: ImageDraw.ImageDraw, points: Points, colour: tuple[int, int, int], width: int) -> None:
    shapes.line(_fine(points), fill=colour, width=width * FINE)


def _fine(points: Points) -> list[tuple[float, float]]:
    return [(x * FINE, y * FINE) for x, y in points]


def _write(pen: ImageDraw.ImageDraw, name: str, legend: Sequence[str], top: int) -> None:
    font = ImageFont.load_default()
    pen.text((MARGIN, top), name, fill=INK, font=font)
    for k, label in enumerate(legend):
        y = top + TITLE + BAND + 4 + LEGEND * k
        pen.rectangle([MARGIN, y + 1, MARGIN + 9, y + 10], fill=COLOURS[k % len(COLOURS)])
        shown = label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 3] + "..."
        pen.text((MARGIN + 16, y), _latin(shown), fill=INK, font=font)


def _latin(text: str) -> str:
    """`text` as the built-in font can write it: it may know Latin-1 only; other letters must not end the drawing."""
    return text.encode("latin-1", "replace").decode("latin-1")
