"""The init pictures of a film: their latents, and the noise from which the model draws them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from remix.client.local.models import LoadedModel
from remix.client.local.pictures import to_tensor
from remix.client.local.sampling import sigmas_for
from remix.engine import Picture
from remix.mix import Conditioning
from remix.mix.inversion import INVERSION_STEPS, Inversion, inverted, inverted_noise
from remix.plan import Frame, Recipe

LATENTS_KEPT = 64
"""Number of encoded init pictures, and of inverted ones, that stay in memory."""


class InitPictures:
    """The init pictures of a recipe for a loaded model. `pictures` has them by name."""

    def __init__(self, model: LoadedModel, recipe: Recipe, pictures: Mapping[str, Picture]) -> None:
        self._model, self._recipe, self._pictures = model, recipe, pictures
        self.latent = lru_cache(LATENTS_KEPT)(self._latent)
        self._inversions: dict[tuple[str, torch.dtype], Inversion] = {}

    def _latent(self, name: str) -> Tensor:
        """Returns the latent of a picture, [1, c, h, w]."""
        return self._model.to_latents(to_tensor(self._pictures[name]))

    def noise(
        self, frames: Sequence[Frame], sigmas: Tensor, of_seeds: Tensor, empty: Callable[[], Conditioning]
    ) -> Tensor:
        """Returns the noise with which frames start: `of_seeds`, or if the recipe inverts, that of their init pictures.

        `sigmas` [B] are the levels at which they start. `empty` returns the conditioning of no prompt.
        """
        rows = [row for row, frame in enumerate(frames) if frame.image is not None]
        if not self._recipe.invert or not rows:
            return of_seeds
        mixes = [image for frame in frames if (image := frame.image) is not None]
        noise = of_seeds.clone()
        noise[rows] = inverted_noise(lambda name: self._inversion(name, empty), mixes, sigmas[rows].tolist())
        return noise

    def _inversion(self, name: str, empty: Callable[[], Conditioning]) -> Inversion:
        model, recipe = self._model, self._recipe
        key = (name, model.place.dtype)  # if half precision fails, frames are rendered again in float32
        if key not in self._inversions:
            conditioning = empty()
            levels = model.levels_at(recipe.width, recipe.height, INVERSION_STEPS)
            self._inversions[key] = inverted(
                lambda x, sigma: model.estimate(x, sigma, conditioning),
                self.latent(name).to(model.place.device),
                sigmas_for(levels, "sgm_uniform", INVERSION_STEPS),
                levels.noised,
            )
        return self._inversions[key]
