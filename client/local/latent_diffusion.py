"""Shared by SD1, SD2 and SDXL: a U-Net that was trained on latents with added noise."""

from __future__ import annotations

import torch
from torch import Tensor

from remix.client.local.checkpoints import Checkpoint
from remix.client.local.devices import Place
from remix.client.local.latent_model import LatentModel
from remix.client.local.sampling import NoiseLevels
from remix.errors import Unsupported
from remix.mix import Conditioning
from remix.plan import Model


class LatentDiffusion(LatentModel):
    """Base class of U-Net models. Subclasses add text encoders and extra inputs of the U-Net."""

    part = "unet"

    def __init__(self, model: Model, checkpoint: Checkpoint, place: Place) -> None:
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

        super().__init__(model, checkpoint, place, UNet2DConditionModel)
        config = checkpoint.scheduler_config()
        prediction = config.get("prediction_type", "epsilon")
        if prediction not in ("epsilon", "v_prediction"):
            raise Unsupported(
                f"model.checkpoint: {model.checkpoint!r} predicts {prediction}; use an epsilon or v model"
            )
        self.predicts_velocity = prediction == "v_prediction"
        self.levels = NoiseLevels.from_config(config)

    def levels_at(self, width: int, height: int, steps: int) -> NoiseLevels:
        """Returns the noise levels, which are the same for every picture size and number of steps."""
        return self.levels

    def added(self, x: Tensor, conditioning: Conditioning) -> dict[str, Tensor] | None:
        """Returns the inputs of the U-Net besides the tokens, or None, as for most families."""
        return None

    @torch.inference_mode()
    def estimate(self, x: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """Returns the model's estimate of the clean latent, float32 [B, c, h, w].

        x [B, c, h, w] at noise level sigma [B]; `conditioning` has batch B.
        """
        scale = sigma.view(-1, 1, 1, 1)
        unit = (1 + scale**2).sqrt()
        dtype = self.place.dtype
        out = self.network(
            (x / unit).to(dtype),
            self.levels.timestep(sigma),
            encoder_hidden_states=conditioning.tokens.to(self.place.device, dtype),
            added_cond_kwargs=self.added(x, conditioning),
        ).sample.float()
        if self.predicts_velocity:
            return x / unit**2 - out * scale / unit
        return x - out * scale
