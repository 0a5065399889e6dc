"""The playground's UNet and its training, together with the text encoder."""

from __future__ import annotations

import functools
import logging
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from remix.client.playground import text
from remix.client.playground.dataset import load_dataset
from remix.client.playground.parallel import together
from remix.client.playground.settings import Settings
from remix.client.playground.training import Run, begin, learning_rate, noise_source, numbers
from remix.client.playground.vae import SHAPE
from remix.client.playground.world import ATTRIBUTES, Caption, Scene, caption

log = logging.getLogger(__name__)

STAGE = 3
_TIMES = 1000
_UNTOLD = 0.1
_TEXT_SHARE = 0.3
_NAMING = 0.02
_AVERAGED = 20


def new_unet(seed: int) -> Any:
    """Returns an untrained `UNet2DConditionModel`: 5.58 million parameters, 0.44 GFLOP a picture and step.

    ``addition_embed_type="text"`` pools the text into the time embedding as well, so that a caption
    reaches every layer; a stock pipeline needs no further argument for it.
    """
    from diffusers import UNet2DConditionModel

    torch.manual_seed(seed)
    model: Any = UNet2DConditionModel(
        sample_size=SHAPE[1],
        in_channels=SHAPE[0],
        out_channels=SHAPE[0],
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(48, 96, 128),
        layers_per_block=1,
        cross_attention_dim=text.WIDTH,
        attention_head_dim=4,
        norm_num_groups=4,
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
        resnet_time_scale_shift="scale_shift",
        time_embedding_dim=192,
        use_linear_projection=True,
    )
    with torch.no_grad():  # start near zero, which is the mean of what there is to predict
        model.conv_out.weight.mul_(0.1)
    return model


def new_scheduler() -> Any:
    """Returns the `DDIMScheduler` that the model is trained for: v-prediction, 1000 times.

    Its last times hold practically no signal, so that backgrounds can come out black or white.
    """
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        num_train_timesteps=_TIMES,
        beta_start=1e-4,
        beta_end=0.02,
        beta_schedule="linear",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=True,
        timestep_spacing="trailing",
        steps_offset=1,
    )


def noise_times(count: int, source: torch.Generator) -> torch.Tensor:
    """Returns `count` noise times, 0 to 999: half spread over all, half where outlines are settled.

    Each half is stratified. The second is normal around 550 with deviation 170: earlier there is
    little left to decide, later hardly anything to see.
    """
    even, rest = count // 2, count - count // 2
    spread = (torch.arange(even) + torch.rand(even, generator=source)) / even
    centerd = (torch.arange(rest) + torch.rand(rest, generator=source)) / rest * 2 - 1
    bell = 550 + 170 * math.sqrt(2) * torch.erfinv(centerd.clamp(-0.995, 0.995))
    return torch.cat([spread * _TIMES, bell]).long().clamp(0, _TIMES - 1)


def train_unet(folder: Path, settings: Settings) -> None:
    """Trains the UNet in `folder` up to ``settings.steps``, continuing where it was stopped.

    Starts from the text encoder of `text.train_text` and trains it on, more slowly, so that it does
    not forget what it was taught. Writes ``unet.safetensors`` every ``save_every`` steps.
    """
    together(_train, settings.processes, folder, settings)


def load_run(folder: Path, settings: Settings) -> Run:
    """Returns the UNet's training in `folder`: models ``unet``, ``text_encoder`` and ``heads``."""
    tokenizer = text.load_tokenizer(folder / "tokenizer")
    learnt = text.load_run(folder, settings, tokenizer)
    learnt.average.write()
    unet = new_unet(settings.seed)
    begin(unet, settings, "unet")
    unet.to(settings.device, memory_format=torch.channels_last)
    models = {"unet": unet, **learnt.models}
    shares = {"text_encoder": _TEXT_SHARE, "heads": _TEXT_SHARE}
    decay = 1 - _AVERAGED / max(settings.steps, 2 * _AVERAGED)  # long runs are averaged over more steps
    run = Run(folder / "unet.safetensors", models, shares=shares, decay=decay)
    run.load()
    return run


def _train(rank: int, folder: Path, settings: Settings) -> None:
    from diffusers.models.attention_processor import AttnProcessor

    scenes, clean = load_dataset(folder, settings)
    tokenizer = text.load_tokenizer(folder / "tokenizer")
    deck = deal(scenes)
    keep = new_scheduler().alphas_cumprod.view(-1, 1, 1, 1)
    run = load_run(folder, settings)
    if settings.bf16:  # torch's own attention is slow in it
        network: Any = run.models["unet"]
        network.set_attn_processor(AttnProcessor())
    while run.step < settings.steps:
        key = (settings.seed, STAGE, run.step, rank)
        rows = deck[_rows(len(deck), run.step, rank, settings)]
        shown = [scenes[i] for i in rows]
        captions = _captions(shown, random.Random(int(numbers(*key).integers(1 << 62))))
        noisy, times, goal = _noised(clean[rows], keep, noise_source(*key, 1))
        ids = text.token_ids(tokenizer, [each.text for each in captions]).to(settings.device)
        hidden = run.models["text_encoder"](ids).last_hidden_state
        noisy = noisy.to(settings.device).contiguous(memory_format=torch.channels_last)
        with torch.autocast(settings.device, torch.bfloat16, enabled=settings.bf16):
            guess = run.models["unet"](noisy, times.to(settings.device), hidden).sample.float()
        errors = ((guess - goal.to(settings.device)).square() * outline_weights(clean[rows])).mean((1, 2, 3))
        naming = text.naming_loss(run.models["heads"](hidden), shown, captions)
        rate = learning_rate(run.step, settings.steps, settings.rate)
        run.descend(errors.mean() + _NAMING * naming, rate, errors[: len(errors) // 2].mean().item())
        if rank == 0 and (run.step % settings.save_every == 0 or run.step == settings.steps):
            run.save()
            log.info("unet: step %d of %d, loss %.4f", run.step, settings.steps, run.loss)


def deal(scenes: Sequence[Scene]) -> torch.Tensor:
    """Returns the numbers of all scenes, three times those of pairs and suns.

    Which color goes where and a sun's thin rays are learnt last.
    """
    hard = [i for i, scene in enumerate(scenes) if scene.neighbor or scene.thing == "sun"]
    return torch.tensor([*range(len(scenes)), *hard, *hard])


def _rows(count: int, step: int, rank: int, settings: Settings) -> torch.Tensor:
    """Returns which of `count` places in the deck a process sees in a step: each once in an epoch, shuffled."""
    together_seen = settings.batch * settings.processes
    epoch, place = divmod(step, max(1, count // together_seen))
    first = place * together_seen + rank * settings.batch
    order = _order(count, settings.seed, epoch)
    return order[(first + torch.arange(settings.batch)) % count]


@functools.lru_cache(maxsize=1)
def _order(count: int, seed: int, epoch: int) -> torch.Tensor:
    return torch.randperm(count, generator=noise_source(seed, STAGE, epoch))


def _captions(scenes: list[Scene], rng: random.Random) -> list[Caption]:
    """Returns a caption for each scene, or none for one in ten, which guidance needs."""
    silence = Caption("", (False,) * len(ATTRIBUTES))
    return [silence if rng.random() < _UNTOLD else caption(scene, rng) for scene in scenes]


def outline_weights(clean: torch.Tensor) -> torch.Tensor:
    """Returns how much each place of latents [B, 4, H, W] counts in the loss: [B, 1, H, W], of mean 1.

    Half of it is shared evenly, half goes where the latents differ from the mean of their surroundings:
    outlines are what is hard to learn, and most of a picture is its background.
    """
    contrast = (clean - F.avg_pool2d(clean, 3, 1, 1, count_include_pad=False)).abs().mean(1, keepdim=True)
    contrast = F.avg_pool2d(contrast, 3, 1, 1, count_include_pad=False)
    return 0.5 + 0.5 * contrast / contrast.mean((2, 3), keepdim=True).clamp(min=1e-3)


def _noised(
    clean: torch.Tensor, keep: torch.Tensor, source: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns noisy latents, their times, and the velocity to predict (Salimans and Ho, 2022, section 4)."""
    times = noise_times(len(clean), source)
    noise = torch.randn(clean.shape, generator=source)
    signal, spread = keep[times].sqrt(), (1 - keep[times]).sqrt()
    return signal * clean + spread * noise, times, signal * noise - spread * clean
