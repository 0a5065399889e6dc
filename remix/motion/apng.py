"""Animated PNG, written without an encoder and counted without a decoder.

Pillow silently writes one frame of a generator, and ffmpeg keeps neither texts nor exact times here. Each frame holds
the rectangle that changed, packed as a separate PNG. Source: PNG specification, third edition, 11.3.6 (acTL, fcTL,
fdAT).
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import BinaryIO

import numpy as np

from remix.errors import PictureError
from remix.motion import pngs
from remix.motion.pictures import Picture, png_bytes

_LARGEST = 65535


def delay_of(rate: Fraction) -> tuple[int, int]:
    """Returns the time for which a frame is shown, in seconds, as a fraction of two 16-bit numbers.

    It is exact if both fit, otherwise the nearest fraction.
    """
    delay = 1 / rate
    nearest = delay.limit_denominator(min(_LARGEST, int(_LARGEST / delay)))
    return nearest.numerator, nearest.denominator


def write_apng(pictures: Iterable[Picture], path: Path, rate: Fraction, loops: int, texts: Mapping[str, str]) -> None:
    """Writes `pictures` (all one size) to `path` as an animated PNG; `loops` 0 plays forever."""
    delay = delay_of(rate)
    before: Picture | None = None
    numbers = count()
    frames = animation = 0
    with open(path, "wb") as file:
        for picture in pictures:
            left, top, right, bottom = _changed(before, picture)
            still = png_bytes(picture[top:bottom, left:right], texts if before is None else None)
            parts = list(_parts(still))
            if before is None:
                file.write(pngs.SIGNATURE + _chunk(*parts[0]))
                animation = file.tell()
                file.write(_animation(0, loops))
                file.writelines(_chunk(*part) for part in parts if part[0] in pngs.TEXT_CHUNKS)
            box = (right - left, bottom - top, left, top)
            file.write(_chunk(b"fcTL", struct.pack(">5L2H2x", next(numbers), *box, *delay)))
            for _, data in (part for part in parts if part[0] == b"IDAT"):
                later = _chunk(b"fdAT", struct.pack(">L", next(numbers)) + data) if frames else None
                file.write(later or _chunk(b"IDAT", data))
            frames += 1
            before = picture.copy()
        file.write(_chunk(b"IEND", b""))
        file.seek(animation)
        file.write(_animation(frames, loops))


def _animation(frames: int, loops: int) -> bytes:
    return _chunk(b"acTL", struct.pack(">2L", frames, loops))


def _changed(before: Picture | None, picture: Picture) -> tuple[int, int, int, int]:
    """Returns left, top, right and bottom of the changed area; one pixel, the minimum, if nothing changed."""
    height, width = picture.shape[:2]
    if before is None:
        return 0, 0, width, height
    differs = (before != picture).any(axis=2)
    rows, columns = (np.flatnonzero(differs.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return 0, 0, 1, 1
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _parts(still: bytes) -> Iterator[tuple[bytes, bytes]]:
    file = io.BytesIO(still)
    for chunk in pngs.chunks(file):
        file.seek(chunk.start + 8)
        yield chunk.kind, file.read(chunk.size)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


@dataclass(frozen=True)
class ApngFilm:
    """The canvas of an animated PNG, its number of frames, and its frames per second (None if unknown)."""

    width: int
    height: int
    frames: int
    fps: Fraction | None


def apng_film(file: BinaryIO, name: str) -> ApngFilm:
    """Returns the properties of an animated PNG, after counting its frames. Raises PictureError if it is damaged."""
    kind, promised, frames, seconds = b"", 0, 0, Fraction(0)
    size, delays = (0, 0), set()
    for kind, length, start in pngs.chunks(file):
        file.seek(start + 8)
        if kind == b"IHDR" and length == 13:
            size = struct.unpack(">2L", file.read(8))
        elif kind == b"acTL" and length == 8:
            promised = int.from_bytes(file.read(4), "big")
        elif kind == b"fcTL" and length == 26:
            numerator, denominator = struct.unpack(">20x2H", file.read(24))
            delay = Fraction(numerator, denominator or 100)
            frames += 1
            delays.add(delay)
            # To the microsecond, since exact sums of arbitrary fractions would grow without bound.
            seconds += Fraction(round(delay * 10**6), 10**6)
    if not promised or 0 in size:
        raise PictureError(f"{name}: a PNG without an animation; open it as a picture")
    if kind != b"IEND" or frames != promised:
        raise PictureError(f"{name}: {frames} of the {promised} frames that it promises; write it again")
    if len(delays) == 1:
        seconds = frames * delays.pop()
    return ApngFilm(*size, frames, frames / seconds if seconds else None)
