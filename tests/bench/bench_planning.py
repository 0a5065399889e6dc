"""Planning and the preview, each in under half a second of CPU: 10,000 frames to JSON, 3,000 keyframes to curves."""

from __future__ import annotations

from a1111_extension.preview import shown
from remix.plan import EASINGS, Keyframe, Recipe, plan
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


def test_the_preview_of_three_thousand_keyframes(race: Race) -> None:
    """The page with curves and table that the panel makes while somebody types."""
    keyframes = tuple(Keyframe(at=3 * i, prompt=f"prompt {i}") for i in range(3_000))
    schedule = plan(Recipe(9_000, keyframes))
    race.run(lambda _: shown(schedule), {}, range(ROUNDS))
    share = race.share_of(LIMIT_SECONDS)
    race.show("Summary", "The preview of 3,000 keyframes", baseline="a limit of 500 ms", ours=f"{share.cpu:.0%} of it")
    assert share.cpu < 1
