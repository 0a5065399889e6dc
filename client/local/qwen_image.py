"""Qwen-Image: the tokens of Qwen2.5-VL after a fixed instruction, and a VAE of films, used for single pictures."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from remix.catalog.families import MASK
from remix.client.local.chat import USER, ChatModel, ChatText
from remix.client.local.checkpoints import Checkpoint
from remix.client.local.devices import Place
from remix.client.local.flow import PATCH, packed, unpacked
from remix.client.local.latent_model import TILE
from remix.mix import Conditioning
from remix.plan import Model

MOST_ROWS = 1024

INSTRUCTION = (
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, spatial "
    "relationships of the objects and background:<|im_end|>\n"
)
"""The system message that the model was trained with. Its rows are left out."""

TEMPLATE = INSTRUCTION + USER[0], USER[1]


class QwenVaeModel(ChatModel):
    """Base class of models with Qwen-Image's VAE, which has a time axis. A picture is a film of one frame."""

    vae_in_planes = False

    def vae_class(self) -> Any:
        """Returns the class of the VAE."""
        from diffusers.models.autoencoders.autoencoder_kl_qwenimage import AutoencoderKLQwenImage

        return AutoencoderKLQwenImage

    def latent_size(self) -> tuple[int, int]:
        """Returns the channels of a latent, and how many times smaller than a picture it is."""
        return self.vae.config.z_dim, 2 ** len(self.vae.config.temperal_downsample)

    def normalized(self, latents: Tensor) -> Tensor:
        """Returns the VAE's output as the latents that the network knows."""
        mean, deviation = self._statistics(latents)
        return (latents - mean) / deviation

    def denormalized(self, latents: Tensor) -> Tensor:
        """Returns the network's latents as the VAE's input."""
        mean, deviation = self._statistics(latents)
        return latents * deviation + mean

    def to_moments(self, pictures: Tensor) -> Tensor:
        """Returns the VAE's most likely latents [B, c, h, w] of pictures in -1..1."""
        return super().to_moments(pictures.unsqueeze(2)).squeeze(2)

    def decoded(self, latents: Tensor) -> Tensor:
        """Returns the VAE's pictures in -1..1 of its latents [B, c, h, w]."""
        return super().decoded(latents.unsqueeze(2)).squeeze(2)

    def use_tiles(self) -> None:
        """Makes the VAE work in tiles."""
        self.vae.enable_tiling(TILE, TILE, TILE * 3 // 4, TILE * 3 // 4)

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        config = self.vae.config
        mean, deviation = (torch.tensor(each).view(1, -1, 1, 1) for each in (config.latents_mean, config.latents_std))
        return mean.to(like), deviation.to(like)


class QwenImage(QwenVaeModel):
    """Qwen-Image models. `cfg` is ordinary guidance, as in ComfyUI."""

    family = "qwen_image"

    def __init__(self, model: Model, checkpoint: Checkpoint, place: Place) -> None:
        from diffusers.models.transformers.transformer_qwenimage import QwenImageTransformer2DModel
        from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer

        place = place.in_wide_half()
        super().__init__(model, checkpoint, place, QwenImageTransformer2DModel, packed=PATCH**2)
        self.text = ChatText(
            checkpoint.tokenizer("tokenizer", Qwen2Tokenizer),
            checkpoint.component("text_encoder", Qwen2_5_VLForConditionalGeneration, place).model,
            place,
            template=TEMPLATE,
            layers=(-1,),
            drops=True,
            most=MOST_ROWS,
        )

    def velocity(self, x: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """Returns the transformer's output, [B, c, h, w], for x in its precision."""
        height, width = x.shape[2] // PATCH, x.shape[3] // PATCH
        mask = conditioning.extra[MASK].bool()
        out = self.network(
            hidden_states=packed(x),
            timestep=sigma,
            encoder_hidden_states=self.placed(conditioning.tokens),
            encoder_hidden_states_mask=None if mask.all() else mask.to(x.device),
            img_shapes=[[(1, height, width)]] * len(x),
            return_dict=False,
        )[0]
        return unpacked(out, height, width)
