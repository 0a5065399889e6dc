"""The playground's autoencoder: an encoder set by hand, and the decoder's training.

A latent is simply the picture made small: the mean color of each block of 8x8 pixels, and one
number more for how brightness falls across the block. The encoder computes just that, exactly,
although it is a stock network with its norms and activations; so only the decoder has to learn,
and what it learns is to draw the world's sharp edges from blurred ones.
"""

from __future__ import annotations

import itertools
import logging
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from remix.client.playground import SIDE
from remix.client.playground.drawing import draw
from remix.client.playground.settings import Settings
from remix.client.playground.training import Run, begin, learning_rate, noise_source, numbers
from remix.client.playground.world import Scene, random_scenes
from remix.playground import VAE_SCALE

log = logging.getLogger(__name__)

SHAPE = (4, 16, 16)
"""The shape of a latent."""

SCALE = VAE_SCALE
"""What latents are multiplied by for the UNet: 1 / their standard deviation over the world's pictures."""

STAGE = 2
_CHANNELS = (16, 24, 48, 64)
_BRIGHTNESS = (0.3, 0.59, 0.11)
_SLOPE = 2.0
_CONSTANT = 40.0
_BATCH = 16
_RATE = 2e-3
_GENTLY = 0.5
_CROP = 64


def latents(pictures: torch.Tensor) -> torch.Tensor:
    """Returns the unscaled latents [B, 4, H/8, W/8] of pictures [B, 3, H, W] in -1..1, without a network.

    Channels 0 to 2 are the mean colors of the 8x8 blocks, channel 3 is twice the brightness of a
    block's top left quarter less that of its bottom right.
    """
    quarters = F.avg_pool2d(pictures, 4)
    weights = torch.tensor(_BRIGHTNESS, device=pictures.device).view(3, 1, 1)
    bright = (quarters * weights).sum(1, keepdim=True)
    slope = bright[..., ::2, ::2] - bright[..., 1::2, 1::2]
    return torch.cat([F.avg_pool2d(quarters, 2), _SLOPE * slope], 1)


@torch.no_grad()
def new_autoencoder(seed: int) -> Any:
    """Returns an `AutoencoderKL` (0.79 million parameters) that encodes as `latents` does.

    Its decoder starts as a plain enlargement of the mean colors, with the rest of its channels free.
    """
    from diffusers import AutoencoderKL

    torch.manual_seed(seed)
    model: Any = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=_CHANNELS,
        layers_per_block=1,
        latent_channels=SHAPE[0],
        norm_num_groups=1,
        sample_size=SIDE,
        mid_block_add_attention=False,
        scaling_factor=SCALE,
    )
    _set_encoder(model.encoder)
    _start_decoder(model.decoder)
    for conv in (model.quant_conv, model.post_quant_conv):
        _copy_channels(conv, conv.weight.shape[0])
    return model


def _silence(conv: nn.Conv2d) -> None:
    nn.init.zeros_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


def _copy_channels(conv: nn.Conv2d, count: int) -> None:
    """Lets the first `count` channels through, and nothing else."""
    _silence(conv)
    middle = conv.weight.shape[-1] // 2
    for i in range(count):
        conv.weight[i, i, middle, middle] = 1


def _set_encoder(encoder: Any) -> None:
    _copy_channels(encoder.conv_in, 3)
    resnets = [resnet for block in encoder.down_blocks for resnet in block.resnets]
    resnets += encoder.mid_block.resnets
    for resnet in resnets:  # their residual paths add nothing, their shortcuts copy
        _silence(resnet.conv2)
        if resnet.conv_shortcut is not None:
            _copy_channels(resnet.conv_shortcut, min(resnet.conv_shortcut.weight.shape[:2]))
    for i, block in enumerate(encoder.down_blocks[:-1]):
        _halve(block.downsamplers[0].conv, slope=i == 2)
    _mirror(encoder.down_blocks[-1].resnets[0].conv_shortcut)
    _read_out(encoder, resnets[-1])


def _halve(conv: nn.Conv2d, *, slope: bool) -> None:
    """Makes a stride-2 convolution the mean of 2x2, with the `slope` of brightness as a fourth channel."""
    _silence(conv)
    for channel in range(3):
        conv.weight[channel, channel, :2, :2] = 0.25
        if slope:
            conv.weight[3, channel, 0, 0] = _SLOPE * _BRIGHTNESS[channel]
            conv.weight[3, channel, 1, 1] = -_SLOPE * _BRIGHTNESS[channel]


def _mirror(conv: nn.Conv2d) -> None:
    """Writes x to channels 0 to 3 and -x to 4 to 7."""
    _silence(conv)
    for channel in range(4):
        conv.weight[channel, channel] = 1
        conv.weight[channel + 4, channel] = -1


def _read_out(encoder: Any, last: Any) -> None:
    """Makes the final norm, activation and convolution give x.

    The other channels hold large constants +-K, so that the group norm divides by a constant, which
    its weight takes back. Then silu(x) - silu(-x) = x undoes the activation.
    """
    total, rest = _CHANNELS[-1], _CHANNELS[-1] - 8
    last.conv2.bias[8:] = torch.tensor([_CONSTANT, -_CONSTANT] * (rest // 2))
    _silence(encoder.conv_norm_out)
    encoder.conv_norm_out.weight[:8] = math.sqrt(_CONSTANT**2 * rest / total)
    _silence(encoder.conv_out)
    for channel in range(4):
        encoder.conv_out.weight[channel, channel, 1, 1] = 1
        encoder.conv_out.weight[channel, channel + 4, 1, 1] = -1
    encoder.conv_out.bias[4:] = -9.0  # the log variance: practically no noise


def _start_decoder(decoder: Any) -> None:
    """Lets x and -x of the three colors pass unchanged, next to the random rest, as the encoder does."""
    resnets = [*decoder.mid_block.resnets, *(r for block in decoder.up_blocks for r in block.resnets)]
    upsamplers = [block.upsamplers[0].conv for block in decoder.up_blocks[:-1]]
    shortcuts = [resnet.conv_shortcut for resnet in resnets if resnet.conv_shortcut is not None]
    for conv in (decoder.conv_in, *upsamplers, *shortcuts, *(resnet.conv2 for resnet in resnets)):
        conv.weight[:6] = 0
        conv.bias[:6] = 0
    for resnet in resnets:
        resnet.conv2.weight *= 0.5
    for channel in range(6):
        color, sign = channel % 3, 1 if channel < 3 else -1
        decoder.conv_in.weight[channel, color, 1, 1] = sign
        for conv in (*upsamplers, *shortcuts):
            middle = conv.weight.shape[-1] // 2
            conv.weight[channel, channel, middle, middle] = 1
    free = _CHANNELS[0] - 6
    resnets[-1].conv2.bias[6:] = torch.tensor([1.2, -1.2] * (free // 2))  # the last norm's divisor is near 1
    decoder.conv_norm_out.weight[:6] = 1.0
    decoder.conv_out.weight *= 0.3
    decoder.conv_out.weight[:, :6] = 0
    nn.init.zeros_(decoder.conv_out.bias)
    for color in range(3):
        decoder.conv_out.weight[color, color, 1, 1] = 1
        decoder.conv_out.weight[color, color + 3, 1, 1] = -1


def train_decoder(folder: Path, settings: Settings) -> None:
    """Trains the decoder in `folder` up to ``settings.decoder_steps``, continuing where it was stopped.

    Each step draws its own pictures. Writes ``decoder.safetensors`` every ``save_every`` steps.
    """
    autoencoder = new_autoencoder(settings.seed)
    begin(autoencoder, settings, "vae")
    autoencoder.to(settings.device, memory_format=torch.channels_last)
    shares = {"decoder": _GENTLY if settings.start else 1.0}
    run = Run(folder / "decoder.safetensors", {"decoder": autoencoder.decoder}, shares=shares, decay=0.995)
    run.load()
    while run.step < settings.decoder_steps:
        key = (settings.seed, STAGE, run.step)
        pictures = _crops(key).to(settings.device).contiguous(memory_format=torch.channels_last)
        blurred = _disturbed(latents(pictures), noise_source(*key, 1))
        error = autoencoder.decoder(blurred) - pictures
        rate = learning_rate(run.step, settings.decoder_steps, _RATE)
        run.descend(_reconstruction_loss(error), rate, error.abs().mean().item())
        if run.step % settings.save_every == 0 or run.step == settings.decoder_steps:
            run.save()
            log.info("decoder: step %d of %d, error %.4f", run.step, settings.decoder_steps, run.loss)


def _crops(key: tuple[int, ...]) -> torch.Tensor:
    """Returns random pictures in -1..1: mostly crops at a thing's edge, each eighth batch whole ones.

    Colors and axes are shuffled now and then, since the decoder should draw edges of any color.
    """
    random_numbers = numbers(*key)
    whole = key[-1] % 8 == 0
    count = _BATCH // 4 if whole else _BATCH
    world = random_scenes(random.Random(int(random_numbers.integers(1 << 62))))
    scenes = list(itertools.islice(world, count))
    pictures = draw(scenes) * 2 - 1
    if not whole:
        corners = [_corner(scene, random_numbers) for scene in scenes]
        pictures = torch.stack(
            [picture[:, y : y + _CROP, x : x + _CROP] for picture, (x, y) in zip(pictures, corners, strict=True)]
        )
    if random_numbers.random() < 0.3:
        pictures = pictures[:, random_numbers.permutation(3).tolist()]
    return pictures.transpose(2, 3) if random_numbers.random() < 0.5 else pictures


def _corner(scene: Scene, random_numbers: np.random.Generator) -> Sequence[int]:
    """Returns the left and top of a crop, on the latents' grid of 8 pixels."""
    if random_numbers.random() < 0.15:
        return (8 * random_numbers.integers(0, 9, 2)).tolist()
    center = np.array([scene.x, scene.y]) + random_numbers.uniform(-0.7, 0.7, 2) * scene.radius
    corner = ((center + 1) * SIDE / 2 - _CROP / 2) // 8 * 8
    return corner.clip(0, SIDE - _CROP).astype(int).tolist()


def _disturbed(clean: torch.Tensor, source: torch.Generator) -> torch.Tensor:
    """Returns latents with a little noise, since those that the UNet makes are not perfect either."""
    strength = torch.rand(len(clean), 1, 1, 1, generator=source) ** 2 * 0.08
    return clean + (strength * torch.randn(clean.shape, generator=source)).to(clean.device)


def _reconstruction_loss(error: torch.Tensor) -> torch.Tensor:
    """Returns the mean absolute and squared errors, and the absolute errors of both gradients."""
    across = error[..., :, 1:] - error[..., :, :-1]
    down = error[..., 1:, :] - error[..., :-1, :]
    return error.abs().mean() + error.square().mean() + across.abs().mean() + down.abs().mean()
