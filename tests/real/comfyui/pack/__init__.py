"""A pack as others write them, for the tests: patches of a model, text encoders of every family, a look at tensors."""

from __future__ import annotations

import inspect
import json
import pkgutil
from collections import Counter
from typing import Any

import comfy.supported_models
import torch
from comfy.ldm.modules.attention import optimized_attention

from .families import Family, TextEncoder
from .flow_samplers import FlowSamplers
from .weights import random

TROUBLES = {"full": torch.OutOfMemoryError, "wrong": ValueError}
FAILED: Counter[str] = Counter()
"""How often each of the nodes that fail has done so."""


class ImagePrompt:
    """Attention to a picture in addition to the prompt, one for each frame, as image prompts do it."""

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "patch"
    CATEGORY = "test"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"model": ("MODEL",), "pictures": ("INT",), "first": ("INT",)}}

    def patch(self, model: Any, pictures: int, first: int) -> tuple[Any]:
        seen = torch.stack([random(f"picture {first + at}", (4, 320)) for at in range(pictures)])

        def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, options: dict[str, Any]) -> torch.Tensor:
            halves = options["cond_or_uncond"]
            rows, frames = seen, q.shape[0] // len(halves)
            window = options.get("ad_params")
            if window is not None and window["sub_idxs"] is not None and len(rows) >= window["full_length"]:
                rows = rows[window["sub_idxs"]]
            rows = rows.repeat(frames // len(rows) + 1, 1, 1)[:frames] if len(rows) < frames else rows[:frames]
            key = torch.cat([rows * (half == 0) for half in halves])
            plain = optimized_attention(q, k, v, options["n_heads"])
            return plain + 0.2 * optimized_attention(q, key, key, options["n_heads"])

        patched = model.clone()
        patched.set_model_attn2_replace(attend, "input", 1)
        return (patched,)


class MoreWords:
    """Words that are added to the prompt where it is attended to, one row of them for all frames."""

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "patch"
    CATEGORY = "test"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"model": ("MODEL",)}}

    def patch(self, model: Any) -> tuple[Any]:
        words = random("words", (1, 8, 768))

        def add(n: torch.Tensor, k: torch.Tensor, v: torch.Tensor, options: dict[str, Any]) -> tuple[Any, Any, Any]:
            more = words.to(k).expand(len(k), -1, -1)
            return n, torch.cat([k, more], dim=1), torch.cat([k if v is None else v, more], dim=1)

        patched = model.clone()
        patched.set_model_attn2_patch(add)
        return (patched,)


class Trouble:
    """A model as it is, after so many errors of a kind."""

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "fail"
    CATEGORY = "test"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        widgets = {"trouble": (list(TROUBLES),), "times": ("INT", {"min": 0}), "name": ("STRING",)}
        return {"required": {"model": ("MODEL",), **widgets}}

    def fail(self, model: Any, trouble: str, times: int, name: str) -> tuple[Any]:
        if FAILED[name] < times:
            FAILED[name] += 1
            raise TROUBLES[trouble]("Allocation on device" if trouble == "full" else "no such thing")
        return (model,)


class Ramp:
    """Numbers from 0 to 1 as a list, as in many packs: downstream nodes run once for each."""

    RETURN_TYPES = ("FLOAT",)
    OUTPUT_IS_LIST = (True,)
    FUNCTION = "ramp"
    CATEGORY = "test"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"count": ("INT", {"min": 2})}}

    def ramp(self, count: int) -> tuple[list[float]]:
        return ([number / (count - 1) for number in range(count)],)


class Formats:
    """The latents of every family that the host knows: channels, axes after these, and pixels to a place."""

    RETURN_TYPES = ()
    FUNCTION = "tell"
    CATEGORY = "test"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {}}

    def tell(self) -> dict[str, Any]:
        formats = {kind.__name__: kind.latent_format for kind in comfy.supported_models.models}
        found = {
            name: [kind.latent_channels, kind.latent_dimensions, kind.spacial_downscale_ratio]
            for name, kind in formats.items()
        }
        return {"ui": {"text": [json.dumps(found)]}}


class Names:
    """The names of these that the host lacks, and arguments that it does not take."""

    RETURN_TYPES = ()
    FUNCTION = "tell"
    CATEGORY = "test"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"names": ("STRING",)}}

    def tell(self, names: str) -> dict[str, Any]:
        lacking = [line for name, arguments in json.loads(names).items() for line in _lacking(name, arguments)]
        return {"ui": {"text": [json.dumps(lacking)]}}


def _lacking(name: str, arguments: list[str]) -> list[str]:
    try:
        found = pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return [name]
    if not arguments:
        return []
    parameters = inspect.signature(found).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return []
    taken = {parameter.name for parameter in parameters}
    return [f"{name}({argument})" for argument in arguments if argument not in taken]


class Tell:
    """What a conditioning holds: the shapes of its entries, and a mark of each row that hardly two rows share."""

    RETURN_TYPES = ()
    FUNCTION = "tell"
    CATEGORY = "test"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"conditioning": ("CONDITIONING",)}}

    def tell(self, conditioning: list[Any]) -> dict[str, Any]:
        described = [
            {"tokens": _described(tokens), **{k: _described(v) for k, v in about.items()}}
            for tokens, about in conditioning
        ]
        return {"ui": {"text": [json.dumps(described)]}}


def _described(value: Any) -> Any:
    if isinstance(value, torch.Tensor) and value.ndim < 2:
        return value.tolist()
    if isinstance(value, torch.Tensor):
        rows = value.double().flatten(1)
        marks = random("marks", (rows.shape[1],)).double()
        # Row by row: a product of a matrix is rounded otherwise than that of one row, on some processors.
        return {"shape": list(value.shape), "marks": [torch.dot(row, marks).item() for row in rows]}
    return value


KINDS = (ImagePrompt, MoreWords, Trouble, Ramp, Family, TextEncoder, Formats, Names, FlowSamplers, Tell)
NODE_CLASS_MAPPINGS = {f"Test{kind.__name__}": kind for kind in KINDS}
