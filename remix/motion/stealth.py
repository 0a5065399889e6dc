"""Texts hidden in the lowest bits of a PNG's pixels, which stay when a website removes all metadata.

NovelAI, and "stealth" extensions of A1111 and ComfyUI, write a signature of 15 bytes, the length in bits (32 bits, big
endian) and the text, column by column, into alpha or into red, green and blue. A signature that ends in "comp" marks a
text packed by gzip.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping

import numpy as np
from PIL import Image

from remix.motion.images import BROKEN, quiet_pillow
from remix.motion.pictures import Picture
from remix.motion.regular import open_file

SIGNATURES: Mapping[bytes, tuple[int, bool]] = {
    b"stealth_pnginfo": (1, False),
    b"stealth_pngcomp": (1, True),
    b"stealth_rgbinfo": (3, False),
    b"stealth_rgbcomp": (3, True),
}
"""Signature -> the number of channels, 1 for alpha, and whether the text is packed."""

MAX_PIXELS = 2**24
"""The largest picture that is searched. The tools make smaller ones, and each has to be decoded for it."""

_HEAD = 15 + 4


def read_stealth(path: str | os.PathLike[str], limit: int) -> str | None:
    """Returns the text in the pixels of a PNG; None if there is none, it is damaged, or longer than `limit` bytes."""
    with open_file(path) as file, quiet_pillow(os.fspath(path)):
        try:
            with Image.open(file, formats=["PNG"]) as image:
                if image.mode not in ("RGB", "RGBA") or image.width * image.height > MAX_PIXELS:
                    return None
                pixels = np.asarray(image)
        except BROKEN:
            return None
    for channels in (1, 3):
        used = pixels[..., 3:] if channels == 1 else pixels[..., :3]
        if used.shape[2] == channels and (data := _payload(used, limit)) is not None:
            return data.decode("utf-8", "replace")
    return None


def _payload(pixels: Picture, limit: int) -> bytes | None:
    head = _bytes(pixels, 0, _HEAD)
    signature, bits = head[:15], int.from_bytes(head[15:], "big")
    channels, packed = SIGNATURES.get(signature, (0, False))
    size = bits // 8
    if channels != pixels.shape[2] or not 0 < size <= min(limit, pixels.size // 8 - _HEAD):
        return None
    data = _bytes(pixels, _HEAD, size)
    if not packed:
        return data
    unpacker = zlib.decompressobj(wbits=31)
    try:
        text = unpacker.decompress(data, limit)
    except zlib.error:
        return None
    return None if unpacker.unconsumed_tail else text


def _bytes(pixels: Picture, start: int, count: int) -> bytes:
    """Returns bytes of the lowest bits, from the columns that hold them alone."""
    per_column = pixels.shape[0] * pixels.shape[2]
    first, last = 8 * start // per_column, -(-8 * (start + count) // per_column)
    bits = (pixels[:, first:last] & 1).transpose(1, 0, 2).reshape(-1)
    offset = 8 * start - first * per_column
    return np.packbits(bits[offset : offset + 8 * count]).tobytes()
