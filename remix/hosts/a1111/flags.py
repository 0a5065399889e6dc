"""Command-line flags and built-in scripts of A1111 and Forge that matter for pictures."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

LAST_BITS: Mapping[str, str] = {
    "upcast_sampling": "start the server without --upcast-sampling",
    "opt_sdp_attention": "last bits differ; --opt-sdp-no-mem-attention is repeatable",
    "xformers": "last bits differ from run to run; start the server without --xformers",
}
"""Flags that change pictures a little -> what to do."""

HALVED = ("_in_fp16", "_in_bf16", "_in_fp8_e4m3fn", "_in_fp8_e5m2")
"""Endings of the Forge flags that compute a part of the model in fewer bits."""

BUILT_IN = frozenset({"extra options", "refiner", "sampler", "seed", "soft inpainting", "comments", "hypertile"})
"""Always-on scripts of A1111 itself, which do nothing unless they are asked to."""

BUILT_INTO_FORGE = ("controlnet", " integrated")
"""Parts of the names of such scripts of Forge."""

UNREAD_BY_FORGE = frozenset(
    {
        *("enable_quantization", "pad_cond_uncond", "pad_cond_uncond_v0", "sdxl_clip_l_skip", "upcast_attn"),
        "fp8_storage",
    }
)
"""Settings that Forge has and ignores; it always gives a model the nearest of its noise levels."""


def flag(name: str) -> str:
    """Returns a flag as it is typed.

    >>> flag("no_half")
    '--no-half'
    """
    return f"--{name.replace('_', '-')}"


def flags_that_change_pictures(flags: Mapping[str, Any]) -> dict[str, str]:
    """Returns the flags of a server that change pictures, as they are typed, each with advice."""
    halved = {name: f"start the server without {flag(name)}" for name in flags if name.endswith(HALVED)}
    return {flag(name): advice for name, advice in {**LAST_BITS, **halved}.items() if flags.get(name)}


def full_precision(flags: Mapping[str, Any], *, forge: bool) -> tuple[bool, str]:
    """Returns whether a server computes in float32, and how to start it so that it does.

    Forge accepts A1111's flags and ignores them.
    """
    if forge:
        is_full = bool(flags.get("always_cpu") or flags.get("all_in_fp32"))
        return is_full, "start with --all-in-fp32 --clip-in-fp32"
    is_full = bool(flags.get("no_half")) or str(flags.get("precision")) == "full"
    return is_full, "start with --no-half --precision full"


def foreign_scripts(names: Collection[str], own: str, *, forge: bool) -> list[str]:
    """Returns the always-on scripts that are neither the host's nor `own`, sorted."""
    others = sorted(set(names) - BUILT_IN - {own})
    return [name for name in others if not (forge and any(part in name for part in BUILT_INTO_FORGE))]
