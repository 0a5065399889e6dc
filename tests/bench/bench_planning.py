"""Planning, the preview and texts of other tools, in under half a second of CPU; 20,000 frames in under one."""

from __future__ import annotations

import pytest

from a1111_extension.preview import shown
from remix.plan import EASINGS, Keyframe, Recipe, plan
from remix.syntax import detect, read
from tests.bench.race import Race

LIMIT_SECONDS = 0.5
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
