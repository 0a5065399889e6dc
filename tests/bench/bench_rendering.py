"""Rendering compared with the stock diffusers pipeline, called once per frame, as scripts do.

Both make the same pictures: DDIM on diffusers' trailing timesteps is ComfyUI's ddim on `simple` levels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from remix.client.local import Local
from remix.client.playground import WEIGHTS
from remix.mix import noise_of_mixes
from remix.plan import Keyframe, Mix, Model, Recipe, Schedule, plan
from tests.bench.race import Race

FRAMES = 24
STEPS = 8
LEVELS = 1
"""By how many of 255 a value may differ."""
TRAVELS = (
    ("a red house on a green hill", "a white boat on the sea"),
    ("a yellow moon at night", "a big red heart on a white background"),
    ("a purple flower on a green hill", "a yellow boat at sunset"),
)
"""One for each round, so that no round finds its prompts encoded."""
TABLE = "Rendering: times as fast as the stock pipeline, once per frame"


@dataclass(frozen=True)
class Case:
    """A model, the size of its pictures, and how many times as fast ours has to be; cfg 1 is without guidance."""

    name: str
    checkpoint: str
    side: int
    floor: float
    cfg: float = 4.0


@dataclass
class Stock:
    """diffusers' own pipeline, walked frame by frame: encode, mix, sample."""

    pipeline: Any
    made: list[np.ndarray] = field(default_factory=list)

    def walk(self, schedule: Schedule) -> None:
        side = schedule.recipe.width
        self.made = []
        for frame in schedule:
            pictures = self.pipeline(
                prompt_embeds=self.mixed(frame.prompt),
                negative_prompt_embeds=self.mixed(frame.negative),
                latents=noise_of_mixes([frame.seed], (4, side // 8, side // 8)),
                num_inference_steps=schedule.recipe.steps,
                guidance_scale=frame.cfg,
                height=side,
                width=side,
            ).images
            self.made.append(np.asarray(pictures[0]))

    def mixed(self, mix: Mix[str]) -> torch.Tensor:
        encoded = [(self.pipeline.encode_prompt(text, "cpu", 1, False)[0], weight) for text, weight in mix.items]
        return torch.stack([tokens * weight for tokens, weight in encoded]).sum(0)


def opened(folder: str) -> Stock:
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None).to(torch.float32)
    pipeline.scheduler = DDIMScheduler.from_config(
        pipeline.scheduler.config, timestep_spacing="trailing", set_alpha_to_one=True, clip_sample=False
    )
    pipeline.set_progress_bar_config(disable=True)
    return Stock(pipeline)


def random_model(folder: Path) -> str:
    """Saves a random pipeline of Stable Diffusion's shape with 6 million parameters, and returns where."""
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(WEIGHTS / "tokenizer")
    special = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=tokenizer.model_max_length,
        **special,
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(64, 96, 128),
        layers_per_block=1,
        cross_attention_dim=128,
        attention_head_dim=4,
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 32, 32, 64),
        layers_per_block=1,
        norm_num_groups=8,
    )
    StableDiffusionPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(text),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, clip_sample=False
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    return random_model(tmp_path_factory.mktemp("random"))


def travel(case: Case, prompts: tuple[str, str]) -> Schedule:
    first, last = prompts
    recipe = Recipe(
        frames=FRAMES,
        width=case.side,
        height=case.side,
        model=Model(case.checkpoint),
        sampler="ddim",
        scheduler="simple",
        steps=STEPS,
        cfg=case.cfg,
        keyframes=(Keyframe(at=0, prompt=first, seed=1), Keyframe(at=FRAMES - 1, prompt=last, seed=2)),
    )
    return plan(recipe)


def compare(case: Case, race: Race) -> None:
    """Renders every travel both ways; fails where pictures differ or ours is not as fast as it has to be."""
    engine = Local(device="cpu")
    stock = opened(str(WEIGHTS) if case.checkpoint == "playground" else case.checkpoint)
    largest = 0

    def ours(schedule: Schedule) -> None:
        nonlocal largest
        made = list(engine.render(schedule, range(FRAMES), {}, lambda event: None))
        differences = [np.abs(a.astype(int) - b).max() for a, b in zip(made, stock.made, strict=True)]
        largest = max(largest, int(max(differences)))

    found = race.run(ours, {"stock": stock.walk}, [travel(case, prompts) for prompts in TRAVELS])["stock"]
    race.show(
        TABLE, case.name, CPU=f"{found.cpu:.2f}", wall=f"{found.wall:.2f}", largest_difference=f"{largest} of 255"
    )
    race.show(
        "Summary",
        f"Rendering: {case.name}",
        baseline="diffusers' pipeline, once per frame",
        ours=f"{found.cpu:.1f} times as fast",
    )
    assert largest <= LEVELS
    assert found.cpu >= case.floor
    assert found.wall >= case.floor


def test_playground(race: Race) -> None:
    compare(Case("the bundled model, 128x128 (16x16 latents)", "playground", 128, floor=1.6), race)


def test_small_latents(small: str, race: Race) -> None:
    compare(Case("a random model of 6 million parameters, 64x64 (8x8 latents)", small, 64, floor=3.0), race)


def test_without_guidance(small: str, race: Race) -> None:
    compare(Case("the same without guidance (cfg 1)", small, 64, floor=3.0, cfg=1.0), race)
