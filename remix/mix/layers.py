"""Latents laid over each other by the blend modes of layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from remix.errors import MixError
from remix.mix.checks import known, size
from remix.mix.modes import SEPARABLE, blend
from remix.mix.sources import weight_table

LATENT_MODES = tuple(name for name in SEPARABLE if name != "normal")
"""Blend modes that work on each channel by itself; "normal" is the lerp of `mix`."""


@torch.no_grad()
def blend_layers(layers: Sequence[Tensor], weights: Tensor | Sequence[Sequence[float]], mode: str) -> Tensor:
    """The latents of F frames, [F, C, ...], from S `layers` ([F or 1, C, ...] each) and `weights` [F, S].

    The first layer lies at the bottom, each further one over it by `mode`. Its opacity is its weight's share of
    its own and all weights below it, so that the mode "normal" would be the weighted sum; a frame that has only
    the first is it, bit for bit, and a weight of 1 lays a layer on in full.
    Computes in float32 (float64 for float64 layers).
    Modes are defined on 0 to 1. A latent's channel is taken there and back by the largest magnitude that the two
    have in it, sample by sample: 0 is middle grey, as in the decoded picture.
    """
    known(mode, LATENT_MODES, "mode")
    table = weight_table(weights, len(layers))
    below = table.cumsum(dim=1)
    opacities = torch.where(below > 0, table / below.masked_fill(below == 0, 1), 0).clamp(0, 1)
    base = _expanded(layers, 0, len(table))
    for index in range(1, len(layers)):
        base = _laid_over(base, _expanded(layers, index, len(table)), mode, opacities[:, index])
    return base


def _expanded(layers: Sequence[Tensor], index: int, frames: int) -> Tensor:
    layer = layers[index]
    if not isinstance(layer, Tensor) or layer.ndim < 3 or not layer.is_floating_point():
        raise MixError(f"sources[{index}]: it is no latent; give [batch, channels, ...] of floating point numbers.")
    if layer.shape[1:] != layers[0].shape[1:] or len(layer) not in (1, frames):
        raise MixError(
            f"sources[{index}]: {size(layer.shape)} does not match sources[0], {size(layers[0].shape)}, and"
            f" {frames} frame(s); resize one of them first."
        )
    if not bool(torch.isfinite(layer).all()):
        raise MixError(f"sources[{index}]: it holds inf or NaN; make it again, in float32 if it overflowed.")
    return layer.expand(frames, *layer.shape[1:])


def _laid_over(base: Tensor, top: Tensor, mode: str, opacity: Tensor) -> Tensor:
    """`top` over `base`, both [F, C, ...]; frames of opacity 0 stay as they are."""
    wide = torch.float64 if base.dtype == torch.float64 else torch.float32
    under, over = base.to(wide), top.to(wide)
    axes = tuple(range(2, base.ndim))
    reach = torch.maximum(under.abs().amax(dim=axes, keepdim=True), over.abs().amax(dim=axes, keepdim=True))
    reach = reach.masked_fill(reach == 0, 1)
    low, high = ((part / reach / 2 + 0.5).clamp(0, 1) for part in (under, over))
    mixed = ((blend(low, high, mode, opacity) - 0.5) * 2 * reach).to(base.dtype)
    untouched = (opacity == 0).to(base.device).reshape(-1, *(1,) * (base.ndim - 1))
    return torch.where(untouched, base, mixed)
