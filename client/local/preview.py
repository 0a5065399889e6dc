"""Previews: small pictures of latents, one pixel for each place, from a linear map of the model's own VAE."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from remix.client.local.models import LoadedModel
from remix.client.local.pictures import to_picture
from remix.motion import Picture

SAMPLES, SIDE, SPOTS = 4, 16, 4
"""The map is measured on this many pictures of SIDE x SIDE latent places, each with SPOTS x SPOTS random colors."""


class Previews:
    """Makes previews of the latents of a model. The VAE is used once, to measure the map from latents to colors."""

    def __init__(self, model: LoadedModel) -> None:
        spots = torch.rand(SAMPLES, 3, SPOTS, SPOTS, generator=torch.Generator().manual_seed(0))
        side = SIDE * model.factor
        pictures = functional.interpolate(spots, size=(side, side), mode="bilinear")
        latents = model.to_latents(pictures)
        colors = functional.interpolate(pictures, size=latents.shape[2:], mode="area")
        self._map = torch.linalg.lstsq(_with_one(_rows(latents)), _rows(colors), driver="gelsd").solution

    def of(self, latent: Tensor) -> Picture:
        """Returns the preview of a latent [c, h, w], uint8 [h, w, 3]."""
        height, width = latent.shape[1:]
        colors = _with_one(_rows(latent[None].float().cpu())) @ self._map
        return to_picture(colors.clamp(0, 1).T.view(3, height, width))


def _rows(values: Tensor) -> Tensor:
    """Returns [B, c, h, w] as one row of c values for each place."""
    return values.movedim(1, -1).flatten(0, 2)


def _with_one(rows: Tensor) -> Tensor:
    return torch.cat([rows, torch.ones(len(rows), 1)], dim=1)
