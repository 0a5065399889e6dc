"""Stable Diffusion 3 and 3.5: two CLIP text encoders, concatenated, followed by T5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from remix.catalog.families import FAMILIES
from remix.client.local.checkpoints import Checkpoint
from remix.client.local.clip import ClipText, side_by_side
from remix.client.local.devices import Place
from remix.client.local.encoded import Encoded
from remix.client.local.flow import FlowModel
from remix.client.local.t5 import T5_NAME, T5Text
from remix.mix import Conditioning
from remix.plan import Model
from remix.prompt import Reading

T5_ROWS = 77
TIMESTEPS = 1000


class StableDiffusion3(FlowModel):
    """SD3 models. CLIP's penultimate layers, without the final norm, are padded with zeros to T5's width."""

    family = "sd3"
    text_names = ("l", "g", T5_NAME)

    def __init__(self, model: Model, checkpoint: Checkpoint, place: Place) -> None:
        from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel
        from transformers import CLIPTextModelWithProjection, T5EncoderModel, T5TokenizerFast

        place = place.in_wide_half()
        super().__init__(model, checkpoint, place, SD3Transformer2DModel)
        self.texts = [
            ClipText(
                checkpoint.tokenizer(f"tokenizer{number}"),
                checkpoint.component(f"text_encoder{number}", CLIPTextModelWithProjection, place),
                place,
                name=name,
                clip_skip=model.clip_skip,
                trained=FAMILIES[self.family].clip_layer,
                normed=False,
            )
            for number, name in {"": "l", "_2": "g"}.items()
        ]
        self.t5: T5Text | None = None
        if checkpoint.has("text_encoder_3"):
            self.t5 = T5Text(
                checkpoint.tokenizer("tokenizer_3", T5TokenizerFast),
                checkpoint.component("text_encoder_3", T5EncoderModel, place),
                place,
                T5_ROWS,
            )

    def text_encoders(self) -> Mapping[str, Any]:
        """Returns the text encoders, keyed by diffusers' folder names."""
        first, second = (text.encoder for text in self.texts)
        third = {"text_encoder_3": self.t5.encoder} if self.t5 else {}
        return {"text_encoder": first, "text_encoder_2": second, **third}

    def rows(self, prompt: str, reading: Reading) -> int:
        """Returns the number of token rows of a prompt."""
        clip = max(text.rows(prompt, reading) for text in self.texts)
        return clip + (self.t5.rows(prompt, reading) if self.t5 else T5_ROWS)

    def encode(self, prompt: str, reading: Reading, encoded: Encoded) -> Conditioning:
        """Returns the conditioning of a prompt: tokens [1, 77 k + n, d] and the pooled vectors of both [1, p1 + p2].

        Zeros replace a missing T5: SD3 was trained with text encoders dropped in this way.
        """
        clip, (one, two) = side_by_side(self.texts, prompt, reading, encoded)
        assert one is not None
        assert two is not None
        width = self.network.config.joint_attention_dim
        t5 = self.t5.encode(prompt, reading, encoded) if self.t5 else clip.new_zeros(1, T5_ROWS, width)
        tokens = torch.cat([functional.pad(clip, (0, width - clip.shape[-1])), t5], dim=1)
        return Conditioning(tokens.cpu(), torch.cat([one, two], dim=-1).cpu())

    def velocity(self, x: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """Returns the transformer's output, [B, c, h, w], for x in its precision."""
        assert conditioning.pooled is not None
        out: Tensor = self.network(
            x,
            timestep=sigma * TIMESTEPS,
            encoder_hidden_states=self.placed(conditioning.tokens),
            pooled_projections=self.placed(conditioning.pooled),
        ).sample
        return out
