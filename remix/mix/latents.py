"""Latents of every rank: pictures, video, audio, and several of them nested in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from remix.errors import MixError
from remix.mix.channels import matched_to_mix
from remix.mix.conditioning import same
from remix.mix.interpolate import mix
from remix.mix.names import size

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
    """The latents of F frames, a batch of F, from S `sources` and `weights` [F, S]; see `mix` for `how`.

    `sources` is one batch [S, C, ...] or a sequence of S latents with a batch of 1: audio [1, C, L],
    pictures [1, C, H, W], video [1, C, T, H, W]. Nested latents (a sequence of objects whose
    `is_nested` is true and whose `unbind()` gives their parts) are mixed part by part, and the
    result is made by their class from the list of parts; `out` is not for these.

    `adain` moves every channel of a mixed frame to the weighted mean and standard deviation of its
    sources (see `matched_to_mix`), which keeps colours from fading half-way.
    MixError names both shapes where sizes differ: latents are never resized here.
    """
    if not isinstance(sources, Tensor) and any(_is_nested(source) for source in sources):
        if out is not None:
            raise MixError("out: nested latents have no single buffer; leave it out.")
        return _mix_nested(list(sources), weights, how, adain)
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
    """A ComfyUI LATENT of F frames from S of them with a batch of 1 each, and `weights` [F, S].

    `samples` goes through `mix_latents`. `noise_mask` is mixed by lerp, a source without one being
    noised everywhere (ones). `batch_index`, which says what noise an item gets, is kept and repeated
    for each frame if it is the same in all sources; that and every other key are refused by name
    (MixError) where they differ.
    """
    if not len(sources):
        raise MixError("sources: there are none; give at least one latent.")
    mixed: dict[str, Any] = {}
    for key in dict.fromkeys(key for source in sources for key in source):
        values = [source.get(key) for source in sources]
        if key == "samples":
            mixed[key] = mix_latents(values, weights, how=how, adain=adain)
        elif key == "noise_mask":
            mixed[key] = _mixed_masks(values, weights)
        elif all(same(values[0], value) for value in values):
            mixed[key] = values[0]
        else:
            raise MixError(
                f'"{key}" differs between the latents and cannot be mixed; give all of them the same, or remove it.'
            )
    if "samples" not in mixed:
        raise MixError('"samples" is missing; give ComfyUI latents, {"samples": tensor}.')
    if mixed.get("batch_index") is not None:
        mixed["batch_index"] = list(mixed["batch_index"]) * len(weights)
    return mixed


def _refuse_shapes(sources: Tensor | Sequence[Tensor]) -> None:
    parts = [sources] if isinstance(sources, Tensor) else sources
    for index, part in enumerate(parts):
        if part.ndim not in RANKS:
            raise MixError(
                f"sources[{index}]: {size(part.shape)} is no latent; give [B, C, L], [B, C, H, W] or [B, C, T, H, W]."
            )
        if part is not sources and len(part) != 1:
            raise MixError(f"sources[{index}]: a batch of {len(part)}; give each latent by itself, a batch of 1.")


def _is_nested(latent: Any) -> bool:
    # Plain tensors have the attribute too (False); torch's own nested tensors are not what hosts mean.
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
        return mix_latents(sources, weights, how=how, adain=adain)
    except MixError as error:
        raise MixError(f"part {index}: {error}") from error


def _mixed_masks(masks: list[Tensor | None], weights: Any) -> Tensor | None:
    like = next((mask for mask in masks if mask is not None), None)
    if like is None:
        return None
    try:
        return mix([torch.ones_like(like) if mask is None else mask for mask in masks], weights)
    except MixError as error:
        raise MixError(f'"noise_mask": {error}') from error
