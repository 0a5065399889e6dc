"""CLIP text encoders. They encode prompts of any length, as ComfyUI does."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from remix.client.local.damage import refuse_unknown_words
from remix.client.local.devices import Place
from remix.engine.prompts import unescaped
from remix.errors import Unsupported


class ClipText:
    """A CLIP text encoder and its tokenizer.

    `clip_skip` counts layers from the end; 1 is the last. No layer after `trained` (1 or 2), the one that the family
    was trained with, is used. `cut` is the number of final layers that the weights lack: diffusers omits the unused
    last layer of SD2. `normed` applies the final norm. Raises ValueError for a tokenizer of another encoder.
    """

    def __init__(
        self,
        tokenizer: Any,
        encoder: Any,
        place: Place,
        *,
        clip_skip: int,
        trained: int = 1,
        cut: int = 0,
        normed: bool = True,
    ) -> None:
        refuse_unknown_words(tokenizer, encoder)
        self.tokenizer, self.encoder, self.device = tokenizer, encoder, place.device
        self.layer = max(clip_skip, trained) - cut
        self.normed = normed
        layers = encoder.config.num_hidden_layers
        if self.layer > layers:
            raise Unsupported(
                f"model.clip_skip: {clip_skip} is more than this text encoder's layers; use 1 to {layers + cut}"
            )

    @torch.inference_mode()
    def encode(self, prompt: str) -> tuple[Tensor, Tensor | None]:
        """Returns the tokens of a prompt [1, n k, d], and its pooled vector [1, p]; float32.

        A prompt longer than the encoder's n positions is split every n - 2 tokens. Each of the k chunks is encoded
        separately between start and end tokens, and the pooled vector is that of the first chunk, as in ComfyUI.
        """
        rows = torch.tensor(self._chunks(prompt), device=self.device)
        out = self.encoder(rows, output_hidden_states=True)
        tokens = self._layer(out).float()
        pooled = getattr(out, "text_embeds", getattr(out, "pooler_output", None))
        return tokens.reshape(1, -1, tokens.shape[-1]), None if pooled is None else pooled[:1].float()

    def rows(self, prompt: str) -> int:
        """Returns the number of token rows of a prompt."""
        return sum(map(len, self._chunks(prompt)))

    def _chunks(self, prompt: str) -> list[list[int]]:
        first, last, padding = (getattr(self.tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad"))
        room = self.encoder.config.max_position_embeddings - 2
        ids = self.tokenizer(unescaped(prompt), add_special_tokens=False, verbose=False).input_ids
        chunks = [ids[k : k + room] for k in range(0, max(len(ids), 1), room)]
        return [[first, *chunk, last, *[padding] * (room - len(chunk))] for chunk in chunks]

    def _layer(self, out: Any) -> Tensor:
        if self.layer == 1 and self.normed:
            return out.last_hidden_state
        hidden = out.hidden_states[-self.layer]
        # transformers 5 removed the inner `text_model` that contained the final norm.
        inner = getattr(self.encoder, "text_model", self.encoder)
        return inner.final_layer_norm(hidden) if self.normed else hidden
