"""Reads the chunks of a PNG file, with limits and without Pillow.

Pillow refuses a whole picture because of its text (more than 1 MiB compressed, more than 64 MiB in total), and big
ComfyUI workflows reach that. Source: the PNG specification, third edition, 5.3 and 11.3.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from remix.errors import PictureError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
_PIECE = 2**20


class Chunk(NamedTuple):
    """The location of a chunk: `kind`, `size` of its data, and the position `start` of its length field."""

    kind: bytes
    size: int
    start: int


def chunks(file: BinaryIO, start: int = 0) -> Iterator[Chunk]:
    """Yields the chunks of the PNG at `start`, in order, up to IEND or the first that is cut off.

    Only headers are read. Yields nothing if the file is not a PNG.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(start)
    if file.read(len(SIGNATURE)) != SIGNATURE:
        return
    position = start + len(SIGNATURE)
    while position + 12 <= end:
        file.seek(position)
        header = file.read(8)
        size, kind = int.from_bytes(header[:4], "big"), header[4:]
        if position + 12 + size > end:
            return
        yield Chunk(kind, size, position)
        if kind == b"IEND":
            return
        position += 12 + size


def size_of(file: BinaryIO, name: str) -> tuple[int, int]:
    """Returns width and height of a PNG without decoding it. Raises PictureError if it is not complete."""
    kind, size = b"", (0, 0)
    for kind, length, start in chunks(file):
        if kind == b"IHDR" and length == 13:
            file.seek(start + 8)
            size = struct.unpack(">2L", file.read(8))
    if kind != b"IEND" or 0 in size:
        raise PictureError(f"{name}: not a PNG, or cut off; write it again")
    return size


def is_damaged(file: BinaryIO, start: int = 0) -> bool:
    """Returns whether a chunk with pixel data does not match its checksum.

    Pillow ignores that as long as the data can be decompressed, and returns other pixels.
    """
    return any(chunk.kind in _PIXEL_CHUNKS and not _is_sound(file, chunk) for chunk in chunks(file, start))


def _is_sound(file: BinaryIO, chunk: Chunk) -> bool:
    file.seek(chunk.start + 4)
    left, sum_ = chunk.size + 4, 0  # the checksum includes the kind
    while left > 0:
        piece = file.read(min(left, _PIECE))
        sum_, left = zlib.crc32(piece, sum_), left - len(piece)
    return int.from_bytes(file.read(4), "big") == sum_


def without_texts(file: BinaryIO, start: int = 0) -> bytes | None:
    """Returns the PNG at `start` without its text chunks; None if it is not a PNG or has none."""
    found = list(chunks(file, start))
    if not any(chunk.kind in TEXT_CHUNKS for chunk in found):
        return None
    kept = [SIGNATURE]
    for chunk in found:
        if chunk.kind not in TEXT_CHUNKS:
            file.seek(chunk.start)
            kept.append(file.read(chunk.size + 12))
    return b"".join(kept)


def text_of(kind: bytes, data: bytes, limit: int) -> tuple[str, str]:
    """Returns key and text of a text chunk. Raises ValueError if it is malformed or over `limit` bytes."""
    key, separator, rest = data.partition(b"\0")
    if not separator:
        raise ValueError("a text chunk without a key")
    if kind == b"tEXt":
        return key.decode("latin-1"), rest.decode("latin-1")
    if kind == b"zTXt":
        return key.decode("latin-1"), _inflated(rest[1:], limit).decode("latin-1")
    if len(rest) < 2:
        raise ValueError("an iTXt chunk that is cut off")
    packed, fields = rest[0], rest[2:].split(b"\0", 2)
    if len(fields) != 3:
        raise ValueError("an iTXt chunk without its three fields")
    text = _inflated(fields[2], limit) if packed else fields[2]
    return key.decode("latin-1"), text.decode("utf-8", "replace")


def _inflated(data: bytes, limit: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(data, limit)
    except zlib.error as error:
        raise ValueError(f"packed text that is damaged ({error})") from error
    if inflater.unconsumed_tail:
        raise ValueError(f"packed text of more than {limit} bytes")
    return text
