"""The remix operations on tensors: mixes of noise, latents and conditioning, masks, blend modes.

Every function takes and returns plain tensors with the batch on axis 0, computes in float32, keeps dtype and device,
and returns its endpoints bit for bit. docs/mixing.md explains the rules.
"""

from __future__ import annotations

from remix.mix.channels import adain, matched_to_mix
from remix.mix.conditioning import Conditioning, family_of, mix_conditioning
from remix.mix.interpolate import lerp, mix, slerp
from remix.mix.latents import mix_comfy_latents, mix_latents
from remix.mix.lengths import POLICIES
from remix.mix.masks import masked, masks_of_mixes
from remix.mix.modes import BLEND_MODES, blend
from remix.mix.noise import StepNoise, levels_from, noise_of_mixes, noise_of_seed, noise_on_circle
from remix.mix.variety import varied
from remix.mix.weights import weights_of

__all__ = [
    "BLEND_MODES",
    "POLICIES",
    "Conditioning",
    "StepNoise",
    "adain",
    "blend",
    "family_of",
    "lerp",
    "levels_from",
    "masked",
    "masks_of_mixes",
    "matched_to_mix",
    "mix",
    "mix_comfy_latents",
    "mix_conditioning",
    "mix_latents",
    "noise_of_mixes",
    "noise_of_seed",
    "noise_on_circle",
    "slerp",
    "varied",
    "weights_of",
]
