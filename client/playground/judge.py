"""Telling which colors a picture of the playground world shows, without a network."""

from __future__ import annotations

import functools
import random

import torch
import torch.nn.functional as F

from remix.client.playground.drawing import PALETTE, draw_background, shades
from remix.client.playground.words import BACKGROUNDS, COLORS, SCENERY
from remix.client.playground.world import Scene, arrange

_RIM = 3
_BORDER = 8
_APART = 0.16
_APART_FROM_SCENERY = 0.1
_SMALLEST = 30
_CANDIDATES = 40
_FAR = 0.3


def background_of(picture: torch.Tensor) -> str:
    """Returns which of `BACKGROUNDS` a picture [3, H, W] in 0..1 has, by the colors of its top and bottom edges."""
    return BACKGROUNDS[int((_background_marks() - _edge_colors(picture)).norm(dim=1).argmin())]


def colors_of(picture: torch.Tensor, scene: Scene) -> list[str | None]:
    """Returns the colors of the things in a picture [3, H, W] in 0..1; None where nothing stands out.

    There is one for each thing in `asked`, which also says the background and the style: a striped thing
    has two shades of its color. Each pixel of a thing votes for the color whose shades come nearest.
    """
    mask = thing_mask(picture, scene.background)
    if scene.neighbor is None:
        return [_color(picture, mask, scene.style)]
    left = torch.arange(mask.shape[1]) < mask.shape[1] // 2
    return [_color(picture, mask & half, scene.style) for half in (left, ~left)]


def thing_mask(picture: torch.Tensor, background: str) -> torch.Tensor:
    """Returns where a picture [3, H, W] differs from its background: [H, W] bools.

    A plain background is the median color of the rim. Scenery is the one of forty drawn ones that fits
    the border best, and what is thinner than its stars and snowflakes does not count.
    """
    if background not in SCENERY:
        rim = torch.cat([edge.flatten(1) for edge in _edges(picture)], 1).median(1).values
        return (picture - rim.view(3, 1, 1)).norm(dim=0) > _APART
    drawn = _drawn_scenery(background)
    border = torch.ones(picture.shape[1:], dtype=torch.bool)
    border[_BORDER:-_BORDER, _BORDER:-_BORDER] = False
    nearest = (drawn - picture)[:, :, border].abs().mean((1, 2)).argmin()
    apart = ((picture - drawn[nearest]).norm(dim=0) > _APART_FROM_SCENERY).float()
    return F.avg_pool2d(apart[None], 5, 1, 2)[0] > 0.6


def _color(picture: torch.Tensor, mask: torch.Tensor, style: str) -> str | None:
    if mask.sum() < _SMALLEST:
        return None
    apart = torch.cdist(_shades(style).flatten(0, 1), picture[:, mask].T)
    nearest = apart.view(len(PALETTE), -1, apart.shape[1]).amin(1)
    return list(COLORS)[int(nearest.clamp(max=_FAR).mean(1).argmin())]


@functools.lru_cache(maxsize=8)
def _shades(style: str) -> torch.Tensor:
    """Returns the shades of every color in a style: [12, shades, 3]."""
    return torch.stack([shades(color, style) for color in PALETTE])


@functools.lru_cache(maxsize=8)
def _drawn_scenery(background: str) -> torch.Tensor:
    rng = random.Random(3)
    return torch.stack([draw_background(arrange("circle", "red", background, rng=rng)) for _ in range(_CANDIDATES)])


def _edges(picture: torch.Tensor) -> list[torch.Tensor]:
    top, bottom = picture[:, :_RIM], picture[:, -_RIM:]
    return [top, bottom, picture[:, :, :_RIM], picture[:, :, -_RIM:]]


def _edge_colors(picture: torch.Tensor) -> torch.Tensor:
    """Returns the median colors of the top and bottom edges: [6]."""
    return torch.cat([edge.flatten(1).median(1).values for edge in _edges(picture)[:2]])


@functools.lru_cache(maxsize=1)
def _background_marks() -> torch.Tensor:
    """Returns what `_edge_colors` gives for each of `BACKGROUNDS`: [17, 6]."""
    plain = torch.cat([PALETTE * 1.03, PALETTE * 0.98], 1)
    return torch.cat([plain, torch.stack([_edge_colors(_drawn_scenery(name)[0]) for name in SCENERY])])
