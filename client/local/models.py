"""Opens the model of a recipe and checks its capabilities."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from remix.catalog.families import FAMILIES
from remix.client.local.checkpoints import checkpoint_fingerprints, fingerprint, open_checkpoint, vae_path
from remix.client.local.clip import ClipText
from remix.client.local.damage import raising_damage
from remix.client.local.devices import Place
from remix.client.local.encoded import Encoded
from remix.client.local.loras import apply_loras, lora_path
from remix.client.local.sampling import Levels
from remix.client.local.traveling import TravelingLoras, divided
from remix.client.local.turns import TURNS
from remix.errors import Unsupported
from remix.mix import Conditioning
from remix.plan import Model, Schedule
from remix.prompt import Reading

LOADERS = {
    "StableDiffusionPipeline": ("remix.client.local.stable_diffusion", "StableDiffusion"),
    "StableDiffusionXLPipeline": ("remix.client.local.sdxl", "StableDiffusionXL"),
    "StableDiffusion3Pipeline": ("remix.client.local.sd3", "StableDiffusion3"),
    "FluxPipeline": ("remix.client.local.flux", "Flux"),
    "Flux2KleinPipeline": ("remix.client.local.flux2", "Flux2Klein"),
    "QwenImagePipeline": ("remix.client.local.qwen_image", "QwenImage"),
    "ChromaPipeline": ("remix.client.local.chroma", "Chroma"),
    "Krea2Pipeline": ("remix.client.local.krea2", "Krea2"),
    "ZImagePipeline": ("remix.client.local.z_image", "ZImage"),
}
"""Diffusers pipeline of a checkpoint -> the module and class that load it."""

FLOWS = frozenset(family.pipeline for family in FAMILIES.values() if family.flow)
"""The pipelines of flow models."""


class LoadedModel(Protocol):
    """The interface of a model family. Latents are float32 [B, channels, h, w]; conditionings are on the CPU.

    Latents are `factor` times smaller than pictures, whose sides are multiples of `multiple`. A `distilled` model takes
    guidance as an input, without a second pass with the negative prompt. A `fixed` one cannot change its precision.
    `clip_texts` are the text encoders that take embeddings, and `text_names` those that take texts of their own.
    """

    family: str
    channels: int
    factor: int
    multiple: int
    distilled: bool
    place: Place
    fixed: bool
    loras: TravelingLoras
    clip_texts: Sequence[ClipText]
    text_names: Sequence[str]

    def levels_at(self, width: int, height: int, steps: int) -> Levels: ...

    def rows(self, prompt: str, reading: Reading) -> int: ...

    def encode(self, prompt: str, reading: Reading, encoded: Encoded) -> Conditioning: ...

    def estimate(self, x: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor: ...

    def to_latents(self, pictures: Tensor) -> Tensor: ...

    def to_pictures(self, latents: Tensor) -> Tensor: ...

    def parts(self) -> Mapping[str, Any]: ...

    def across_frames(self) -> Sequence[Any]: ...

    def move(self, place: Place) -> None: ...

    def begin_offload(self) -> None: ...

    def release(self) -> None: ...


def open_model(model: Model, traveling: Sequence[str], place: Place) -> LoadedModel:
    """Returns the loaded model of a recipe, with its LoRAs merged and the `traveling` ones attached.

    Only one model loads at a time in a process, and no batch of any engine runs meanwhile. Raises the errors of
    `check_model`, `EngineError` for damaged files, and `Unsupported` for a LoRA that does not fit.
    """
    checkpoint = open_checkpoint(model.checkpoint)
    module, name = LOADERS[check_family(checkpoint.pipeline(), model)]
    damaged = f"model.checkpoint: {model.checkpoint!r} could not be loaded", "its files do not go together"
    with TURNS.alone():
        with quiet(), raising_damage(*damaged):
            loaded: LoadedModel = getattr(importlib.import_module(module), name)(model, checkpoint, place)
        apply_loras(loaded.parts(), model.loras)
        loaded.loras = TravelingLoras(loaded.parts(), traveling, loaded.across_frames())
        loaded.begin_offload()
    return loaded


def check_model(schedule: Schedule, place: Place) -> None:
    """Raises `Unsupported` for files that are missing, not safetensors, or of a family unsuitable for `place`."""
    model = schedule.recipe.model
    checkpoint = open_checkpoint(model.checkpoint)
    if place.quantize and not checkpoint.can_be_quantized():
        raise Unsupported(
            f"quantize: {model.checkpoint!r} is a single file; give a diffusers folder, a hub id, or a .gguf file"
        )
    if check_family(checkpoint.pipeline(), model) in FLOWS:
        _refuse_vae_file(model)
    if checkpoint.is_distilled() and any(frame.negative.values != ("",) for frame in schedule):
        raise Unsupported(
            f"negative: {model.checkpoint!r} reads its guidance (cfg) as a number, and no negative prompt; leave it out"
        )
    longest, recipe = checkpoint.longest_side(), schedule.recipe
    if longest is not None and max(recipe.width, recipe.height) > longest:
        raise Unsupported(
            f"size: {recipe.width}x{recipe.height} has more places than {model.checkpoint!r} knows; "
            f"use sides of at most {longest}"
        )
    if model.vae:
        vae_path(model.vae)
    divided(schedule)  # raises it for LoRAs


def _refuse_vae_file(model: Model) -> None:
    """Raises `Unsupported` for a VAE that flow models cannot use."""
    if model.vae and vae_path(model.vae).is_file():
        raise Unsupported(
            f"model.vae: {model.vae!r} is a single file, which does not say how far the latents of flow models are "
            "shifted; give a folder saved by diffusers"
        )


def check_family(pipeline: str, model: Model) -> str:
    """Returns the pipeline's name. Raises `Unsupported` for a pipeline that no family supports."""
    if pipeline not in LOADERS:
        raise Unsupported(
            f"model.checkpoint: {model.checkpoint!r} is a {pipeline}; the local engine runs {', '.join(LOADERS)}"
        )
    return pipeline


def defaults_of(model: Model) -> Mapping[str, Any]:
    """Returns the default settings of a model's family, keyed by the fields of a recipe."""
    pipeline = check_family(open_checkpoint(model.checkpoint).pipeline(), model)
    return next(family.defaults for family in FAMILIES.values() if family.pipeline == pipeline)


def model_files(schedule: Schedule) -> dict[str, str]:
    """Returns the fingerprints of a model's files: the checkpoint, and the VAE and LoRAs if any."""
    model = schedule.recipe.model
    found: dict[str, Path] = {}
    if model.vae:
        found["vae"] = vae_path(model.vae)
    # First the model's LoRAs, then those that only keyframes name. Each file counts once, however it is spelled.
    loras = [lora_path(lora.name) for lora in (*schedule.recipe.model.loras, *schedule[0].loras)]
    for index, path in enumerate({os.path.realpath(path): path for path in loras}.values()):
        found[f"lora {index + 1}"] = path
    others = {name: fingerprint(path) for name, path in found.items()}
    return {**checkpoint_fingerprints(model.checkpoint), **others}


@contextmanager
def in_full(model: LoadedModel) -> Iterator[bool]:
    """Keeps a model in float32 within the block. Yields whether its precision changed."""
    place = model.place
    if place == place.in_full():
        yield False
        return
    try:
        model.move(place.in_full())  # may run out of memory halfway
        yield True
    finally:
        model.move(place)


@contextmanager
def quiet() -> Iterator[None]:
    """Silences both libraries while a model loads, so that errors stay one sentence."""
    from diffusers.utils import logging as diffusers
    from transformers.utils import logging as transformers

    libraries = (diffusers, transformers)
    before = [(library, library.is_progress_bar_enabled(), library.get_verbosity()) for library in libraries]
    for library in libraries:
        library.disable_progress_bar()
        library.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        for library, bars, verbosity in before:
            library.set_verbosity(verbosity)
            if bars:
                library.enable_progress_bar()
