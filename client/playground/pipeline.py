"""Putting the trained parts together into a stock diffusers pipeline."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from remix.client.playground import text, unet, vae
from remix.client.playground.settings import Settings
from remix.client.playground.training import Run, begin


def assemble(folder: Path, settings: Settings) -> Path:
    """Writes ``folder/weights`` again and returns it: a pipeline of the averaged parameters in fp16.

    Uses the current checkpoints, so it can be called during training.
    """
    from diffusers import StableDiffusionPipeline

    autoencoder = vae.new_autoencoder(settings.seed)
    begin(autoencoder, settings, "vae")
    decoder = Run(folder / "decoder.safetensors", {"decoder": autoencoder.decoder})
    decoder.load()
    decoder.average.write()
    run = unet.load_run(folder, settings)
    run.average.write()
    pipeline: Any = StableDiffusionPipeline(
        vae=autoencoder,
        unet=run.models["unet"],
        text_encoder=run.models["text_encoder"],
        tokenizer=text.load_tokenizer(folder / "tokenizer"),
        scheduler=unet.new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    with tempfile.TemporaryDirectory(dir=folder) as part:
        for trained in (pipeline.vae, pipeline.unet, pipeline.text_encoder):
            trained.half()
        pipeline.save_pretrained(part, safe_serialization=True)
        _tidy(Path(part), folder / "tokenizer")
        shutil.rmtree(folder / "weights", ignore_errors=True)
        shutil.copytree(part, folder / "weights", copy_function=shutil.copyfile)
    return folder / "weights"


def _tidy(weights: Path, tokenizer: Path) -> None:
    """Makes the folder readable for every transformers version.

    Transformers 5 writes another kind of tokenizer, and a text encoder's names without their prefix.
    """
    shutil.rmtree(weights / "tokenizer")
    shutil.copytree(tokenizer, weights / "tokenizer")
    encoder = weights / "text_encoder/model.safetensors"
    named = {f"text_model.{name.removeprefix('text_model.')}": v for name, v in load_file(encoder).items()}
    save_file(named, encoder, metadata={"format": "pt"})
