"""Stable Diffusion 1.x and 2.x: one CLIP text encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remix.catalog.families import FAMILIES
from remix.client.local.checkpoints import Checkpoint
from remix.client.local.clip import ClipText
from remix.client.local.devices import Place
from remix.client.local.encoded import Encoded
from remix.client.local.latent_diffusion import LatentDiffusion
from remix.mix import Conditioning
from remix.plan import Model
from remix.prompt import Reading


class StableDiffusion(LatentDiffusion):
    """SD1 and SD2 models. SD1 uses its text encoder's last layer, SD2 the penultimate one, the last in its files."""

    def __init__(self, model: Model, checkpoint: Checkpoint, place: Place) -> None:
        from transformers import CLIPTextModel

        super().__init__(model, checkpoint, place)
        tokenizer = checkpoint.tokenizer("tokenizer")
        # SD2's tokenizer pads with "!" (token 0), as OpenCLIP's does; SD1's pads with the end token.
        second = tokenizer.pad_token_id != tokenizer.eos_token_id
        self.family = "sd2" if second else "sd1"
        self.text = ClipText(
            tokenizer,
            checkpoint.component("text_encoder", CLIPTextModel, place),
            place,
            name="h" if second else "l",
            clip_skip=model.clip_skip,
            trained=FAMILIES[self.family].clip_layer,
            cut=1 if second else 0,
        )
        self.clip_texts = [self.text]
        self.text_names = (self.text.name,)

    def text_encoders(self) -> Mapping[str, Any]:
        """Returns the text encoders, keyed by diffusers' folder names."""
        return {"text_encoder": self.text.encoder}

    def rows(self, prompt: str, reading: Reading) -> int:
        """Returns the number of token rows of a prompt."""
        return self.text.rows(prompt, reading)

    def encode(self, prompt: str, reading: Reading, encoded: Encoded) -> Conditioning:
        """Returns the conditioning of a prompt: tokens [1, n k, d] float32, on the CPU."""
        tokens, _ = self.text.encode(prompt, reading, encoded)
        return Conditioning(tokens.cpu())
