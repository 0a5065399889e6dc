"""Chroma: the tokens of T5, as many as a prompt has, and no other input of the transformer."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from remix.catalog.families import MASK
from remix.client.local.checkpoints import Checkpoint
from remix.client.local.devices import Place
from remix.client.local.encoded import Encoded
from remix.client.local.flow import PATCH, FlowModel, packed, positions, unpacked
from remix.client.local.t5 import T5Text
from remix.mix import Conditioning
from remix.plan import Model
from remix.prompt import Reading


class Chroma(FlowModel):
    """Chroma models. `cfg` is ordinary guidance.

    The transformer attends to the tokens of a prompt and its end, as in ComfyUI. Diffusers adds padding up to 512 rows,
    with a mask of ones and zeros that it adds to the attention, so that padding is attended to, too.
    """

    family = "chroma"

    def __init__(self, model: Model, checkpoint: Checkpoint, place: Place) -> None:
        from diffusers.models.transformers.transformer_chroma import ChromaTransformer2DModel
        from transformers import T5EncoderModel, T5TokenizerFast

        place = place.in_wide_half()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # diffusers warns of an import of its own
            super().__init__(model, checkpoint, place, ChromaTransformer2DModel, packed=PATCH**2)
        self.t5 = T5Text(
            checkpoint.tokenizer("tokenizer", T5TokenizerFast),
            checkpoint.component("text_encoder", T5EncoderModel, place),
            place,
            fewest=1,
        )

    def text_encoders(self) -> Mapping[str, Any]:
        """Returns the text encoder, keyed by diffusers' folder name."""
        return {"text_encoder": self.t5.encoder}

    def rows(self, prompt: str, reading: Reading) -> int:
        """Returns the number of token rows of a prompt."""
        return self.t5.rows(prompt, reading)

    def encode(self, prompt: str, reading: Reading, encoded: Encoded) -> Conditioning:
        """Returns the conditioning of a prompt: tokens [1, n, d], and their mask [1, n]."""
        tokens = self.t5.encode(prompt, reading, encoded).cpu()
        return Conditioning(tokens, None, {MASK: torch.ones(tokens.shape[:2], dtype=torch.long)})

    def velocity(self, x: Tensor, sigma: Tensor, conditioning: Conditioning) -> Tensor:
        """Returns the transformer's output, [B, c, h, w], for x in its precision.

        Prompts of different lengths go through it one length after another, since its mask does not hide padding.
        """
        tokens = self.placed(conditioning.tokens)
        counts = conditioning.extra[MASK].sum(1)
        found = torch.empty_like(x)
        for count in counts.unique().tolist():
            rows = (counts == count).nonzero().flatten().to(x.device)
            found[rows] = self._velocity(x[rows], sigma[rows], tokens[rows, :count])
        return found

    def _velocity(self, x: Tensor, sigma: Tensor, tokens: Tensor) -> Tensor:
        height, width = x.shape[2] // PATCH, x.shape[3] // PATCH
        out = self.network(
            hidden_states=packed(x),
            timestep=sigma,
            encoder_hidden_states=tokens,
            txt_ids=torch.zeros(tokens.shape[1], 3, device=x.device),
            img_ids=positions(height, width, x.device),
            return_dict=False,
        )[0]
        return unpacked(out, height, width)
