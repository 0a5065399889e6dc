"""Prompts as people write them: emphasis and chunks, read by the rules of A1111 and of ComfyUI."""

from __future__ import annotations

from remix.prompt.chunks import Chunk, Run, cut
from remix.prompt.reading import CHUNKS, EMPHASIS, Piece, Reading, Section, may_be_cut

__all__ = ["CHUNKS", "EMPHASIS", "Chunk", "Piece", "Reading", "Run", "Section", "cut", "may_be_cut"]
