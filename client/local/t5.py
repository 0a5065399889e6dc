"""The T5 text encoder of SD3 and Flux. It encodes prompts of any length, as ComfyUI does."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from remix.client.local.damage import refuse_unknown_words
from remix.client.local.devices import Place
from remix.engine.prompts import unescaped


class T5Text:
    """A T5 encoder and its tokenizer. Prompts are padded to at least `fewest` rows.

    Raises ValueError for a tokenizer of another encoder.
    """

    def __init__(self, tokenizer: Any, encoder: Any, place: Place, fewest: int) -> None:
        refuse_unknown_words(tokenizer, encoder)
        self.tokenizer, self.encoder, self.device, self.fewest = tokenizer, encoder, place.device, fewest

    @torch.inference_mode()
    def encode(self, prompt: str) -> Tensor:
        """Returns the tokens of a prompt: [1, n, d] float32.

        Padding is not masked, as in the training of both families.
        """
        return self.encoder(torch.tensor([self._padded(prompt)], device=self.device)).last_hidden_state.float()

    def rows(self, prompt: str) -> int:
        """Returns the number of token rows of a prompt."""
        return len(self._padded(prompt))

    def _padded(self, prompt: str) -> list[int]:
        ids = self.tokenizer(unescaped(prompt), verbose=False).input_ids
        return [*ids, *[self.tokenizer.pad_token_id] * (self.fewest - len(ids))]
