"""The text of a host's boxes: prompt lines, ``Negative prompt:``, and settings such as ``Steps: 20, Seed: 7``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from remix.hosts.a1111.infotext import NEGATIVE, entries
from remix.plan.labels import BY_DEFAULT
from remix.plan.model import Model
from remix.plan.names import SCHEDULER_LABELS, SCHEDULERS, sampler_of
from remix.syntax.literal import number
from remix.syntax.scan import Source, Written

_SETTINGS = re.compile(r"Steps: [0-9]+(?:,|$)")
_LATER = re.compile(
    r"(?:Steps|Sampler|Schedule type|CFG scale|Distilled CFG Scale|Seed|Size|Model|Model hash|VAE|Clip skip"
    r"|Denoising strength|Version): \S[^\n]*"
)
"""A setting on a line of its own; only below the first that is one, as a prompt may begin so."""
_SIZE = re.compile(r"([0-9]{1,5})\s*x\s*([0-9]{1,5})")


@dataclass(frozen=True)
class Boxes:
    """The lines of the prompt box and the negative box, and what the settings line says, by its names."""

    prompt: list[Written]
    negative: list[Written]
    settings: Mapping[str, Written]


def read_boxes(source: Source) -> Boxes:
    """The boxes of a text: lines up to ``Negative prompt:``, lines after it, and settings from ``Steps:`` on."""
    prompt: list[Written] = []
    negative: list[Written] = []
    settings: dict[str, Written] = {}
    box, start = prompt, 0
    for line in source.text.split("\n"):
        written = source.piece(start, start + len(line)).strip()
        start += len(line) + 1
        if written.text.startswith(NEGATIVE):
            box, written = negative, written[len(NEGATIVE) :].strip()
        elif _SETTINGS.match(written.text) or (settings and _LATER.fullmatch(written.text)):
            settings.update((entry.name, written[entry.start : entry.end]) for entry in entries(written.text))
            continue
        box.append(written)
    return Boxes(prompt, negative, settings)


def said(source: Source, settings: Mapping[str, Written]) -> dict[str, Any]:
    """The fields of Parts that a settings line speaks of; a note names those that have no place here."""
    fields: dict[str, Any] = {}
    for name, low, high, field in (("Steps", 1, 1000, "steps"), ("CFG scale", 0, 100, "cfg")):
        if name in settings:
            value = _number(source, settings[name])
            if not low <= value <= high:
                raise source.refuse(settings[name].start, f"{value:g} is outside {low} to {high}; choose one inside")
            fields[field] = int(value) if field == "steps" else float(value)
    label = settings["Sampler"].text if "Sampler" in settings else ""
    if meant := sampler_of(label):
        fields["sampler"] = meant[0]
        fields.update({"scheduler": meant[1]} if meant[1] else {})
    kind = settings["Schedule type"].text.lower() if "Schedule type" in settings else ""
    if kind == "automatic":
        kind = BY_DEFAULT.get(fields.get("sampler", ""), "normal")
    kind = SCHEDULER_LABELS.get(kind, kind.replace(" ", "_"))
    if kind in SCHEDULERS:
        fields["scheduler"] = kind
    skip = settings["Clip skip"].text if "Clip skip" in settings else ""
    if re.fullmatch(r"[1-9]|1[0-2]", skip, re.ASCII):
        fields["model"] = Model(clip_skip=int(skip))
    size = _SIZE.fullmatch(settings["Size"].text) if "Size" in settings else None
    if size and all(8 <= int(side) <= 8192 and int(side) % 8 == 0 for side in size.groups()):
        fields.update(width=int(size[1]), height=int(size[2]))
    known = {"Sampler": "sampler", "Schedule type": "scheduler", "Clip skip": "model", "Size": "width"}
    used = {"Steps", "CFG scale", "Seed", *(name for name, field in known.items() if field in fields)}
    if kind not in SCHEDULERS:
        used.discard("Schedule type")  # the scheduler is that of the sampler's label
    if left := [name for name in settings if name not in used]:
        source.note(f"not taken over from the settings: {', '.join(left[:20])}")
    return fields


def seed_said(source: Source, settings: Mapping[str, Written]) -> int | None:
    """The seed of a settings line, where it has one that is not random (-1)."""
    if "Seed" not in settings:
        return None
    value = _number(source, settings["Seed"])
    return int(value) if 0 <= value < 2**64 else None


def _number(source: Source, written: Written) -> float:
    if not re.fullmatch(r"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?", written.text, re.ASCII):
        raise source.refuse(written.start, f"{written.text[:40]!r} is not a number; write one")
    return number(source, written.text, written.start)
