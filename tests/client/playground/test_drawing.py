"""Pictures of scenes."""

from __future__ import annotations

import dataclasses
import random
from itertools import islice

import pytest
import torch

from remix.client.playground.drawing import PALETTE, SIDE, draw, shades
from remix.client.playground.shapes import OUTLINES, PAINTS, PARTS, distance_fields
from remix.client.playground.words import COLORS, SCENERY, STYLES, THINGS
from remix.client.playground.world import Scene, arrange, arrange_pair, random_scenes


def _scene(thing: str = "circle", color: str = "red", background: str = "blue", **more: str) -> Scene:
    scene = arrange(thing, color, background, **more, rng=random.Random(1))
    return dataclasses.replace(scene, x=0.0, y=0.0, turn=0.0, radius=0.5, tint=(0.0,) * 6)


def test_pictures_are_floats_between_0_and_1() -> None:
    pictures = draw(list(islice(random_scenes(random.Random(0)), 30)))
    assert pictures.shape == (30, 3, SIDE, SIDE)
    assert pictures.dtype == torch.float32
    assert pictures.min() >= 0
    assert pictures.max() <= 1


def test_a_scene_has_the_same_picture_in_any_batch() -> None:
    scenes = list(islice(random_scenes(random.Random(6)), 12))
    alone = torch.cat([draw([scene]) for scene in scenes])
    torch.testing.assert_close(draw(scenes), alone, rtol=0, atol=1e-6)


def test_a_flat_circle_is_a_circle_of_its_color_on_its_background() -> None:
    picture = draw([_scene()])[0]
    torch.testing.assert_close(picture[:, 64, 64], PALETTE[list(COLORS).index("red")])
    inside = (picture[0] - picture[2]) > 0
    assert inside.sum().item() == pytest.approx(torch.pi * (0.9 * 0.5 * SIDE / 2) ** 2, rel=0.01)
    assert (inside != inside.flip(1)).float().mean() < 0.002
    torch.testing.assert_close(picture[:, 0, 0], PALETTE[list(COLORS).index("blue")] * 1.03, atol=0.01, rtol=0)


def test_distances_of_a_circle_are_distances() -> None:
    fields, _ = distance_fields()
    centre_row = fields[THINGS.index("circle"), 0, 64]
    across = ((torch.arange(128) + 0.5) / 128 * 2 - 1) * 1.6
    torch.testing.assert_close(centre_row, across.abs() - 0.9, atol=0.02, rtol=0)


def test_every_thing_has_an_outline_and_its_own_color() -> None:
    assert tuple(OUTLINES) == THINGS
    for parts in OUTLINES.values():
        assert 1 <= len(parts) <= PARTS
        assert any(part.paint == "main" for part in parts)
        assert all(part.paint in PAINTS for part in parts)


def test_things_styles_and_backgrounds_all_look_different() -> None:
    scenes = [_scene(thing) for thing in THINGS]
    scenes += [_scene("square", style=style) for style in STYLES if style != "flat"]
    scenes += [_scene(color="pink", background=name) for name in (*COLORS, *SCENERY) if name != "pink"]
    pictures = draw(scenes).flatten(1)
    apart = torch.cdist(pictures, pictures) + 100 * torch.eye(len(pictures))
    assert apart.min() > 5


def test_a_pair_is_both_things_before_one_background() -> None:
    scene = arrange_pair(("circle", "red"), ("square", "green"), "blue", rng=random.Random(2))
    assert scene.neighbor is not None
    pair = draw([scene])[0]
    left, right = draw([dataclasses.replace(scene, neighbor=None), scene.neighbor])
    torch.testing.assert_close(pair[:, :, :64], left[:, :, :64])
    torch.testing.assert_close(pair[:, 32:96, 64:], right[:, 32:96, 64:], atol=0.07, rtol=0)  # another tint behind


@pytest.mark.parametrize("style", STYLES)
def test_shades_are_the_colors_that_a_thing_shows(style: str) -> None:
    picture = draw([_scene("square", style=style)])[0]
    inside = torch.arange(40, 88) if style != "outline" else torch.arange(38, 41)
    line = picture[:, inside, inside]  # from corner to corner: all stripes, light and shadow
    apart = torch.cdist(line.T, shades(PALETTE[list(COLORS).index("red")], style))
    assert apart.amin(1).median() < 0.1
    assert apart.amin(0).max() < 0.25


def test_an_outline_shows_the_background_inside() -> None:
    inside = draw([_scene("square", style="outline")])[0, :, 64, 64]
    torch.testing.assert_close(inside, draw([_scene("square")])[0, :, 64, 4], atol=0.02, rtol=0)
