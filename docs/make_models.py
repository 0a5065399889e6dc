"""Writes the table of model families in docs/models.md.

python -m docs.make_models
"""

from __future__ import annotations

import re
from pathlib import Path

from remix.catalog.families import FAMILIES, TOKEN_IDS, UNKNOWN, Family
from tests.real.comfyui.rendered import RUN

PAGE = Path(__file__).parent / "models.md"

RULES = {
    "tile": "repeated completely",
    "empty": "padded with the empty prompt",
    "zero": "padded at the end, and masked",
    "front": "padded at the start with zeros",
    "travel": "not padded: the number of rows travels",
}


def table() -> str:
    """Returns the table, one line for each family of pictures."""
    lines = ["| Family | Latents | Sizes | Prompts of different lengths | Rendered |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *(_line(row) for row in FAMILIES.values() if not row.film and not row.sound)])


def _line(row: Family) -> str:
    is_known = row is not UNKNOWN
    time = ", time axis of 1" if row.axes == 3 else ""
    rule = 'with `mix = "output"` only' if set(row.keys) & set(TOKEN_IDS) else RULES[row.lengths]
    latents = f"{row.channels} channels{time}" if is_known else "of any kind"
    rendered = "yes" if row.name in RUN.values() or row.name == "playground" else "no"
    title = row.title if is_known else "any other family"
    return f"| {title} | {latents} | multiples of {row.step} | {rule} | {rendered} |"


def main() -> None:
    """Replaces the table of the page."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(re.sub(r"(?m)^\| Family \|.*(\n\|.*)*", lambda _: table(), page), encoding="utf-8")


if __name__ == "__main__":
    main()
