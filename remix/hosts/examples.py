"""The examples of this repository as texts, for the hosts that offer them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def example_texts() -> Mapping[str, str]:
    """Returns the recipe of each example by its name, sorted; empty if this copy of the toolkit has no examples.

    Examples with init pictures or a song are left out: a text has no folder for them.
    """
    texts = {}
    for path in sorted(EXAMPLES.glob("*.toml")):
        text = path.read_text(encoding="utf-8")
        head, _, keyframes = text.partition("[[keyframes]]")
        if "\nimage = " not in keyframes and "\n[music]" not in head:
            texts[path.stem.replace("-", " ")] = text
    return texts
