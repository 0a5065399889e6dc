"""Telling what a picture of the playground world shows, without a network."""

from __future__ import annotations

import dataclasses
import functools
import random

import torch
import torch.nn.functional as F

from remix.client.playground.drawing import PALETTE, draw
from remix.client.playground.words import BACKGROUNDS, COLOURS, SCENERY, THINGS
from remix.client.playground.world import arrange

_RIM = 3
_APART = 0.16
_SMALLEST = 30
_SIDE = 40
_TURNS = (-0.1, -0.05, 0.0, 0.05, 0.1)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a picture shows; thing and colour are None where nothing stands out from the background."""

    thing: str | None
    colour: str | None
    background: str


def judge(picture: torch.Tensor) -> Verdict:
    """Returns what a picture [3, H, W] in 0..1 shows.

    The background is told by its top and bottom edges. What differs from the colour around the rim
    is the thing: its outline is matched with the drawn ones, its most frequent colour is its colour.
    Over scenery only the background can be relied on.
    """
    rim = torch.cat([edge.flatten(1) for edge in _edges(picture)], 1).median(1).values
    mask = (picture - rim.view(3, 1, 1)).norm(dim=0) > _APART
    background = BACKGROUNDS[int((_background_marks() - _edge_colours(picture)).norm(dim=1).argmin())]
    outline = _normalised(mask)
    if outline is None:
        return Verdict(None, None, background)
    templates, things = _templates()
    thing = things[int((templates - outline).abs().mean((1, 2)).argmin())]
    nearest = (PALETTE[:, :, None] - picture[:, mask]).norm(dim=1).argmin(0)
    colour = list(COLOURS)[int(nearest.bincount(minlength=len(COLOURS)).argmax())]
    return Verdict(thing, colour, background)


def _edges(picture: torch.Tensor) -> list[torch.Tensor]:
    top, bottom = picture[:, :_RIM], picture[:, -_RIM:]
    return [top, bottom, picture[:, :, :_RIM], picture[:, :, -_RIM:]]


def _edge_colours(picture: torch.Tensor) -> torch.Tensor:
    """Returns the median colours of the top and bottom edges: [6]."""
    return torch.cat([edge.flatten(1).median(1).values for edge in _edges(picture)[:2]])


@functools.lru_cache(maxsize=1)
def _background_marks() -> torch.Tensor:
    """Returns what `_edge_colours` gives for each of `BACKGROUNDS`: [17, 6]."""
    rng = random.Random(3)
    scenes = [arrange("circle", "red", background, size="small", rng=rng) for background in SCENERY]
    plain = torch.cat([PALETTE * 1.03, PALETTE * 0.98], 1)
    return torch.cat([plain, torch.stack([_edge_colours(picture) for picture in draw(scenes)])])


def _normalised(mask: torch.Tensor) -> torch.Tensor | None:
    """Returns what a mask holds, centred in a square and scaled to 40x40; None if it is next to empty."""
    rows, columns = torch.nonzero(mask, as_tuple=True)
    if len(rows) < _SMALLEST:
        return None
    cut = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].float()
    height, width = cut.shape
    side = max(height, width)
    square = torch.zeros(side, side)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = cut
    return F.interpolate(square[None, None], (_SIDE, _SIDE), mode="area")[0, 0]


@functools.lru_cache(maxsize=1)
def _templates() -> tuple[torch.Tensor, list[str]]:
    """Returns the outlines of all things, each turned a few ways: [90, 40, 40], and their names."""
    rng = random.Random(3)
    centred = [arrange(thing, "red", "black", size="big", rng=rng) for thing in THINGS]
    scenes = [dataclasses.replace(scene, turn=turn, x=0, y=0) for scene in centred for turn in _TURNS]
    masks = [(picture - picture[:, :1, :1]).norm(dim=0) > _APART for picture in draw(scenes)]
    outlines = [outline for mask in masks if (outline := _normalised(mask)) is not None]
    return torch.stack(outlines), [scene.thing for scene in scenes]
