"""Random scenes and their captions."""

from __future__ import annotations

import dataclasses
import random
from itertools import islice, pairwise

import pytest

from remix.client.playground.words import COLORS, SIZE_WORDS, THINGS
from remix.client.playground.world import (
    ALONE,
    ATTRIBUTES,
    Scene,
    arrange,
    arrange_pair,
    caption,
    held_out,
    random_scenes,
)


def _scenes(count: int, seed: int = 0) -> list[Scene]:
    return list(islice(random_scenes(random.Random(seed)), count))


def test_the_same_seed_gives_the_same_scenes() -> None:
    assert _scenes(20, 7) == _scenes(20, 7)
    assert _scenes(20, 7) != _scenes(20, 8)


def test_each_thing_has_one_held_out_color_and_each_color_a_held_out_thing() -> None:
    pairs = [(thing, color) for thing in THINGS for color in COLORS if held_out(thing, color)]
    assert [thing for thing, _ in pairs] == list(THINGS)
    assert {color for _, color in pairs} == set(COLORS)


def test_no_held_out_pair_and_no_invisible_thing_is_ever_trained_on() -> None:
    for scene in _scenes(5000):
        for one in (scene, *([scene.neighbor] if scene.neighbor else [])):
            assert not held_out(one.thing, one.color)
            assert one.color != one.background == scene.background


def test_every_attribute_takes_every_value() -> None:
    scenes = _scenes(3000)
    for name, values in ATTRIBUTES.items():
        assert {getattr(scene, name) for scene in scenes} == set(values)


def test_labels_are_the_indices_of_the_values() -> None:
    for scene in _scenes(50):
        named = zip(ATTRIBUTES.items(), scene.labels(), strict=True)
        assert all(values[label] == getattr(scene, name) for (name, values), label in named)


@pytest.mark.parametrize(
    ("place", "axis", "sign"), [("left", "x", -1), ("right", "x", 1), ("top", "y", -1), ("bottom", "y", 1)]
)
def test_a_thing_lies_where_its_place_says(place: str, axis: str, sign: int) -> None:
    rng = random.Random(3)
    for size in ("small", "medium", "big"):
        scene = arrange("star", "red", "blue", size=size, place=place, rng=rng)
        assert getattr(scene, axis) * sign > 0.15
        assert abs(getattr(scene, "y" if axis == "x" else "x")) <= 0.08


def test_two_things_stand_side_by_side_and_are_told_apart() -> None:
    rng = random.Random(3)
    scene = arrange_pair(("star", "red"), ("fish", "blue"), "white", rng=rng)
    assert scene.neighbor is not None
    assert (scene.second, scene.second_color) == ("fish", "blue")
    assert scene.x + scene.radius < scene.neighbor.x - scene.neighbor.radius + 0.2
    described = caption(scene, rng)
    assert described.text.removeprefix("a ").startswith("red star and ")
    assert "blue fish" in described.text
    assert dict(zip(ATTRIBUTES, described.named, strict=True))["second"]
    alone = arrange("star", "red", "white", rng=rng)
    assert (alone.second, alone.second_color) == (ALONE, ALONE)


def test_about_a_fifth_of_the_scenes_have_two_things() -> None:
    pairs = sum(scene.neighbor is not None for scene in _scenes(4000))
    assert pairs / 4000 == pytest.approx(0.22, abs=0.02)


def test_a_caption_of_one_thing_names_what_it_says_it_names() -> None:
    rng = random.Random(5)
    for scene in (scene for scene in _scenes(2500, 5) if not scene.neighbor):
        described = caption(scene, rng)
        named = dict(zip(ATTRIBUTES, described.named, strict=True))
        if (scene.color, scene.background) != ("green", "hill"):  # a hill is called green too
            spelling = "grey" if "grey" in described.text.split() else scene.color
            assert named["color"] == (spelling in described.text.split())
        assert named["size"] == any(word in described.text.split() for word in SIZE_WORDS[scene.size])
        assert named["thing"] == (scene.thing in described.text.replace(",", "").split())
        if scene.background in COLORS:
            assert named["background"] == (
                f"on {scene.background}" in described.text or "ground" in described.text or "wall" in described.text
            )
        if scene.style != "flat":
            assert named["style"] == (scene.style.removesuffix("d") in described.text)
        assert not named["place"] or scene.place in described.text or "center" in described.text


def test_captions_use_the_right_article() -> None:
    rng = random.Random(2)
    for scene in _scenes(1000, 2):
        words = caption(scene, rng).text.replace(",", "").split()
        for article, noun in pairwise(words):
            if article in ("a", "an"):
                assert (article == "an") == (noun[0] in "aeiou"), words


def test_now_and_then_something_is_left_unsaid() -> None:
    rng = random.Random(4)
    captions = [caption(scene, rng) for scene in _scenes(2000, 4)]
    for i, name in enumerate(ATTRIBUTES):
        described = sum(text.named[i] for text in captions) / len(captions)
        assert 0 < described < 1, name


def test_a_scene_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        _scenes(1)[0].thing = "star"  # type: ignore[misc]
