"""The text of A1111's prompt boxes: prompt lines, ``Negative prompt:``, and settings such as ``Steps: 20, Seed: 7``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from remix.catalog.samplers import SAMPLERS, sampler_of
from remix.catalog.schedulers import SCHEDULER_LABELS, SCHEDULERS
from remix.hosts.a1111.infotext import NEGATIVE, entries
from remix.plan.model import Model
from remix.plan.moments import MAX_FRAMES
from remix.syntax.text.literal import number
from remix.syntax.text.source import Source, Span

_SETTINGS = re.compile(r"Steps: [0-9]+(?:,|$)")
_LATER = re.compile(
    r"(?:Steps|Sampler|Schedule type|CFG scale|Distilled CFG Scale|Seed|Size|Model|Model hash|VAE|Clip skip"
    r"|Denoising strength|Version|Travel (?:mode|loop|stage|save|video fps)): \S[^\n]*"
)
"""A setting on its own line; counts only below a negative prompt or a setting, since a prompt may begin like one."""
_ANIMATEDIFF = re.compile(r"\b(video_length|fps): ([0-9]{1,6})(?![0-9.])", re.ASCII)
_CLOSED_LOOP = re.compile(r"\bclosed_loop: ([ARNP+-]{1,3})")
_SIZE = re.compile(r"([0-9]{1,5})\s*x\s*([0-9]{1,5})")


@dataclass(frozen=True)
class Boxes:
    """The lines of the prompt box and the negative box, and the settings below them by name."""

    prompt: list[Span]
    negative: list[Span]
    settings: Mapping[str, Span]


def read_boxes(source: Source) -> Boxes:
    """Returns the boxes of a text: lines up to ``Negative prompt:``, lines after it, settings from ``Steps:`` on."""
    prompt: list[Span] = []
    negative: list[Span] = []
    settings: dict[str, Span] = {}
    box = prompt
    for written in source.span().split("\n"):
        if written.text.startswith(NEGATIVE):
            box, written = negative, written[len(NEGATIVE) :].strip()
        elif _SETTINGS.match(written.text) or ((settings or box is negative) and _LATER.fullmatch(written.text)):
            settings.update((entry.name, written[entry.start : entry.end]) for entry in entries(written.text))
            continue
        box.append(written)
    return Boxes(prompt, negative, settings)


def recipe_fields(source: Source, settings: Mapping[str, Span], *also_read: str) -> dict[str, Any]:
    """Returns the fields of Parts that a settings line sets; a note names the settings that have no place here.

    The settings in `also_read` are read elsewhere.
    """
    fields: dict[str, Any] = {}
    for name, low, high, field in (("Steps", 1, 1000, "steps"), ("CFG scale", 0, 100, "cfg")):
        if name in settings:
            value = _number(source, settings[name])
            if not low <= value <= high:
                raise source.error(settings[name].start, f"{value:g} is outside {low} to {high}; choose one inside")
            fields[field] = int(value) if field == "steps" else float(value)
    label = settings["Sampler"].text if "Sampler" in settings else ""
    if sampler := sampler_of(label):
        fields["sampler"] = sampler[0]
        fields.update({"scheduler": sampler[1]} if sampler[1] else {})
    label = settings["Schedule type"].text if "Schedule type" in settings else ""
    scheduler = scheduler_of(label, fields.get("sampler", ""))
    if scheduler is not None:
        fields["scheduler"] = scheduler
    skip = settings["Clip skip"].text if "Clip skip" in settings else ""
    if re.fullmatch(r"[1-9]|1[0-2]", skip, re.ASCII):
        fields["model"] = Model(clip_skip=int(skip))
    size = _SIZE.fullmatch(settings["Size"].text) if "Size" in settings else None
    if size and all(8 <= int(side) <= 8192 and int(side) % 8 == 0 for side in size.groups()):
        fields.update(width=int(size[1]), height=int(size[2]))
    known = {"Sampler": "sampler", "Schedule type": "scheduler", "Clip skip": "model", "Size": "width"}
    used = {"Steps", "CFG scale", "Seed", *also_read, *(name for name, field in known.items() if field in fields)}
    if scheduler is None:
        used.discard("Schedule type")  # the scheduler comes from the sampler's label
    if left := [name for name in settings if name not in used]:
        source.note(f"not taken over from the settings: {', '.join(left[:20])}")
    return fields


def film_of(source: Source, settings: Mapping[str, Span]) -> dict[str, Any]:
    """Returns frames, fps and loop of sd-webui-animatediff's settings (``AnimateDiff: "video_length: 16, ..."``)."""
    if "AnimateDiff" not in settings:
        return {}
    text = settings["AnimateDiff"].text
    found = dict(_ANIMATEDIFF.findall(text))
    film: dict[str, Any] = {}
    if 1 <= int(found.get("video_length", 0)) <= MAX_FRAMES:
        film["frames"] = int(found["video_length"])
    if 1 <= int(found.get("fps", 0)) <= 240:
        film["fps"] = float(found["fps"])
    if closed := _CLOSED_LOOP.search(text):
        film["loop"] = closed[1] in ("A", "R+P") or None
    return film


def scheduler_of(label: str, sampler: str) -> str | None:
    """Returns the scheduler that A1111's label means for a sampler, None if there is none of that name."""
    kind = " ".join(label[:60].lower().split())
    if kind == "automatic":
        kind = SAMPLERS[sampler].automatic if sampler in SAMPLERS else "normal"
    kind = SCHEDULER_LABELS.get(kind, kind.replace(" ", "_"))
    return kind if kind in SCHEDULERS else None


def seed_of(source: Source, settings: Mapping[str, Span]) -> int | None:
    """Returns the seed of a settings line, None if it has none or a random one (-1)."""
    if "Seed" not in settings:
        return None
    value = _number(source, settings["Seed"])
    return int(value) if 0 <= value < 2**64 else None


def _number(source: Source, written: Span) -> float:
    if not re.fullmatch(r"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?", written.text, re.ASCII):
        raise source.error(written.start, f"{written.text[:40]!r} is not a number; write one")
    return number(source, written.text, written.start)
