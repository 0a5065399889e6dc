"""Makes the host's text encoders read prompts by a recipe's rules of emphasis and chunks.

Within `reading_by`, the encoders of the loaded model cut a prompt and weigh its tokens by the core's rules, in place of
the host's settings. Each chunk of tokens is encoded once, whatever its weights.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from remix.errors import Unsupported
from remix.hosts.a1111.settings import RULES
from remix.mix.emphasis import emphasized
from remix.prompt import Chunk, Reading, Run, cut
from remix.prompt.encoders import EncoderTexts

from . import host


class Vector(NamedTuple):
    """One vector of an embedding (textual inversion), in place of a token."""

    embedding: Any
    place: int


@contextmanager
def reading_by(reading: Reading | None, prompts: Sequence[str] = ()) -> Iterator[None]:
    """Lets the host's text encoders read prompts by these rules within the block; None leaves them to the host.

    Raises Unsupported for a model whose text encoders are not known, and for a text in `prompts` of one that it lacks.
    """
    if reading is None:
        yield
        return
    encoders = host.text_encoders()
    names = [name for name in map(host.encoder_name, encoders) if name]
    for prompt in prompts:
        EncoderTexts.of(prompt).refuse_unknown(names)
    if not encoders and reading.emphasis in RULES:  # by the host's own setting, which the run has set
        yield
        return
    if not encoders:
        raise Unsupported(
            f"emphasis: this host applies weights to this model in a way of its own, and not by {reading.emphasis!r}; "
            'set emphasis = "a1111", or write no weights'
        )
    with ExitStack() as replaced:
        readers = [_Reader(encoder, reading) for encoder in encoders]
        for reader in readers:
            methods = {"tokenize_line": partial(_chunks, reader, readers), "process_tokens": reader.rows}
            replaced.enter_context(_replacing(reader.encoder, **methods))
        yield


@contextmanager
def _replacing(held: Any, **methods: Any) -> Iterator[None]:
    """Replaces methods of one object, not of its class."""
    for name, method in methods.items():
        setattr(held, name, method)
    try:
        yield
    finally:
        for name in methods:
            delattr(held, name)


def _chunks(reader: _Reader, readers: Sequence[_Reader], line: str) -> tuple[list[Any], int]:
    """Returns the chunks of a prompt in the host's form, and the number of its tokens.

    If text encoders have texts of their own, the shorter ones get empty chunks, so that all have equally many.
    """
    texts = EncoderTexts.of(line)
    found = reader.chunks(texts)
    count = sum(len(chunk.tokens) for chunk in found)
    if texts.own and host.has_chunks(reader.encoder):
        most = max(len(other.chunks(texts)) for other in readers if host.has_chunks(other.encoder))
        found += [Chunk((), ())] * (most - len(found))
    return [reader.put(chunk) for chunk in found], count


class _Reader:
    """Reads prompts for one text encoder of the host. It keeps what it has encoded."""

    def __init__(self, encoder: Any, reading: Reading) -> None:
        self.encoder, self._reading = encoder, reading
        self._name = host.encoder_name(encoder)
        self._kept: dict[Any, tuple[Tensor, Any]] = {}

    def chunks(self, texts: EncoderTexts) -> list[Chunk[Any]]:
        """Returns the chunks of the text for this encoder."""
        sections = self._reading.sections(texts.at(self._name))
        runs = [[run for text, weight in section for run in self._runs(text, weight)] for section in sections]
        if not host.has_chunks(self.encoder):
            runs = [[run for section in runs for run in section]]
        size = self.encoder.chunk_length if host.has_chunks(self.encoder) else sys.maxsize
        return cut(runs, size, self._reading.chunks, self.encoder.comma_token)

    def rows(self, tokens: Sequence[Sequence[int]], weights: Sequence[Sequence[float]]) -> Any:
        """Returns the encoder's output for chunks, with their weights applied: [chunks, tokens, width]."""
        fixes = host.take_fixes(self.encoder, len(tokens))
        raw = [self._raw(tuple(row), tuple(own)) for row, own in zip(tokens, fixes, strict=True)]
        empty = raw
        if self._reading.emphasis == "comfy":
            blank = self._padded((), len(tokens[0]))
            empty = [self._raw(blank, ())] * len(raw) if any(w != 1 for row in weights for w in row) else raw
        rule = self._reading.emphasis
        weighted = [
            emphasized(z, torch.tensor(row), rule, e).to(z)
            for (z, _), (e, _), row in zip(raw, empty, weights, strict=True)
        ]
        found = torch.cat(weighted)
        if raw[0][1] is not None:
            found.pooled = torch.cat([pooled for _, pooled in raw])  # type: ignore[attr-defined]
        return found

    def _runs(self, text: str, weight: float) -> Iterator[Run[Any]]:
        """Yields the tokens of a piece. Embeddings that the host finds in it are not cut."""
        tokens, start, at = self.encoder.tokenize([text])[0], 0, 0
        while at < len(tokens):
            embedding, length = host.embedding_at(self.encoder, tokens, at)
            if embedding is None:
                at += 1
                continue
            yield Run(tokens[start:at], weight)
            yield Run([Vector(embedding, place) for place in range(int(embedding.vectors))], weight, True)
            start = at = at + length
        yield Run(tokens[start:], weight)

    def put(self, chunk: Chunk[Any]) -> Any:
        """Returns a chunk in the host's form, with its start, end and padding."""
        tokens = [0 if isinstance(token, Vector) else token for token in chunk.tokens]
        fixes = [
            (at, token.embedding)
            for at, token in enumerate(chunk.tokens)
            if isinstance(token, Vector) and token.place == 0
        ]
        padded = self._padded(tokens)
        ones = [1.0] * (len(padded) - len(tokens) - 1)
        weights = [1.0, *chunk.weights, *ones] if host.has_chunks(self.encoder) else [*chunk.weights, *ones, 1.0]
        return SimpleNamespace(tokens=list(padded), multipliers=weights, fixes=fixes)

    def _padded(self, tokens: Sequence[int], length: int = 0) -> tuple[int, ...]:
        """Returns tokens with those of start, end and padding. CLIP's padding is put in place before it is encoded."""
        encoder = self.encoder
        if host.has_chunks(encoder):
            return (encoder.id_start, *tokens, *[encoder.id_end] * (encoder.chunk_length + 1 - len(tokens)))
        rest = max(length, encoder.min_length) - 1 - len(tokens)
        return (*tokens, encoder.id_end, *[encoder.id_pad] * rest)

    def _raw(self, tokens: tuple[int, ...], fixes: tuple[Any, ...]) -> tuple[Tensor, Any]:
        """Returns the rows [1, n, d] of a chunk without weights, and its pooled vector, None if there is none."""
        key = tokens, tuple((at, embedding.name) for at, embedding in fixes)
        if key not in self._kept:
            row = list(tokens)
            if self.encoder.id_end != self.encoder.id_pad:
                end = row.index(self.encoder.id_end) + 1
                row[end:] = [self.encoder.id_pad] * (len(row) - end)
            host.put_fixes(self.encoder, [list(fixes)])
            z = self.encoder.encode_with_transformers(torch.tensor([row]).to(host.device()))
            self._kept[key] = z, getattr(z, "pooled", None)
        return self._kept[key]
