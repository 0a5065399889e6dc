"""Frames per second on a GPU at the sizes that people render, compared with the stock diffusers pipeline.

The models have the real layouts and random weights in half precision: what a step costs does not depend on what the
weights are. Skipped where torch finds no GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from remix.client.local import Local
from remix.plan import Keyframe, Model, Recipe, plan
from tests.bench.race import Race, best

FRAMES = 16
STEPS = 20
STOCK_FRAMES = 4
"""The stock pipeline takes as long for each: so many tell enough."""
BATCHES = (1, 2, 4, 8, 16)
PROMPTS = ("a red house on a green hill", "a white boat on the sea")


def device() -> str | None:
    """The kind of GPU that torch finds, None without one."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else None


@dataclass(frozen=True)
class Size:
    """A model's layout and the side of the pictures that it is made for."""

    name: str
    side: int
    make: Callable[[Path], None]


def stable_diffusion(folder: Path) -> None:
    """Saves a random Stable Diffusion 1.5 in half precision."""
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel

    words, encoder = text(768, 12, "quick_gelu")
    StableDiffusionPipeline(
        vae=vae(0.18215),
        text_encoder=encoder,
        tokenizer=words,
        unet=UNet2DConditionModel(sample_size=64, cross_attention_dim=768),
        scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).to(torch.float16).save_pretrained(folder)


def stable_diffusion_xl(folder: Path) -> None:
    """Saves a random SDXL in half precision."""
    from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel

    (words, first), (others, second) = text(768, 12, "quick_gelu"), text(1280, 32, "gelu", projected=True)
    unet = UNet2DConditionModel(
        sample_size=128,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(320, 640, 1280),
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=(5, 10, 20),
        cross_attention_dim=2048,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
    )
    StableDiffusionXLPipeline(
        vae=vae(0.13025),
        text_encoder=first,
        text_encoder_2=second,
        tokenizer=words,
        tokenizer_2=others,
        unet=unet,
        scheduler=scheduler(),
        add_watermarker=False,
    ).to(torch.float16).save_pretrained(folder)


SIZES = (Size("SD1.5, 512x512", 512, stable_diffusion), Size("SDXL, 1024x1024", 1024, stable_diffusion_xl))


def text(width: int, layers: int, activation: str, *, projected: bool = False) -> tuple[Any, Any]:
    """A tokenizer and a CLIP text encoder for it."""
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    from tests.client.local import tiny

    words = tiny.tokenizer()
    config = tiny.text(words, width, activation, layers=layers, wider=4)
    return words, (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)


def vae(scale: float) -> Any:
    """The VAE of both families."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        scaling_factor=scale,
    )


def scheduler() -> Any:
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, clip_sample=False
    )


def opened(folder: Path, place: str) -> Any:
    """diffusers' own pipeline, in half precision on a GPU."""
    from diffusers import DiffusionPipeline

    pipeline = DiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float16).to(place)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.skipif(device() is None, reason="no GPU here")
@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.name)
def test_frames_per_second(size: Size, race: Race, tmp_path: Path) -> None:
    place = device()
    assert place is not None
    size.make(tmp_path)
    measure(size, tmp_path, place, race)


def measure(size: Size, folder: Path, place: str, race: Race) -> None:
    """Renders a travel by the stock pipeline and by ours with each batch, and shows the frames per second."""
    keyframes = tuple(Keyframe(prompt=prompt, seed=seed) for seed, prompt in enumerate(PROMPTS))
    schedule = plan(
        Recipe(
            FRAMES,
            keyframes,
            width=size.side,
            height=size.side,
            model=Model(str(folder)),
            sampler="ddim",
            scheduler="simple",
            steps=STEPS,
        )
    )
    pipeline = opened(folder, place)

    def stock(_: int) -> None:
        for _ in range(STOCK_FRAMES):
            pipeline(PROMPTS[0], num_inference_steps=STEPS, height=size.side, width=size.side)

    engines = {batch: Local(place, batch) for batch in BATCHES}

    def ours(batch: int, frames: int = FRAMES) -> None:
        list(engines[batch].render(schedule, range(frames), {}, lambda event: None))

    stock(0)
    for batch in BATCHES:
        ours(batch, batch)
    batched = {f"batch {batch}": lambda _, batch=batch: ours(batch) for batch in BATCHES}
    race.run(lambda _: None, {"stock": stock, **batched}, range(2))
    rates = {name: (STOCK_FRAMES if name == "stock" else FRAMES) / best(race.theirs[name]).wall for name in race.theirs}
    table = f"Frames per second on {name_of(place)}, {STEPS} steps, cfg {schedule.recipe.cfg:g}, half precision"
    race.show(table, size.name, **{f"{name}": f"{rate:.2f}" for name, rate in rates.items()})
    fastest = max(rates, key=lambda name: rates[name])
    race.show(
        "Summary",
        f"{size.name} on {name_of(place)}, {fastest}",
        baseline=f"diffusers' pipeline, once per frame: {rates['stock']:.2f} frames/s",
        ours=f"{rates[fastest]:.2f} frames/s",
    )
    assert fastest != "stock"


def name_of(place: str) -> str:
    return torch.cuda.get_device_name() if place == "cuda" else place
