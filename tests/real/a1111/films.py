"""Short films for a real host, and how their frames are compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.real.a1111.host import Host

SIDE, STEPS, FRAMES = 64, 3, 3
ROUNDING = 1
"""How far 8-bit values may differ for another number of rows in a matrix product."""

A, B = "a red apple", "the blue sea"

Plain = dict[str, Any]


def recipe(first: dict[str, Any], last: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A recipe that travels from one keyframe to another."""
    about = {"frames": FRAMES, "size": [SIDE, SIDE], "steps": STEPS, **fields}
    return {**about, "keyframes": [{"seed": 1, "negative": "dull", **first}, {"seed": 2, **last}]}


def plain(prompt: str, seed: int, **fields: Any) -> Plain:
    """The same numbers as a request without the script, by the host's own settings unless `fields` has others."""
    size = {"width": SIDE, "height": SIDE, "steps": STEPS, "cfg_scale": 7}
    return {"prompt": prompt, "negative_prompt": "dull", "seed": seed, "sampler_name": "Euler", **size, **fields}


def off(a: np.ndarray, b: np.ndarray) -> int:
    """The largest difference of two pictures; those that show nothing prove nothing."""
    assert a.std() > 5
    assert b.std() > 5
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def rendered(
    host: Host, recipe_fields: dict[str, Any], *, kind: str = "txt2img", host_fields: Any = None, **settings: Any
) -> Any:
    """The frames of a recipe in one batch, after each has been found equal to the frame alone.

    By the host's own settings and noise, unless `settings` say otherwise.
    """
    fields = host_fields or {}
    settings.setdefault("portable", False)
    settings["film"] = ""
    together = host.remix({"recipe": recipe_fields, **settings}, kind=kind, **fields).pictures
    alone = host.remix({"recipe": recipe_fields, "batch": 1, "name": "alone", **settings}, kind=kind, **fields).pictures
    assert len(together) == len(alone) == recipe_fields["frames"]
    for index, (one, other) in enumerate(zip(together, alone, strict=True)):
        assert off(one, other) <= ROUNDING, index
    assert off(together[0], together[-1]) > 20
    return together


def painted(seed: int) -> np.ndarray:
    """A picture of a few colored blocks."""
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return blocks.repeat(SIDE // 4, axis=0).repeat(SIDE // 4, axis=1)
