"""The bundled model as a checkpoint of A1111, for the pictures in the README.

`write_checkpoint` writes the weights and a yaml that names the classes below, which A1111 imports when it loads them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bundled_model
import torch
from safetensors.torch import save_file

TARGET = "bundled_ldm"
YAML = f"""\
model:
  target: ldm.models.diffusion.ddpm.LatentDiffusion
  params:
    # LDM's "sqrt_linear" is diffusers' "linear".
    beta_schedule: sqrt_linear
    linear_start: 0.0001
    linear_end: 0.02
    timesteps: 1000
    parameterization: v
    scale_factor: {bundled_model.SCALE}
    image_size: 16
    channels: 4
    conditioning_key: crossattn
    cond_stage_key: txt
    first_stage_key: jpg
    use_ema: false
    unet_config: {{target: bundled_model.UNet, params: {{}}}}
    first_stage_config: {{target: bundled_model.Autoencoder, params: {{ddconfig: {{}}}}}}
    cond_stage_config: {{target: {TARGET}.text_encoder, params: {{}}}}
"""


def text_encoder() -> Any:
    """Returns the text encoder, with prompts in chunks of 30 tokens."""
    from modules.sd_hijack_clip import TextConditionalModel

    class TextEncoder(TextConditionalModel):
        def __init__(self) -> None:
            super().__init__()
            self.chunk_length = bundled_model.TOKENS - 2
            self._tokenizer = bundled_model.tokenizer()
            self.encoder = bundled_model.text_encoder()
            self.id_start = self._tokenizer.bos_token_id
            self.id_end = self.id_pad = self._tokenizer.eos_token_id

        def tokenize(self, texts: list[str]) -> list[list[int]]:
            return self._tokenizer(texts, truncation=False, add_special_tokens=False)["input_ids"]

        def encode_with_transformers(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.encoder(input_ids=tokens).last_hidden_state

        def encode_embedding_init_text(self, init_text: str, nvpt: int) -> torch.Tensor:
            tokens = torch.tensor(self.tokenize([init_text])[0][:nvpt] or [self.id_end])
            return self.encoder.get_input_embeddings()(tokens)

    return TextEncoder()


def write_checkpoint(path: Path) -> None:
    """Writes the weights to `path`, and the yaml next to it."""
    parts = {"model.diffusion_model": "unet", "first_stage_model": "vae", "cond_stage_model.encoder": "text_encoder"}
    weights = {
        f"{part}.{name}": value
        for part, folder in parts.items()
        for name, value in bundled_model.weights_of(folder).items()
    }
    save_file(weights, path)
    path.with_suffix(".yaml").write_text(YAML, encoding="utf-8")
