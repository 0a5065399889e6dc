"""Recipes exported to other tools: they read back as the same schedule, and notes list what is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remix.errors import RecipeError
from remix.plan import Frame, Keyframe, Mix, Model, Recipe, plan
from remix.syntax import SYNTAXES, WRITTEN, detect, read, write
from tests.core.plan.recipes import recipes

TRAVEL = Recipe(
    frames=13, keyframes=(Keyframe(0, prompt="a"), Keyframe(6, prompt="b", ease="hold"), Keyframe(12, prompt="c"))
)

MIXED = Recipe(frames=5, keyframes=tuple(Keyframe(at, prompt={"a": 3, "b": int(at != 3)}) for at in range(5)))


def frames(recipe: Recipe) -> list[tuple[Mix[str], Mix[str]]]:
    return [(frame.prompt, frame.negative) for frame in plan(recipe)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("fizznodes", '"0": "a",\n"6": "b",\n"11": "b",\n"12": "c"\n'),
        ("animatediff-evolved", '"0": "a",\n"6:": "b",\n"12": "c"\n'),
        ("sd-webui-animatediff", "0: a\n6: b\n11: b\n12: c\n"),
        ("deforum-prompts", '{\n  "0": "a",\n  "6": "b",\n  "11": "b",\n  "12": "c"\n}\n'),
        ("deforum-values", "0:(7)\n"),
    ],
)
def test_the_text_is_as_its_tool_writes_it(name: str, text: str) -> None:
    assert write(TRAVEL, name).text == text
    assert detect(text) in (name, "fizznodes")


words = st.text("abc XYZ,.()[]0123456789é日", min_size=1, max_size=12).map(str.strip).filter(bool)


@st.composite
def travels(draw: st.DrawFn, eases: tuple[str, ...]) -> Recipe:
    """A recipe of prompts, and perhaps negatives, that straight and held ways can say."""
    count = draw(st.integers(2, 40))
    at = sorted(draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=5)))
    with_negatives = draw(st.booleans())
    keys = [
        Keyframe(
            frame,
            prompt=draw(words),
            negative=draw(words) if with_negatives else None,
            ease=draw(st.sampled_from(eases)),
        )
        for frame in at
    ]
    return Recipe(frames=count, keyframes=tuple(keys))


@given(travels(("linear", "hold")))
def test_what_is_written_for_fizznodes_reads_back(recipe: Recipe) -> None:
    made = write(recipe, "fizznodes")
    assert made.lost == ()
    assert frames(read(made.text, "fizznodes", frames=recipe.frames).recipe()) == frames(recipe)


@given(travels(("hold",)))
def test_what_is_written_for_deforum_reads_back(recipe: Recipe) -> None:
    made = write(recipe, "deforum-prompts")
    assert made.lost == ()
    assert detect(made.text) == "deforum-prompts"
    assert frames(read(made.text, frames=recipe.frames).recipe()) == frames(recipe)


@given(travels(("linear", "hold")))
def test_what_is_written_for_evolved_reads_back(recipe: Recipe) -> None:
    prompts = write(recipe, "animatediff-evolved")
    negatives = write(recipe, "animatediff-evolved", field="negative")
    back = [
        plan(read(made.text, "animatediff-evolved", frames=recipe.frames).recipe()) for made in (prompts, negatives)
    ]
    assert [(a.prompt, b.prompt) for a, b in zip(*back, strict=True)] == frames(recipe)


@given(travels(("linear", "hold")))
def test_what_is_written_for_the_webui_reads_back(recipe: Recipe) -> None:
    made = write(recipe, "sd-webui-animatediff")
    back = plan(read(made.text, "sd-webui-animatediff", frames=recipe.frames).recipe())
    assert [frame.prompt for frame in back] == [prompt for prompt, _ in frames(recipe)]


def _field(frame: Frame, field: str) -> Any:
    return frame.seed if field == "seed" else getattr(frame, field)


@settings(max_examples=50)
@given(recipes(max_frames=40), st.sampled_from(["cfg", "denoise"]))
def test_numbers_are_written_exactly_whatever_their_ease(recipe: Recipe, field: str) -> None:
    made = write(recipe, "deforum-values", field=field)
    parts = read(made.text, "deforum-values", frames=recipe.frames, field=field)
    picture = Keyframe(0, image="a.png", **{field: getattr(parts.keyframes[0], field)})
    back = plan(replace(parts, keyframes=(picture, *parts.keyframes[1:])).recipe())
    wanted = [_field(frame, field) for frame in plan(recipe)]
    assert [_field(frame, field) for frame in back] == pytest.approx(wanted, abs=1e-9)


@settings(max_examples=50)
@given(recipes())
def test_our_own_text_loses_nothing(recipe: Recipe) -> None:
    for name in ("toml", "json"):
        made = write(recipe, name)
        assert made.lost == ()
        assert read(made.text, name).recipe() == recipe
        assert detect(made.text) == name


@settings(max_examples=50)
@given(recipes(), st.sampled_from([name for name, syntax in SYNTAXES.items() if syntax.write]))
def test_any_recipe_is_written_and_what_is_written_is_read(recipe: Recipe, name: str) -> None:
    made = write(recipe, name)
    if not any("which is read as" in sentence for sentence in made.lost):
        read(made.text, name, frames=recipe.frames, field="cfg")


@pytest.mark.parametrize(
    ("recipe", "name", "sentence"),
    [
        (
            TRAVEL.replace(keyframes=(Keyframe(prompt={"a": 3, "b": 1}),)),
            "fizznodes",
            "frame 0: a mix of prompts; the heavi",
        ),
        (MIXED, "fizznodes", "frames 0 to 2, 4: a mix of prompts; the heaviest is written"),
        (
            TRAVEL.replace(ease="cubic-in"),
            "fizznodes",
            "the ease cubic-in at frame 0; the text travels straight",
        ),
        (TRAVEL.replace(loop=True), "fizznodes", "whether the film loops"),
        (TRAVEL.replace(steps=30, width=768), "fizznodes", "the text has no place for: size, steps"),
        (TRAVEL.replace(height=768), "fizznodes", "the text has no place for: size"),
        (TRAVEL.replace(model=Model("dream")), "fizznodes", "the text has no place for: model"),
        (TRAVEL.replace(keyframes=(Keyframe(prompt="a", seed=3, cfg=4),)), "fizznodes", "no place for: seed, cfg"),
        (TRAVEL.replace(keyframes=(Keyframe(prompt="``a``"),)), "fizznodes", "read as the beginning of an expression"),
        (TRAVEL, "deforum-prompts", 'unless Deforum\'s animation mode is "Interpolation"'),
        (TRAVEL, "deforum-values", "the prompts; write them with --to"),
        (TRAVEL.replace(keyframes=(Keyframe(prompt='a "b"'),)), "animatediff-evolved", "it is written as '"),
        (TRAVEL.replace(keyframes=(Keyframe(prompt="a", negative="b"),)), "animatediff-evolved", "the negatives"),
        (
            TRAVEL.replace(keyframes=(Keyframe(prompt="a\\"),)),
            "animatediff-evolved",
            "ends in a backslash, which is read",
        ),
        (TRAVEL.replace(keyframes=(Keyframe(prompt="a, 8: b"),)), "sd-webui-animatediff", "is read as another key"),
        (TRAVEL, "sd-webui-animatediff", "mixing by lerp: this tool travels by slerp"),
        (TRAVEL.replace(loop=True), "sd-webui-animatediff", 'the loop, unless its setting "Closed loop" is A or R+P'),
        (TRAVEL.replace(keyframes=(Keyframe(prompt="a\nb"),)), "sd-webui-animatediff", "it is written as a blank"),
    ],
)
def test_what_a_tool_cannot_express_is_said(recipe: Recipe, name: str, sentence: str) -> None:
    assert any(sentence in lost for lost in write(recipe, name).lost), write(recipe, name).lost


def test_values_written_frame_by_frame_lose_no_ease_and_no_way() -> None:
    keys = (Keyframe(0, prompt="a", cfg=5), Keyframe(8, prompt="b", cfg=9))
    for recipe in (TRAVEL.replace(keyframes=keys, ease="in-out"), TRAVEL.replace(keyframes=keys[:1], ease="in-out")):
        assert write(recipe, "deforum-values").lost == (
            "the prompts; write them with --to deforum-prompts or --to fizznodes",
        )
        assert any("the ease" in lost for lost in write(recipe, "fizznodes").lost) == (len(recipe.keyframes) > 1)


def test_an_empty_prompt_is_a_line_too() -> None:
    made = write(Recipe(frames=3, keyframes=(Keyframe(0, prompt="a"), Keyframe(2, prompt=""))), "sd-webui-animatediff")
    assert [key.prompt for key in read(made.text, frames=3).recipe().keyframes] == [Mix.one("a"), Mix.one("")]


def test_a_loop_is_led_home() -> None:
    loop = Recipe(frames=8, loop=True, keyframes=(Keyframe(0, prompt="a"), Keyframe(4, prompt="b")))
    for name in ("fizznodes", "animatediff-evolved", "deforum-prompts"):
        made = write(loop, name)
        assert any("film loops: the text travels back to its start" in sentence for sentence in made.lost)
        back = plan(read(made.text, name.replace("deforum-prompts", "fizznodes"), frames=8).recipe())
        for frame, wanted in zip(back, plan(loop), strict=True):
            assert dict(frame.prompt.items) == pytest.approx(dict(wanted.prompt.items), abs=2e-9)


def test_a_held_loop_has_no_way_home() -> None:
    loop = Recipe(frames=8, loop=True, ease="hold", keyframes=(Keyframe(0, prompt="a"), Keyframe(4, prompt="b")))
    made = write(loop, "deforum-prompts")
    assert made.text == '{\n  "0": "a",\n  "4": "b"\n}\n'
    assert made.lost == ("whether the film loops: the player has to repeat it",)


def test_seeds_are_written_whole() -> None:
    keys = [Keyframe(at, seed=seed) for at, seed in enumerate((1031938277349811301, 2**64 - 1, 2**64 - 1, 5))]
    text = write(Recipe(frames=4, keyframes=tuple(keys)), "deforum-values", field="seed").text
    assert text == "0:(1031938277349811301), 1:(18446744073709551615), 2:(18446744073709551615), 3:(5)\n"
    back = plan(read(text, frames=4, field="seed").recipe())
    assert [frame.seed for frame in back] == [key.seed for key in keys]


def test_mixes_are_written_for_deforum() -> None:
    recipe = Recipe(
        frames=2, ease="hold", keyframes=(Keyframe(0, prompt={"a": 0.75, "b": 0.25}), Keyframe(1, prompt="b"))
    )
    made = write(recipe, "deforum-prompts")
    assert made.lost == ()
    assert '"a :0.75 AND b :0.25"' in made.text
    assert frames(read(made.text, frames=2).recipe()) == frames(recipe)


def test_what_is_read_alone_is_not_written() -> None:
    for name in ("comfyui", "comfy"):
        with pytest.raises(RecipeError, match="comfy") as caught:
            write(TRAVEL, name)
        offered = caught.value.problem.replace(name, "").rpartition(":" if name == "comfy" else "one of")[2]
        assert set(offered.strip(" )").split(", ")) == set(WRITTEN)
    with pytest.raises(
        RecipeError, match=r"parseq can be read but not written; choose one of .*json, toml,.*fizznodes"
    ):
        write(TRAVEL, "parseq")
