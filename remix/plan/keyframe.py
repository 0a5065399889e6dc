"""What is set at a moment of the film."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from remix.errors import RecipeError
from remix.plan import fields as check
from remix.plan.curves import easing_name
from remix.plan.mix import Mix
from remix.plan.model import Lora, strengths
from remix.plan.moments import moment

LIST = "[[keyframes]] above each (in JSON a list)"
"""How keyframes are written, for whoever writes them as something else."""

MAX_PROMPT = 20_000
MAX_SEED = 2**64 - 1
MAX_CFG = 100.0


@dataclass(frozen=True, init=False)
class Keyframe:
    """What is set at a moment; None means that the field travels on past this keyframe.

    `at`: a frame (24), a time (``"2s"``, ``"500ms"``), a share (``"50%"``), or None for evenly spaced.
    `prompt`, `negative`, `seed`, `image` and `mask` take one value, ``{value: weight}``, pairs of value and weight,
    or a Mix, and are held as Mix. `mask` is a picture: white is drawn anew, black keeps the image. `loras` takes
    ``{name: strength}`` and is held in order of the names. `ease` shapes the travel that starts here. RecipeError
    for any other value.
    """

    at: int | str | None
    prompt: Mix[str] | None
    negative: Mix[str] | None
    seed: Mix[int] | None
    cfg: float | None
    denoise: float | None
    image: Mix[str] | None
    mask: Mix[str] | None
    loras: tuple[Lora, ...] | None
    ease: str | None

    def __init__(
        self,
        at: int | float | str | None = None,
        prompt: str | Mapping[str, float] | Sequence[Any] | Mix[str] | None = None,
        negative: str | Mapping[str, float] | Sequence[Any] | Mix[str] | None = None,
        seed: int | Mapping[int, float] | Sequence[Any] | Mix[int] | None = None,
        cfg: float | None = None,
        denoise: float | None = None,
        image: str | Mapping[str, float] | Sequence[Any] | Mix[str] | None = None,
        mask: str | Mapping[str, float] | Sequence[Any] | Mix[str] | None = None,
        loras: Mapping[str, float] | Sequence[Lora] | None = None,
        ease: str | None = None,
    ) -> None:
        check.settle(
            self,
            at=moment(at),
            prompt=None if prompt is None else check.mixed(prompt, "prompt", _prompt),
            negative=None if negative is None else check.mixed(negative, "negative", _prompt),
            seed=None if seed is None else check.mixed(seed, "seed", _seed, keys=int),
            cfg=None if cfg is None else check.number(cfg, "cfg", 0, MAX_CFG),
            denoise=None if denoise is None else check.number(denoise, "denoise", 0, 1),
            image=None if image is None else check.mixed(image, "image", check.picture),
            mask=None if mask is None else check.mixed(mask, "mask", check.picture),
            loras=None if loras is None else strengths(loras),
            ease=None if ease is None else easing(ease),
        )


def read_keyframes(value: Any, astray: Mapping[str, str]) -> list[Keyframe]:
    """The keyframes that a list of tables says; `astray` has a sentence for each field that belongs elsewhere."""
    if not isinstance(value, (list, tuple)):
        raise RecipeError(f"{check.show(value)} is not a list of keyframes; write {LIST}")
    keyframes = []
    for i, item in enumerate(value):
        with check.under(f"[{i}]"):
            keyframes.append(Keyframe(**check.only(item, KEYFRAME_FIELDS, astray)))
    return keyframes


def plain_keyframe(keyframe: Keyframe) -> dict[str, Any]:
    """The keyframe as plain values: what it sets, a mix of several as pairs of value and weight."""
    plain: dict[str, Any] = {}
    for name in KEYFRAME_FIELDS:
        value = getattr(keyframe, name)
        if isinstance(value, Mix):
            value = value.items[0][0] if len(value.items) == 1 else [list(item) for item in value.items]
        elif name == "loras" and value is not None:
            value = {lora.name: lora.strength for lora in value}
        if value is not None:
            plain[name] = value
    return plain


def easing(value: Any) -> str:
    """The one name of the easing `value`, for a field named "ease"."""
    with check.under("ease"):
        if not isinstance(value, str):
            raise RecipeError(f'{check.show(value)} is not the name of an easing; write one, such as "in-out"')
        return easing_name(value)


def _prompt(value: Any, path: str) -> str:
    return check.text(value, path, MAX_PROMPT)


def _seed(value: Any, path: str) -> int:
    return check.integer(value, path, 0, MAX_SEED)


KEYFRAME_FIELDS = tuple(f.name for f in fields(Keyframe))
