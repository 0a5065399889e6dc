"""Moves the mean and standard deviation of channels to those of a style or of a mix."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from remix.errors import MixError
from remix.mix.checks import floating, size
from remix.mix.product import in_range
from remix.mix.sources import merged, sources_of, weight_table

# The number of elements processed at once, widened if they are narrow: few enough for the cache.
BLOCK = 2**18


def adain(x: Tensor, style: Tensor) -> Tensor:
    """Returns `x` with the mean and standard deviation that each channel has in `style`.

    `x` is [B, C, ...] with one or more further axes, `style` [B or 1, C, ...] of any size there. Each sample and
    channel has separate statistics over all further axes (population standard deviation). A channel of `x` without any
    variation becomes the style's mean. Computes in float32, also for numbers whose squares exceed it. The result has
    `x`'s dtype, clamped to its largest number. Source: Huang and Belongie 2017, equation 8, without its epsilon.
    """
    floating("x", x)
    floating("style", style)
    if x.ndim < 3 or style.ndim < 3 or x.shape[1] != style.shape[1] or len(style) not in (1, len(x)):
        raise MixError(
            f"x is {size(x.shape)} and style {size(style.shape)}; give [batch, channels, ...] with as many"
            " channels, and a style for each sample or one for all."
        )
    for name, channels in (("x", x), ("style", style)):
        if channels.numel() and not bool(torch.isfinite(channels).all()):
            raise MixError(f"{name}: it holds inf or NaN, which would spread over its channel; make it again.")
        if len(channels) and not channels[0, 0].numel():
            raise MixError(f"{name}: {size(channels.shape)} has channels without numbers; give at least one in each.")
    flat, wanted = _flat(x), _flat(style)
    scale, wanted_scale = _scale(flat), _scale(wanted)
    flat = flat / scale  # which also widens it
    mean, deviation = _statistics(flat)
    wanted_mean, wanted_deviation = (part.to(flat) for part in _statistics(wanted / wanted_scale))
    moved = (flat - mean) * _ratio(wanted_deviation, mean, deviation) + wanted_mean
    return in_range(moved * wanted_scale.to(flat), x.dtype).to(x.dtype).reshape(x.shape)


@torch.no_grad()
def matched_to_mix(
    mixed: Tensor,
    sources: Tensor | Sequence[Tensor],
    weights: Tensor | Sequence[Sequence[float]],
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Returns `mixed` [F, C, ...] with the weighted mean and standard deviation of its sources in each channel.

    `sources` [S, C, ...] and `weights` [F, S] are those of `mixed`. A plain mix of two latents varies less than either,
    which shows as faded color half-way; DiffMorpher (CVPR 2024) applies AdaIN with interpolated statistics to prevent
    that. A frame with one source is unchanged, bit for bit. `out` may be `mixed` itself, which is then modified in
    place.
    """
    given = sources_of(sources)
    table = weight_table(weights, len(given))
    if floating("mixed", mixed).shape != (len(table), *given.shape) or mixed.ndim < 3:
        raise MixError(
            f"mixed: {size(mixed.shape)} is not a mix of {size((len(given), *given.shape))} for {len(table)} frame(s);"
            " give what `mix` returned."
        )
    if mixed.device != given.device:
        raise MixError(f"mixed is on {mixed.device} and its sources on {given.device}; move one of them with .to().")
    if out is not None and floating("out", out).shape != mixed.shape:
        raise MixError(f"out: {size(out.shape)} cannot hold {size(mixed.shape)}; give a buffer of that size.")
    given, table = merged(given, table)
    result = mixed.clone() if out is None else out.copy_(mixed)
    if not result.numel():
        return result
    parts = [row.reshape(1, *given.shape) for row in given.rows]
    scale = torch.cat([_scale(_flat(part)) for part in parts]).amax(dim=0, keepdim=True)
    measured = [torch.cat(each) for each in zip(*(_statistics(_flat(part) / scale) for part in parts), strict=True)]
    factors = table.to(scale)
    wanted_mean, wanted = ((factors @ part.squeeze(2)).unsqueeze(2) for part in measured)
    step = max(BLOCK // given.width, 1)
    for start in range(0, len(result), step):
        frames = slice(start, start + step)
        single = ((table[frames] > 0).sum(dim=1) == 1).to(scale.device)
        _move(result[frames], scale, wanted_mean[frames], wanted[frames], single.reshape(-1, 1, 1))
    return result


def _move(frames: Tensor, scale: Tensor, wanted_mean: Tensor, wanted: Tensor, single: Tensor) -> None:
    """Applies the statistics to `frames` in place, except for those that are `single`."""
    scale = torch.where(single, 1, scale)
    flat = _flat(frames) / scale
    mean, deviation = _statistics(flat)
    # x - 0.0 and x + -0.0 are x for every x, including minus zero.
    flat.sub_(mean.masked_fill(single, 0.0))
    flat.mul_(_ratio(wanted, mean, deviation).masked_fill(single, 1.0))
    flat.add_(wanted_mean.masked_fill(single, -0.0))
    frames.copy_(in_range(flat.mul_(scale), frames.dtype).reshape(frames.shape))


def _flat(x: Tensor) -> Tensor:
    """Returns `x` as [B, C, everything else]."""
    return x.reshape(len(x), x.shape[1], x.shape[2:].numel())


def _scale(flat: Tensor) -> Tensor:
    """Returns a power of two near the largest magnitude of each channel, [B, C, 1], in the dtype to compute in.

    Numbers divided by it are at most 2, so that their squares are finite, and lose no digits.
    """
    wide = torch.float64 if flat.dtype == torch.float64 else torch.float32
    low, high = torch.aminmax(flat.to(wide), dim=2, keepdim=True)
    limits = torch.finfo(wide)
    largest = torch.maximum(-low, high).clamp(limits.tiny, limits.max / 2)
    return torch.exp2(torch.floor(torch.log2(largest)))


def _statistics(flat: Tensor) -> tuple[Tensor, Tensor]:
    """Returns mean and population standard deviation of each channel, [B, C, 1]."""
    variance, mean = torch.var_mean(flat, dim=2, correction=0, keepdim=True)
    return mean, variance.sqrt()


def _ratio(wanted: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Returns wanted / deviation, and 0 where the deviation is only the rounding error of the mean."""
    flat = deviation <= 2 * torch.finfo(mean.dtype).eps * mean.abs()
    return torch.where(flat, 0, wanted / deviation.masked_fill(flat, 1))
