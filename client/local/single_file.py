"""Single-file checkpoints: SD1, SD2 and SDXL as one safetensors file with the names of Stability's own code.

Such a file contains only weights. Settings are derived from the shapes of the weights, and diffusers renames the
weights. The tokenizer is CLIP's for all families and must be on this machine. The Hub is not used.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from remix.catalog.families import FAMILIES, Family
from remix.client.local.damage import raising_damage
from remix.client.local.devices import Place
from remix.errors import Unsupported

Weights = Mapping[str, Tensor]
Shapes = Mapping[str, tuple[int, ...]]

UNET = "model.diffusion_model."
VAE = "first_stage_model."
SINGLE_FILES = tuple(FAMILIES[name] for name in ("sdxl", "sd2", "sd1"))
"""Families whose checkpoints may be single files."""

SD2 = FAMILIES["sd2"]


@dataclass(frozen=True)
class VaeNames:
    """Name prefixes of a VAE's weights, by the code that wrote them: encoder levels and their blocks."""

    level: str
    block: str


STABILITY_VAE, DIFFUSERS_VAE = VaeNames("encoder.down.", "block."), VaeNames("encoder.down_blocks.", "resnets.")

OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Older diffusers' names of the attention layers of a VAE."""

SD2_LAYERS = 23
"""Number of layers that SD2 uses of its text encoder's 24."""

VELOCITY_SPREAD = 0.09
"""SD2's two kinds differ in the spread of one norm. Above this value, the model predicts velocity (ComfyUI's rule)."""

TOKENIZERS = (
    "openai/clip-vit-large-patch14",
    "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "stabilityai/stable-diffusion-xl-base-1.0",
    "stabilityai/stable-diffusion-2-1",
)
"""Models on the Hub whose local copies contain CLIP's vocabulary, in the root or the folder `tokenizer`."""


DAMAGED = "the file is damaged or of another family"


class SingleFile:
    """A checkpoint in a single safetensors file. Opening it reads only the names of its weights."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.family = _family(path, names_in(path))
        self._vocabulary = _vocabulary(path)

    def pipeline(self) -> str:
        """Returns the name of the diffusers pipeline."""
        return self.family.pipeline

    def component(self, name: str, kind: Any, place: Place) -> Any:
        """Returns a network in evaluation mode on its device. Raises `EngineError` if its weights do not match."""
        with raising_damage(f"{self.path}: its {name} could not be read", DAMAGED):
            return place.put(self._component(name, kind))

    def _component(self, name: str, kind: Any) -> Any:
        if name == "vae":
            return _converted(kind, self._weights, vae_config(_shapes(self._weights, VAE), self.vae_scale()))
        if name == "unet":
            return _converted(kind, self._weights, unet_config(_shapes(self._weights, UNET)))
        prefix = self.family.text_prefixes[1 if name.endswith("_2") else 0]
        return _text_encoder(kind, self._weights, prefix)

    def tokenizer(self, name: str, kind: Any = None) -> Any:
        """Returns CLIP's tokenizer, with the padding that the text encoder was trained with."""
        from transformers import CLIPTokenizer

        pads_with_end = self.family is not SD2 and not name.endswith("_2")
        return CLIPTokenizer.from_pretrained(
            self._vocabulary, pad_token="<|endoftext|>" if pads_with_end else "!", local_files_only=True
        )

    def scheduler_config(self) -> dict[str, Any]:
        """Returns the settings of the training noise, with diffusers' names."""
        velocity = "v_pred" in self._weights or (self.family is SD2 and self._spread() > VELOCITY_SPREAD)
        return {
            "beta_schedule": "scaled_linear",
            "beta_start": 0.00085,
            "beta_end": 0.012,
            "prediction_type": "v_prediction" if velocity else "epsilon",
            "rescale_betas_zero_snr": "ztsnr" in self._weights,
        }

    def vae_scale(self) -> float:
        """Returns the scaling factor of the VAE's latents."""
        return self.family.vae_scale

    def has(self, name: str) -> bool:
        """Returns whether the checkpoint has this part. Single files contain all parts of their family."""
        return True

    def is_distilled(self) -> bool:
        """Returns False: no network of these families takes guidance as an input."""
        return False

    def longest_side(self) -> None:
        """Returns None: these families do not limit the size of pictures."""

    def settings(self) -> dict[str, Any]:
        """Returns no settings: single files have none."""
        return {}

    def can_be_quantized(self) -> bool:
        """Returns False: diffusers quantizes folders."""
        return False

    def _spread(self) -> float:
        norm = "1.transformer_blocks.0.norm1.bias"
        last = max(_numbers(self._weights, f"{UNET}output_blocks.", f".{norm}"))
        return float(self._weights[f"{UNET}output_blocks.{last}.{norm}"].float().std(unbiased=False))

    @cached_property
    def _weights(self) -> Weights:
        return read_weights(self.path)


def is_vae(path: Path) -> bool:
    """Returns whether a safetensors file contains a VAE, with the names of Stability's own code or of diffusers."""
    return any(name.removeprefix(VAE) == "decoder.conv_in.weight" for name in names_in(path))


def read_vae(path: Path, scale: float) -> Any:
    """Returns the VAE in a separate safetensors file. `scale` is the checkpoint's scaling factor of latents.

    Raises `EngineError` if its weights do not match.
    """
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    with raising_damage(f"{path}: its vae could not be read", DAMAGED):
        weights = read_weights(path)
        prefix = VAE if any(name.startswith(VAE) for name in weights) else ""
        if any(name.startswith(DIFFUSERS_VAE.level) for name in weights):
            weights = {_present_name(name): value for name, value in weights.items()}
        return _converted(AutoencoderKL, weights, vae_config(_shapes(weights, prefix), scale))


# --- settings from shapes -----------------------------------------------------------------------------------


def unet_config(shapes: Shapes) -> dict[str, Any]:
    """Returns the settings of diffusers' U-Net, derived from the shapes of its weights."""
    levels: list[list[int]] = [[]]
    for block in sorted(_numbers(shapes, "input_blocks."))[1:]:
        if f"input_blocks.{block}.0.op.weight" in shapes:
            levels.append([])
        else:
            levels[-1].append(block)
    channels = [shapes[f"input_blocks.{blocks[-1]}.0.out_layers.3.weight"][0] for blocks in levels]
    depths = [len(_numbers(shapes, f"input_blocks.{blocks[0]}.1.transformer_blocks.")) for blocks in levels]
    attention = f"input_blocks.{next(blocks[0] for blocks, depth in zip(levels, depths, strict=True) if depth)}.1."
    # SD1 has 8 heads everywhere. SD2 and SDXL, which project linearly, have heads of 64 channels.
    linear = len(shapes[attention + "proj_in.weight"]) == 2
    config = {
        "in_channels": shapes["input_blocks.0.0.weight"][1],
        "out_channels": shapes["out.2.weight"][0],
        "block_out_channels": channels,
        "layers_per_block": len(levels[0]),
        "down_block_types": ["CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths],
        "up_block_types": ["CrossAttnUpBlock2D" if depth else "UpBlock2D" for depth in reversed(depths)],
        "transformer_layers_per_block": [max(depth, 1) for depth in depths],
        "cross_attention_dim": shapes[attention + "transformer_blocks.0.attn2.to_k.weight"][1],
        "use_linear_projection": linear,
        "attention_head_dim": [count // 64 for count in channels] if linear else 8,
    }
    if "label_emb.0.0.weight" in shapes:
        config |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": shapes["label_emb.0.0.weight"][1],
        }
    return config


def vae_config(shapes: Shapes, scale: float) -> dict[str, Any]:
    """Returns the settings of diffusers' VAE, derived from the shapes of its weights, except for `scale`."""
    names = DIFFUSERS_VAE if any(name.startswith(DIFFUSERS_VAE.level) for name in shapes) else STABILITY_VAE
    levels = len(_numbers(shapes, names.level))
    return {
        "block_out_channels": [
            shapes[f"{names.level}{level}.{names.block}0.conv2.weight"][0] for level in range(levels)
        ],
        "layers_per_block": len(_numbers(shapes, f"{names.level}0.{names.block}")),
        "latent_channels": shapes["decoder.conv_in.weight"][1],
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "scaling_factor": scale,
    }


def text_config(shapes: Shapes) -> dict[str, Any]:
    """Returns the settings of transformers' CLIP text encoder, derived from the shapes of its weights."""
    open_clip = "positional_embedding" in shapes
    embeddings, layer = "text_model.embeddings.", "text_model.encoder.layers."
    tokens = shapes["token_embedding.weight" if open_clip else embeddings + "token_embedding.weight"]
    positions = shapes["positional_embedding" if open_clip else embeddings + "position_embedding.weight"]
    layers = len(_numbers(shapes, "transformer.resblocks." if open_clip else layer))
    widest = shapes["transformer.resblocks.0.mlp.c_fc.weight" if open_clip else layer + "0.mlp.fc1.weight"]
    return {
        "vocab_size": tokens[0],
        "hidden_size": tokens[1],
        "intermediate_size": widest[0],
        "num_hidden_layers": layers,
        "num_attention_heads": tokens[1] // 64,
        "max_position_embeddings": positions[0],
        "projection_dim": shapes.get("text_projection", tokens)[1],
        "hidden_act": "gelu" if open_clip else "quick_gelu",
        # The two special tokens are the last ones of the vocabulary.
        "bos_token_id": tokens[0] - 2,
        "eos_token_id": tokens[0] - 1,
    }


# --- reading ------------------------------------------------------------------------------------------------


def _converted(kind: Any, weights: Weights, config: Mapping[str, Any]) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        _write_config(Path(folder), {"_class_name": kind.__name__, **config})
        return filled(kind.from_single_file(dict(weights), config=folder, local_files_only=True))


def _text_encoder(kind: Any, weights: Weights, prefix: str) -> Any:
    from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm

    config = text_config(_shapes(weights, prefix))
    if (prefix,) == SD2.text_prefixes:
        # SD2 was trained with the penultimate layer, and diffusers omits the last one.
        config["num_hidden_layers"] = min(config["num_hidden_layers"], SD2_LAYERS)
    with tempfile.TemporaryDirectory() as folder:
        _write_config(Path(folder), {"model_type": "clip_text_model", **config})
        return filled(create_diffusers_clip_model_from_ldm(kind, dict(weights), config=folder, local_files_only=True))


def _present_name(name: str) -> str:
    """Returns diffusers' current name of a VAE weight."""
    layers, _, end = name.rpartition(".")
    outer, _, layer = layers.rpartition(".")
    return f"{outer}.{OLD_ATTENTION[layer]}.{end}" if layer in OLD_ATTENTION else name


def _write_config(folder: Path, config: Mapping[str, Any]) -> None:
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def filled(network: Any) -> Any:
    """Returns the network. Raises ValueError if the file lacks weights, which would stay uninitialized."""
    lacking = [name for name, weight in network.named_parameters() if weight.is_meta]
    if lacking:
        raise ValueError(f"{len(lacking)} weights are missing, such as {lacking[0]}")
    return network


def _family(path: Path, names: Collection[str]) -> Family:
    if any(name.startswith(UNET) for name in names):
        for family in SINGLE_FILES:
            if all(any(name.startswith(prefix) for name in names) for prefix in family.text_prefixes):
                return family
    raise Unsupported(
        f"model.checkpoint: {str(path)!r} holds neither an SD1, SD2 or SDXL checkpoint with its text encoders, nor the "
        "transformer of a flow model; give one, or a diffusers folder"
    )


def _vocabulary(path: Path) -> Path:
    """Returns the folder with CLIP's vocabulary: next to the file, or in the local cache of the Hub."""
    from huggingface_hub import try_to_load_from_cache

    folders = [path.parent / "tokenizer"]
    for name in TOKENIZERS:
        for file in ("merges.txt", "tokenizer/merges.txt"):
            found = try_to_load_from_cache(name, file)
            if isinstance(found, str):
                folders.append(Path(found).parent)
    for folder in folders:
        if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
            return folder
    raise Unsupported(
        f"model.checkpoint: {str(path)!r} has no tokenizer, as single files do, and CLIP's vocabulary is not on this "
        f"machine; run once: hf download {TOKENIZERS[0]} vocab.json merges.txt tokenizer_config.json "
        f'(or put these files into "{folders[0]}")'
    )


def names_in(path: Path) -> list[str]:
    """Returns the names of the weights in a safetensors file. Raises `Unsupported` if it cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return list(file.keys())
    except (SafetensorError, OSError) as error:
        raise Unsupported(f"{path}: is no readable safetensors file ({error}); give one") from error


def read_weights(path: Path) -> Weights:
    """Returns the weights in a safetensors file by name."""
    from safetensors.torch import load_file

    weights: dict[str, Tensor] = load_file(path)
    return weights


def _shapes(weights: Weights, prefix: str) -> Shapes:
    return {name[len(prefix) :]: tuple(value.shape) for name, value in weights.items() if name.startswith(prefix)}


def _numbers(names: Collection[str], before: str, after: str = "") -> set[int]:
    """Returns the numbers between `before` and `after` in names."""
    found = (name[len(before) :].split(".", 1) for name in names if name.startswith(before) and name.endswith(after))
    return {int(parts[0]) for parts in found}
