"""The classes of the bundled model for A1111, which imports them by name from the yaml next to the checkpoint.

`remix.playground.checkpoint` writes both files. The script imports this module, so that A1111 finds it when it loads a
model.
"""

from __future__ import annotations

from typing import Any

import torch

from remix.playground import TOKENS, WEIGHTS
from remix.playground.network import Autoencoder, UNet

__all__ = ["Autoencoder", "UNet", "text_encoder"]


def text_encoder() -> Any:
    """Returns the text encoder, with prompts in chunks of 30 tokens."""
    from modules.sd_hijack_clip import TextConditionalModel
    from modules.shared import opts
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    class TextEncoder(TextConditionalModel):
        embedding_key = "clip_l"  # as in Forge

        def __init__(self) -> None:
            super().__init__()
            self.chunk_length = TOKENS - 2
            self._tokenizer = CLIPTokenizer.from_pretrained(str(WEIGHTS / "tokenizer"))
            self.encoder = CLIPTextModel(CLIPTextConfig.from_pretrained(str(WEIGHTS / "text_encoder")))
            self.id_start = self._tokenizer.bos_token_id
            self.id_end = self.id_pad = self._tokenizer.eos_token_id

        def tokenize(self, texts: list[str]) -> list[list[int]]:
            return self._tokenizer(texts, truncation=False, add_special_tokens=False)["input_ids"]

        def encode_with_transformers(self, tokens: torch.Tensor) -> torch.Tensor:
            skipped = opts.CLIP_stop_at_last_layers
            out = self.encoder(input_ids=tokens, output_hidden_states=skipped > 1)
            if skipped <= 1:
                return out.last_hidden_state
            return self.encoder.text_model.final_layer_norm(out.hidden_states[-skipped])

        def encode_embedding_init_text(self, init_text: str, nvpt: int) -> torch.Tensor:
            tokens = torch.tensor(self.tokenize([init_text])[0][:nvpt] or [self.id_end])
            return self.encoder.get_input_embeddings()(tokens)

    return TextEncoder()
