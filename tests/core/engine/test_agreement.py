"""The table of what is the same in every tool, and what in a prompt is not."""

from __future__ import annotations

import math
from itertools import combinations

import pytest

from remix.catalog.families import FAMILIES
from remix.catalog.samplers import SAMPLERS
from remix.catalog.schedulers import SCHEDULERS
from remix.engine.agreement import (
    ENGINES,
    EXTRAS,
    disagreement,
    measured,
    read_differently,
    remarks,
    rows,
    table,
)
from remix.motion.pictures import Difference
from remix.plan import Keyframe, Lora, Model, Recipe, plan

PROMISED = [(sampler, way) for sampler in ("euler", "heun", "dpmpp_2m", "ddim") for way in ("normal", "karras")]


def recipe(prompt: str = "a red apple", **changes: object) -> Recipe:
    return Recipe(frames=2, keyframes=(Keyframe(prompt=prompt),)).replace(**changes)


@pytest.mark.parametrize("pair", PROMISED, ids=" ".join)
def test_what_is_promised_was_measured_and_agrees(pair: tuple[str, str]) -> None:
    assert table()[pair].portable()


def test_rows_are_of_names_that_recipes_know_and_say_what_was_measured() -> None:
    assert {sampler for sampler, _ in table()} <= set(SAMPLERS)
    assert {scheduler for _, scheduler in table()} <= set(SCHEDULERS)
    pairs = {frozenset(pair) for pair in combinations(ENGINES, 2)}
    for row in table().values():
        assert row.frames >= 3
        assert set(row.apart) <= pairs
    assert measured()["measured"]["hosts"]


@pytest.mark.parametrize(
    "asked",
    [
        recipe(),
        recipe(model=Model("x", loras=(Lora("ink"),))),
        recipe(keyframes=(Keyframe(prompt="a", image="x.png", denoise=0.5),)),
        recipe(keyframes=(Keyframe(prompt="a", image="x.png", mask="y.png"),)),
        recipe(keyframes=(Keyframe(prompt="a", loras={"ink": 0.0}), Keyframe(at="100%", loras={"ink": 1.0}))),
        recipe("a (red:1.2) apple"),
        recipe("a (red:1.2) [apple]", emphasis="a1111"),
    ],
    ids=["plain", "loras", "image", "mask", "traveling loras", "comfy emphasis", "a1111 emphasis"],
)
def test_engines_agree_on_what_was_measured_so(asked: Recipe) -> None:
    for one, other in combinations(ENGINES, 2):
        assert disagreement(one, other, plan(asked)) is None


def test_beside_prompts_and_seeds_is_measured_what_the_page_says() -> None:
    assert {row.kind for row in rows("extras")} == EXTRAS.keys()
    for row in rows("extras"):
        assert row.frames >= 3
        assert all(apart.agrees() for apart in row.apart.values()), row


def test_other_families_were_measured_and_agree_in_all_but_what_the_page_says() -> None:
    assert {row.family for row in rows("families")} == {"sd2", "sdxl"} < FAMILIES.keys()
    unlike = [(row.family, row.kind) for row in rows("families") if not row.portable()]
    assert unlike == [("sdxl", "clip skip")]


def test_forge_agrees_with_the_others() -> None:
    assert len(rows("forge")) >= 6
    for row in rows("forge"):
        assert row.frames >= 6
        assert set(row.apart) == {
            frozenset(("comfyui", "forge")),
            frozenset(("comfyui", "local")),
            frozenset(("forge", "local")),
        }
        assert all(apart.agrees() for apart in row.apart.values()), row


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (recipe("a red apple # mine"), "prompt: '# mine' begins a comment"),
        (recipe(sampler="lms"), "sampler 'lms' with scheduler 'normal' was not measured on both"),
        (
            recipe("a (red:1.2) apple", emphasis="a1111-ignore", sampler="lms"),
            "sampler 'lms' with scheduler 'normal' was not measured on both",
        ),
        (recipe(sampler="uni_pc", scheduler="karras"), "sampler 'uni_pc' with scheduler 'karras' was not measured on"),
    ],
)
def test_why_engines_may_not_agree(asked: Recipe, why: str) -> None:
    assert str(disagreement("comfyui", "a1111", plan(asked))).startswith(why)


@pytest.mark.parametrize("pair", [("comfyui", "forge"), ("painter", "local")])
def test_what_was_not_measured_is_not_known(pair: tuple[str, str]) -> None:
    assert "was not measured against others" in str(disagreement(*pair, plan(recipe())))


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("a red apple, morning light; 1980s, f/1.4", None),
        (r"mio \(k-on\)", None),
        ("Ünïcødé 日本\nand a second line", None),
        ("a (red:1.2) apple", None),
        ("a [red] apple", None),
        ("a [red:blue:0.5] apple", None),
        ("a cat AND a dog", None),
        ("a cat BREAK a dog", None),
        ("a cat # mine", "'# mine' begins a comment"),
        ("embedding:ink, a cat", None),
        ("a cat <lora:ink:1>", None),
        (r"a cat \[grey\]", None),
    ],
)
def test_what_no_two_tools_read_alike_is_named(prompt: str, found: str | None) -> None:
    differences = list(read_differently(plan(recipe(prompt))))
    assert (differences == []) if found is None else differences[0].startswith(f"prompt: {found}"), differences
    assert list(read_differently(plan(recipe(keyframes=(Keyframe(prompt="a", negative=prompt),))))) == differences


def test_a_difference_that_was_measured_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    row = table()["euler", "normal"]
    apart = {
        frozenset(("comfyui", "a1111")): Difference(31.5, 33),
        frozenset(("comfyui", "local")): Difference(math.inf, 0),
    }
    other = type(row)(row.sampler, row.scheduler, row.frames, apart)
    monkeypatch.setattr("remix.engine.agreement.table", lambda: {("euler", "normal"): other})
    assert not other.portable()
    assert remarks(recipe()) == [
        "sampler: 'euler' with 'normal' is not the same in comfyui and a1111 (31.5 dB, 33); docs/agreement.md lists "
        "those that are"
    ]
    assert remarks(recipe(), ("comfyui", "local")) == []
    assert "differs there (31.5 dB, 33)" in str(disagreement("a1111", "comfyui", plan(recipe())))
    assert "was not measured on both" in str(disagreement("a1111", "local", plan(recipe())))
