"""A recipe's variety in the local engine: seeds change the prompts, and frames do not depend on their batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from remix.client.local import Local
from remix.plan import Keyframe, Recipe, plan
from tests.client.local.films import TOLERANCE, largest_difference, pictures, travel


def film(folder: Path, variety: float) -> Recipe:
    """One prompt and two seeds, with guidance by a longer negative prompt."""
    negative = "a very dark blue circle at night, " * 6
    keyframes = (Keyframe(0, "a red circle", negative=negative, seed=1, cfg=3), Keyframe(2, seed=2))
    return travel(str(folder), frames=3, steps=2, keyframes=keyframes, variety=variety)


def test_seeds_change_the_prompt_of_each_frame_by_itself(sound: Path) -> None:
    still, together, alone = (
        pictures(film(sound, variety), batch=batch) for variety, batch in ((0, 3), (0.5, 3), (0.5, 1))
    )
    assert largest_difference(together, alone) <= TOLERANCE
    assert np.abs(together.astype(int) - still).reshape(3, -1).max(axis=1).min() > 2
    engine, settings = Local(device="cpu"), [plan(film(sound, variety)).settings() for variety in (0, 0.5)]
    assert engine.check(plan(film(sound, 0.5))) == []
    assert [each.get("variety") for each in settings] == [None, 0.5]
