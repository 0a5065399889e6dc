"""Tags of extra networks, and how their strengths travel."""

from __future__ import annotations

import time

import pytest

from a1111_extension.tags import networks_of, networks_of_frame, without_tags, written
from remix.errors import Unsupported
from remix.plan import Keyframe, Lora, Recipe, plan


def tags(first: str, last: str, at: int = 1, *always: Lora) -> str:
    keyframes = (Keyframe(prompt=first), Keyframe(prompt=last))
    return written(networks_of_frame(plan(Recipe(frames=5, keyframes=keyframes))[at], always))


@pytest.mark.parametrize(
    ("first", "last", "at", "expected"),
    [
        ("a <lora:x:1>", "b", 0, "<lora:x:1.0:1.0>"),
        ("a <lora:x:1>", "b", 1, "<lora:x:0.75:0.75>"),
        ("a <lora:x:1>", "b", 4, ""),
        ("a <lora:x:1>", "b <lora:y:0.4>", 2, "<lora:x:0.5:0.5><lora:y:0.2:0.2>"),
        ("a <lora:x:1:0.5>", "b <lora:x:0>", 2, "<lora:x:0.5:0.25>"),
        ("a <lora:x:te=1:unet=0>", "b", 0, "<lora:x:1.0:0.0>"),
        ("a <lora:x>", "b", 0, "<lora:x:1.0:1.0>"),
        ("a <lora:x:0.5><lora:x:0.25>", "b", 0, "<lora:x:0.75:0.75>"),
        ("a <lyco:x:1>", "b <lora:x:0>", 1, "<lora:x:0.75:0.75>"),
        ("a <hypernet:h:1>", "b <hypernet:h:0.5>", 2, "<hypernet:h:0.75>"),
        ("a <lora:x:1:1:8>", "b <lora:x:1:1:8>", 2, "<lora:x:1.0:1.0:8>"),
        ("a", "b", 2, ""),
    ],
)
def test_strengths_are_mixed_by_the_weights_of_the_prompts(first: str, last: str, at: int, expected: str) -> None:
    assert tags(first, last, at) == expected


def test_a_strength_that_is_on_both_sides_stays_what_it_is() -> None:
    assert {tags("a <lora:x:0.3>", "b <lora:x:0.3>", at) for at in range(5)} == {"<lora:x:0.3:0.3>"}


def test_loras_of_the_model_are_there_always() -> None:
    assert tags("a <lora:x:1>", "b", 1, Lora("grain", 0.5)) == "<lora:x:0.75:0.75><lora:grain:0.5:0.5>"


def test_loras_of_the_recipe_may_have_another_strength_for_the_text_encoder() -> None:
    assert tags("a", "b", 1, Lora("grain", 0.5, text=0.25)) == "<lora:grain:0.25:0.5>"


def test_a_strength_that_is_no_number_is_refused() -> None:
    with pytest.raises(Unsupported, match="'<lora:x:much>' has a strength that is not a number"):
        tags("a <lora:x:much>", "b")


@pytest.mark.parametrize("prompt", ["<a:" * 66_000, "<a:" + "<a" * 99_000 + ">", "<" * 200_000, "<a" * 100_000 + ">"])
def test_a_prompt_full_of_beginnings_of_tags_takes_little_time(prompt: str) -> None:
    start = time.thread_time()
    found = len(networks_of(prompt))
    assert without_tags(prompt) == ("" if found else prompt)
    assert time.thread_time() - start < 0.5


def test_a_letter_that_ends_a_tag_ends_the_first_of_its_beginnings() -> None:
    assert without_tags("a <lora:x<lora:y:1> b < c") == "a  b < c"
    assert [network.name for network in networks_of("<lora:x<lora:1> <lora:z")] == ["x<lora"]


def test_prompts_lose_their_tags_as_the_host_takes_them_out() -> None:
    assert without_tags("a <lora:x:1>cat, <3") == "a cat, <3"
