"""Flux.1: T5 tokens, a pooled CLIP vector, and guidance as an input of the transformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from remix.client.local.checkpoints import Checkpoint
from remix.client.local.clip import ClipText
from remix.client.local.devices import Place
from remix.client.local.encoded import Encoded
from remix.client.local.flow import PATCH, FlowModel, packed, positions, unpacked
from remix.client.local.t5 import T5_NAME, T5Text
from remix.mix import Conditioning
from remix.plan import Model
from remix.prompt import Reading

T5_ROWS = 256


class Flux(FlowModel):
    """Flux.1 models. Flux dev is distilled and takes `cfg` as an input. Flux schnell uses ordinary guidance."""

    family = "flux"
    text_names = ("l", T5_NAME)

    def __init__(self, model: Model, checkpoint: Checkpoint, place: Place) -> None:
        from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
        from transformers import CLIPTextModel, T5EncoderModel, T5TokenizerFast

        place = place.in_wide_half()
        super().__init__(model, checkpoint, place, FluxTransformer2DModel, packed=PATCH**2)
        self.distilled = bool(self.network.config.guidance_embeds)
        self.clip = ClipText(
            checkpoint.tokenizer("tokenizer"),
            checkpoint.component("text_encoder", CLIPTextModel, place),
            place,
            name="l",
            clip_skip=model.clip_skip,
        )
        self.t5 = T5Text(
            checkpoint.tokenizer("tokenizer_2", T5TokenizerFast),
            checkpoint.component("text_encoder_2", T5EncoderModel, place),
            place,
            T5_ROWS,
        )

    def text_encoders(self) -> Mapping[str, Any]:
        """Returns the text encoders, keyed by diffusers' folder names."""
        return {"text_encoder": self.clip.encoder, "text_encoder_2": self.t5.encoder}

    def rows(self, prompt: str, reading: Reading) -> int:
        """Returns the number of token rows of a prompt."""
        return self.t5.rows(prompt, reading)

    def encode(self, prompt: str, reading: Reading, encoded: Encoded) -> Conditioning:
        """Returns the conditioning of a prompt: T5's tokens [1, n, d] and CLIP's pooled vector [1, p]."""
        _, pooled = self.clip.encode(prompt, reading, encoded)
        tokens = self.t5.encode(prompt, reading, encoded)
        return Conditioning(tokens.cpu(), None if pooled is None else pooled.cpu())

    def velocity(self, x: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """Returns the transformer's output, [B, c, h, w], for x in its precision."""
        assert conditioning.pooled is not None
        height, width = x.shape[2] // PATCH, x.shape[3] // PATCH
        out = self.network(
            hidden_states=packed(x),
            timestep=sigma,
            guidance=conditioning.extra["guidance"].to(x.device) if self.distilled else None,
            encoder_hidden_states=self.placed(conditioning.tokens),
            pooled_projections=self.placed(conditioning.pooled),
            txt_ids=torch.zeros(conditioning.tokens.shape[1], 3, device=x.device),
            img_ids=positions(height, width, x.device),
        ).sample
        return unpacked(out, height, width)
