"""Texts in GIF files: a comment extension (GIF89a specification, sections 24 and 15)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from remix.errors import PictureError

_COMMENT = b"\xfe"
"""The label of a comment extension."""


def with_comment(film: bytes, texts: Mapping[str, str]) -> bytes:
    """Returns the beginning of a GIF with `texts` inserted after its header, as one JSON object in a comment.

    `film` must hold at least the header and the global palette: the first 781 bytes.
    """
    if not texts:
        return film
    end = 13 + _palette_size(film[:13])
    return film[:end] + _comment(texts) + film[end:]


def _palette_size(head: bytes) -> int:
    if len(head) < 13 or head[:6] not in (b"GIF87a", b"GIF89a"):
        raise PictureError("not a GIF: its header is missing; give a whole GIF")
    return 3 << ((head[10] & 7) + 1) if head[10] & 0x80 else 0


def _comment(texts: Mapping[str, str]) -> bytes:
    data = json.dumps(dict(texts)).encode("ascii")
    blocks = (data[start : start + 255] for start in range(0, len(data), 255))
    return b"\x21" + _COMMENT + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def comments(file: BinaryIO, limit: int) -> Iterator[bytes]:
    """Yields the comments of a GIF. Raises PictureError if it is cut off, or if they exceed `limit` bytes in total."""
    for label in _blocks(file):
        if label != _COMMENT:
            _pass_over(file)
            continue
        text = b"".join(_sub_blocks(file, limit))
        limit -= len(text)
        yield text


def refuse_cut(file: BinaryIO, name: str) -> None:
    """Raises PictureError if a GIF ends within a frame. Decoders silently show such a film shorter."""
    try:
        for _ in _blocks(file):
            _pass_over(file)
    except PictureError as error:
        raise PictureError(f"{name}: {error}") from error


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """Yields the label of each extension, b"" for a frame. The caller reads the sub-blocks that follow."""
    _exactly(file, _palette_size(file.read(13)))
    while (kind := file.read(1)) in (b"\x21", b"\x2c"):
        if kind == b"\x21":
            yield _exactly(file, 1)
        else:
            flags = _exactly(file, 9)[8]
            _exactly(file, (3 << ((flags & 7) + 1) if flags & 0x80 else 0) + 1)
            yield b""


def _pass_over(file: BinaryIO) -> None:
    for _ in _sub_blocks(file, 2**40):
        pass


def _sub_blocks(file: BinaryIO, limit: int) -> Iterator[bytes]:
    while size := _exactly(file, 1)[0]:
        limit -= size
        if limit < 0:
            raise PictureError("more texts than are read")
        yield _exactly(file, size)


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise PictureError("a GIF that is cut off; give a whole one")
    return data
