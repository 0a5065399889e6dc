"""Cuts the tokens of a prompt into chunks that fit into a text encoder, by the rule of either host."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

BACKTRACK = 20
"""A1111's default: a chunk ends at a comma that is at most this many tokens before its end."""

LARGE = 8
"""ComfyUI moves a run of fewer tokens into the next chunk whole."""


@dataclass(frozen=True)
class Run(Generic[T]):
    """Consecutive tokens of one weight: those of a piece, or the vectors of an embedding, which are not cut."""

    tokens: Sequence[T]
    weight: float = 1.0
    whole: bool = False


@dataclass(frozen=True)
class Chunk(Generic[T]):
    """The tokens of a chunk without those of start and end, and their weights."""

    tokens: tuple[T, ...]
    weights: tuple[float, ...]


def cut(sections: Iterable[Iterable[Run[T]]], size: int, rule: str, comma: T | None = None) -> list[Chunk[T]]:
    """Returns the chunks of the runs of each section, at most `size` tokens in each; at least one chunk.

    By the rule "comfy", a chunk is filled up, and a run of fewer than 8 tokens stays together. By "a1111", a chunk ends
    after its last `comma` if that is among its last 20 tokens.
    """
    chunks: list[Chunk[T]] = []
    for section in sections:
        filling = _Commas(size, comma) if rule == "a1111" else _Filling[T](size)
        for run in section:
            filling.add(run)
        chunks += filling.finished()
    if len(chunks) > 1 and not chunks[-1].tokens:  # a BREAK at the end begins nothing
        chunks.pop()
    return chunks


class _Filling(Generic[T]):
    """Chunks by ComfyUI's rule."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.tokens: list[T] = []
        self.weights: list[float] = []
        self.chunks: list[Chunk[T]] = []

    def add(self, run: Run[T]) -> None:
        tokens = list(run.tokens)
        if len(tokens) < LARGE and len(self.tokens) + len(tokens) > self.size:
            self.close()
        while tokens:
            room = self.size - len(self.tokens)
            self.put(tokens[:room], run.weight)
            tokens = tokens[room:]
            if tokens:
                self.close()

    def put(self, tokens: Sequence[T], weight: float) -> None:
        self.tokens += tokens
        self.weights += [weight] * len(tokens)

    def close(self) -> None:
        self.chunks.append(Chunk(tuple(self.tokens), tuple(self.weights)))
        self.tokens, self.weights = [], []

    def finished(self) -> list[Chunk[T]]:
        self.close()
        return self.chunks


class _Commas(_Filling[T]):
    """Chunks by A1111's rule."""

    def __init__(self, size: int, comma: T | None) -> None:
        super().__init__(size)
        self.comma = comma
        self.last = -1

    def add(self, run: Run[T]) -> None:
        for tokens in [run.tokens] if run.whole else ([token] for token in run.tokens):
            if self.comma is not None and not run.whole and tokens[0] == self.comma:
                self.last = len(self.tokens)
            elif len(self.tokens) == self.size:
                self._end_at_comma()
            if len(self.tokens) + len(tokens) > self.size:
                self.close()
            self.put(tokens, run.weight)

    def _end_at_comma(self) -> None:
        """Moves what follows the last comma of a full chunk into the next one, if that is not too much."""
        if self.last < 0 or self.size - self.last > BACKTRACK:
            return
        at = self.last + 1
        tokens, weights = self.tokens[at:], self.weights[at:]
        self.tokens, self.weights = self.tokens[:at], self.weights[:at]
        self.close()
        self.tokens, self.weights = tokens, weights

    def close(self) -> None:
        super().close()
        self.last = -1
