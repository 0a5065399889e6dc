"""Latents of every rank: pictures, video, audio, and nested latents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor

from remix.errors import MixError
from remix.mix.channels import matched_to_mix
from remix.mix.checks import floating, sequence, shown, size
from remix.mix.conditioning import same
from remix.mix.interpolate import mix
from remix.mix.sources import weight_table

# Ranks of a latent batch: audio [B, C, L], picture [B, C, H, W], video [B, C, T, H, W].
RANKS = (3, 4, 5)


def mix_latents(
    sources: Any,
    weights: Tensor | Sequence[Sequence[float]],
    *,
    how: str = "lerp",
    adain: bool = False,
    out: Tensor | None = None,
) -> Any:
    """Returns the latents of F frames, a batch of F, from S `sources` and `weights` [F, S]; see `mix` for `how`.

    `sources` is one batch [S, C, ...] or a sequence of S latents with a batch of 1: audio [1, C, L], pictures [1, C, H,
    W], video [1, C, T, H, W]. Nested latents (a sequence of objects whose `is_nested` is true and whose `unbind()`
    returns their parts) are mixed part by part, and the result is built by their class from the list of parts; they do
    not support `out`.

    `adain` moves every channel of a mixed frame to the weighted mean and standard deviation of its sources (see
    `matched_to_mix`), which keeps colors from fading half-way. Raises MixError, with both shapes, if sizes differ:
    latents are never resized here.
    """
    if not isinstance(adain, bool):
        raise MixError(f"adain: {shown(adain)}; give True or False.")
    if not isinstance(sources, Tensor):
        sources = sequence("sources", sources, "a batch of latents, or a sequence of them")
        if any(_is_nested(source) for source in sources):
            if out is not None:
                raise MixError("out: nested latents have no single buffer; leave it out.")
            return _mix_nested(sources, weights, how, adain)
    _refuse_shapes(sources)
    mixed = mix(sources, weights, how=how, out=out)
    return matched_to_mix(mixed, sources, weights, out=mixed) if adain else mixed


def mix_comfy_latents(
    sources: Sequence[Mapping[str, Any]],
    weights: Tensor | Sequence[Sequence[float]],
    *,
    how: str = "lerp",
    adain: bool = False,
) -> dict[str, Any]:
    """Returns a ComfyUI LATENT of F frames from S of them with a batch of 1 each, and `weights` [F, S].

    `samples` goes through `mix_latents`. `noise_mask` is mixed by lerp, and a source without one is noised everywhere
    (ones). Masks are [H, W] or [1, ...]; several of them are the times of a video. Nested latents have nested masks,
    part by part. A mask that is not nested, or has fewer parts, leaves the other parts noised everywhere, as in
    ComfyUI. `batch_index`, which selects the noise of an item, is kept and repeated for each frame if it is the same in
    all sources. Raises MixError if it, or any other key, differs between sources.
    """
    sources = _with_samples(sources)
    table = weight_table(weights, len(sources))
    mixed: dict[str, Any] = {}
    for key in dict.fromkeys(key for source in sources for key in source):
        values = [source.get(key) for source in sources]
        if key == "samples":
            mixed[key] = mix_latents(values, table, how=how, adain=adain)
        elif key == "noise_mask":
            mixed[key] = _mixed_masks(values, table, sources[0]["samples"])
        elif all(same(values[0], value) for value in values):
            mixed[key] = values[0]
        else:
            raise MixError(
                f'"{key}" differs between the latents and cannot be mixed; give all of them the same, or remove it.'
            )
    if mixed.get("batch_index") is not None:
        indices = sequence('"batch_index"', mixed["batch_index"], "the list of whole numbers that ComfyUI made")
        mixed["batch_index"] = indices * len(table)
    return mixed


def _with_samples(given: Any) -> list[Mapping[str, Any]]:
    sources = sequence("sources", given, 'a sequence of ComfyUI latents, {"samples": tensor}')
    for index, source in enumerate(sources):
        if not isinstance(source, Mapping):
            raise MixError(f'sources[{index}]: {shown(source)}; give a ComfyUI latent, {{"samples": tensor}}.')
        if source.get("samples") is None:
            raise MixError(f'sources[{index}]: "samples" is missing; give a ComfyUI latent, {{"samples": tensor}}.')
    return sources


def _refuse_shapes(sources: Tensor | Sequence[Tensor]) -> None:
    parts = [sources] if isinstance(sources, Tensor) else sources
    for index, part in enumerate(parts):
        if floating(f"sources[{index}]", part).ndim not in RANKS:
            raise MixError(
                f"sources[{index}]: {size(part.shape)} is no latent; give [B, C, L], [B, C, H, W] or [B, C, T, H, W]."
            )
        if part is not sources and len(part) != 1:
            raise MixError(f"sources[{index}]: a batch of {len(part)}; give each latent by itself, a batch of 1.")


def _is_nested(latent: Any) -> bool:
    # Plain tensors have the attribute too (False); torch's own nested tensors are not those of the hosts.
    return bool(getattr(latent, "is_nested", False)) and not isinstance(latent, Tensor)


def _mix_nested(sources: list[Any], weights: Any, how: str, adain: bool) -> Any:
    if not all(_is_nested(source) for source in sources):
        raise MixError("sources: nested and plain latents cannot be mixed; give all of one kind.")
    parts = [list(source.unbind()) for source in sources]
    counts = [len(one) for one in parts]
    if len(set(counts)) > 1:
        raise MixError(f"sources: nested latents of {counts} parts; give the same parts in each.")
    columns = enumerate(zip(*parts, strict=True))
    return type(sources[0])([_mix_part(index, column, weights, how, adain) for index, column in columns])


def _mix_part(index: int, sources: Sequence[Tensor], weights: Any, how: str, adain: bool) -> Tensor:
    try:
        part: Tensor = mix_latents(sources, weights, how=how, adain=adain)
    except MixError as error:
        raise MixError(f"part {index}: {error}") from error
    return part


def _mixed_masks(masks: list[Any], table: Tensor, samples: Any) -> Any:
    """Returns the mix of the masks of all sources, nested if one of them is; None if there is none."""
    nested = next((mask for mask in masks if _is_nested(mask)), None)
    ranks = [part.ndim for part in (samples.unbind() if _is_nested(samples) else [samples])]
    columns = zip_longest(*(list(mask.unbind()) if _is_nested(mask) else [mask] for mask in masks))
    # Beyond the parts of the samples, there is nothing to mask.
    mixed = [_mixed_mask(column, table, rank) for column, rank in zip(columns, ranks, strict=False)]
    return mixed[0] if nested is None else type(nested)(mixed)


def _mixed_mask(masks: Sequence[Any], table: Tensor, rank: int) -> Tensor | None:
    given = [None if mask is None else _batched(mask, rank) for mask in masks]
    like = next((mask for mask in given if mask is not None), None)
    if like is None:
        return None
    try:
        return mix([torch.ones_like(like) if mask is None else mask for mask in given], table)
    except MixError as error:
        raise MixError(f'"noise_mask": {error}') from error


def _batched(mask: Tensor, rank: int) -> Tensor:
    """Returns the mask of one latent as a batch of 1, of the latent's rank for pictures and video.

    ComfyUI takes several masks of a picture for a batch, and several masks of a video for its times.
    """
    floating('"noise_mask"', mask)
    if rank in (4, 5) and 2 <= mask.ndim < rank:
        mask = mask.reshape(*((1, 1, -1) if rank == 5 else (-1, 1)), *mask.shape[-2:])
    if mask.ndim < 2 or len(mask) != 1:
        raise MixError(f'"noise_mask": {size(mask.shape)}; give each latent a mask of its own, [H, W] or [1, ...].')
    return mask
