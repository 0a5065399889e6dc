"""InvokeAI: ``invokeai_metadata`` (3 and later), ``sd-metadata`` (2), and the ``Dream`` command line before them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from remix.hosts.record import (
    Origin,
    Sampling,
    Strength,
    Texts,
    further,
    objects_of,
    read_fields,
    real,
    strength,
    text_of,
    whole,
)

_NAMES = {
    "prompts": ("positive_prompt",),
    "negatives": ("negative_prompt",),
    "seed": ("seed",),
    "steps": ("steps",),
    "cfg": ("cfg_scale", "guidance"),
    "sampler": ("scheduler",),
    "denoise": ("strength", "denoising_strength"),
    "width": ("width",),
    "height": ("height",),
    "model": ("model/name", "model/model_name", "model"),
    "vae": ("vae/name", "vae/model_name", "vae"),
}
_IMAGE_NAMES = {
    **{name: (name,) for name in ("seed", "steps", "width", "height", "sampler")},
    "cfg": ("cfg_scale",),
    "denoise": ("strength",),
}
_DREAM = {"-s": "steps", "-S": "seed", "-W": "width", "-H": "height", "-C": "cfg", "-A": "sampler", "-f": "denoise"}
_NEGATIVE = re.compile(r"(?<!\\)\[([^\[\]]{0,5000})\]")
_LONGEST = 20_000


def read(texts: Texts) -> Origin | None:
    """Returns what InvokeAI wrote, from the newest of its three formats."""
    data = texts.object("invokeai_metadata")
    if data:
        return Origin("invokeai", "InvokeAI", _version(data), (_metadata(data),))
    data = texts.object("sd-metadata")
    if isinstance(data.get("image"), Mapping):
        return Origin("invokeai", "InvokeAI", _version(data), (_image(data, data["image"]),))
    dream = texts.get("dream")
    return Origin("invokeai", "InvokeAI", "", (_dream(dream),)) if dream else None


def _version(data: Mapping[str, Any]) -> str:
    return text_of(data.get("app_version"))[:60]


def _metadata(data: Mapping[str, Any]) -> Sampling:
    skip = whole(data.get("clip_skip"))
    return read_fields(
        data,
        "invokeai_metadata",
        _NAMES,
        loras=tuple(_strengths(data.get("loras"), ("model", "lora"), ("weight",))),
        controlnets=tuple(_strengths(data.get("controlnets"), ("control_model",), ("control_weight",))),
        clip_skip=None if skip is None else skip + 1,  # it counts the layers that are left out
    )


def _strengths(value: Any, models: tuple[str, ...], weights: tuple[str, ...]) -> Iterator[Strength]:
    for item in objects_of(value):
        model = next((item[name] for name in models if name in item), None)
        if isinstance(model, Mapping):
            model = model.get("name") or model.get("model_name")
        yield from strength(model, next((item[name] for name in weights if name in item), None))


def _image(data: Mapping[str, Any], image: Mapping[str, Any]) -> Sampling:
    """Returns the pass of ``sd-metadata``. Its prompt is a text or a list of weighted ones, with [negatives] in it."""
    prompt = image.get("prompt")
    if isinstance(prompt, list):
        prompt = " ".join(text_of(item.get("prompt")) for item in objects_of(prompt))
    positive, negative = _sides(text_of(prompt))
    return read_fields(
        {key: value for key, value in image.items() if key != "prompt"},
        "sd-metadata",
        _IMAGE_NAMES,
        prompts=(positive,) if positive else (),
        negatives=(negative,) if negative else (),
        model=text_of(data.get("model_weights") or data.get("model")),
    )


def _dream(text: str) -> Sampling:
    """Returns the pass of a command such as ``"a cat [ugly]" -s 50 -S 1 -W 512 -H 512 -C 7.5 -A k_lms``."""
    try:
        words = shlex.split(text[:_LONGEST])
    except ValueError:
        words = text[:_LONGEST].split()
    values: dict[str, Any] = {}
    rest: dict[str, str] = {}
    prompt = words.pop(0) if words and not words[0].startswith("-") else ""
    for word, value in zip_longest(words, words[1:], fillvalue=""):
        option, joined = word[:2], word[2:]
        if option in _DREAM and _DREAM[option] not in values:
            name, given = _DREAM[option], joined or value
            number = real(given) if name in ("cfg", "denoise") else whole(given)
            values[name] = given if name == "sampler" else number
        elif word.startswith("-"):
            rest[word] = "" if value.startswith("-") else value
    positive, negative = _sides(prompt)
    known = {name: value for name, value in values.items() if value is not None}
    prompts, negatives = ((text,) if text else () for text in (positive, negative))
    return Sampling("dream", prompts, negatives, **known, found=dict.fromkeys(known, "dream"), other=further(rest))


def _sides(prompt: str) -> tuple[str, str]:
    """Returns prompt and negative prompt of a text with the negative in square brackets."""
    negatives = [part.strip() for part in _NEGATIVE.findall(prompt[:_LONGEST])]
    return _NEGATIVE.sub("", prompt[:_LONGEST]).strip(), " ".join(part for part in negatives if part)
