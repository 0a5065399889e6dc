"""Choices in prompts: the grammar of sd-dynamic-prompts, the same on every machine, and hostile texts."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import pytest

from remix.errors import BadInput, RecipeError
from remix.plan import Keyframe, Recipe, plan
from remix.plan.schedule import remarks_on
from remix.plan.variants import with_choices
from remix.prompt.variants import expand, has_variants, matching

LISTS = {"animals": ["cat", "dog"], "sizes": ["{big|small}"], "none": [], "loop": ["__loop__"]}
SIZED = {f"a {size} {animal}" for size in ("big", "small") for animal in ("cat", "dog", "cow")}


def chosen(text: str, seed: int = 0) -> str:
    source = random.Random(seed)
    return expand(text, lambda part: source, LISTS.get)


def outcomes(text: str) -> Counter[str]:
    return Counter(chosen(text, seed) for seed in range(300))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a cat", {"a cat"}),
        ("a {red|green} cat", {"a red cat", "a green cat"}),
        ("{a|{b|c}}", {"a", "b", "c"}),
        ("{|very }old", {"old", "very old"}),
        ("{only}", {"only"}),
        ("__animals__", {"cat", "dog"}),
        ("a __sizes__ {__animals__|cow}", SIZED),
        ("{2$$a|b|c}", {"a, b", "b, a", "a, c", "c, a", "b, c", "c, b"}),
        ("{2$$ and $$a|b}", {"a and b", "b and a"}),
        ("{1-2$$+$$a|b}", {"a", "b", "a+b", "b+a"}),
        ("{0::a|b}", {"b"}),
        (r"\{a|b\} } snake__case", {"{a|b} } snake__case"}),
    ],
)
def test_each_outcome_occurs_and_no_other(text: str, found: set[str]) -> None:
    assert set(outcomes(text)) == found


def test_weights_count() -> None:
    found = outcomes("{red|2::blue|0.5::green}")
    assert found["blue"] > found["red"] > found["green"]


def test_choices_are_the_same_on_every_machine() -> None:
    assert [chosen("{a|b|c|d} {2$$ $$x|y|z}", seed) for seed in range(4)] == ["d x z", "c x y", "a z y", "c y z"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a {b|c", r"at letter 3: '\{b\|c' has a \{ that is not closed"),
        ("a __cows__", r"at letter 3: '__cows__' names the word list 'cows', which does not exist; add cows.txt"),
        ("__none__", "which is empty"),
        ("{3$$a|b}", "asks for 3 to 3 of 2 options"),
        ("{0::a|0::b}", "options of weight 0 alone"),
        ("__loop__", "more than 20 levels deep"),
        ("{" * 30 + "a|b" + "}" * 30, "more than 20 levels deep"),
        ("{a|" * 5_000, "not closed"),
    ],
)
def test_what_cannot_be_chosen_is_refused_with_its_place(text: str, why: str) -> None:
    with pytest.raises(BadInput, match=f"prompt.*{why}"):
        chosen(text)


def test_any_text_is_expanded_or_refused_quickly() -> None:
    bits = [*"{}|$_\\:, ", "cat", "2$$", "__animals__", "1-2$$", "0.5::"]
    rng, start = random.Random(3), time.thread_time()
    for seed in range(3_000):
        text = "".join(rng.choices(bits, k=rng.randrange(25)))
        try:
            found = chosen(text, seed)
        except BadInput:
            continue
        assert has_variants(text) or found == text.replace("\\}", "}")
    chosen("{a} " * 2_500)
    assert time.thread_time() - start < 5


def test_lists_are_found_below_folders_by_patterns() -> None:
    assert matching("pets/*", ["animals", "pets/cat", "pets/dog"]) == ["pets/cat", "pets/dog"]
    assert matching("animals", ["animals", "pets/animals"]) == ["animals"]


def recipe(folder: Path, *prompts: str, **changes: object) -> Recipe:
    lists = folder / "wildcards" / "pets"
    lists.mkdir(parents=True, exist_ok=True)
    (lists / "small.txt").write_text("mouse # a comment\n\nfrog `x`\n", encoding="utf-8")
    keyframes = tuple(Keyframe(prompt=prompt) for prompt in prompts)
    return Recipe(3, keyframes, folder=str(folder), **changes)  # type: ignore[arg-type]


def test_a_schedule_has_the_choices_and_its_recipe_has_no_variants(tmp_path: Path) -> None:
    asked = recipe(tmp_path, "a __pets/*__", "{red|green} {red|green}", variants="keyframe")
    schedule = plan(asked)
    assert schedule.recipe.variants is None
    assert schedule.recipe == with_choices(asked)
    assert set(schedule.texts) & {"a mouse", "a frog `x`"}
    assert plan(schedule.recipe) == schedule == plan(asked)
    assert len({plan(asked.replace(variant=number)).texts for number in range(20)}) > 4


def test_one_choice_for_the_film_is_the_same_in_all_keyframes(tmp_path: Path) -> None:
    asked = recipe(tmp_path, "a {red|green|blue} house", "snow, a {red|green|blue} house", variants="film")
    found = set()
    for number in range(10):
        first, second = (
            keyframe.prompt.values[0] for keyframe in with_choices(asked.replace(variant=number)).keyframes
        )
        assert second == f"snow, {first}"
        found.add(first)
    assert len(found) == 3
    apart = asked.replace(variants="keyframe")
    pairs = [
        [keyframe.prompt.values[0] for keyframe in with_choices(apart.replace(variant=n)).keyframes] for n in range(9)
    ]
    assert any(second != f"snow, {first}" for first, second in pairs)


def test_without_variants_choices_are_text_with_a_remark(tmp_path: Path) -> None:
    schedule = plan(recipe(tmp_path, "a {red|green} cat"))
    assert schedule.texts == ("a {red|green} cat",)
    assert any("choices in 'a {red|green} cat' are passed on as text" in remark for remark in remarks_on(schedule))
    assert remarks_on(plan(recipe(tmp_path, "a {red} cat_ear"))) == []


def test_an_error_names_the_keyframe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"keyframes\[1\].prompt: .*'cows', which does not exist") as failed:
        plan(recipe(tmp_path, "a cat", "__cows__", variants="film"))
    assert failed.value.path == "keyframes[1].prompt"
