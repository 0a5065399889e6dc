"""The noise in init pictures, found with the host's model before frames are sampled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from remix.mix.inversion import INVERSION_STEPS, Inversion, inverted, inverted_noise
from remix.plan import Frame

from . import host


def noise_of_pictures(
    p: Any,
    frames: Sequence[Frame],
    latents: Mapping[str, tuple[Tensor, Tensor]],
    known: dict[tuple[str, str], Inversion],
    tags: str,
) -> Tensor | None:
    """Returns the noise with which frames start, that of their init pictures; None if the run is interrupted.

    `p` is the processing object of the frames. `latents` has the latent and the image conditioning of each picture by
    name. `known` keeps what is found, also by `tags`, since LoRAs change the model.
    """
    mixes = [image for frame in frames if (image := frame.image) is not None]
    found: dict[str, Inversion] = {}
    for name in sorted({name for mix in mixes for name in mix.values}):
        inversion = known.get((name, tags)) or _inversion(p, *latents[name])
        if inversion is None:
            return None
        found[name] = known[name, tags] = inversion
    first = float(p.sampler.get_sigmas(p, p.steps)[0])  # set to the level of the frames' denoise
    return inverted_noise(found.__getitem__, mixes, [first] * len(mixes))


def _inversion(p: Any, latent: Tensor, image_conditioning: Tensor) -> Inversion | None:
    """Returns the noise in a latent. The host runs the inversion as one of its samplers."""
    found: list[Inversion] = []
    sampler = host.euler(p)
    levels = host.levels_of_model(sampler, INVERSION_STEPS)

    add_noise, rows = host.noised(sampler), [1] * (latent.ndim - 1)

    def noised(clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        result: Tensor = add_noise(clean, noise, sigma.view(-1, *rows))
        return result

    def invert(model: Any, x: Tensor, sigmas: Tensor, *, extra_args: Any, **named: Any) -> Tensor:
        model.mask = None  # the whole picture is inverted
        found.append(inverted(lambda y, sigma: model(y, sigma, **extra_args), latent, levels, noised))
        return x

    sampler.func = invert
    positive, negative = host.empty_prompts(p)
    sampler.sample_img2img(p, latent, latent * 0, positive, negative, image_conditioning=image_conditioning)
    return next(iter(found), None)
