"""A grid of pictures with labeled axes, as one picture and as an offline page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from remix.motion.images import load_picture
from remix.motion.pictures import MAX_PIXELS, Picture
from remix.plan import Mix
from remix.plan.grid import Cell, Grid
from remix.plan.inputs import value_text
from remix.show.contact_sheet import BACKGROUND, GAP, INK, thumbnails
from remix.show.lettering import LINE, SPACE, shortened, width_of, write
from remix.show.page import picture_uri, template

LARGEST_CELL = 512
"""The default of the longest side of a cell in a picture, in pixels."""

NARROWEST = 96
"""The minimum width of a column in pixels, so that labels of small pictures are readable."""

LABEL_WIDTH, LABEL_LINES = 176, 3
"""The maximum width of the labels of rows in pixels, and of lines of each label."""

SOFT = (96, 98, 106)

LONGEST_SETTING = 600
"""The maximum number of letters of a setting that a page repeats in each cell."""

PAGE_PIXELS = 64_000_000
"""The maximum number of pixels that a page embeds. Larger grids have smaller pictures."""

Place = tuple[int, int, int]
Rows = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class GridView:
    """A rendered grid: its cells, the file of each, and rows of tables about its model and engine."""

    title: str
    grid: Grid
    cells: Sequence[Cell]
    pictures: Mapping[Place, Path]
    model: Rows = field(default=())


def settings_of(cell: Cell) -> dict[str, str]:
    """Returns the settings of a cell as texts, by field."""
    recipe, frame = cell.recipe, cell.frame
    if recipe.has_own_settings:
        shown = {name: value_text(value) for name, value in frame.inputs}
        return {**shown, "size": f"{recipe.width}x{recipe.height}"}
    found = {"prompt": _mixed(frame.prompt), "negative": _mixed(frame.negative), "seed": _mixed(frame.seed)}
    found |= {"steps": f"{recipe.steps}", "cfg": f"{frame.cfg:g}"}
    found |= {"sampler": recipe.sampler, "scheduler": recipe.scheduler, "size": f"{recipe.width}x{recipe.height}"}
    found["checkpoint"] = recipe.model.checkpoint
    if frame.image is not None:
        found |= {"image": _mixed(frame.image), "denoise": f"{frame.denoise:g}"}
    if frame.mask is not None:
        found["mask"] = _mixed(frame.mask)
    if loras := (*recipe.model.loras, *frame.loras):
        found["loras"] = ", ".join(f"{lora.name} {lora}" for lora in loras)
    if recipe.model.vae is not None:
        found["vae"] = recipe.model.vae
    others = {"clip_skip": recipe.model.clip_skip, "mix": recipe.mix, "lengths": recipe.lengths}
    others |= {"emphasis": recipe.emphasis, "chunks": recipe.chunks}
    usual = {"clip_skip": 1, "mix": "lerp"}
    found |= {name: str(value) for name, value in others.items() if value != usual.get(name)}
    return {name: text for name, text in found.items() if text or name == "prompt"}


def coordinates_of(grid: Grid, place: Place) -> dict[str, str]:
    """Returns the label of a cell on each axis, by the axis's title."""
    axes = zip((grid.x, grid.y, grid.z), place, strict=True)
    return {axis.title: axis.labels[index] for axis, index in axes if axis is not None}


def _mixed(mix: Mix[Any]) -> str:
    if len(mix.items) == 1:
        return str(mix.values[0])
    return " + ".join(f"{weight:.0%} {value}" for value, weight in mix.items)


def grid_picture(view: GridView, largest: int = LARGEST_CELL) -> Picture:
    """Returns the grid as one picture, with the labels of all axes.

    `largest` is the longest side of a cell. Cells are made smaller if the picture would exceed `MAX_PIXELS`.
    """
    layout = _Layout.of(view, largest)
    while layout.width * layout.height > MAX_PIXELS and largest > 1:
        largest = largest * 4 // 5
        layout = _Layout.of(view, largest)
    sheet = Image.new("RGB", (layout.width, layout.height), BACKGROUND)
    for block in range(view.grid.shape[2]):
        _draw_block(sheet, view, layout, block)
    return np.array(sheet, dtype=np.uint8)


@dataclass(frozen=True)
class _Layout:
    """The sizes of the parts of a picture, in pixels. `lines` is the number of lines above the columns."""

    cell: tuple[int, int]
    pitch: int
    left: int
    lines: int
    rows: int
    columns: int
    blocks: int
    titles: int

    @classmethod
    def of(cls, view: GridView, largest: int) -> _Layout:
        grid = view.grid
        columns, rows, blocks = grid.shape
        widest = max(cell.recipe.width for cell in view.cells)
        highest = max(cell.recipe.height for cell in view.cells)
        scale = min(1.0, largest / max(widest, highest))
        cell = max(1, round(widest * scale)), max(1, round(highest * scale))
        pitch = max(cell[0], NARROWEST)
        texts = [] if grid.y is None else [grid.y.heading, *grid.y.labels]
        left = min(LABEL_WIDTH, max(map(math.ceil, map(width_of, texts)), default=-GAP)) + GAP
        labels = 0 if grid.x is None else max(len(_wrapped(label, pitch)) for label in grid.x.labels)
        lines = max(labels + (grid.x is not None), int(grid.y is not None))
        return cls(cell, pitch, left, lines, rows, columns, blocks, int(grid.z is not None))

    @property
    def width(self) -> int:
        return GAP + self.left + self.columns * (self.pitch + GAP)

    @property
    def block(self) -> int:
        """The height of a block with its title and labels."""
        return (self.titles + self.lines) * LINE + GAP + self.rows * (self.cell[1] + GAP)

    @property
    def height(self) -> int:
        return GAP + self.blocks * self.block + (self.blocks - 1) * LINE

    def corner(self, column: int, row: int, block: int) -> tuple[int, int]:
        """Returns the upper left corner of a cell's place."""
        top = GAP + block * (self.block + LINE) + (self.titles + self.lines) * LINE + GAP
        return GAP + self.left + column * (self.pitch + GAP), top + row * (self.cell[1] + GAP)


def _draw_block(sheet: Image.Image, view: GridView, layout: _Layout, block: int) -> None:
    grid, (cell_width, cell_height) = view.grid, layout.cell
    left, first = layout.corner(0, 0, block)
    above = first - GAP - layout.lines * LINE
    if grid.z is not None:
        title = f"{grid.z.title}: {grid.z.labels[block]}"
        write(sheet, (GAP, above - LINE), shortened(title, layout.width - 2 * GAP), INK)
    if grid.x is not None:
        write(sheet, (left, above), shortened(grid.x.heading, layout.width - left - GAP), SOFT)
        for column, label in enumerate(grid.x.labels):
            lines = _wrapped(label, layout.pitch)
            for line, text in enumerate(lines):
                at = layout.corner(column, 0, block)[0] + (layout.pitch - width_of(text)) / 2
                write(sheet, (at, first - GAP - (len(lines) - line) * LINE), text, INK)
    if grid.y is not None:
        write(sheet, (GAP, first - GAP - LINE), shortened(grid.y.heading, layout.left - GAP), SOFT)
        for row, label in enumerate(grid.y.labels):
            lines = _wrapped(label, layout.left - GAP, max(1, min(LABEL_LINES, cell_height // LINE)))
            top = layout.corner(0, row, block)[1] + (cell_height - len(lines) * LINE) // 2
            for line, text in enumerate(lines):
                write(sheet, (GAP, top + line * LINE), text, INK)
    places = [place for place in view.pictures if place[2] == block]
    shown = thumbnails([view.pictures[place] for place in places], len(places), max(layout.cell))
    for place, (_, image) in zip(places, shown, strict=True):
        x, y = layout.corner(*place)
        image.thumbnail((cell_width, cell_height))
        sheet.paste(image, (x + (layout.pitch - image.width) // 2, y + (cell_height - image.height) // 2))


def _wrapped(text: str, width: float, most: int = LABEL_LINES) -> list[str]:
    """Returns a text in at most `most` lines of a width in pixels; the last one is shortened."""
    lines: list[str] = []
    words = text.split() or [""]
    while words:
        count = 1
        while count < len(words) and width_of(" ".join(words[: count + 1])) <= width + SPACE / 2:
            count += 1
        if len(lines) == most - 1:
            count = len(words)
        lines.append(shortened(" ".join(words[:count]), width))
        words = words[count:]
    return lines


@dataclass(frozen=True)
class _Shown:
    """A cell on a page: the anchors of its enlarged and of its small picture, the picture, the labels of its place, its
    settings, and the anchors of the cells around it.
    """

    anchor: str
    home: str
    image: str
    place: str
    settings: Rows
    ways: Rows


def grid_page(view: GridView) -> str:
    """Returns the grid as one HTML page without scripts. Raises MissingPackage if Jinja2 or pygal is missing.

    A link on each picture enlarges it and shows its settings, with links to the cells around it.
    """
    found = template("grid.html")
    every = [settings_of(cell) for cell in view.cells]
    shared = [(name, text) for name, text in every[0].items() if all(each.get(name) == text for each in every)]
    columns, rows, blocks = view.grid.shape
    side = math.isqrt(PAGE_PIXELS // len(view.cells))
    cells = {
        cell.place: _shown(view, cell.place, settings, side) for cell, settings in zip(view.cells, every, strict=True)
    }
    parts = [
        (
            None if view.grid.z is None else f"{view.grid.z.title}: {view.grid.z.labels[block]}",
            [[cells[column, row, block] for column in range(columns)] for row in range(rows)],
        )
        for block in range(blocks)
    ]
    return found.render(
        title=view.title,
        grid=view.grid,
        blocks=parts,
        count=len(view.cells),
        shared=shared,
        axes=[(axis.heading, ", ".join(axis.labels)) for axis in view.grid.axes],
        model=view.model,
    )


def _shown(view: GridView, place: Place, settings: Mapping[str, str], side: int) -> _Shown:
    image = Image.fromarray(load_picture(view.pictures[place]))
    image.thumbnail((side, side))
    labels = [f"{name} {label}" for name, label in coordinates_of(view.grid, place).items()]
    ways = [(name, _anchor(at)) for name, at in _around(view.grid, place)]
    anchor, text = _anchor(place), "; ".join(labels)
    rows = tuple((name, _cut(value)) for name, value in settings.items())
    return _Shown(anchor, f"in-{anchor}", picture_uri(image), text, rows, tuple(ways))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SETTING else f"{text[:LONGEST_SETTING]}…"


def _around(grid: Grid, place: Place) -> list[tuple[str, Place]]:
    """Returns the places next to a cell, each with the way there."""
    ways = (
        ("left", 0, -1),
        ("right", 0, 1),
        ("up", 1, -1),
        ("down", 1, 1),
        ("block before", 2, -1),
        ("next block", 2, 1),
    )
    found = []
    for name, axis, step in ways:
        there = [*place]
        there[axis] += step
        if 0 <= there[axis] < grid.shape[axis]:
            found.append((name, (there[0], there[1], there[2])))
    return found


def _anchor(place: Place) -> str:
    return "cell-" + "-".join(map(str, place))
