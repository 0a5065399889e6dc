"""Fooocus, Fooocus-MRE and RuinedFooocus: JSON in ``parameters``, EXIF's UserComment or ``Comment``.

Fooocus's other scheme is infotext, which `remix.hosts.a1111.origin` reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from remix.hosts.record import (
    MOST_LORAS,
    Origin,
    Strength,
    Texts,
    objects_of,
    read_fields,
    size,
    strength,
    text_of,
    whole,
)

_NAMES = {
    "prompts": ("prompt", "Prompt", "real_prompt"),
    "negatives": ("negative_prompt", "Negative Prompt", "Negative", "real_negative_prompt"),
    "seed": ("seed", "Seed"),
    "steps": ("steps", "Steps"),
    "cfg": ("guidance_scale", "Guidance Scale", "cfg"),
    "sampler": ("sampler", "Sampler", "sampler_name"),
    "scheduler": ("scheduler", "Scheduler"),
    "denoise": ("denoise",),
    "width": ("width",),
    "height": ("height",),
    "model": ("base_model", "Base Model", "base_model_name"),
    "vae": ("vae", "VAE"),
    "clip_skip": ("clip_skip", "CLIP Skip"),
}
MRE_LORAS = 5
"""The number of LoRAs of Fooocus-MRE."""

_PAIR = re.compile(r"(.{1,300}?)\s*:\s*(-?[0-9.]{1,12})", re.ASCII)
_WEIGHT_FIRST = re.compile(r"(-?[0-9.]{1,12})\s+-\s+(.{1,300})", re.ASCII)
_TAG = re.compile(r"<([^:<>]{1,300}):(-?[0-9.]{1,12})>", re.ASCII)


def read(texts: Texts) -> Origin | None:
    """Returns what Fooocus or one of its forks wrote."""
    for name, data in texts.objects("parameters", "comment", "metadata"):
        tool = _tool(data)
        if tool:
            sides = size(data.get("resolution", data.get("Resolution")))
            skip = whole(data.get("base_clip_skip"))  # of Fooocus-MRE, which counts from the last layer: -2
            passed = read_fields(
                data, name, _NAMES, **sides, loras=tuple(_loras(data)), clip_skip=abs(skip) if skip else None
            )
            version = text_of(data.get("version") or data.get("Version")).removeprefix("Fooocus").strip()
            return Origin("fooocus", tool, version[:60], (passed,))
    return None


def _tool(data: Mapping[str, Any]) -> str:
    """Returns the name of the program; "" if the object has none of its signs."""
    software = text_of(data.get("software")) or text_of(data.get("version")) or text_of(data.get("Version"))
    if software.startswith("RuinedFooocus"):
        return "RuinedFooocus"
    if "MRE" in software:
        return "Fooocus-MRE"
    signs = ("metadata_scheme", "full_prompt", "adm_guidance", "ADM Guidance", "lora_combined_1")
    model = "base_model" in data or "Base Model" in data
    return "Fooocus" if software.startswith("Fooocus") or (model and any(sign in data for sign in signs)) else ""


def _loras(data: Mapping[str, Any]) -> Iterator[Strength]:
    """Yields the LoRAs of all forms: pairs, ``name : 0.5``, ``0.5 - name``, ``<name:0.5>``, keys l1 and w1."""
    listed = data.get("loras")
    if isinstance(listed, str):
        for name, weight in _TAG.findall(listed[:20_000])[:MOST_LORAS]:
            yield from strength(name, weight)
    for item in listed[:MOST_LORAS] if isinstance(listed, list) else ():
        if isinstance(item, list) and len(item) >= 2:
            packed = _WEIGHT_FIRST.fullmatch(text_of(item[1])[:400])
            yield from strength(packed[2], packed[1]) if packed else strength(item[0], item[1])
    for item in objects_of(listed):
        yield from strength(item.get("name"), item.get("weight"))
    if isinstance(listed, list) and listed:
        return  # the same ones again, as texts
    for number in range(1, MRE_LORAS + 1):
        if text_of(data.get(f"l{number}")) not in ("", "None"):
            yield from strength(data[f"l{number}"], data.get(f"w{number}"))
    for key, value in list(data.items())[:1000]:
        if key.lower().startswith(("lora_combined", "lora ")) and isinstance(value, str):
            pair = _PAIR.fullmatch(value.split(" : ", 1)[1] if value.startswith(("True :", "False :")) else value[:400])
            if pair and not value.startswith("False :"):
                yield from strength(pair[1], pair[2])
