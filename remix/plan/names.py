"""The names that a recipe may use, and the nearest of them to a name that is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from remix.plan import labels

SAMPLERS = tuple(labels.SAMPLERS)
"""Samplers by ComfyUI's names; whether an engine has one is told by the engine's check."""

DRAWING = frozenset(
    {
        "euler_ancestral",
        "dpm_2_ancestral",
        "dpmpp_2s_ancestral",
        "dpmpp_sde",
        "dpmpp_2m_sde",
        "dpmpp_2m_sde_heun",
        "dpmpp_3m_sde",
        "lcm",
        "restart",
    }
)
"""Samplers that add fresh noise at their steps. `dpm_fast` and `dpm_adaptive` add none by default: their eta is 0."""

SAMPLER_LABELS = {
    **{label.lower(): name for name, label in labels.SAMPLERS.items() if label.lower() != name},
    "k_euler": "euler",
    "k_euler_a": "euler_ancestral",
}
"""What A1111 and older tools call samplers, in small letters, where that is not the name in `SAMPLERS`."""

SCHEDULERS = tuple(labels.SCHEDULERS)
"""Noise schedules by ComfyUI's names; whether an engine has one is told by the engine's check."""

SCHEDULER_LABELS = {
    **{label.lower(): name for name, label in labels.SCHEDULERS.items() if label.lower() != name},
    **dict.fromkeys(labels.ALSO_NORMAL[1:], "normal"),
}
"""What A1111 calls schedulers, in small letters, where that is not the name in `SCHEDULERS`."""

CURVES = ("linear", "cubic")
"""How numbers travel from keyframe to keyframe: straight, or along one smooth curve."""

PACES = ("linear", "even")
"""How frames are spaced: by time, or by how much the picture changes."""

MIXINGS = ("lerp", "slerp")
"""How conditionings are mixed."""

LENGTHS = ("tile", "empty", "zero", "equal", "trim")
"""Policies that bring conditionings of unequal token counts together."""


def sampler_of(label: str) -> tuple[str, str] | None:
    """The sampler and the scheduler that A1111's label of a sampler means; the scheduler is "" where it says none.

    >>> sampler_of("DPM++ 2M Karras"), sampler_of("Euler a")
    (('dpmpp_2m', 'karras'), ('euler_ancestral', ''))
    >>> sampler_of("euler_a")
    ('euler_ancestral', '')
    """
    words = " ".join(label[:60].lower().split())
    name = SAMPLER_LABELS.get(words) or SAMPLER_LABELS.get(words.replace("_", " "), words)
    if name in SAMPLERS:
        return name, ""
    start, _, last = words.rpartition(" ")
    before = sampler_of(start) if start else None
    return (before[0], last) if before and last in SCHEDULERS else None


def nearest(name: str, known: Collection[str]) -> str:
    """A sentence that names the nearest known name, if one is near, and then all of them.

    >>> nearest("eulr", ("ddim", "euler"))
    'did you mean "euler"? (known: ddim, euler)'
    """
    near = close(name, known)
    every = "known: " + ", ".join(known)
    return f'did you mean "{near}"? ({every})' if near else every


def close(name: str, known: Collection[str], cutoff: float = 0.6) -> str | None:
    """The known name that is nearest, if one is as like as `cutoff` (0 to 1)."""
    plain = name[:60].strip().lower().replace(" ", "_")
    return next(iter(difflib.get_close_matches(plain, known, n=1, cutoff=cutoff)), None)
