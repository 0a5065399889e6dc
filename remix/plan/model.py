"""The model of a recipe: a checkpoint, and optionally a VAE and LoRAs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from remix.errors import RecipeError
from remix.plan import fields as check

MAX_STRENGTH = 10.0
MAX_LORAS = 64


@dataclass(frozen=True)
class Lora:
    """A LoRA by name, and its strength (-10 to 10)."""

    name: str
    strength: float = 1.0

    def __post_init__(self) -> None:
        check.settle(
            self,
            name=check.name(self.name, "name"),
            strength=check.number(self.strength, "strength", -MAX_STRENGTH, MAX_STRENGTH),
        )


@dataclass(frozen=True, init=False)
class Model:
    """A checkpoint, and optionally a separate VAE and LoRAs.

    `clip_skip` counts as in AUTOMATIC1111, from 1 (the text encoder's last layer) to 12.
    """

    checkpoint: str = "playground"
    vae: str | None = None
    loras: tuple[Lora, ...] = ()
    clip_skip: int = 1

    def __init__(
        self,
        checkpoint: str = "playground",
        vae: str | None = None,
        loras: Sequence[Lora] = (),
        clip_skip: int = 1,
    ) -> None:
        if not isinstance(loras, (list, tuple)) or not all(isinstance(lora, Lora) for lora in loras):
            raise RecipeError(f"{check.show(loras)} is not a list of Lora; write one", path="loras")
        check.settle(
            self,
            checkpoint=check.name(checkpoint, "checkpoint"),
            vae=None if vae is None else check.name(vae, "vae"),
            loras=tuple(loras),
            clip_skip=check.integer(clip_skip, "clip_skip", 1, 12),
        )


def read_model(value: Any, astray: Mapping[str, str]) -> Model:
    """Returns the model in plain values: the checkpoint's name alone, or a table.

    `astray` has a sentence for each field of a recipe that belongs elsewhere.
    """
    if isinstance(value, str):
        return Model(value)
    found = check.only(value, MODEL_FIELDS, astray)
    loras = found.get("loras", ())
    if not isinstance(loras, (list, tuple)):
        example = '[{name = "film grain", strength = 0.8}]'
        raise RecipeError(f"{check.show(loras)} is not a list; write {example}", path="loras")
    found["loras"] = []
    for i, item in enumerate(loras):
        with check.under(f"loras[{i}]"):
            lora = check.only(item, LORA_FIELDS)
            if "name" not in lora:
                raise RecipeError("is missing; write the LoRA's name", path="name")
            found["loras"].append(Lora(**lora))
    return Model(**found)


def strengths(value: Any) -> tuple[Lora, ...]:
    """Returns the LoRAs in a keyframe's `value`, ``{name: strength}`` or several Lora, in order of their names."""
    if isinstance(value, Mapping):
        pairs = list(value.items())
    elif isinstance(value, (list, tuple)) and all(isinstance(item, Lora) for item in value):
        pairs = [(lora.name, lora.strength) for lora in value]
    else:
        example = '{ "film grain" = 0.8 }'
        raise RecipeError(f"{check.show(value)} is not a table of strengths; write {example}", path="loras")
    if not 1 <= len(pairs) <= MAX_LORAS or len(dict(pairs)) < len(pairs):
        raise RecipeError(f"names {len(dict(pairs))} LoRAs; give 1 to {MAX_LORAS}, each once", path="loras")
    found = []
    with check.under("loras"):
        for name, strength in pairs:
            checked = check.name(name, "")
            found.append(Lora(checked, check.number(strength, check.step(checked), -MAX_STRENGTH, MAX_STRENGTH)))
    return tuple(sorted(found, key=lambda lora: lora.name))


def plain_model(model: Model) -> dict[str, Any]:
    """Returns the model as plain values, without fields at their defaults."""
    plain = check.changed(model)
    if model.loras:
        plain["loras"] = [check.changed(lora) for lora in model.loras]
    return plain


LORA_FIELDS = tuple(f.name for f in fields(Lora))
MODEL_FIELDS = tuple(f.name for f in fields(Model))
