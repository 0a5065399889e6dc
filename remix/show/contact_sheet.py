"""The contact sheet: one picture that shows a film at a glance."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import numpy as np
from PIL import Image

from remix.errors import BadInput, PictureError
from remix.motion.images import load_picture
from remix.motion.pictures import MAX_PIXELS, Picture, checked
from remix.show.lettering import LINE, shortened, write

Source: TypeAlias = Picture | str | os.PathLike[str]
"""A picture, or the path of one."""

GAP = 4
BACKGROUND, INK = (228, 229, 232), (30, 30, 34)
"""Light, so that an empty cell does not look like a black picture."""
SHAPE, SLACK = 1.6, 2
"""The preferred ratio of width to height, and the factor by which a sheet with fewer empty cells may differ from it."""


def contact_sheet(
    pictures: Iterable[Source],
    columns: int | None = None,
    *,
    max_cell: int = 192,
    max_pictures: int = 24,
    label: Callable[[int], str] | None = None,
) -> Picture:
    """Returns one picture that shows up to `max_pictures` of `pictures`, evenly picked, with both ends.

    `pictures` may hold arrays or paths and be a stream of any length: only thumbnails stay in memory,
    and of a sequence only what is shown is opened. Cells are at most `max_cell` pixels on their longer
    side and shaped like the first picture; others are fitted into theirs. `columns` None chooses the
    most even sheet. `label` gives the caption of a frame's number.
    """
    if columns is not None and columns < 1:
        raise BadInput(f"columns: {columns}; give 1 or more")
    if max_cell < 1 or max_pictures < 1:
        raise BadInput(f"contact sheet: cells of {max_cell}, {max_pictures} pictures; give 1 or more")
    shown = thumbnails(pictures, max_pictures, max_cell)
    if not shown:
        raise PictureError("contact sheet: no pictures; give at least one")
    return _sheet(shown, columns or _columns(len(shown), shown[0][1]), label)


def thumbnails(pictures: Iterable[Source], most: int, cell: int) -> list[tuple[int, Image.Image]]:
    """Returns the number and a thumbnail of up to `most` of `pictures`, evenly picked, with both ends.

    `pictures` may be a stream, as for `contact_sheet`. `cell` is the longest side of a thumbnail in pixels.
    """
    if isinstance(pictures, Sequence):
        return [(index, _thumbnail(pictures[index], cell)) for index in evenly(len(pictures), most)]
    return _picked_from_stream(pictures, most, cell)


def evenly(count: int, most: int) -> list[int]:
    """Returns up to `most` indices of `count`, evenly spread, with both ends; all where they fit.

    >>> evenly(10, 4), evenly(3, 9), evenly(5, 1)
    ([0, 3, 6, 9], [0, 1, 2], [0])
    """
    if count <= most:
        return list(range(count))
    if most == 1:
        return [0]
    return [(2 * k * (count - 1) + most - 1) // (2 * (most - 1)) for k in range(most)]


def _picked_from_stream(pictures: Iterable[Source], most: int, cell: int) -> list[tuple[int, Image.Image]]:
    # Every stride-th thumbnail is kept; when there are too many, every other one goes and the stride doubles.
    kept: list[tuple[int, Image.Image]] = []
    last: tuple[int, Source] | None = None
    stride = 1
    for index, picture in enumerate(pictures):
        last = (index, picture)
        if index % stride:
            continue
        kept.append((index, _thumbnail(picture, cell)))
        if len(kept) > 4 * most:
            kept, stride = kept[::2], 2 * stride
    if last is not None and kept[-1][0] != last[0]:
        kept.append((last[0], _thumbnail(last[1], cell)))
    if len(kept) <= most:
        return kept
    wanted = evenly(kept[-1][0] + 1, most)
    nearest = {min(range(len(kept)), key=lambda k: abs(kept[k][0] - index)) for index in wanted}
    return [kept[k] for k in sorted(nearest)]


def _thumbnail(source: Source, cell: int) -> Image.Image:
    picture = checked(source if isinstance(source, np.ndarray) else load_picture(source))
    image = Image.fromarray(picture)
    scale = min(1.0, cell / max(image.size))
    size = tuple(max(1, round(side * scale)) for side in image.size)
    return image.resize((size[0], size[1]), Image.Resampling.LANCZOS, reducing_gap=3.0) if scale < 1 else image


def _columns(count: int, cell: Image.Image) -> int:
    """Returns the number of columns with the fewest empty cells among fair shapes; then the best shape."""

    def off(columns: int) -> float:
        shape = columns * cell.width / (math.ceil(count / columns) * cell.height)
        return abs(math.log(shape / SHAPE))

    fair = [columns for columns in range(1, count + 1) if off(columns) <= math.log(SLACK)]
    return min(fair or [min(range(1, count + 1), key=off)], key=lambda columns: (-count % columns, off(columns)))


def _sheet(shown: list[tuple[int, Image.Image]], columns: int, label: Callable[[int], str] | None) -> Picture:
    width, height = shown[0][1].size
    caption = LINE if label else 0
    columns = min(columns, len(shown))
    rows = math.ceil(len(shown) / columns)
    size = (GAP + columns * (width + GAP), GAP + rows * (height + caption + GAP))
    if size[0] * size[1] > MAX_PIXELS:
        raise BadInput(f"contact sheet: {size[0]}x{size[1]} pixels; show fewer pictures or smaller cells")
    sheet = Image.new("RGB", size, BACKGROUND)
    for place, (index, image) in enumerate(shown):
        row, column = divmod(place, columns)
        left, top = GAP + column * (width + GAP), GAP + row * (height + caption + GAP)
        if image.size != (width, height):
            scale = min(width / image.width, height / image.height)
            image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
        sheet.paste(image, (left + (width - image.width) // 2, top + (height - image.height) // 2))
        if label:
            write(sheet, (left, top + height), shortened(label(index), width), INK)
    return np.array(sheet, dtype=np.uint8)
