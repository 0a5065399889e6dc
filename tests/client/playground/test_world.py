"""Random scenes and what is said about them."""

from __future__ import annotations

import dataclasses
import random
from itertools import islice, pairwise

import pytest

from remix.client.playground.words import COLOURS, SIZE_WORDS, THINGS
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


def test_each_thing_has_one_held_out_colour_and_each_colour_a_held_out_thing() -> None:
    pairs = [(thing, colour) for thing in THINGS for colour in COLOURS if held_out(thing, colour)]
    assert [thing for thing, _ in pairs] == list(THINGS)
    assert {colour for _, colour in pairs} == set(COLOURS)


def test_no_held_out_pair_and_no_invisible_thing_is_ever_trained_on() -> None:
    for scene in _scenes(5000):
        for one in (scene, *([scene.beside] if scene.beside else [])):
            assert not held_out(one.thing, one.colour)
            assert one.colour != one.background == scene.background


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
    assert scene.beside is not None
    assert (scene.second, scene.second_colour) == ("fish", "blue")
    assert scene.x + scene.radius < scene.beside.x - scene.beside.radius + 0.2
    said = caption(scene, rng)
    assert said.text.removeprefix("a ").startswith("red star and ")
    assert "blue fish" in said.text
    assert dict(zip(ATTRIBUTES, said.named, strict=True))["second"]
    alone = arrange("star", "red", "white", rng=rng)
    assert (alone.second, alone.second_colour) == (ALONE, ALONE)


def test_about_a_fifth_of_the_scenes_have_two_things() -> None:
    pairs = sum(scene.beside is not None for scene in _scenes(4000))
    assert pairs / 4000 == pytest.approx(0.22, abs=0.02)


def test_a_caption_of_one_thing_names_what_it_says_it_names() -> None:
    rng = random.Random(5)
    for scene in (scene for scene in _scenes(2500, 5) if not scene.beside):
        said = caption(scene, rng)
        named = dict(zip(ATTRIBUTES, said.named, strict=True))
        if (scene.colour, scene.background) != ("green", "hill"):  # a hill is called green too
            spelling = "grey" if "grey" in said.text.split() else scene.colour
            assert named["colour"] == (spelling in said.text.split())
        assert named["size"] == any(word in said.text.split() for word in SIZE_WORDS[scene.size])
        assert named["thing"] == (scene.thing in said.text.replace(",", "").split())
        if scene.background in COLOURS:
            assert named["background"] == (
                f"on {scene.background}" in said.text or "ground" in said.text or "wall" in said.text
            )
        if scene.style != "flat":
            assert named["style"] == (scene.style.removesuffix("d") in said.text)
        assert not named["place"] or scene.place in said.text or "center" in said.text


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
        said = sum(text.named[i] for text in captions) / len(captions)
        assert 0 < said < 1, name


def test_a_scene_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        _scenes(1)[0].thing = "star"  # type: ignore[misc]
