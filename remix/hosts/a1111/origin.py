"""What made a picture according to its infotext, and which of the programs that write infotext it was."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from remix.hosts.a1111.infotext import Infotext, entries, parse_infotext
from remix.hosts.record import (
    Origin,
    Sampling,
    Strength,
    Texts,
    json_of,
    objects_of,
    read_fields,
    real,
    size,
    strength,
    tagged_loras,
    text_of,
    whole,
)

INFOTEXTS = ("parameters", "comment", "imagedescription", "description")
"""The texts that may be infotext."""

_CIVITAI = "Civitai resources"
_NAMES = {
    "seed": ("Seed",),
    "steps": ("Steps",),
    "cfg": ("CFG scale",),
    "sampler": ("Sampler",),
    "scheduler": ("Schedule type", "Scheduler"),
    "denoise": ("Denoising strength",),
    "model": ("Model",),
    "vae": ("VAE",),
    "clip_skip": ("Clip skip",),
}
_HIRES = {
    "steps": ("Hires steps",),
    "sampler": ("Hires sampler",),
    "scheduler": ("Hires schedule type",),
    "cfg": ("Hires CFG Scale",),
    "model": ("Hires checkpoint",),
    "prompts": ("Hires prompt",),
    "negatives": ("Hires negative prompt",),
}
_CONTROLNET = re.compile(r"ControlNet(?: \d{1,3})?", re.ASCII)
_HASH = re.compile(r"\s*\[[0-9a-f]{4,64}\]$", re.ASCII)
_FORGE = re.compile(r"f[0-9]+\.[0-9]", re.ASCII)


def read(texts: Texts) -> Origin | None:
    """Returns what the infotext of a file says; None if none of its texts is one."""
    for name in INFOTEXTS:
        if texts.get(name) and not texts.object(name):
            infotext = texts.parsed(name, parse_infotext)
            if infotext.settings and (name == "parameters" or "Steps" in infotext.settings):
                return origin_of(infotext, name)
    return None


def origin_of(infotext: Infotext, name: str = "parameters") -> Origin:
    """Returns what an infotext says; `name` is that of the text."""
    settings = dict(infotext.settings)
    resources = objects_of(json_of(settings.get(_CIVITAI, "")))
    prompts, negatives = ((text,) if text else () for text in (infotext.prompt, infotext.negative))
    controls = {key for key in settings if _CONTROLNET.fullmatch(key)}
    hires = next((key for key in ("Hires upscale", "Hires resize", "Hires steps") if key in settings), None)
    own = {key: value for key, value in settings.items() if key not in {*controls, "Size", "Version", "App", _CIVITAI}}
    if hires is not None:
        own = {key: value for key, value in own.items() if not key.startswith("Hires ") and key != "Denoising strength"}
    first = read_fields(
        own,
        name,
        _NAMES,
        prompts=prompts,
        negatives=negatives,
        **size(settings.get("Size")),
        loras=_loras(prompts, settings, resources),
        controlnets=tuple(one for key in sorted(controls) for one in _controlnets(settings[key])),
    )
    if first.model is None and (model := _resource(resources, ("checkpoint", "model"))):
        first = replace(first, model=model, found={**first.found, "model": f"{name}: {_CIVITAI}"})
    passes = (first,) if hires is None else (first, _second(first, settings, name))
    return Origin("a1111", program(settings), settings.get("Version", "")[:100], passes)


def program(settings: Mapping[str, str]) -> str:
    """Returns the program that wrote an infotext, from ``App``, ``Version`` and other settings of its own.

    >>> program({"Version": "f2.0.1v1.10.1-previous-313"}), program({"App": "SD.Next", "Version": "0eb4a98"})
    ('Forge', 'SD.Next')
    """
    version, app = settings.get("Version", "").strip(), settings.get("App", "").strip()
    lower = f"{app} {version}".lower()
    for sign, name in (
        ("sd.next", "SD.Next"),
        ("reforge", "reForge"),
        ("fooocus", "RuinedFooocus" if "ruined" in lower else "Fooocus"),
        ("comfyui", "ComfyUI"),
        ("neo", "Forge Neo"),
        ("classic", "Forge Classic"),
        ("easy diffusion", "Easy Diffusion"),
    ):
        if sign in lower:
            return name
    if app:
        return app[:60]
    if _FORGE.match(version):
        return "reForge" if version.startswith("f1.") else "Forge"  # Forge went from f0.0 to f2.0
    if _CIVITAI in settings and not version:
        return "Civitai"
    return "A1111"


def _second(first: Sampling, settings: Mapping[str, str], name: str) -> Sampling:
    """Returns the pass of the high-resolution fix. What it does not set is that of the first pass."""
    sides: Mapping[str, Any] = size(settings.get("Hires resize"))
    factor = real(settings.get("Hires upscale"))
    if not all(sides.values()) or not sides:
        known = factor and first.width and first.height
        sides = {"width": round(first.width * factor), "height": round(first.height * factor)} if known else {}  # type: ignore[operator]
    own = {key: value for key, value in settings.items() if key.startswith("Hires ")}
    used = {key: value for key, value in own.items() if not (key == "Hires steps" and whole(value) == 0)}
    used = {key: value for key, value in used.items() if not value.lower().startswith("use same")}
    second = read_fields(used, name, _HIRES, denoise=real(settings.get("Denoising strength")), **sides)
    kept = {
        field: getattr(second, field) or getattr(first, field)
        for field in ("prompts", "negatives", "steps", "sampler", "scheduler", "cfg", "model")
    }
    return replace(
        second,
        place=f"{name}: Hires",
        seed=first.seed,
        vae=first.vae,
        clip_skip=first.clip_skip,
        loras=first.loras,
        **kept,
    )


def _loras(
    prompts: tuple[str, ...], settings: Mapping[str, str], resources: list[Mapping[str, Any]]
) -> tuple[Strength, ...]:
    """Returns the LoRAs of the tags, else of Civitai's resources, else the names that have hashes."""
    if tagged := tagged_loras(prompts):
        return tagged
    listed = [
        one
        for item in resources
        if text_of(item.get("type")).lower() in ("lora", "locon", "lycoris", "dora")
        for one in strength(_name(item), item.get("weight"))
    ]
    if listed:
        return tuple(listed)
    hashes = entries(settings.get("Lora hashes", "")[:20_000])
    return tuple(one for entry in hashes for one in strength(entry.name, None))


def _resource(resources: list[Mapping[str, Any]], kinds: tuple[str, ...]) -> str:
    found = (_name(item) for item in resources if text_of(item.get("type")).lower() in kinds)
    return next((name for name in found if name), "")


def _name(item: Mapping[str, Any]) -> str:
    version = whole(item.get("modelVersionId"))
    return text_of(item.get("modelName") or item.get("air")) or (f"civitai version {version}" if version else "")


def _controlnets(text: str) -> Iterator[Strength]:
    """Yields the ControlNet of a unit: ``Module: canny, Model: control_canny [d14c], Weight: 0.8``."""
    unit = {entry.name: entry.value for entry in entries(text[:5000])}
    yield from strength(_HASH.sub("", unit.get("Model", unit.get("model", ""))), unit.get("Weight", unit.get("weight")))
