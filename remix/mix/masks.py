"""Two latents or pictures, each in its own part of the plane."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from remix.errors import MixError
from remix.mix.names import size


def masked(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """`a` where `mask` is 0, `b` where it is 1 (bit for bit), and their lerp in between.

    `a` and `b` are [B, C, H, W] or [B, C, T, H, W] of one shape (a batch of 1 meets any). `mask` is
    [B or 1, 1, h, w] for both, or [B or 1, 1, T, h, w] with a mask for each time; values are 0 to 1.
    A mask of another height and width is resized bilinearly (half-pixel centres), as the hosts
    resize their noise masks. Computes in float32; the result has `a`'s dtype.
    """
    _refuse_unlike(a, b, mask)
    batches = {n for n in (len(a), len(b), len(mask)) if n != 1}
    if len(batches) > 1:
        raise MixError(
            f"mask: batches of {len(a)}, {len(b)} and {len(mask)}; only a batch of 1 may meet another batch."
        )
    wide = torch.float64 if torch.float64 in (a.dtype, b.dtype) else torch.float32
    t = resized_mask(mask.to(device=a.device, dtype=wide), a.shape)
    mixed = ((1 - t) * a.to(wide) + t * b.to(wide)).to(a.dtype)
    return torch.where(t == 0, a, torch.where(t == 1, b.to(a.dtype), mixed))


def resized_mask(mask: Tensor, latent: torch.Size) -> Tensor:
    """`mask` [B, 1, h, w] or [B, 1, T, h, w] at the height and width of `latent`, with as many axes."""
    height, width = latent[-2:]
    if mask.shape[-2:] != (height, width):
        planes = mask.reshape(-1, 1, *mask.shape[-2:])
        planes = functional.interpolate(planes, size=(height, width), mode="bilinear", align_corners=False)
        mask = planes.reshape(*mask.shape[:-2], height, width)
    return mask.unsqueeze(2) if mask.ndim < len(latent) else mask


def _refuse_unlike(a: Tensor, b: Tensor, mask: Tensor) -> None:
    if a.ndim not in (4, 5) or a.shape[1:] != b.shape[1:] or a.ndim != b.ndim:
        raise MixError(f"a is {size(a.shape)} and b {size(b.shape)}; give one shape, [B, C, H, W] or [B, C, T, H, W].")
    if not (a.is_floating_point() and b.is_floating_point() and mask.is_floating_point()):
        raise MixError(f"a is {a.dtype}, b {b.dtype} and mask {mask.dtype}; convert them with .float().")
    if mask.ndim not in (4, a.ndim) or mask.shape[1] != 1:
        raise MixError(f"mask: {size(mask.shape)} does not fit {size(a.shape)}; give [B or 1, 1, h, w].")
    if mask.ndim == 5 and mask.shape[2] not in (1, a.shape[2]):
        raise MixError(f"mask: {mask.shape[2]} times, and the latent has {a.shape[2]}; give one mask, or one for each.")
    if not bool(((mask >= 0) & (mask <= 1)).all()):
        raise MixError("mask: values outside 0 to 1; divide by 255 if it came from 8-bit grey.")
