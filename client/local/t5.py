"""The T5 text encoder of SD3 and Flux. It encodes prompts of any length, as ComfyUI does."""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch
from torch import Tensor

from remix.client.local.damage import refuse_unknown_words
from remix.client.local.devices import Place
from remix.client.local.encoded import Encoded
from remix.mix.emphasis import emphasized
from remix.prompt import Reading
from remix.prompt.encoders import EncoderTexts

T5_NAME = "t5xxl"
"""ComfyUI's name of this text encoder."""


class T5Text:
    """A T5 encoder and its tokenizer. Prompts are padded to at least `fewest` rows.

    Raises ValueError for a tokenizer of another encoder.
    """

    def __init__(self, tokenizer: Any, encoder: Any, place: Place, fewest: int) -> None:
        refuse_unknown_words(tokenizer, encoder)
        self.tokenizer, self.encoder, self.device, self.fewest = tokenizer, encoder, place.device, fewest

    @torch.inference_mode()
    def encode(self, prompt: str, reading: Reading, encoded: Encoded) -> Tensor:
        """Returns the tokens of a prompt: [1, n, d] float32.

        Padding is not masked, as in the training of both families. Texts that `encoded` holds are not encoded again,
        whatever their weights.
        """
        ids, weights = self._tokens(prompt, reading)
        rows, empty = self._raw(ids, encoded), None
        if reading.emphasis == "comfy" and any(weight != 1 for weight in weights):
            empty = self._raw(self._padded([], len(ids)), encoded)
        return emphasized(rows, torch.tensor(weights), reading.emphasis, rows if empty is None else empty)

    def rows(self, prompt: str, reading: Reading) -> int:
        """Returns the number of token rows of a prompt."""
        return len(self._tokens(prompt, reading)[0])

    def _tokens(self, prompt: str, reading: Reading) -> tuple[tuple[int, ...], list[float]]:
        """Returns the tokens of a prompt with its end and padding, and their weights. BREAK does not cut it."""
        ids: list[int] = []
        weights: list[float] = []
        for piece in chain(*reading.sections(EncoderTexts.of(prompt).at(T5_NAME))):
            found = self.tokenizer(piece.text, add_special_tokens=False, verbose=False).input_ids
            ids += found
            weights += [piece.weight] * len(found)
        padded = self._padded(ids, self.fewest)
        return padded, weights + [1.0] * (len(padded) - len(weights))

    def _padded(self, ids: list[int], fewest: int) -> tuple[int, ...]:
        padding = [self.tokenizer.pad_token_id] * (fewest - 1 - len(ids))
        return (*ids, self.tokenizer.eos_token_id, *padding)

    def _raw(self, ids: tuple[int, ...], encoded: Encoded) -> Tensor:
        """Returns the rows [1, n, d] of tokens without weights."""
        return encoded.get((id(self), ids), lambda: self._encode(ids))

    def _encode(self, ids: tuple[int, ...]) -> Tensor:
        rows: Tensor = self.encoder(torch.tensor([ids], device=self.device)).last_hidden_state.float()
        return rows
