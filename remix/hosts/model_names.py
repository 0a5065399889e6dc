"""Matches the names of model files in a recipe with those of a host."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from remix.plan.wording import listed

SUFFIXES = (".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".gguf")

CUTOFF = 0.75
"""Similarity, 0 to 1, above which a name is suggested."""

FULL_CHECKPOINTS = "only full checkpoints are loaded, with text encoder and VAE"


def match_name(wanted: str, known: Collection[str]) -> list[str]:
    r"""Returns the known names that match `wanted`: exactly, or else apart from slashes, folder or suffix.

    Servers on Windows list their files with backslashes.

    >>> match_name("SD15/win.safetensors", ["SD15\\win.safetensors", "win.safetensors"])
    ['SD15\\win.safetensors']
    >>> match_name("win", ["a/win.ckpt", "b/win.ckpt"])
    ['a/win.ckpt', 'b/win.ckpt']
    """
    if wanted in known:
        return [wanted]
    path = slashed(wanted)
    same = [name for name in known if slashed(name) == path]
    return same or [name for name in known if path in _short_forms(name)]


def suggestion(wanted: str, known: Collection[str]) -> str:
    """Returns advice for a name that a host does not have: the most similar name, or all names.

    >>> suggestion("sd15", ["sd1.5.safetensors", "sdxl.safetensors"])
    "did you mean 'sd1.5.safetensors'?"
    >>> suggestion("flux1-dev.safetensors", ["sd15.safetensors"])
    'it has sd15.safetensors'
    """
    stems = {bare_name(name).lower(): name for name in known}
    near = difflib.get_close_matches(bare_name(wanted).lower(), stems, n=1, cutoff=CUTOFF)
    return f"did you mean {stems[near[0]]!r}?" if near else f"it has {listed(known) or 'none'}"


def slashed(name: str) -> str:
    """Returns a name with forward slashes."""
    return name.replace("\\", "/")


def bare_name(name: str) -> str:
    r"""Returns a name without folder and suffix.

    >>> bare_name("SD15\\win.v2.safetensors")
    'win.v2'
    """
    return _stem(slashed(name).rpartition("/")[2])


def _short_forms(name: str) -> tuple[str, str, str]:
    path = slashed(name)
    return _stem(path), path.rpartition("/")[2], bare_name(path)


def _stem(name: str) -> str:
    suffix = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: -len(suffix)] if suffix else name
