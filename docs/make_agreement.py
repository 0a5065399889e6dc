"""Writes docs/agreement.md from the table that `python -m tests.agreement` has measured.

python -m docs.make_agreement
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from remix.catalog.families import FAMILIES
from remix.engine.agreement import ENGINES, EXTRAS, READ_DIFFERENTLY, Row, measured, rows, table
from remix.errors import Unsupported
from remix.hosts.a1111.labels import a1111_labels
from remix.hosts.a1111.settings import PORTABLE
from remix.motion.pictures import LEAST_PSNR, MOST_OFF

WIDTH = 120
PAGE = Path(__file__).with_name("agreement.md")
NAMES = {"comfyui": "ComfyUI", "a1111": "A1111", "forge": "Forge", "local": "local"}
Pair = tuple[str, str]
ALL: Sequence[Pair] = list(combinations(ENGINES, 2))
FORGE: Sequence[Pair] = [("comfyui", "forge"), ("forge", "local")]
WAY = ("sampler", "scheduler", "frames")
SHOWN = {
    r"(?<!\\)\(": "`(word)`, `(word:1.2)`",
    r"(?<!\\)\[": "`[word]`",
    r"\bBREAK\b": "`BREAK`",
    r"\bAND\b": "`AND`",
    r"#[^\n]*": "`# ...`",
    r"\bembedding:": "`embedding:name`",
    r"<(?:lora|lyco|hypernet):": "`<lora:name:1>`",
    r"\\[^()]": r"`\[` and other backslashes (`\(` is the same everywhere)",
}
"""How what is read differently is written, by its pattern."""


def page() -> str:
    """Returns the page."""
    about = measured()["measured"]
    text = Path(__file__).with_name("agreement.md.in").read_text(encoding="utf-8")
    parts: Mapping[str, str] = {
        "measured": (
            f"Measured with Remix Toolkit {about['toolkit']}, {about['hosts']}, on a CPU, with a checkpoint of random "
            f"weights in SD 1.5's layout: {about['steps']} steps, cfg {about['cfg']:g}, "
            f"{about['size'][0]}x{about['size'][1]}, a travel through {len(about['prompts'])} prompts and seeds."
        ),
        "limits": f"{LEAST_PSNR:g} dB at least, and no colour of a pixel off by more than {MOST_OFF} of 255",
        "table": _table(("sampler", "scheduler", "in A1111", "frames"), map(_line, table().values()), ALL),
        "extras": _table(("what", "sampler", "scheduler", "frames"), map(_extra, rows("extras")), ALL),
        "families": _table(("family", "what", *WAY), map(_of_family, rows("families")), ALL),
        "forge": _table(WAY, map(_on_forge, rows("forge")), FORGE),
        "on_forge": (
            f"{about['forge']} with the Remix script, beside the others on the checkpoint of the first table. It has "
            "A1111's settings and goes by most of them; `remix doctor --url` tells of a Forge what counts there."
        ),
        "settings": ", ".join(f"`{name}` {value!r}" for name, value in PORTABLE.items()),
        "prompts": "\n".join(_prompts()),
    }
    for name, part in parts.items():
        text = text.replace(f"{{{name}}}", part)
    return "\n\n".join(map(_wrapped, text.split("\n\n")))


def _wrapped(paragraph: str) -> str:
    """A paragraph of plain text in lines of 120 letters; tables, headings and code as they are."""
    if paragraph.startswith(("|", "#", "```")) or len(max(paragraph.split("\n"), key=len)) <= WIDTH:
        return paragraph
    end = "\n" if paragraph.endswith("\n") else ""
    return textwrap.fill(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False) + end


def _table(head: Sequence[str], lines: Iterable[Sequence[object]], pairs: Sequence[Pair]) -> str:
    """A table of these lines, which tell of each pair of engines, and whether all of them agree."""
    columns = [*head, *(" - ".join(NAMES[engine] for engine in pair) for pair in pairs), ""]
    written = ["|".join(f" {cell} ".replace("  ", " ") for cell in line) for line in (columns, *lines)]
    return "\n".join(f"|{line}|" for line in (written[0], "|".join(["---"] * len(columns)), *written[1:]))


def _line(row: Row) -> list[object]:
    try:
        labels = ", ".join(a1111_labels(row.sampler, row.scheduler))
    except Unsupported:
        labels = "not there"
    return [f"`{row.sampler}`", f"`{row.scheduler}`", labels, row.frames, *_told(row, ALL)]


def _extra(row: Row) -> list[object]:
    return [EXTRAS[row.kind], *_way(row), *_told(row, ALL)]


def _of_family(row: Row) -> list[object]:
    return [FAMILIES[row.family].title, EXTRAS.get(row.kind, ""), *_way(row), *_told(row, ALL)]


def _on_forge(row: Row) -> list[object]:
    return [*_way(row), *_told(row, FORGE)]


def _way(row: Row) -> list[object]:
    return [f"`{row.sampler}`", f"`{row.scheduler}`", row.frames]


def _told(row: Row, pairs: Sequence[Pair]) -> list[object]:
    """How far these pairs are apart, and whether all agree."""
    found = [row.apart.get(frozenset(pair)) for pair in pairs]
    same = all(apart is not None and apart.agrees() for apart in found)
    return [*("-" if apart is None else apart for apart in found), "same frames" if same else ""]


def _prompts() -> Iterator[str]:
    yield "| in a prompt | |"
    yield "|---|---|"
    yield "| `[a:b:0.5]`, `[a\\|b]` | changes over the steps in A1111, and is words elsewhere |"
    for pattern, why in READ_DIFFERENTLY.items():
        yield f"| {SHOWN[pattern]} | {why} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
