"""Names that the caller chooses from a table, and the sentence that answers a wrong one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from remix.errors import MixError
from remix.mix.kinds import shown


def known(name: str, names: Iterable[str], what: str) -> str:
    """`name` itself if it is one of `names`, else a MixError that suggests the nearest.

    >>> known("slrep", ("lerp", "slerp"), "how")
    Traceback (most recent call last):
    remix.errors.MixError: how: 'slrep' is not known; did you mean 'slerp'? Known: lerp, slerp.
    """
    choices = tuple(names)
    if isinstance(name, str) and name in choices:
        return name
    near = difflib.get_close_matches(name, choices, n=1) if isinstance(name, str) else []
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise MixError(f"{what}: {shown(name)} is not known; {hint}Known: {', '.join(choices)}.")


def size(shape: Iterable[int]) -> str:
    """A shape as people write it: "1x4x64x64"."""
    return "x".join(str(n) for n in shape) or "a single number"
