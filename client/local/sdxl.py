"""Stable Diffusion XL: two concatenated text encoders, a pooled vector, and sizes as inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from remix.catalog.families import FAMILIES
from remix.client.local.checkpoints import Checkpoint
from remix.client.local.clip import ClipText, side_by_side
from remix.client.local.devices import Place
from remix.client.local.encoded import Encoded
from remix.client.local.latent_diffusion import LatentDiffusion
from remix.mix import Conditioning
from remix.plan import Model
from remix.prompt import Reading

SIZES = ("height", "width", "crop_h", "crop_w", "target_height", "target_width")
"""The sizes that the U-Net takes, in its order, with ComfyUI's names."""


class StableDiffusionXL(LatentDiffusion):
    """SDXL models. Both text encoders use the penultimate layer, without the final norm."""

    family = "sdxl"
    text_names = ("l", "g")

    def __init__(self, model: Model, checkpoint: Checkpoint, place: Place) -> None:
        from transformers import CLIPTextModel, CLIPTextModelWithProjection

        super().__init__(model, checkpoint, place)
        kinds = {"": ("l", CLIPTextModel), "_2": ("g", CLIPTextModelWithProjection)}
        self.texts = [
            ClipText(
                checkpoint.tokenizer(f"tokenizer{number}"),
                checkpoint.component(f"text_encoder{number}", kind, place),
                place,
                name=name,
                clip_skip=model.clip_skip,
                trained=FAMILIES[self.family].clip_layer,
                normed=False,
            )
            for number, (name, kind) in kinds.items()
        ]
        self.clip_texts = self.texts

    def text_encoders(self) -> Mapping[str, Any]:
        """Returns the text encoders, keyed by diffusers' folder names."""
        return {"text_encoder": self.texts[0].encoder, "text_encoder_2": self.texts[1].encoder}

    def rows(self, prompt: str, reading: Reading) -> int:
        """Returns the number of token rows of a prompt."""
        return max(text.rows(prompt, reading) for text in self.texts)

    def encode(self, prompt: str, reading: Reading, encoded: Encoded) -> Conditioning:
        """Returns the conditioning of a prompt: tokens [1, n k, d1 + d2] and the second encoder's pooled [1, p]."""
        tokens, (_, pooled) = side_by_side(self.texts, prompt, reading, encoded)
        return Conditioning(tokens.cpu(), None if pooled is None else pooled.cpu())

    def added(self, x: Tensor, conditioning: Conditioning) -> dict[str, Tensor]:
        """Returns the pooled text and the sizes [B, 6].

        Sizes that `extra` does not set are those of the uncropped picture.
        """
        assert conditioning.pooled is not None
        height, width = x.shape[2] * self.factor, x.shape[3] * self.factor
        own = dict(zip(SIZES, (height, width, 0, 0, height, width), strict=True))
        columns = [torch.as_tensor(conditioning.extra.get(key, own[key])).expand(len(x)) for key in SIZES]
        return {
            "text_embeds": conditioning.pooled.to(self.place.device, self.place.dtype),
            "time_ids": torch.stack([column.float().to(self.place.device) for column in columns], dim=1),
        }
