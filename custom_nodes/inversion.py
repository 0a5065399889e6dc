"""The noise in init pictures, found with the model of a workflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import comfy.sample
import comfy.samplers
import torch

from remix.mix.inversion import INVERSION_STEPS, Inversion, inverted, inverted_noise
from remix.plan import Frame

from .encoding import Entries


class InitPictures:
    """The init pictures of a film as `latents` by name, and the noise from which the model draws them.

    `empty` returns the CONDITIONING of no prompt. A picture is inverted when a frame needs it for the first time.
    """

    def __init__(self, model: Any, latents: Mapping[str, torch.Tensor], empty: Callable[[], Entries]) -> None:
        self.latents = latents
        self._model, self._empty = model, empty
        self._found: dict[str, Inversion] = {}

    def noise(self, frames: Sequence[Frame], sigma: float) -> torch.Tensor:
        """Returns the noise with which frames start at a level."""
        mixes = [image for frame in frames if (image := frame.image) is not None]
        return inverted_noise(self._inversion, mixes, [sigma] * len(mixes))

    def _inversion(self, name: str) -> Inversion:
        if name not in self._found:
            self._found[name] = self._inverted(self.latents[name])
        return self._found[name]

    def _inverted(self, latent: torch.Tensor) -> Inversion:
        """Returns the noise in a latent. The host runs the inversion as one of its samplers."""
        found: list[Inversion] = []
        model_sampling = self._model.get_model_object("model_sampling")
        levels = comfy.samplers.calculate_sigmas(model_sampling, "sgm_uniform", INVERSION_STEPS)

        def invert(denoiser: Any, x: torch.Tensor, sigmas: torch.Tensor, **kwargs: Any) -> torch.Tensor:
            given = kwargs.get("extra_args") or {}

            def noised(clean: torch.Tensor, noise: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
                level = sigma.view(-1, *[1] * (clean.ndim - 1))
                result: torch.Tensor = model_sampling.noise_scaling(level, noise, clean)
                return result

            clean = denoiser.latent_image  # as the model takes it, and without noise
            found.append(inverted(lambda y, sigma: denoiser(y, sigma, **given), clean, levels.to(x.device), noised))
            return x

        empty = self._empty()
        comfy.sample.sample_custom(
            self._model,
            torch.zeros_like(latent),
            1.0,
            comfy.samplers.KSAMPLER(invert),
            levels,
            empty,
            empty,
            comfy.sample.fix_empty_latent_channels(self._model, latent),
            disable_pbar=True,
            seed=0,
        )
        return found[0]
