"""Tags of extra networks in prompts, `<lora:name:0.8>` and `<lora:name:te:unet>`, as A1111 reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from remix.errors import Unsupported

TAG = re.compile(r"<(\w+):([^>]+)>")
LORAS = ("lora", "lyco")
"""Kinds of tags whose first number is for the text encoder and whose second one is for the U-Net."""

Strengths = tuple[float, ...]


@dataclass(frozen=True)
class Network:
    """A tag without its strengths: its kind, its name, and what else is written in it."""

    kind: str
    name: str
    rest: tuple[str, ...] = ()


Networks = Mapping[Network, Strengths]


def without_tags(prompt: str) -> str:
    """Returns a prompt without tags, removed as the host removes them."""
    end = _end(prompt)
    return TAG.sub("", prompt[:end]) + prompt[end:]


def networks_of(prompt: str) -> dict[Network, Strengths]:
    """Returns the networks that a prompt's tags name. Strengths of repeated names are added up."""
    found: dict[Network, Strengths] = {}
    for tag in TAG.finditer(prompt, 0, _end(prompt)):
        network, strengths = _read(tag)
        before = found.get(network)
        found[network] = strengths if before is None else tuple(map(sum, zip(before, strengths, strict=True)))
    return found


def _end(prompt: str) -> int:
    """Returns an upper bound for the end of the last tag. Each `<` after it would scan the rest of the text in vain."""
    return prompt.rfind(">") + 1


def _read(tag: re.Match[str]) -> tuple[Network, Strengths]:
    kind, parts = tag[1], tag[2].split(":")
    named = dict(part.split("=", 1) for part in parts[1:] if "=" in part)
    placed = [part for part in parts[1:] if "=" not in part]
    try:
        numbers = [float(part) for part in placed[:2]]
        if kind not in LORAS:
            rest = (*placed[1:], *(f"{name}={value}" for name, value in named.items()))
            return Network(kind, parts[0], rest), tuple(numbers[:1]) or (1.0,)
        text = float(named.pop("te", numbers[0] if numbers else 1.0))
        model = float(named.pop("unet", numbers[1] if len(numbers) > 1 else text))
    except ValueError as error:
        raise Unsupported(
            f"prompt: {tag[0][:60]!r} has a strength that is not a number; write one such as 0.8"
        ) from error
    rest = (*placed[2:3], *(f"{name}={value}" for name, value in named.items()))
    return Network("lora", parts[0], rest), (text, model)
