"""Writes docs/agreement.md, and a table of docs/prompts.md, from what `python -m tests.agreement` measured.

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
from remix.motion.pictures import LEAST_PSNR, MOST_OFF, Difference

WIDTH = 120
PAGE = Path(__file__).with_name("agreement.md")
PROMPTS = Path(__file__).with_name("prompts.md")
TABLE_HEAD = "| in prompts | SD 1.5 |"
"""The beginning of the table in `PROMPTS`."""
NAMES = {"comfyui": "ComfyUI", "a1111": "A1111", "forge": "Forge", "local": "local"}
Pair = tuple[str, str]
ALL: Sequence[Pair] = list(combinations(ENGINES, 2))
FORGE: Sequence[Pair] = [("comfyui", "forge"), ("forge", "local")]
WAY = ("sampler", "scheduler", "frames")
SHOWN = {
    r"#[^\n]*": "`# ...`",
}
"""How the page shows what each pattern of `READ_DIFFERENTLY` matches."""


OF_PROMPTS: Mapping[str, Sequence[str]] = {
    'weights, `emphasis = "comfy"`': ("comfy emphasis", "long comfy emphasis"),
    'weights, `emphasis = "a1111"`, and `BREAK`': ("a1111 emphasis", "long a1111 emphasis"),
    'weights, `emphasis = "a1111-no-norm"`': ("no-norm emphasis",),
    "prompts over 75 tokens": ("long",),
    "changes over the steps": ("editing",),
    "`AND`": ("AND",),
    '`mix = "output"`': ("output",),
    "`TE(l=...)`": ("TE",),
    "LoRAs whose strengths travel": ("traveling loras",),
}
"""What the table of docs/prompts.md lists, and the kinds of rows that measure it."""


def prompts_table() -> str:
    """Returns the table of docs/prompts.md: the worst difference of all pairs of tools, for each model and on Forge."""
    lines = ["| in prompts | SD 1.5 | SDXL | SD 1.5 on Forge |", "|---|---|---|---|"]
    sdxl = [row for row in rows("families") if row.family == "sdxl"]
    for what, kinds in OF_PROMPTS.items():
        parts = ([row for row in part if row.kind in kinds] for part in (rows("extras"), sdxl, rows("forge")))
        lines.append(f"| {what} | {' | '.join(map(_worst, parts))} |")
    return "\n".join(lines)


def _worst(found: Sequence[Row]) -> str:
    """Returns the worst difference of some rows, or "-" if there are none."""
    apart = [each for row in found for each in row.apart.values()]
    return str(Difference(min(each.psnr for each in apart), max(each.off for each in apart))) if apart else "-"


def page() -> str:
    """Returns the page."""
    about = measured()["measured"]
    text = Path(__file__).with_name("agreement.md.in").read_text(encoding="utf-8")
    parts: Mapping[str, str] = {
        "measured": (
            f"Measured with Remix Toolkit {about['toolkit']}, {about['hosts']}, on a CPU, with a checkpoint of random "
            f"weights in SD 1.5's layout: {about['steps']} steps, cfg {about['cfg']:g}, "
            f"{about['size'][0]}x{about['size'][1]}, through {len(about['prompts'])} prompts and seeds."
        ),
        "limits": f"at most {MOST_OFF} of 255 per color value and have a PSNR of at least {LEAST_PSNR:g} dB",
        "table": _table(("sampler", "scheduler", "in A1111", "frames"), map(_line, table().values()), ALL),
        "extras": _table(("feature", "sampler", "scheduler", "frames"), map(_extra, rows("extras")), ALL),
        "families": _table(("family", "feature", *WAY), map(_of_family, rows("families")), ALL),
        "forge": _table(("feature", *WAY), map(_on_forge, rows("forge")), FORGE),
        "on_forge": (
            f"{about['forge']} with the Remix script, compared with the others on the checkpoint of the first table. "
            "It has A1111's settings and uses most of them. `remix doctor --url` lists those that matter for a Forge."
        ),
        "settings": ", ".join(f"`{name}` {value!r}" for name, value in PORTABLE.items()),
        "prompts": "\n".join(_prompts()),
    }
    for name, part in parts.items():
        text = text.replace(f"{{{name}}}", part)
    return "\n\n".join(map(_wrapped, text.split("\n\n")))


def _wrapped(paragraph: str) -> str:
    """Wraps a paragraph at 120 characters; keeps tables, lists, headings and code."""
    if paragraph.startswith(("|", "#", "```", "- ", "1. ")) or len(max(paragraph.split("\n"), key=len)) <= WIDTH:
        return paragraph
    end = "\n" if paragraph.endswith("\n") else ""
    return textwrap.fill(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False) + end


def _table(head: Sequence[str], lines: Iterable[Sequence[object]], pairs: Sequence[Pair]) -> str:
    """Returns a table of these lines, which compare each pair of engines and end with whether all agree."""
    columns = [*head, *(" - ".join(NAMES[engine] for engine in pair) for pair in pairs), ""]
    written = ["|".join(f" {cell} ".replace("  ", " ") for cell in line) for line in (columns, *lines)]
    return "\n".join(f"|{line}|" for line in (written[0], "|".join(["---"] * len(columns)), *written[1:]))


def _line(row: Row) -> list[object]:
    try:
        labels = ", ".join(a1111_labels(row.sampler, row.scheduler))
    except Unsupported:
        labels = "not available"
    return [f"`{row.sampler}`", f"`{row.scheduler}`", labels, row.frames, *_differences(row, ALL)]


def _extra(row: Row) -> list[object]:
    return [EXTRAS[row.kind], *_way(row), *_differences(row, ALL)]


def _of_family(row: Row) -> list[object]:
    return [FAMILIES[row.family].title, EXTRAS.get(row.kind, ""), *_way(row), *_differences(row, ALL)]


def _on_forge(row: Row) -> list[object]:
    return [EXTRAS.get(row.kind, ""), *_way(row), *_differences(row, FORGE)]


def _way(row: Row) -> list[object]:
    return [f"`{row.sampler}`", f"`{row.scheduler}`", row.frames]


def _differences(row: Row, pairs: Sequence[Pair]) -> list[object]:
    """Returns the differences of these pairs, and whether all agree."""
    found = [row.apart.get(frozenset(pair)) for pair in pairs]
    same = all(apart is not None and apart.agrees() for apart in found)
    return [*("-" if apart is None else apart for apart in found), "same frames" if same else ""]


def _prompts() -> Iterator[str]:
    yield "| in a prompt | |"
    yield "|---|---|"
    for pattern, why in READ_DIFFERENTLY.items():
        yield f"| {SHOWN[pattern]} | {why} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
    guide = PROMPTS.read_text(encoding="utf-8")
    head, _, rest = guide.partition(TABLE_HEAD)
    _, _, after = rest.partition("\n\n")
    PROMPTS.write_text(f"{head}{prompts_table()}\n\n{after}", encoding="utf-8", newline="\n")
