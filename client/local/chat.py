"""Flow models whose text encoder is a language model, which reads the prompt as a message of a chat.

Prompts are plain text here: brackets and weights are letters, as in ComfyUI and diffusers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from remix.catalog.families import MASK
from remix.client.local.damage import refuse_unknown_words
from remix.client.local.devices import Place
from remix.client.local.encoded import Encoded
from remix.client.local.flow import FlowModel
from remix.errors import Unsupported
from remix.mix import Conditioning
from remix.prompt import Reading

USER = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"
"""Qwen's chat template before and after a prompt."""


class ChatText:
    """A language model and its tokenizer. A prompt stands between the two parts of a chat `template`.

    `layers` are the indices of the hidden states that are joined, where 0 is the input of the first layer. With `drops`
    the rows of the template's first part are left out. Prompts have at most `most` rows, and are padded to `fewest`.
    Raises ValueError for a tokenizer of another encoder.
    """

    def __init__(
        self,
        tokenizer: Any,
        encoder: Any,
        place: Place,
        *,
        most: int,
        template: tuple[str, str] = USER,
        layers: Sequence[int],
        drops: bool = False,
        fewest: int = 1,
    ) -> None:
        refuse_unknown_words(tokenizer, encoder)
        self.tokenizer, self.encoder, self.device = tokenizer, encoder, place.device
        self.layers, self.most, self.fewest = layers, most, fewest
        self._before, self._after = (self._words(part) for part in template)
        self._dropped = len(self._before) if drops else 0

    def encode(self, prompt: str, encoded: Encoded) -> Tensor:
        """Returns the rows of a prompt: [1, n, d] float32. A prompt that `encoded` holds is not encoded again."""
        ids = self._ids(prompt)
        return encoded.get((id(self), ids), lambda: self._encode(ids))

    def rows(self, prompt: str) -> int:
        """Returns the number of token rows of a prompt."""
        return max(len(self._ids(prompt)) - self._dropped, self.fewest)

    def _words(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False, verbose=False).input_ids)

    def _ids(self, prompt: str) -> tuple[int, ...]:
        ids = (*self._before, *self._words(prompt), *self._after)
        if len(ids) - self._dropped > self.most:
            raise Unsupported(
                f"prompt: {prompt[:30]!r}... has {len(ids) - self._dropped} tokens, of which the model reads "
                f"{self.most}; write a shorter one"
            )
        return ids

    @torch.inference_mode()
    def _encode(self, ids: tuple[int, ...]) -> Tensor:
        padding = max(0, self.fewest + self._dropped - len(ids))
        hidden = self.encoder(
            input_ids=torch.tensor([[*ids, *[self.tokenizer.pad_token_id] * padding]], device=self.device),
            attention_mask=torch.tensor([[1] * len(ids) + [0] * padding], device=self.device),
            output_hidden_states=True,
            use_cache=False,
        ).hidden_states
        rows: Tensor = torch.cat([hidden[layer] for layer in self.layers], dim=-1).float()
        return rows[:, self._dropped :]


class ChatModel(FlowModel):
    """Base class of flow models with one language model. Subclasses set `text`."""

    text: ChatText
    masked = True
    """Whether a conditioning carries a mask, so that rows added to the shorter of two prompts are not attended to."""

    def text_encoders(self) -> Mapping[str, Any]:
        """Returns the text encoder, keyed by diffusers' folder name."""
        return {"text_encoder": self.text.encoder}

    def rows(self, prompt: str, reading: Reading) -> int:
        """Returns the number of token rows of a prompt."""
        return self.text.rows(prompt)

    def encode(self, prompt: str, reading: Reading, encoded: Encoded) -> Conditioning:
        """Returns the conditioning of a prompt: tokens [1, n, d], and their mask [1, n]."""
        tokens = self.text.encode(prompt, encoded).cpu()
        mask = {MASK: torch.ones(tokens.shape[:2], dtype=torch.long)} if self.masked else {}
        return Conditioning(tokens, None, mask)
