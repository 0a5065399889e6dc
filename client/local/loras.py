"""LoRAs: low-rank changes of a model's weights, merged when the model is loaded unless their strength travels.

Files name layers in kohya's format (diffusers' or Stability's names, joined by "_") or in diffusers' format (dotted,
with or without peft). Hu et al. 2021: W' = W + strength * (alpha / rank) * up @ down, or alpha / sqrt(rank) if the
file's header requests it (Kalajdzievski 2023).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from remix.client.local.checkpoints import given_path
from remix.errors import Unsupported
from remix.plan import Lora

PARTS = {
    "lora_unet_": "unet",
    "lora_te_": "text_encoder",
    "lora_te1_": "text_encoder",
    "lora_te2_": "text_encoder_2",
    "unet.": "unet",
    "transformer.": "transformer",
    "text_encoder.": "text_encoder",
    "text_encoder_2.": "text_encoder_2",
}
"""Prefix of a layer's name -> its network, as diffusers' folder name."""

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

    Raises `Unsupported`, naming the LoRA and the layer, for a LoRA of another family or kind.
    """
    changes: dict[Any, list[tuple[float, Change]]] = {}
    for lora in loras:
        for _, layer, change in changed_layers(parts, lora.name):
            changes.setdefault(layer, []).append((lora.strength, change))
    # Layer by layer, since all changes in float32 may exceed memory. Each is summed in float32 and rounded once, so the
    # order of LoRAs hardly matters.
    for layer, summands in changes.items():
        weight = layer.weight
        total = weight.float()
        for strength, change in summands:
            total = total + strength * change.delta(weight.shape).to(total.device)
        with torch.no_grad():
            weight.copy_(total)


def changed_layers(parts: Mapping[str, Any], lora: str) -> list[tuple[str, Any, Change]]:
    """Returns each layer that a LoRA changes: the name of its network, the layer, and the matching change.

    Raises `Unsupported`, naming the LoRA and the layer, for a LoRA of another family or kind.
    """
    layers = {part: _layers(network) for part, network in parts.items()}
    found = []
    for name, change in read_lora(lora_path(lora)).items():
        part, inner = _place(name)
        layer = layers.get(part, {}).get(inner)
        if layer is None:
            raise _misfit(lora, name, "this checkpoint has no such layer")
        try:
            change.factors(layer.weight.shape)
        except (ValueError, RuntimeError) as error:
            raise _misfit(lora, name, str(error)) from error
        found.append((part, layer, change))
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


# --- layers by their names in files ---------------------------------------------------------------------------


def _layers(network: Any) -> dict[str, Any]:
    """Returns the layers that a LoRA can change, by name with "_" for dots; for a U-Net, also by Stability's names."""
    found: dict[str, Any] = {}
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d):
            for known in (name.removeprefix("text_model."), *_stability_names(name, network)):
                found[known.replace(".", "_")] = module
    return found


def _stability_names(name: str, network: Any) -> Iterator[str]:
    """Yields the names of a U-Net layer in Stability's own code, which kohya uses for SDXL."""
    blocks = re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)", name)
    middle = re.match(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)", name)
    if blocks:
        side, kind, rest = blocks[1], blocks[3], _stability_inner(blocks[5])
        level, place = int(blocks[2]), int(blocks[4])
        width = network.config.layers_per_block + 1
        if kind == "downsamplers":
            yield f"input_blocks.{width * (level + 1)}.0.op"
        elif kind == "upsamplers":
            attended = bool(getattr(network.up_blocks[level], "attentions", None))
            yield f"output_blocks.{width * level + width - 1}.{1 + attended}.conv"
        else:
            block = width * level + place + (1 if side == "down" else 0)
            yield f"{'input' if side == 'down' else 'output'}_blocks.{block}.{int(kind == 'attentions')}.{rest}"
    elif middle:
        place = 1 if middle[1] == "attentions" else 2 * int(middle[2])
        yield f"middle_block.{place}.{_stability_inner(middle[3])}"
    elif name in OUTER:
        yield OUTER[name]


OUTER = {
    "conv_in": "input_blocks.0.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}

INNER = {
    "conv1": "in_layers.2",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}


def _stability_inner(name: str) -> str:
    return INNER.get(name, name)
