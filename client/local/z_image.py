"""Z-Image and Z-Image Turbo: the tokens of Qwen3, as many as a prompt has."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from remix.catalog.families import MASK
from remix.client.local.chat import ChatModel, ChatText
from remix.client.local.checkpoints import Checkpoint
from remix.client.local.devices import Place
from remix.mix import Conditioning
from remix.plan import Model

MOST_ROWS = 512


class ZImage(ChatModel):
    """Z-Image models. The transformer takes the tokens of each picture by themselves, without padding."""

    family = "z_image"

    def __init__(self, model: Model, checkpoint: Checkpoint, place: Place) -> None:
        from diffusers.models.transformers.transformer_z_image import ZImageTransformer2DModel
        from transformers import Qwen2Tokenizer, Qwen3Model

        place = place.in_wide_half()
        super().__init__(model, checkpoint, place, ZImageTransformer2DModel)
        self.text = ChatText(
            checkpoint.tokenizer("tokenizer", Qwen2Tokenizer),
            checkpoint.component("text_encoder", Qwen3Model, place),
            place,
            layers=(-2,),
            most=MOST_ROWS,
        )

    def across_frames(self) -> tuple[Any, ...]:
        """Returns the layers that embed the rows of all pictures in one tensor."""
        return (*self.network.all_x_embedder.modules(), *self.network.cap_embedder.modules())

    def velocity(self, x: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """Returns the negated output of the transformer, [B, c, h, w], for x in its precision. Its time runs to 1."""
        tokens = self.placed(conditioning.tokens)
        attended = conditioning.extra[MASK].bool().to(tokens.device)
        own = [rows[mask] for rows, mask in zip(tokens, attended, strict=True)]
        out = self.network(list(x.unsqueeze(2)), 1 - sigma, own, return_dict=False)[0]
        return -torch.stack(out).squeeze(2)
