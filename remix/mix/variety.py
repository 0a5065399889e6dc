"""Noise on the conditioning, for distilled models, whose pictures hardly change with the noise of their latents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from remix.catalog.families import FAMILIES, MASK
from remix.errors import MixError
from remix.mix.conditioning import Conditioning, family_of
from remix.mix.noise import noise_of_mixes

DEVIATIONS = 2.5
"""The noise at an amount of 1, in standard deviations. At 0.2, it shows, and the prompt can still be made out."""


def varied(
    conditioning: Conditioning, seeds: Iterable[Any], amount: float, *, family: str | None = None
) -> Conditioning:
    """Returns a conditioning with noise on the tokens of each picture.

    The noise has `amount` times `DEVIATIONS` times the standard deviation of the picture's tokens. `seeds` has a mix of
    seeds for each picture, as in `noise_of_mixes`, so the noise travels with them. The noise of a row depends on the
    seed and the row's place alone, not on the number of rows. In families that repeat prompts whole, it repeats in the
    same way, and in those that pad in front, rows are counted from the last one. Without `family`, it is found by the
    form of the conditioning. Rows that a mask hides get noise, too, but do not count in the deviation.

    >>> still = Conditioning(torch.randn(1, 77, 768))
    >>> varied(still, [[(7, 1.0)]], 0.2).tokens.sub(still.tokens).std().div(still.tokens.std()).mul(10).round()
    tensor(5.)
    """
    if not amount:
        return conditioning
    row = FAMILIES[family or family_of(conditioning)]
    tokens = conditioning.tokens
    count, width = tokens.shape[1:]
    noise = noise_of_mixes(seeds, (row.chunk if row.tiles else count, width))
    if len(noise) != len(tokens):
        raise MixError(f"seeds: {len(noise)} mixes for {len(tokens)} pictures; give one for each.")
    noise = noise.repeat(1, -(-count // noise.shape[1]), 1)[:, :count]
    if row.lengths == "front":
        noise = noise.flip(1)
    spread = _deviation(tokens, conditioning.extra.get(MASK))
    changed = tokens.float() + DEVIATIONS * amount * spread.view(-1, 1, 1) * noise.to(tokens.device)
    return replace(conditioning, tokens=changed.to(tokens.dtype))


def _deviation(tokens: Tensor, mask: Any) -> Tensor:
    """Returns the standard deviation of the tokens of each picture, [B]."""
    if not isinstance(mask, Tensor):
        return tokens.float().flatten(1).std(dim=1, unbiased=False)
    attended = mask.expand(len(tokens), -1).to(tokens.device) > 0
    return torch.stack([own[rows].float().std(unbiased=False) for own, rows in zip(tokens, attended, strict=True)])
