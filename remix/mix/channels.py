"""The mean and standard deviation of channels, moved to those of a style or of a mix."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from remix.errors import MixError
from remix.mix.names import size
from remix.mix.sources import stacked_sources, weight_table

# Frames that are moved at once.
BLOCK = 8


def adain(x: Tensor, style: Tensor) -> Tensor:
    """`x` with the mean and standard deviation that each channel has in `style`.

    `x` is [B, C, ...] with one or more further axes, `style` [B or 1, C, ...] of any size there.
    Each sample and channel has its own statistics over all further axes (population standard
    deviation). A channel of `x` without any variation becomes the style's mean. Computes in float32;
    the result has `x`'s dtype. Source: Huang and Belongie 2017, equation 8, without its epsilon.
    """
    if x.ndim < 3 or style.ndim < 3 or x.shape[1] != style.shape[1] or len(style) not in (1, len(x)):
        raise MixError(
            f"x is {size(x.shape)} and style {size(style.shape)}; give [batch, channels, ...] with as many"
            " channels, and a style for each sample or one for all."
        )
    flat = _flat(x)
    mean, deviation = _statistics(flat)
    style_mean, style_deviation = (part.to(flat) for part in _statistics(_flat(style)))
    moved = (flat - mean) * _ratio(style_deviation, mean, deviation) + style_mean
    return moved.to(x.dtype).reshape(x.shape)


@torch.no_grad()
def matched_to_mix(
    mixed: Tensor,
    sources: Tensor | Sequence[Tensor],
    weights: Tensor | Sequence[Sequence[float]],
    *,
    out: Tensor | None = None,
) -> Tensor:
    """`mixed` [F, C, ...] with the weighted mean and standard deviation of its sources, channel by channel.

    `sources` [S, C, ...] and `weights` [F, S] are those that `mixed` was made of. A plain mix of two
    latents varies less than either, which shows as faded colour half-way; DiffMorpher (CVPR 2024)
    applies AdaIN with interpolated statistics against that. A frame with one source is left as it
    is, bit for bit. `out` may be `mixed` itself, which is then changed in place.
    """
    stacked = stacked_sources(sources)
    table = weight_table(weights, len(stacked))
    if mixed.shape != (len(table), *stacked.shape[1:]) or mixed.ndim < 3:
        raise MixError(
            f"mixed: {size(mixed.shape)} is not a mix of {size(stacked.shape)} for {len(table)} frame(s);"
            " give what `mix` returned."
        )
    result = mixed.clone() if out is None else out.copy_(mixed)
    means, deviations = _statistics(_flat(stacked))
    factors = table.to(means)
    wanted_mean, wanted = ((factors @ part.squeeze(2)).unsqueeze(2) for part in (means, deviations))
    single = ((table > 0).sum(dim=1) == 1).to(means.device).reshape(-1, 1, 1)
    # A few frames at a time, in place: half precision is widened, which must not double the whole.
    for start in range(0, len(result), BLOCK):
        frames = slice(start, start + BLOCK)
        flat = _flat(result[frames])
        mean, deviation = _statistics(flat)
        # x - 0.0 and x + -0.0 are x for every x, minus zero included.
        flat.sub_(mean.masked_fill(single[frames], 0.0))
        flat.mul_(_ratio(wanted[frames], mean, deviation).masked_fill(single[frames], 1.0))
        flat.add_(wanted_mean[frames].masked_fill(single[frames], -0.0))
        result[frames] = flat.reshape(result[frames].shape).to(result.dtype)
    return result


def _flat(x: Tensor) -> Tensor:
    """`x` as [B, C, everything else], widened to float32 where it is narrower."""
    wide = x if x.dtype == torch.float64 else x.float()
    return wide.reshape(len(x), x.shape[1], x.shape[2:].numel())


def _statistics(flat: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and population standard deviation of each channel, [B, C, 1]."""
    variance, mean = torch.var_mean(flat, dim=2, correction=0, keepdim=True)
    return mean, variance.sqrt()


def _ratio(wanted: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """wanted / deviation, and 0 where the deviation is nothing but the rounding of the mean."""
    flat = deviation <= 2 * torch.finfo(mean.dtype).eps * mean.abs()
    return torch.where(flat, 0, wanted / deviation.masked_fill(flat, 1))
