"""CLIP text encoders: a prompt of any length to rows of tokens, as ComfyUI encodes it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from remix.client.local.damage import refuse_unknown_words
from remix.client.local.devices import Place
from remix.engine.prompts import unescaped
from remix.errors import Unsupported


class ClipText:
    """One CLIP text encoder and its tokenizer.

    `clip_skip` counts layers from the end, 1 being the last; the layer taken is never later than `trained`, the
    one that the family was trained with (1 or 2). `cut` says how many of the last layers the weights lack:
    diffusers leaves out the last layer of SD2, which is not used. `normed`: the final norm is applied. Raises
    ValueError for a tokenizer of another encoder.
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

        A prompt longer than the encoder's n positions is cut every n - 2 tokens and each of the k chunks encoded by
        itself between its start and end tokens; the pooled vector is the first chunk's. Both are ComfyUI's ways.
        """
        rows = torch.tensor(self._chunks(prompt), device=self.device)
        out = self.encoder(rows, output_hidden_states=True)
        tokens = self._layer(out).float()
        pooled = getattr(out, "text_embeds", getattr(out, "pooler_output", None))
        return tokens.reshape(1, -1, tokens.shape[-1]), None if pooled is None else pooled[:1].float()

    def rows(self, prompt: str) -> int:
        """Returns how many rows the tokens of a prompt have."""
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
        # transformers 5 dropped the inner `text_model` that held the last norm before.
        inner = getattr(self.encoder, "text_model", self.encoder)
        return inner.final_layer_norm(hidden) if self.normed else hidden
