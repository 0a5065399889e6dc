"""Masks: combines two latents or pictures, each in its own area."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from remix.errors import MixError
from remix.mix.checks import floating, size
from remix.mix.interpolate import mix
from remix.mix.weights import weights_of

# Masks that were sharpened, added up or resized cubically leave 0 to 1 by less than this. 8-bit masks reach 255, and
# clipping them would turn a soft mask into a hard one.
OVERSHOOT = 1.0

LUMA = (299, 587, 114)
"""Thousandths of red, green and blue in gray (BT.601), as Pillow and so AUTOMATIC1111 weigh them."""


def masked(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """Returns `a` where `mask` is 0, `b` where it is 1 (bit for bit), and their lerp in between.

    `a` and `b` are [B, C, H, W] or [B, C, T, H, W] of one shape (a batch of 1 is broadcast). `mask` is [h, w] or [B or
    1, 1, h, w], for video also [B or 1, 1, T, h, w]. Three axes are those of ComfyUI's MASK: [B or 1, h, w] for
    pictures, [T or 1, h, w] for video, whose masks are its times. A mask of another height and width is resized
    bilinearly (half-pixel centers), as the hosts resize their noise masks. Values are clipped to 0 to 1; MixError is
    raised for those beyond -1 and 2. Computes in float32; the result has `a`'s dtype.
    """
    for name, given in (("a", a), ("b", b), ("mask", mask)):
        floating(name, given)
    _refuse_unlike(a, b)
    mask = _with_axes(mask, a)
    batches = {n for n in (len(a), len(b), len(mask)) if n != 1}
    if len(batches) > 1:
        raise MixError(
            f"mask: batches of {len(a)}, {len(b)} and {len(mask)}; only a batch of 1 may meet another batch."
        )
    wide = torch.float64 if torch.float64 in (a.dtype, b.dtype) else torch.float32
    t = resized_mask(mask.to(device=a.device, dtype=wide), a.shape).clamp(0, 1)
    mixed = ((1 - t) * a.to(wide) + t * b.to(wide)).to(a.dtype)
    return torch.where(t == 0, a, torch.where(t == 1, b.to(a.dtype), mixed))


def resized_mask(mask: Tensor, latent: torch.Size) -> Tensor:
    """Returns `mask` [B, 1, h, w] or [B, 1, T, h, w] at the height and width of `latent`, with as many axes."""
    height, width = latent[-2:]
    if mask.shape[-2:] != (height, width):
        planes = mask.reshape(-1, 1, *mask.shape[-2:])
        planes = functional.interpolate(planes, size=(height, width), mode="bilinear", align_corners=False)
        mask = planes.reshape(*mask.shape[:-2], height, width)
    return mask.unsqueeze(2) if mask.ndim < len(latent) else mask


def is_by_item(mask: Tensor, rank: int) -> bool:
    """Returns whether the first axis of a noise mask counts the items of a batch of latents of this `rank`.

    This is ComfyUI's rule. A plane [H, W] has no such axis. Masks of a video that are not [B, 1, T, H, W] are its
    times, for all items.
    """
    return mask.ndim == 5 if rank == 5 else mask.ndim > 2


def masks_of_mixes(mixes: Iterable[Any], pictures: Mapping[str, Tensor], latents: torch.Size) -> Tensor:
    """Returns how much of `latents` [B, c, h, w] is redrawn, by B mixes of pictures: [B, 1, h, w], 0 to 1.

    `mixes` have the form for `weights_of`; `pictures` are uint8 [H, W, 3], by name. Each is converted to gray, resized
    bilinearly as in the hosts, and then mixed.
    """
    names, weights = weights_of(mixes)
    return mix([resized_mask(_gray(pictures[name]), latents) for name in names], weights).clamp(0, 1)


def _gray(picture: Tensor) -> Tensor:
    """Returns a picture as one plane [1, 1, H, W], computed in integers so that white is exactly 1."""
    planes = picture.int() * torch.tensor(LUMA)
    return planes.sum(-1)[None, None].float() / (255 * sum(LUMA))


def _refuse_unlike(a: Tensor, b: Tensor) -> None:
    if a.ndim not in (4, 5) or a.shape[1:] != b.shape[1:] or a.ndim != b.ndim:
        raise MixError(f"a is {size(a.shape)} and b {size(b.shape)}; give one shape, [B, C, H, W] or [B, C, T, H, W].")
    if a.device != b.device:
        raise MixError(f"a is on {a.device} and b on {b.device}; move one of them with .to().")


def _with_axes(mask: Tensor, latent: Tensor) -> Tensor:
    """Returns `mask` as [B or 1, 1, h, w] or [B or 1, 1, T, h, w], after checking that it matches `latent`."""
    given = size(mask.shape)
    if mask.ndim in (2, 3) and mask.numel():
        mask = mask.reshape(*((1, 1, -1) if latent.ndim == 5 else (-1, 1)), *mask.shape[-2:])
    if mask.ndim not in (4, latent.ndim) or mask.shape[1] != 1 or not mask.numel():
        raise MixError(f"mask: {given} does not fit {size(latent.shape)}; give [h, w] or [B or 1, 1, h, w].")
    if mask.ndim == 5 and mask.shape[2] not in (1, latent.shape[2]):
        raise MixError(
            f"mask: {mask.shape[2]} times, and the latent has {latent.shape[2]}; give one mask, or one for each."
        )
    if not bool(((mask >= -OVERSHOOT) & (mask <= 1 + OVERSHOOT)).all()):
        raise MixError("mask: values far outside 0 to 1, or NaN; divide by 255 if it came from 8-bit gray.")
    return mask
