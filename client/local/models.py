"""From the model that a recipe names to a loaded model of its family."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from remix.client.local.checkpoints import checkpoint_path, fingerprint, open_checkpoint, vae_path
from remix.client.local.devices import Place
from remix.client.local.loras import apply_loras, lora_path
from remix.client.local.sampling import NoiseLevels
from remix.errors import Unsupported
from remix.mix import Conditioning
from remix.plan import Model

FAMILIES = {
    "StableDiffusionPipeline": ("remix.client.local.stable_diffusion", "StableDiffusion"),
    "StableDiffusionXLPipeline": ("remix.client.local.sdxl", "StableDiffusionXL"),
}
"""Which class runs a checkpoint, by the pipeline that it was saved from. A new family is one file."""


class LoadedModel(Protocol):
    """What the engine asks of a family. Latents are float32 [B, channels, h, w]; conditionings are on the CPU."""

    family: str
    channels: int
    factor: int
    levels: NoiseLevels
    place: Place

    def encode(self, prompt: str) -> Conditioning: ...

    def estimate(self, x: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor: ...

    def to_latents(self, pictures: Tensor) -> Tensor: ...

    def to_pictures(self, latents: Tensor) -> Tensor: ...

    def parts(self) -> Mapping[str, Any]: ...

    def move(self, place: Place) -> None: ...


def open_model(model: Model, place: Place) -> LoadedModel:
    """Returns the checkpoint that a recipe names with its LoRAs, loaded; raises what `check_model` raises."""
    checkpoint = open_checkpoint(model.checkpoint)
    module, name = FAMILIES[check_family(checkpoint.pipeline(), model)]
    with quiet():
        loaded: LoadedModel = getattr(importlib.import_module(module), name)(model, checkpoint, place)
    apply_loras(loaded.parts(), model.loras)
    return loaded


def check_model(model: Model) -> None:
    """Raises `Unsupported` for files that are not there, are not safetensors, or are of an unknown family."""
    check_family(open_checkpoint(model.checkpoint).pipeline(), model)
    if model.vae:
        vae_path(model.vae)
    for lora in model.loras:
        lora_path(lora.name)


def check_family(pipeline: str, model: Model) -> str:
    """Returns the pipeline's name; raises `Unsupported` for one that no family here runs."""
    if pipeline not in FAMILIES:
        raise Unsupported(
            f"model.checkpoint: {model.checkpoint!r} is a {pipeline}; the local engine runs {', '.join(FAMILIES)}"
        )
    return pipeline


def model_files(model: Model) -> dict[str, str]:
    """Returns the fingerprints of a model's files: its checkpoint's, and those of its VAE and LoRAs if it names any."""
    found: dict[str, Path] = {"fingerprint": checkpoint_path(model.checkpoint)}
    if model.vae:
        found["vae"] = vae_path(model.vae)
    for index, lora in enumerate(model.loras):
        found[f"lora {index + 1}"] = lora_path(lora.name)
    return {name: fingerprint(path) for name, path in found.items()}


@contextmanager
def in_full(model: LoadedModel) -> Iterator[bool]:
    """Keeps a model in float32 meanwhile; yields whether it was not already."""
    place = model.place
    if place == place.in_full():
        yield False
        return
    model.move(place.in_full())
    try:
        yield True
    finally:
        model.move(place)


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps transformers' progress bars off the terminal while a model loads, and restores them after."""
    from transformers.utils import logging

    was_on = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_on:
            logging.enable_progress_bar()
