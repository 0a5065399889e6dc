"""The examples of the repository as texts for the panel."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"

_HOSTS = re.compile(r"^(?:size|sampler|scheduler|steps|cfg) = .*\n", re.MULTILINE)
"""What the host's own fields say: an example has there what suits the bundled model."""


def presets() -> Mapping[str, str]:
    """Returns the keyframes of each example by its name, in order of the names; none where a clone has no examples.

    Comments stay. Size, sampler, steps and cfg of the whole film are left to the host. Examples that begin with
    pictures of their own are left out: here those come from the host.
    """
    texts = {}
    for path in sorted(EXAMPLES.glob("*.toml")):
        head, table, keyframes = path.read_text(encoding="utf-8").partition("[[keyframes]]")
        if "\nimage = " not in keyframes:
            texts[path.stem.replace("-", " ")] = _HOSTS.sub("", head) + table + keyframes
    return texts
