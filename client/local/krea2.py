"""Krea 2: several layers of Qwen3-VL after Qwen-Image's instruction, and Qwen-Image's VAE."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from remix.catalog.families import MASK
from remix.client.local.chat import ChatText
from remix.client.local.checkpoints import Checkpoint
from remix.client.local.devices import Place
from remix.client.local.flow import PATCH, FlowLevels, packed, positions, unpacked
from remix.client.local.qwen_image import TEMPLATE, QwenVaeModel
from remix.mix import Conditioning
from remix.plan import Model

MOST_ROWS = 512

LAYERS = (2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 32, 35)
"""The layers of the text encoder that are used, if a checkpoint does not name others."""

DISTILLED_SHIFT = 1.15
"""The exponent of the shift of distilled models. In ComfyUI it is that of all."""


class Krea2(QwenVaeModel):
    """Krea 2 models. `cfg` is ordinary guidance, and 1 for distilled ones."""

    family = "krea2"

    def __init__(self, model: Model, checkpoint: Checkpoint, place: Place) -> None:
        from diffusers.models.transformers.transformer_krea2 import Krea2Transformer2DModel
        from transformers import Qwen2Tokenizer, Qwen3VLModel

        place = place.in_wide_half()
        self._settings = checkpoint.settings()
        super().__init__(model, checkpoint, place, Krea2Transformer2DModel, packed=PATCH**2)
        self.layers = tuple(self._settings.get("text_encoder_select_layers") or LAYERS)
        self.text = ChatText(
            checkpoint.tokenizer("tokenizer", Qwen2Tokenizer),
            checkpoint.component("text_encoder", Qwen3VLModel, place),
            place,
            template=TEMPLATE,
            layers=self.layers,
            drops=True,
            most=MOST_ROWS,
        )

    def levels_at(self, width: int, height: int, steps: int) -> FlowLevels:
        """Returns the noise levels, whose shift depends on the size of the picture unless the model is distilled."""
        if self._settings.get("is_distilled") and self._noise.get("use_dynamic_shifting"):
            return FlowLevels(math.exp(DISTILLED_SHIFT), 10_000)
        return super().levels_at(width, height, steps)

    def velocity(self, x: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """Returns the transformer's output, [B, c, h, w], for x in its precision."""
        height, width = x.shape[2] // PATCH, x.shape[3] // PATCH
        tokens, mask = self.placed(conditioning.tokens), conditioning.extra[MASK].bool()
        of_text = torch.zeros(tokens.shape[1], 3, device=x.device)
        out = self.network(
            hidden_states=packed(x),
            encoder_hidden_states=tokens.unflatten(-1, (len(self.layers), -1)),
            timestep=sigma,
            position_ids=torch.cat([of_text, positions(height, width, x.device)]),
            encoder_attention_mask=None if mask.all() else mask.to(x.device),
            return_dict=False,
        )[0]
        return unpacked(out, height, width)
