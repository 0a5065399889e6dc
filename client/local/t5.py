"""The T5 text encoder of SD3 and Flux: a prompt of any length to rows of tokens, as ComfyUI encodes it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from remix.client.local.damage import refuse_unknown_words
from remix.client.local.devices import Place
from remix.engine.prompts import unescaped


class T5Text:
    """A T5 encoder and its tokenizer; a prompt has at least `fewest` rows, the last of them padding.

    Raises ValueError for a tokenizer of another encoder.
    """

    def __init__(self, tokenizer: Any, encoder: Any, place: Place, fewest: int) -> None:
        refuse_unknown_words(tokenizer, encoder)
        self.tokenizer, self.encoder, self.device, self.fewest = tokenizer, encoder, place.device, fewest

    @torch.inference_mode()
    def encode(self, prompt: str) -> Tensor:
        """Returns the tokens of a prompt: [1, n, d] float32. Padding is attended to, as both families were trained."""
        return self.encoder(torch.tensor([self._padded(prompt)], device=self.device)).last_hidden_state.float()

    def rows(self, prompt: str) -> int:
        """Returns how many rows the tokens of a prompt have."""
        return len(self._padded(prompt))

    def _padded(self, prompt: str) -> list[int]:
        ids = self.tokenizer(unescaped(prompt), verbose=False).input_ids
        return [*ids, *[self.tokenizer.pad_token_id] * (self.fewest - len(ids))]
