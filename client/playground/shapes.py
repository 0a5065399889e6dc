"""The outlines of the playground's things, and their signed distance fields."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

from remix.client.playground.words import THINGS

REACH = 1.6
"""A field spans -REACH to REACH both ways; a thing itself spans about -1 to 1, y down."""

PARTS = 3
"""The most parts that a thing is made of."""

PAINTS = ("main", "dark", "light", "brown", "yellow", "white")
"""What a part can be painted with: the thing's color, shades of it, or a color of its own."""

_FIELD = 128
_RASTER = 640
_EDGE_POINTS = 1400

Point = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Ellipse:
    """An ellipse with its center and radii."""

    x: float
    y: float
    across: float
    down: float


@dataclasses.dataclass(frozen=True)
class Part:
    """A painted piece of a thing: all forms of `add` together, less all forms of `cut`."""

    paint: str
    add: tuple[Ellipse | tuple[Point, ...], ...]
    cut: tuple[Ellipse | tuple[Point, ...], ...] = ()


def _disc(x: float, y: float, radius: float) -> Ellipse:
    return Ellipse(x, y, radius, radius)


def _box(left: float, top: float, right: float, bottom: float) -> tuple[Point, ...]:
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def _spikes(count: int, outer: float, inner: float) -> tuple[Point, ...]:
    """Returns a star with one spike up; its corners lie on two circles in turn."""
    turns = [math.radians(180 * i / count - 90) for i in range(2 * count)]
    radii = [outer, inner] * count
    return tuple((r * math.cos(a), r * math.sin(a)) for r, a in zip(radii, turns, strict=True))


def _heart_curve() -> tuple[Point, ...]:
    """Returns the well-known heart: x = sin^3, y = a sum of four cosines."""
    turns = np.linspace(0, 2 * math.pi, 90, endpoint=False)
    down = [13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t) for t in turns]
    return tuple((math.sin(t) ** 3, -y / 16) for t, y in zip(turns, down, strict=True))


def _drop_curve() -> tuple[Point, ...]:
    turns = np.linspace(-0.35, math.pi + 0.35, 50)
    return ((0, -1.05), *((0.62 * math.cos(a), 0.35 + 0.62 * math.sin(a)) for a in turns))


def _petals() -> tuple[Ellipse, ...]:
    turns = [math.radians(a) for a in range(-90, 270, 60)]
    return tuple(_disc(0.62 * math.cos(a), 0.62 * math.sin(a), 0.42) for a in turns)


_CLOUD = (
    _disc(-0.6, 0.18, 0.42),
    _disc(-0.15, -0.12, 0.52),
    _disc(0.4, -0.02, 0.45),
    _disc(0.75, 0.25, 0.34),
)
_LEAVES = (_disc(0, -0.5, 0.55), _disc(-0.42, -0.05, 0.48), _disc(0.42, -0.05, 0.48), _disc(0, 0.02, 0.5))

OUTLINES: dict[str, tuple[Part, ...]] = {
    "circle": (Part("main", (_disc(0, 0, 0.9),)),),
    "square": (Part("main", (_box(-0.8, -0.8, 0.8, 0.8),)),),
    "triangle": (Part("main", (((0, -0.95), (0.98, 0.75), (-0.98, 0.75)),)),),
    "diamond": (Part("main", (((0, -1.05), (0.8, 0), (0, 1.05), (-0.8, 0)),)),),
    "star": (Part("main", (_spikes(5, 1.08, 0.46),)),),
    "heart": (Part("main", (_heart_curve(),)),),
    "moon": (Part("main", (_disc(0, 0, 0.95),), cut=(_disc(0.42, -0.12, 0.8),)),),
    "ring": (Part("main", (_disc(0, 0, 0.98),), cut=(_disc(0, 0, 0.55),)),),
    "cross": (Part("main", (_box(-0.3, -0.95, 0.3, 0.95), _box(-0.95, -0.3, 0.95, 0.3))),),
    "drop": (Part("main", (_drop_curve(),)),),
    "sun": (Part("main", (_spikes(8, 1.15, 0.6),)), Part("light", (_disc(0, 0, 0.5),))),
    "flower": (Part("main", (*_petals(), _disc(0, 0, 0.5))), Part("yellow", (_disc(0, 0, 0.32),))),
    "cloud": (Part("main", (*_CLOUD, _box(-0.6, 0.1, 0.75, 0.59))),),
    "tree": (Part("brown", (_box(-0.16, 0.2, 0.16, 1.05),)), Part("main", _LEAVES)),
    "house": (
        Part("main", (_box(-0.7, -0.15, 0.7, 0.95),)),
        Part("dark", (((0, -1.05), (1.0, -0.1), (-1.0, -0.1)),)),
        Part("white", (_box(-0.18, 0.35, 0.22, 0.95),)),
    ),
    "fish": (
        Part("main", (Ellipse(-0.18, 0, 0.78, 0.52), ((0.4, 0), (1.05, -0.5), (1.05, 0.5)))),
        Part("white", (_disc(-0.55, -0.12, 0.14),)),
    ),
    "mushroom": (
        Part("light", (_box(-0.28, 0, 0.28, 0.95),)),
        Part("main", (_disc(0, 0.1, 1.0),), cut=(_box(-1.3, 0.12, 1.3, 1.4),)),
    ),
    "boat": (
        Part("main", (((-0.05, -1.1), (0.95, 0.2), (-0.75, 0.2)),)),
        Part("dark", (((-1.05, 0.36), (1.05, 0.36), (0.6, 0.95), (-0.6, 0.95)),)),
    ),
}
"""Each thing as parts, painted one over the other."""


@functools.lru_cache(maxsize=1)
def distance_fields() -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the signed distance fields of all things, and the paints of their parts.

    Fields: [things, PARTS, 128, 128] float32, in the thing's own units, negative inside, 2.0 where a
    thing has no such part. Paints: [things, PARTS] indices into `PAINTS` (0 where there is no part).
    """
    fields = torch.full((len(THINGS), PARTS, _FIELD, _FIELD), 2.0)
    paints = torch.zeros(len(THINGS), PARTS, dtype=torch.long)
    for i, thing in enumerate(THINGS):
        for j, part in enumerate(OUTLINES[thing]):
            fields[i, j] = _distances(_raster(part))
            paints[i, j] = PAINTS.index(part.paint)
    return fields, paints


def _raster(part: Part) -> np.ndarray[Any, Any]:
    """Returns the part as a mask [_RASTER, _RASTER] of bools."""
    image = Image.new("L", (_RASTER, _RASTER), 0)
    pen = ImageDraw.Draw(image)

    def pixel(x: float, y: float) -> Point:
        return (x / REACH + 1) * _RASTER / 2, (y / REACH + 1) * _RASTER / 2

    for fill, forms in ((255, part.add), (0, part.cut)):
        for form in forms:
            if isinstance(form, Ellipse):
                x, y, across, down = form.x, form.y, form.across, form.down
                pen.ellipse((*pixel(x - across, y - down), *pixel(x + across, y + down)), fill=fill)
            else:
                pen.polygon([pixel(x, y) for x, y in form], fill=fill)
    return np.asarray(image) > 127


def _distances(mask: np.ndarray[Any, Any]) -> torch.Tensor:
    """Returns the distance of each field texel to the mask's edge, negative inside."""
    edge = np.zeros_like(mask)
    edge[1:] |= mask[1:] != mask[:-1]
    edge[:, 1:] |= mask[:, 1:] != mask[:, :-1]
    rows, columns = np.nonzero(edge)
    if len(rows) > _EDGE_POINTS:  # evenly fewer points; the fields are smooth at this spacing
        kept = np.linspace(0, len(rows) - 1, _EDGE_POINTS).astype(int)
        rows, columns = rows[kept], columns[kept]
    points = torch.tensor(np.stack([columns, rows], 1) / _RASTER * 2 - 1, dtype=torch.float32) * REACH
    centers = ((torch.arange(_FIELD) + 0.5) / _FIELD * 2 - 1) * REACH
    y, x = torch.meshgrid(centers, centers, indexing="ij")
    nearest = torch.cdist(torch.stack([x.flatten(), y.flatten()], 1), points).min(1).values
    picked = np.arange(_FIELD) * _RASTER // _FIELD + _RASTER // _FIELD // 2
    inside = torch.tensor(mask[picked][:, picked])
    distance = nearest.view(_FIELD, _FIELD)
    return torch.where(inside, -distance, distance)
