"""Planning, the preview and texts of other tools, in under half a second of CPU; 20,000 frames in under one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from a1111_extension.preview import shown
from remix.plan import EASINGS, Keyframe, Recipe, plan
from remix.prompt import Reading
from remix.prompt.composition import parts_of
from remix.prompt.editing import is_edited
from remix.syntax import detect, read
from tests.bench.race import Race

LIMIT_SECONDS = 0.5
PROMPT_SECONDS = 0.005
ROUNDS = 5


def test_ten_thousand_frames_with_fifty_keyframes(race: Race) -> None:
    keyframes = [
        Keyframe(prompt=f"p{i}", negative=f"n{i % 7}", seed=i, cfg=i % 9, denoise=i / 50, image=f"{i}.png", ease=e)
        for i, e in zip(range(50), EASINGS * 5, strict=False)
    ]
    recipe = Recipe(10_000, tuple(keyframes))
    race.run(lambda _: plan(recipe).to_json(), {}, range(ROUNDS))
    share = race.share_of(LIMIT_SECONDS)
    race.show(
        "Summary", "Planning 10,000 frames, 50 keyframes", baseline="a limit of 500 ms", ours=f"{share.cpu:.0%} of it"
    )
    assert share.cpu < 1


PROMPTS = {"weights": "a (cat:1.2) in [snow], ((deep)), ", "AND": "a (cat:1.2) AND a dog :0.5 "}


@pytest.mark.parametrize("name", PROMPTS)
def test_a_prompt_of_ten_thousand_letters(race: Race, name: str) -> None:
    """Its parts and weights, and whether it changes: another text in each round, since parsed ones are kept."""
    reading, text = Reading("a1111", "a1111"), PROMPTS[name] * (10_000 // len(PROMPTS[name]))

    def parsed(number: int) -> None:
        for part in parts_of(f"{text}{number}", reading):
            if not is_edited(part.text):
                reading.sections(part.text)

    _show_parsing(race, parsed, name)


def test_a_prompt_of_ten_thousand_letters_that_changes(race: Race) -> None:
    text = "a [cat:dog:0.5] in [snow|rain], " * 312
    _show_parsing(race, lambda number: is_edited(f"{text}{number}"), "changes over the steps")


def _show_parsing(race: Race, parsed: Callable[[int], object], name: str) -> None:
    race.run(parsed, {}, range(50))
    share = race.share_of(PROMPT_SECONDS)
    row = f"Parsing a prompt of 10,000 letters, {name}"
    race.show("Summary", row, baseline="a limit of 5 ms", ours=f"{share.cpu:.0%} of it")
    assert share.cpu < 1


TEXTS = {
    "fizznodes": ",\n".join(f'"{10 * i}": "prompt number {i}"' for i in range(2_000)),
    "sd-webui-animatediff": "\n".join(f"{10 * i}: prompt number {i}" for i in range(2_000)),
    "deforum-values": "cfg: " + ", ".join(f"{10 * i}:({1 + i % 9}+sin(t/9))" for i in range(2_000)),
    "deforum-prompts": "{" + ", ".join(f'"{10 * i}": "prompt number {i} --neg x"' for i in range(2_000)) + "}",
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_schedule_of_two_thousand_keys_and_twenty_thousand_frames(race: Race, name: str) -> None:
    """Detecting, reading and planning the text of another tool."""
    assert detect(TEXTS[name]) == name
    race.run(lambda _: plan(read(TEXTS[name], frames=20_000).recipe()), {}, range(ROUNDS))
    share = race.share_of(2 * LIMIT_SECONDS)
    ours = f"{share.cpu:.0%} of it"
    race.show("Summary", f"Reading and planning 2,000 keys of {name}", baseline="a limit of 1,000 ms", ours=ours)
    assert share.cpu < 1


def test_the_preview_of_three_thousand_keyframes(race: Race) -> None:
    """The page with curves and table that the panel makes while somebody types."""
    keyframes = tuple(Keyframe(at=3 * i, prompt=f"prompt {i}") for i in range(3_000))
    schedule = plan(Recipe(9_000, keyframes))
    race.run(lambda _: shown(schedule), {}, range(ROUNDS))
    share = race.share_of(LIMIT_SECONDS)
    race.show("Summary", "The preview of 3,000 keyframes", baseline="a limit of 500 ms", ours=f"{share.cpu:.0%} of it")
    assert share.cpu < 1
