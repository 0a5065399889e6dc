"""SwarmUI and StableSwarmUI: a JSON object with ``sui_image_params``, in ``parameters`` or EXIF's UserComment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from remix.hosts.record import (
    MOST_LORAS,
    Origin,
    Strength,
    Texts,
    read_fields,
    strength,
    tagged_loras,
    text_of,
    whole,
)

_NAMES = {
    "prompts": ("prompt",),
    "negatives": ("negativeprompt",),
    **{name: (name,) for name in ("seed", "steps", "width", "height", "model", "vae")},
    "cfg": ("cfgscale",),
    "sampler": ("sampler", "comfyuisampler"),
    "scheduler": ("scheduler", "comfyuischeduler"),
    "denoise": ("initimagecreativity",),
    "loras": ("loras", "loraweights"),
    "controlnets": ("controlnetmodel", "controlnetstrength"),
    "clip_skip": ("clipstopatlayer",),
}
_CONTROLNETS = (("controlnetmodel", "controlnetstrength"), ("controlnettwomodel", "controlnettwostrength"))


def read(texts: Texts) -> Origin | None:
    """Returns what SwarmUI wrote."""
    for name, data in texts.objects("parameters", "comment", "sui_image_params"):
        params = data.get("sui_image_params", data if name == "sui_image_params" else None)
        if not isinstance(params, Mapping):
            continue
        layer = whole(params.get("clipstopatlayer"))
        prompt = text_of(params.get("prompt"))
        passed = read_fields(
            params,
            name,
            {key: keys for key, keys in _NAMES.items() if key not in ("loras", "controlnets", "clip_skip")},
            loras=(*_loras(params), *tagged_loras([prompt])),
            controlnets=tuple(_controlnets(params)),
            clip_skip=abs(layer) if layer else None,
        )
        return Origin("swarmui", "SwarmUI", text_of(params.get("swarm_version"))[:60], (passed,))
    return None


def _loras(params: Mapping[str, Any]) -> Iterator[Strength]:
    names, weights = (_listed(params.get(key)) for key in ("loras", "loraweights"))
    for name, weight in zip_longest(names, weights[: len(names)]):
        yield from strength(name, weight)


def _controlnets(params: Mapping[str, Any]) -> Iterator[Strength]:
    for name, weight in _CONTROLNETS:
        yield from strength(params.get(name), params.get(weight))


def _listed(value: Any) -> list[Any]:
    """Returns a list, which older versions wrote as a text with commas."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")] if value else []
    return value[:MOST_LORAS] if isinstance(value, list) else []
