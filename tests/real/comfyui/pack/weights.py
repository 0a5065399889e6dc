"""Weights and vocabularies that take no room: random numbers that a name decides."""

from __future__ import annotations

import io
import zlib

import sentencepiece
import torch

POOL = 1 << 18


def random(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Returns random numbers that the name decides."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))


def weight(name: str, shape: torch.Size) -> torch.Tensor:
    """A weight that its name decides. A large one is many views of a small pool, row by row a little further on."""
    if len(shape) < 2:
        return torch.ones(shape) if name.endswith(("weight", "scale", "gamma")) else torch.zeros(shape)
    rows, width = shape[0], shape[1:].numel()
    step = max(1, (POOL - width) // rows)
    scale = 1.0 if "embed" in name or "shared" in name else width**-0.5
    if step >= width:
        return random(name, tuple(shape)) * scale
    return (random(name, (width + step * rows,)) * scale).as_strided((rows, width), (step, 1))


def sentencepieces() -> torch.Tensor:
    """A model of SentencePiece that knows a few words, as files of UMT5 and Gemma carry one."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a red apple", "the deep blue sea", "a house on a hill", "snow and wind"] * 20),
        model_writer=written,
        vocab_size=40,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=3,
        minloglevel=2,
    )
    return torch.frombuffer(bytearray(written.getvalue()), dtype=torch.uint8)
