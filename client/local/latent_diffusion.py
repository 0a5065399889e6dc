"""What SD1, SD2 and SDXL share: a U-Net that takes noise away from latents, between two ends of a VAE."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from remix.client.local.checkpoints import Checkpoint, open_vae
from remix.client.local.devices import Place
from remix.client.local.sampling import NoiseLevels
from remix.errors import Unsupported
from remix.mix import Conditioning
from remix.plan import Model


class LatentDiffusion(ABC):
    """A loaded checkpoint: text to conditioning, noisy latent to estimate, pictures to latents and back.

    A family adds its text encoders and what they tell the U-Net.
    """

    family: str

    def __init__(self, model: Model, checkpoint: Checkpoint, place: Place) -> None:
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

        self.place = place
        self.unet = checkpoint.component("unet", UNet2DConditionModel, place)
        # The decoder overflows in half precision on some checkpoints; it runs once per frame, so float32.
        self.vae = open_vae(model, checkpoint, place.in_full())
        self.channels: int = self.vae.config.latent_channels
        self.factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        if self.unet.config.in_channels != self.channels:
            raise Unsupported(
                f"model.checkpoint: {model.checkpoint!r} takes {self.unet.config.in_channels} channels, not "
                f"{self.channels}; inpainting and editing models are not for this, use a text to image model"
            )
        config = checkpoint.scheduler_config()
        prediction = config.get("prediction_type", "epsilon")
        if prediction not in ("epsilon", "v_prediction"):
            raise Unsupported(
                f"model.checkpoint: {model.checkpoint!r} predicts {prediction}; use an epsilon or v model"
            )
        self.predicts_velocity = prediction == "v_prediction"
        self.levels = NoiseLevels.from_config(config)

    @abstractmethod
    def encode(self, prompt: str) -> Conditioning:
        """Returns the conditioning of a prompt, a batch of 1, in float32 on the CPU."""

    @abstractmethod
    def text_encoders(self) -> Mapping[str, Any]:
        """Returns the text encoders by the names of diffusers' folders."""

    def added(self, x: Tensor, conditioning: Conditioning) -> dict[str, Tensor] | None:
        """Returns what the U-Net takes besides the tokens; most families add nothing."""
        return None

    def parts(self) -> dict[str, Any]:
        """Returns the networks that LoRAs may change, by the names of diffusers' folders."""
        return {"unet": self.unet, **self.text_encoders()}

    def move(self, place: Place) -> None:
        """Puts the networks at `place`, in its precision; the VAE stays in float32."""
        self.place = place
        for part in self.parts().values():
            place.put(part)
        place.in_full().put(self.vae)

    @torch.inference_mode()
    def estimate(self, x: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """Returns the model's estimate of the clean latent, float32 [B, c, h, w].

        x [B, c, h, w] at noise level sigma [B]; `conditioning` has batch B.
        """
        scale = sigma.view(-1, 1, 1, 1)
        unit = (1 + scale**2).sqrt()
        dtype = self.place.dtype
        out = self.unet(
            (x / unit).to(dtype),
            self.levels.timestep(sigma),
            encoder_hidden_states=conditioning.tokens.to(self.place.device, dtype),
            added_cond_kwargs=self.added(x, conditioning),
        ).sample.float()
        if self.predicts_velocity:
            return x / unit**2 - out * scale / unit
        return x - out * scale

    @torch.inference_mode()
    def to_latents(self, pictures: Tensor) -> Tensor:
        """Returns the latents of pictures [B, 3, H, W] in 0..1: [B, c, H / factor, W / factor] float32, on the CPU."""
        mean = self.vae.encode((pictures * 2 - 1).to(self.place.device)).latent_dist.mode()
        return (mean.float() * self.vae.config.scaling_factor).cpu()

    @torch.inference_mode()
    def to_pictures(self, latents: Tensor) -> Tensor:
        """Returns the pictures of latents [B, c, h, w]: [B, 3, h * factor, w * factor] in 0..1, on the CPU."""
        decoded = self.vae.decode(latents.to(self.place.device) / self.vae.config.scaling_factor).sample
        return (decoded.float() / 2 + 0.5).clamp(0, 1).cpu()
