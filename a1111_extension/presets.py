"""The examples of this repository as texts for the panel."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"

_HOSTS = re.compile(r"^(?:size|sampler|scheduler|steps|cfg) = .*\n", re.MULTILINE)
"""Fields that the host has too. An example sets them for the bundled model."""


def presets() -> Mapping[str, str]:
    """Returns the text of each example by its name, sorted; empty if the clone has no examples.

    Comments are kept. Size, sampler, steps and cfg are left to the host. Examples with init pictures or a song are left
    out: here the host provides pictures, and a text has no folder for a song.
    """
    texts = {}
    for path in sorted(EXAMPLES.glob("*.toml")):
        head, table, keyframes = path.read_text(encoding="utf-8").partition("[[keyframes]]")
        if "\nimage = " not in keyframes and "\n[music]" not in head:
            texts[path.stem.replace("-", " ")] = _HOSTS.sub("", head) + table + keyframes
    return texts
