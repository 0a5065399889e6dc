"""Writes docs/agreement.md from the table that `python -m tests.agreement` has measured.

python -m docs.make_agreement
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from remix.errors import Unsupported
from remix.job.agreement import ENGINES, EXTRAS, READ_DIFFERENTLY, Row, extras, measured, table
from remix.motion.difference import LEAST_PSNR, MOST_OFF
from remix.plan.labels import a1111_labels
from remix.plan.portable import PORTABLE

WIDTH = 120
PAGE = Path(__file__).with_name("agreement.md")
NAMES = {"comfyui": "ComfyUI", "a1111": "A1111", "local": "local"}
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
    pairs = [" - ".join(NAMES[engine] for engine in pair) for pair in combinations(ENGINES, 2)]
    parts: Mapping[str, str] = {
        "measured": (
            f"Measured with Remix Toolkit {about['toolkit']}, {about['hosts']}, on a CPU, with a checkpoint of random "
            f"weights in SD 1.5's layout: {about['steps']} steps, cfg {about['cfg']:g}, "
            f"{about['size'][0]}x{about['size'][1]}, a travel through {len(about['prompts'])} prompts and seeds."
        ),
        "limits": f"{LEAST_PSNR:g} dB at least, and no colour of a pixel off by more than {MOST_OFF} of 255",
        "table": "\n".join(
            [
                f"| sampler | scheduler | in A1111 | frames | {' | '.join(pairs)} | |",
                f"|---|---|---|---|{'---|' * len(pairs)}---|",
                *map(_line, table().values()),
            ]
        ),
        "extras": "\n".join(
            [
                f"| what | sampler | scheduler | frames | {' | '.join(pairs)} | |",
                f"|---|---|---|---|{'---|' * len(pairs)}---|",
                *map(_extra, extras()),
            ]
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


def _line(row: Row) -> str:
    try:
        labels = ", ".join(a1111_labels(row.sampler, row.scheduler))
    except Unsupported:
        labels = "not there"
    verdict = "same frames" if row.portable() else ""
    told = _told(row, list(combinations(ENGINES, 2)))
    return f"| `{row.sampler}` | `{row.scheduler}` | {labels} | {row.frames} | {told} | {verdict} |"


def _extra(row: Row) -> str:
    what = EXTRAS[row.kind]
    verdict = "same frames" if row.portable() else ""
    told = _told(row, list(combinations(ENGINES, 2)))
    return f"| {what} | `{row.sampler}` | `{row.scheduler}` | {row.frames} | {told} | {verdict} |"


def _told(row: Row, pairs: Sequence[tuple[str, str]]) -> str:
    """How far these pairs are apart, in cells."""
    found = [row.apart.get(frozenset(pair)) for pair in pairs]
    return " | ".join("-" if apart is None else str(apart) for apart in found)


def _prompts() -> Iterator[str]:
    yield "| in a prompt | |"
    yield "|---|---|"
    yield "| `[a:b:0.5]`, `[a\\|b]` | changes over the steps in A1111, and is words elsewhere |"
    for pattern, why in READ_DIFFERENTLY.items():
        yield f"| {SHOWN[pattern]} | {why} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
