"""CLIP text encoders. They encode prompts of any length, as ComfyUI or A1111 does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from remix.client.local.damage import refuse_unknown_words
from remix.client.local.devices import Place
from remix.client.local.encoded import Encoded
from remix.errors import Unsupported
from remix.mix.emphasis import emphasized
from remix.prompt import Chunk, Piece, Reading, Run, cut
from remix.prompt.embeddings import split
from remix.prompt.encoders import EncoderTexts

COMMA = ",</w>"
"""The comma in CLIP's vocabulary."""


class Vector(NamedTuple):
    """One vector of an embedding (textual inversion), in place of a token."""

    name: str
    place: int


Token = int | Vector


def side_by_side(
    texts: Sequence[ClipText], prompt: str, reading: Reading, encoded: Encoded
) -> tuple[Tensor, list[Tensor | None]]:
    """Returns the tokens of several encoders side by side [1, n k, d1 + d2], and the pooled vector of each.

    Where texts of their own give them different numbers of chunks, empty ones are added, as prompt-control does.
    """
    fewest = max(text.chunks(prompt, reading) for text in texts)
    found = [text.encode(prompt, reading, encoded, fewest) for text in texts]
    rows = min(tokens.shape[1] for tokens, _ in found)
    return torch.cat([tokens[:, :rows] for tokens, _ in found], dim=-1), [pooled for _, pooled in found]


class ClipText:
    """A CLIP text encoder and its tokenizer.

    `name` is that of ComfyUI: l, g or h. `clip_skip` counts layers from the end; 1 is the last. No layer after
    `trained` (1 or 2), the one that the family was trained with, is used. `cut` is the number of final layers that the
    weights lack: diffusers omits the unused last layer of SD2. `normed` applies the final norm. `embeddings` are the
    vectors [n, d] of embeddings by name. Raises ValueError for a tokenizer of another encoder.
    """

    def __init__(
        self,
        tokenizer: Any,
        encoder: Any,
        place: Place,
        *,
        name: str,
        clip_skip: int,
        trained: int = 1,
        cut: int = 0,
        normed: bool = True,
    ) -> None:
        refuse_unknown_words(tokenizer, encoder)
        self.tokenizer, self.encoder, self.device = tokenizer, encoder, place.device
        self.name = name
        self.layer = max(clip_skip, trained) - cut
        self.normed = normed
        layers = encoder.config.num_hidden_layers
        if self.layer > layers:
            raise Unsupported(
                f"model.clip_skip: {clip_skip} is more than this text encoder's layers; use 1 to {layers + cut}"
            )
        self._room = encoder.config.max_position_embeddings - 2
        self._comma = tokenizer.get_vocab().get(COMMA)
        self.embeddings: dict[str, Tensor] = {}

    @torch.inference_mode()
    def encode(self, prompt: str, reading: Reading, encoded: Encoded, fewest: int = 1) -> tuple[Tensor, Tensor | None]:
        """Returns the tokens of a prompt [1, n k, d], and its pooled vector [1, p]; float32.

        A prompt longer than the encoder's n - 2 tokens is cut into k chunks, by the rule of `reading`. Each of them is
        encoded separately between start and end tokens, and the pooled vector is that of the first chunk. Empty chunks
        are added until there are `fewest`. Chunks that `encoded` holds are not encoded again, whatever their weights.
        """
        chunks = self._chunks(prompt, reading)
        chunks += [Chunk[Token]((), ())] * (fewest - len(chunks))
        raw = [self._raw(chunk, encoded) for chunk in chunks]
        empty = None
        if reading.emphasis == "comfy" and any(weight != 1 for chunk in chunks for weight in chunk.weights):
            empty, _ = self._raw(Chunk((), ()), encoded)
        tokens = [
            emphasized(rows, self._weights(chunk), reading.emphasis, rows if empty is None else empty)
            for (rows, _), chunk in zip(raw, chunks, strict=True)
        ]
        return torch.cat(tokens, dim=1), raw[0][1]

    def chunks(self, prompt: str, reading: Reading) -> int:
        """Returns the number of chunks of a prompt."""
        return len(self._chunks(prompt, reading))

    def rows(self, prompt: str, reading: Reading) -> int:
        """Returns the number of token rows of a prompt."""
        return self.chunks(prompt, reading) * (self._room + 2)

    def _chunks(self, prompt: str, reading: Reading) -> list[Chunk[Token]]:
        sections = reading.sections(EncoderTexts.of(prompt).at(self.name))
        runs = [[run for piece in section for run in self._runs(piece)] for section in sections]
        return cut(runs, self._room, reading.chunks, self._comma)

    def _runs(self, piece: Piece) -> Iterator[Run[Token]]:
        for text, name in split(piece.text, self.embeddings):
            if name:
                vectors = [Vector(name, place) for place in range(len(self.embeddings[name]))]
                yield Run(vectors, piece.weight, whole=True)
            else:
                yield Run(self._ids(text), piece.weight)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, verbose=False).input_ids
        return ids

    def _weights(self, chunk: Chunk[Token]) -> Tensor:
        """Returns the weights [n] of a chunk with its start, end and padding."""
        rest = self._room + 1 - len(chunk.weights)
        return torch.tensor([1.0, *chunk.weights, *[1.0] * rest])

    def _raw(self, chunk: Chunk[Token], encoded: Encoded) -> tuple[Tensor, Tensor | None]:
        """Returns the rows [1, n, d] of a chunk without weights, and its pooled vector [1, p]."""
        return encoded.get((id(self), chunk.tokens), lambda: self._encode(chunk.tokens))

    def _encode(self, tokens: tuple[Token, ...]) -> tuple[Tensor, Tensor | None]:
        ids = torch.tensor([self._padded([0 if isinstance(token, Vector) else token for token in tokens])])
        with self._in_place(tokens):
            out = self.encoder(ids.to(self.device), output_hidden_states=True)
        pooled = getattr(out, "text_embeds", getattr(out, "pooler_output", None))
        return self._layer(out).float(), None if pooled is None else pooled.float()

    @contextmanager
    def _in_place(self, tokens: Sequence[Token]) -> Iterator[None]:
        """Puts the vectors of embeddings into the place of their tokens, after the start token."""
        rows = {
            at + 1: self.embeddings[token.name][token.place]
            for at, token in enumerate(tokens)
            if isinstance(token, Vector)
        }

        def replaced(layer: Any, inputs: Any, out: Tensor) -> Tensor:
            out = out.clone()
            for at, row in rows.items():
                out[:, at] = row.to(out)
            return out

        hook = self.encoder.get_input_embeddings().register_forward_hook(replaced) if rows else None
        try:
            yield
        finally:
            if hook is not None:
                hook.remove()

    def _padded(self, ids: Sequence[int]) -> list[int]:
        """Returns the tokens of a chunk with its start, end and padding."""
        first, last, padding = (getattr(self.tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad"))
        return [first, *ids, last, *[padding] * (self._room - len(ids))]

    def _layer(self, out: Any) -> Tensor:
        if self.layer == 1 and self.normed:
            return out.last_hidden_state
        hidden = out.hidden_states[-self.layer]
        # transformers 5 removed the inner `text_model` that contained the final norm.
        inner = getattr(self.encoder, "text_model", self.encoder)
        return inner.final_layer_norm(hidden) if self.normed else hidden
