"""Programs for the desktop: Draw Things (JSON in XMP), Easy Diffusion (a text or JSON key for each setting), and
Stability Matrix (``parameters-json`` next to infotext).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from remix.hosts.record import (
    MOST_LORAS,
    Origin,
    Strength,
    Texts,
    json_of,
    objects_of,
    read_fields,
    size,
    strength,
    text_of,
)

_DRAW_THINGS = {
    "prompts": ("c",),
    "negatives": ("uc",),
    **{name: (name,) for name in ("seed", "steps", "sampler", "model")},
    "cfg": ("scale", "v2/guidanceScale"),
    "denoise": ("strength", "v2/strength"),
    "width": ("v2/width",),
    "height": ("v2/height",),
    "vae": ("vae",),
    "clip_skip": ("clip_skip", "v2/clipSkip"),
}
_EASY = {
    "prompts": ("prompt", "Prompt"),
    "negatives": ("negative_prompt", "Negative Prompt"),
    "seed": ("seed", "Seed"),
    "steps": ("num_inference_steps", "Steps"),
    "cfg": ("guidance_scale", "Guidance Scale"),
    "sampler": ("sampler_name", "Sampler"),
    "scheduler": ("scheduler_name", "Scheduler"),
    "denoise": ("prompt_strength", "Prompt Strength"),
    "width": ("width", "Width"),
    "height": ("height", "Height"),
    "model": ("use_stable_diffusion_model", "Stable Diffusion model"),
    "vae": ("use_vae_model", "VAE model"),
}
_EASY_SKIP = ("clip_skip", "Clip Skip")
_EASY_LORAS = (("use_lora_model", "lora_alpha"), ("LoRA model", "LoRA Strength"))
_EASY_CONTROLNETS = (("use_controlnet_model", "control_alpha"), ("ControlNet model", "ControlNet Strength"))
_MATRIX = {
    "prompts": ("PositivePrompt",),
    "negatives": ("NegativePrompt",),
    "seed": ("Seed",),
    "steps": ("Steps",),
    "cfg": ("CfgScale",),
    "sampler": ("Sampler",),
    "width": ("Width",),
    "height": ("Height",),
    "model": ("ModelName",),
}
_XMP = "xml:com.adobe.xmp"
_LONGEST_XMP = 2**20
_COMMENT = re.compile(r"<exif:UserComment>\s*<rdf:(?:Alt|Seq)>\s*<rdf:li[^<>]{0,100}>([^<]*)</rdf:li>")


def draw_things(texts: Texts) -> Origin | None:
    """Returns what Draw Things wrote. XMP is searched for one value; no XML parser expands entities of strangers."""
    xmp = texts.get(_XMP)[:_LONGEST_XMP]
    comment = _COMMENT.search(xmp) if "Draw Things" in xmp else None
    data = json_of(html.unescape(comment[1])) if comment else texts.object("comment")
    if not isinstance(data, Mapping) or not {"c", "uc", "sampler"} <= data.keys():
        return None
    loras = [*objects_of(data.get("lora"))]
    inner = data.get("v2")
    if not loras and isinstance(inner, Mapping):
        loras = objects_of(inner.get("loras"))
    return Origin(
        "draw-things",
        "Draw Things",
        passes=(
            read_fields(
                data,
                "XMP" if comment else "comment",
                _DRAW_THINGS,
                **size(data.get("size")),
                loras=tuple(one for item in loras for one in _named(item, ("model", "file"))),
                controlnets=tuple(_controls(inner)),
            ),
        ),
    )


def _controls(inner: Any) -> Iterator[Strength]:
    for item in objects_of(inner.get("controls")) if isinstance(inner, Mapping) else ():
        yield from _named(item, ("file",))


def _named(item: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[Strength]:
    yield from strength(next((item[name] for name in names if name in item), None), item.get("weight"))


def easy_diffusion(texts: Texts) -> Origin | None:
    """Returns what Easy Diffusion wrote: each setting as a text of its own, or all as one object."""
    own = {key.lower(): key for keys in (*_EASY.values(), _EASY_SKIP) for key in keys}
    own |= {key.lower(): key for pair in (*_EASY_LORAS, *_EASY_CONTROLNETS) for key in pair}
    flat = {own[key]: text for key, text in texts.texts.items() if key in own}
    for name, data in (("texts", flat), *texts.objects("comment", "parameters")):
        if "use_stable_diffusion_model" in data or "Stable Diffusion model" in data:
            loras, controls = (
                tuple(one for pair in pairs for one in _pairs(data, *pair))
                for pairs in (_EASY_LORAS, _EASY_CONTROLNETS)
            )
            skips = any(str(data.get(key)).lower() == "true" for key in _EASY_SKIP)
            passed = read_fields(data, name, _EASY, loras=loras, controlnets=controls, clip_skip=2 if skips else None)
            return Origin("easy-diffusion", "Easy Diffusion", passes=(passed,))
    return None


def _pairs(data: Mapping[str, Any], names: str, weights: str) -> Iterator[Strength]:
    """Yields models with strengths: a name and a number, lists of them, or such a list as a text."""
    listed = [_listed(data.get(key)) for key in (names, weights)]
    for name, weight in zip_longest(listed[0], listed[1][: len(listed[0])]):
        yield from strength(name, weight)


def _listed(value: Any) -> list[Any]:
    if isinstance(value, str) and value.startswith("["):
        found = json_of(value.replace("'", '"'))
        value = found if isinstance(found, list) else [part.strip(" []'\"") for part in value.split(",")]
    if isinstance(value, list):
        return value[:MOST_LORAS]
    return [] if value is None else [value]


def stability_matrix(texts: Texts) -> Origin | None:
    """Returns what Stability Matrix wrote for its own inference page."""
    data = texts.object("parameters-json")
    if "PositivePrompt" not in data and "ModelName" not in data:
        return None
    project = text_of(texts.object("smproj").get("ProjectType"))
    return Origin(
        "stability-matrix", "Stability Matrix", project[:60], (read_fields(data, "parameters-json", _MATRIX),)
    )
