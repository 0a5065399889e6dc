"""A request's share of a film: the same frames, whatever made them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remix.engine.parts import part_of, plain_part, read_part
from remix.errors import RecipeError
from remix.plan import Keyframe, Recipe, Schedule, plan

EASES = st.sampled_from(["linear", "sine-in-out", "step", "in-out"])
WEIGHTS = st.floats(0.001, 50)
PROMPTS = st.sampled_from(["a cat", "", "say `` aloud", "`t` birds", "snow (1.`t*2`)", "ü 'x' \"y\""])
SEEDS = st.integers(0, 2**64 - 1)


def mixes(values: st.SearchStrategy) -> st.SearchStrategy:
    return values | st.dictionaries(values, WEIGHTS, min_size=1, max_size=3)


@st.composite
def films(draw: Any) -> Schedule:
    pictures = draw(st.booleans())
    keyframes = []
    for number in range(draw(st.integers(1, 4))):
        values: dict[str, Any] = {
            "prompt": draw(st.none() | mixes(PROMPTS)),
            "negative": draw(st.none() | mixes(PROMPTS)),
            "seed": draw(st.none() | mixes(SEEDS)),
            "cfg": draw(st.none() | st.floats(0, 30) | st.just("5+sin(t)")),
            "ease": draw(st.none() | EASES),
        }
        if pictures:
            values["image"] = draw(mixes(st.sampled_from(["a.png", "b.png", "c.png"])))
            values["mask"] = draw(st.none() | mixes(st.sampled_from(["m.png", "n.png"]))) if number else "m.png"
            values["denoise"] = draw(st.none() | st.floats(0, 1))
        loras = draw(st.none() | st.dictionaries(st.sampled_from(["ink", "grain"]), st.floats(-2, 2), min_size=1))
        keyframes.append(Keyframe(loras=loras, **values))
    options = {"loop": draw(st.booleans()), "curve": draw(st.sampled_from(["linear", "cubic"]))}
    return plan(Recipe(frames=draw(st.integers(8, 24)), keyframes=tuple(keyframes), **options))


@given(films(), st.data())
def test_a_part_has_the_very_frames_of_its_film(film: Schedule, data: Any) -> None:
    first = data.draw(st.integers(0, len(film) - 1))
    span = range(first, data.draw(st.integers(first + 1, len(film))))
    sent = json.loads(json.dumps(plain_part(part_of(film, span))))
    part = read_part(sent)
    assert part.frames == tuple(replace(film[index], index=number) for number, index in enumerate(span))
    assert [part.frame_hash(number) for number in range(len(part))] == [film.frame_hash(index) for index in span]
    assert (part.prompts, part.negatives, part.first_seed) == (film.prompts, film.negatives, film.first_seed)


def test_frames_of_a_clock_are_sent_as_they_are() -> None:
    keyframes = (Keyframe(prompt="a cat", seed=1), Keyframe(prompt="a dog", seed=2))
    paced = plan(Recipe(frames=4, keyframes=keyframes, clock=[0, 0.25, 2.5, 3]))
    part = read_part(plain_part(part_of(paced, range(1, 3))))
    assert [frame.prompt for frame in part] == [paced[1].prompt, paced[2].prompt]


def film(frames: int) -> Schedule:
    keyframes = (Keyframe(prompt="a cat", seed=1), Keyframe(prompt="a dog", seed=2))
    return plan(Recipe(frames=frames, keyframes=keyframes))


def test_a_part_does_not_grow_with_its_film() -> None:
    short, long = (len(json.dumps(plain_part(part_of(film(frames), range(32, 48))))) for frames in (100, 10_000))
    assert long < 1.2 * short


SOUND = plain_part(part_of(film(8), range(2, 4)))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"more": 1}, "^more: there is no such field"),
        ({"recipe": None}, "^recipe: "),
        ({"recipe": {"frames": 1}}, "^recipe.keyframes: is missing"),
        ({"prompts": "a cat"}, "^prompts: 'a cat' is not a list of prompts|^prompts: \"a cat\" is not a list"),
        ({"prompts": ["a cat"]}, "^prompts: .a dog. is missing, and a frame uses it"),
        ({"negatives": [7]}, r"^negatives\[0\]: 7 is not text"),
        ({"seed": -1}, "^seed: -1"),
    ],
)
def test_anything_else_is_refused_by_its_place(changes: dict[str, Any], sentence: str) -> None:
    read_part(SOUND)
    with pytest.raises(RecipeError, match=sentence):
        read_part({**SOUND, **changes})


@pytest.mark.parametrize("name", ["recipe", "prompts", "negatives", "seed"])
def test_nothing_of_a_part_may_be_missing(name: str) -> None:
    with pytest.raises(RecipeError, match=f"^{name}: is missing"):
        read_part({key: value for key, value in SOUND.items() if key != name})
