"""LoRAs: low-rank changes of a model's weights, merged when the model is loaded unless their strength travels.

Files name layers in kohya's format (diffusers' or the authors' names, joined by "_") or in diffusers' format (dotted,
with or without peft). Hu et al. 2021: W' = W + strength * (alpha / rank) * up @ down, or alpha / sqrt(rank) if the
file's header requests it (Kalajdzievski 2023).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from remix.client.local.checkpoints import given_path
from remix.client.local.lora_layers import layers_of
from remix.client.local.quantized import is_packed
from remix.errors import Unsupported
from remix.plan import Lora

PARTS = {
    "lora_unet_": "unet",
    "lora_te_": "text_encoder",
    "lora_te1_": "text_encoder",
    "lora_te2_": "text_encoder_2",
    "lora_te3_": "text_encoder_3",
    "unet.": "unet",
    "transformer.": "transformer",
    "diffusion_model.": "transformer",
    "text_encoder.": "text_encoder",
    "text_encoder_2.": "text_encoder_2",
    "text_encoder_3.": "text_encoder_3",
}
"""Prefix of a layer's name -> its network, as diffusers' folder name."""

ALSO = {"unet": "transformer", "text_encoder_3": "text_encoder_2"}
"""The network that a name stands for in models without the usual one. Kohya calls a transformer U-Net, and T5 third."""

FACTORS = {
    ".lora_down.weight": "down",
    ".lora_up.weight": "up",
    ".alpha": "alpha",
    ".lora_A.weight": "down",
    ".lora_B.weight": "up",
    ".lora.down.weight": "down",
    ".lora.up.weight": "up",
    ".lora_linear_layer.down.weight": "down",
    ".lora_linear_layer.up.weight": "up",
    "_lora.down.weight": "down",
    "_lora.up.weight": "up",
}
"""Suffixes of names: kohya's three, peft's two, and those of older diffusers."""


@dataclass
class Change:
    """The change of one layer: `down` [r, in, ...], `up` [out, r, ...], scaled by `alpha` / r.

    With `root`, the scale is `alpha` / sqrt(r).
    """

    down: Tensor | None = None
    up: Tensor | None = None
    alpha: float | None = None
    root: bool = False

    def factors(self, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Returns down and up as weights of two layers that replace one of `shape`: float32, with the scale in up.

        Raises ValueError or RuntimeError if the shapes do not match.
        """
        if self.down is None or self.up is None:
            raise ValueError("half of it is missing")
        if not self.down.ndim or not len(self.down):
            raise ValueError("it is empty")
        rank = len(self.down)
        scale = 1.0 if self.alpha is None else self.alpha / (math.sqrt(rank) if self.root else rank)
        down = self.down.float().reshape(rank, *shape[1:])
        return down, scale * self.up.float().reshape(shape[0], rank, *[1] * (len(shape) - 2))

    def rows(self, rows: Sequence[int] | None, total: int) -> Change:
        """Returns the change of some rows of a layer that has `total` rows, or of the whole layer without `rows`.

        Raises ValueError if the change has another number of rows.
        """
        if rows is None or self.up is None:
            return self
        if len(self.up) != total:
            raise ValueError(f"it changes {len(self.up)} rows of {total}")
        return replace(self, up=self.up[list(rows)])

    def delta(self, shape: Sequence[int]) -> Tensor:
        """Returns the change of a weight of this shape, float32. Raises the errors of `factors`."""
        down, up = self.factors(shape)
        return (up.flatten(1) @ down.flatten(1)).reshape(shape)


def lora_path(name: str) -> Path:
    """Returns the file of a LoRA, given with or without ".safetensors". Raises `Unsupported` if it does not exist."""
    path = given_path(name, "loras")
    for candidate in (path, path.with_name(path.name + ".safetensors")):
        if candidate.is_file() and candidate.suffix == ".safetensors":
            return candidate
    raise Unsupported(f"loras: there is no file {name!r}; give the path of a .safetensors file")


def apply_loras(parts: Mapping[str, Any], loras: Sequence[Lora]) -> None:
    """Merges LoRAs into the weights of `parts`, the networks keyed by diffusers' folder names.

    Quantized weights cannot change, so changes are added to the outputs of their layers. Raises `Unsupported`, naming
    the LoRA and the layer, for a LoRA of another family or kind.
    """
    changes: dict[Any, list[tuple[float, Change]]] = {}
    for lora in loras:
        for part, layer, change in changed_layers(parts, lora.name):
            strength = lora.in_text if is_text(part) else lora.strength
            changes.setdefault(layer, []).append((strength, change))
    # Layer by layer, since all changes in float32 may exceed memory. Each is summed in float32 and rounded once, so the
    # order of LoRAs hardly matters.
    for layer, summands in changes.items():
        if is_packed(layer):
            for strength, change in summands:
                _add_to_output(layer, strength, LowRank(change, layer))
            continue
        weight = layer.weight
        total = weight.float()
        for strength, change in summands:
            total = total + strength * change.delta(weight.shape).to(total.device)
        with torch.no_grad():
            weight.copy_(total)


def _add_to_output(layer: Any, strength: float, low_rank: LowRank) -> None:
    number = sum(1 for _ in layer.children())
    layer.add_module(f"constant_{number}", low_rank)  # follows the layer to other devices
    layer.register_forward_hook(lambda layer, inputs, out: out + strength * low_rank(inputs[0]))


def weight_shape(layer: Any) -> Sequence[int]:
    """Returns the shape of a layer's weight before it was quantized, if it was."""
    if isinstance(layer, torch.nn.Linear):
        return layer.out_features, layer.in_features
    shape: Sequence[int] = layer.weight.shape
    return shape


class LowRank(torch.nn.Module):
    """The addition of a LoRA to a layer's output at strength 1: two thin layers in sequence."""

    down: Tensor
    up: Tensor

    def __init__(self, change: Change, layer: Any) -> None:
        super().__init__()
        dtype = torch.float32 if is_packed(layer) else layer.weight.dtype
        for name, factor in zip(("down", "up"), change.factors(weight_shape(layer)), strict=True):
            self.register_buffer(name, factor.to(layer.weight.device, dtype), persistent=False)
        self.step: dict[str, Any] | None = None
        if isinstance(layer, torch.nn.Conv2d):
            self.step = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation}

    def forward(self, x: Tensor) -> Tensor:
        """Returns the change of the layer's output for its input x."""
        down, up = self.down.to(x), self.up.to(x)
        if self.step is None:
            return functional.linear(functional.linear(x, down), up)
        return functional.conv2d(functional.conv2d(x, down, **self.step), up)


def is_text(part: str) -> bool:
    """Returns whether a network is a text encoder, by diffusers' folder name."""
    return part.startswith("text_encoder")


def changed_layers(parts: Mapping[str, Any], lora: str) -> list[tuple[str, Any, Change]]:
    """Returns each layer that a LoRA changes: the name of its network, the layer, and the matching change.

    Raises `Unsupported`, naming the LoRA and the layer, for a LoRA of another family or kind.
    """
    layers = {part: layers_of(network) for part, network in parts.items()}
    found = []
    for name, change in read_lora(lora_path(lora)).items():
        part, inner = _place(name)
        part = part if part in parts else ALSO.get(part, part)
        targets = layers.get(part, {}).get(inner)
        if targets is None:
            raise _misfit(lora, name, "this checkpoint has no such layer")
        try:
            changes = [change.rows(each.rows, sum(len(one.rows or ()) for one in targets)) for each in targets]
            for target, own in zip(targets, changes, strict=True):
                own.factors(weight_shape(target.module))
                found.append((part, target.module, own))
        except (ValueError, RuntimeError) as error:
            raise _misfit(lora, name, str(error)) from error
    return found


def read_lora(path: Path) -> dict[str, Change]:
    """Returns the changes in a LoRA file, keyed by layer names as written in the file."""
    from safetensors import SafetensorError, safe_open

    changes: dict[str, Change] = {}
    try:
        with safe_open(path, framework="pt") as file:
            scalings = _scalings(path, file.metadata() or {})
            for key in file.keys():  # noqa: SIM118 - not a dict
                name, factor = _split(path, key)
                value = file.get_tensor(key)
                change = changes.setdefault(name, scalings[_place(name)[0]].change(name))
                if factor == "alpha" and value.numel() != 1:
                    raise Unsupported(
                        f"loras: {str(path)!r} has {value.numel()} numbers as {key!r}; give a LoRA with one"
                    )
                setattr(change, factor, float(value) if factor == "alpha" else value)
    except (SafetensorError, OSError) as error:
        raise Unsupported(f"loras: {str(path)!r} is no readable safetensors file ({error}); give one") from error
    return changes


def _split(path: Path, key: str) -> tuple[str, str]:
    """Splits a key into (layer, factor)."""
    for ending, factor in FACTORS.items():
        if key.endswith(ending) and key.startswith(tuple(PARTS)):
            return key[: -len(ending)], factor
    raise Unsupported(
        f"loras: {str(path)!r} holds {key!r}, which is no part of a LoRA; "
        "give a LoRA in kohya's or diffusers' names (LoHa, LoKr and DoRA are other kinds)"
    )


def _place(layer: str) -> tuple[str, str]:
    """Returns the network of a layer, and the layer's name there with "_" for every dot."""
    start = next(start for start in sorted(PARTS, key=len, reverse=True) if layer.startswith(start))
    inner = layer[len(start) :].replace(".processor.", ".").replace(".", "_").removeprefix("text_model_")
    # Older diffusers names the output projection without its index.
    return PARTS[start], re.sub(r"_to_out$", "_to_out_0", inner)


@dataclass(frozen=True)
class Scaling:
    """The scaling of one network's changes, from the PEFT settings that diffusers wrote into the file's header.

    `alpha` is PEFT's lora_alpha, `own` its alpha_pattern (a separate alpha for layers with these name suffixes), and
    `root` its use_rslora. Ranks come from the tensors; rank_pattern is ignored.
    """

    alpha: float | None = None
    own: Mapping[str, float] = field(default_factory=dict)
    root: bool = False

    def change(self, layer: str) -> Change:
        """Returns a change of this layer with its scale, without factors yet."""
        found = (alpha for name, alpha in self.own.items() if layer.endswith(f".{name}"))
        return Change(alpha=next(found, self.alpha), root=self.root)


def _scalings(path: Path, metadata: Mapping[str, str]) -> dict[str, Scaling]:
    """Returns the scaling of each network. Raises `Unsupported` for settings in the header that are not supported."""
    try:
        settings = json.loads(metadata.get("lora_adapter_metadata", "{}"))
    except (ValueError, RecursionError):
        settings = {}
    if not isinstance(settings, dict):
        settings = {}
    found = {}
    for part in set(PARTS.values()):
        alpha, own = settings.get(f"{part}.lora_alpha"), settings.get(f"{part}.alpha_pattern") or {}
        # PEFT accepts any regular expression for the end of a name; diffusers writes plain names.
        if not isinstance(own, dict) or not all(
            re.fullmatch(r"[\w.-]+", name) and isinstance(value, int | float) for name, value in own.items()
        ):
            raise Unsupported(
                f"loras: {str(path)!r} has an alpha_pattern for the {part} that gives names no numbers; save it with "
                "the names of layers and their alphas"
            )
        root = settings.get(f"{part}.use_rslora") is True
        found[part] = Scaling(float(alpha) if isinstance(alpha, int | float) else None, own, root)
    return found


def _misfit(lora: str, layer: str, why: str) -> Unsupported:
    return Unsupported(
        f"loras: {lora!r} does not fit the checkpoint at {layer!r} ({why}); "
        "use a LoRA that was trained on a model of its family"
    )
