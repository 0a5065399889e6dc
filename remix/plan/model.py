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
    """A LoRA by name, and its strength (-10 to 10). `text` is that in the text encoder, None for the same."""

    name: str
    strength: float = 1.0
    text: float | None = None

    def __post_init__(self) -> None:
        check.settle(
            self,
            name=check.name(self.name, "name"),
            strength=check.number(self.strength, "strength", -MAX_STRENGTH, MAX_STRENGTH),
        )
        text = None if self.text is None else check.number(self.text, "text", -MAX_STRENGTH, MAX_STRENGTH)
        check.settle(self, text=None if text == self.strength else text)

    @property
    def in_text(self) -> float:
        """Returns the strength in the text encoder."""
        return self.strength if self.text is None else self.text

    @property
    def value(self) -> float | dict[str, float]:
        """Returns the value in a keyframe's table: the strength, or a table of both."""
        return self.strength if self.text is None else {"strength": self.strength, "text": self.text}

    def __str__(self) -> str:
        """Returns the strength in words, without the name.

        >>> str(Lora("ink", 0.8)), str(Lora("ink", 0.8, text=0.5))
        ('0.8', '0.8 (text encoder 0.5)')
        """
        return f"{self.strength:.3g}" if self.text is None else f"{self.strength:.3g} (text encoder {self.text:.3g})"


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
    """Returns the LoRAs in a keyframe's `value`, in order of their names.

    It is ``{name: strength}``, where a strength may be ``{"strength": ..., "text": ...}``, or several Lora.
    """
    if isinstance(value, Mapping):
        pairs = list(value.items())
    elif isinstance(value, (list, tuple)) and all(isinstance(item, Lora) for item in value):
        pairs = [(lora.name, lora.value) for lora in value]
    else:
        example = '{ "film grain" = 0.8 }'
        raise RecipeError(f"{check.show(value)} is not a table of strengths; write {example}", path="loras")
    if not 1 <= len(pairs) <= MAX_LORAS or len(dict(pairs)) < len(pairs):
        raise RecipeError(f"names {len(dict(pairs))} LoRAs; give 1 to {MAX_LORAS}, each once", path="loras")
    found = []
    with check.under("loras"):
        for name, strength in pairs:
            checked = check.name(name, "")
            with check.under(check.step(checked)):
                found.append(_lora(checked, strength))
    return tuple(sorted(found, key=lambda lora: lora.name))


def _lora(name: str, value: Any) -> Lora:
    if isinstance(value, Mapping):
        return Lora(name, **check.only(value, STRENGTHS))
    return Lora(name, check.number(value, "", -MAX_STRENGTH, MAX_STRENGTH))


def plain_model(model: Model) -> dict[str, Any]:
    """Returns the model as plain values, without fields at their defaults."""
    plain = check.changed(model)
    if model.loras:
        plain["loras"] = [check.changed(lora) for lora in model.loras]
    return plain


LORA_FIELDS = tuple(f.name for f in fields(Lora))
STRENGTHS = LORA_FIELDS[1:]
"""The strengths of a LoRA in a keyframe, if there are several."""
MODEL_FIELDS = tuple(f.name for f in fields(Model))
