"""The names that a recipe may use, and the nearest of them to a name that is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Collection

SAMPLERS = (
    "euler",
    "euler_ancestral",
    "heun",
    "dpmpp_2m",
    "dpmpp_2m_sde",
    "ddim",
    "uni_pc",
    "lcm",
    "lms",
)
"""Samplers by ComfyUI's names; whether an engine has one is told by the engine's check."""

SCHEDULERS = ("normal", "karras", "exponential", "simple", "sgm_uniform", "ddim_uniform")
"""Noise schedules by ComfyUI's names."""

CURVES = ("linear", "cubic")
"""How numbers travel from keyframe to keyframe: straight, or along one smooth curve."""

MIXINGS = ("lerp", "slerp")
"""How conditionings are mixed."""

LENGTHS = ("tile", "empty", "zero", "equal", "trim")
"""Policies that bring conditionings of unequal token counts together."""


def nearest(name: str, known: Collection[str]) -> str:
    """A sentence that names the nearest known name, if one is near, and then all of them.

    >>> nearest("eulr", ("ddim", "euler"))
    'did you mean "euler"? Known: ddim, euler'
    """
    plain = name[:60].strip().lower().replace(" ", "_")
    close = difflib.get_close_matches(plain, known, n=1, cutoff=0.6)
    every = "known: " + ", ".join(known)
    return f'did you mean "{close[0]}"? K{every[1:]}' if close else every
