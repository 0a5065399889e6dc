"""Copies of pictures and films without metadata. Pixels, sound and color profiles stay as they are, bit for bit.

Formats: PNG, JPEG, WebP, GIF, and what ffmpeg copies: mp4, mov, webm, mkv. Sources: the PNG specification, third
edition; ITU-T T.81, annex B; the WebP container specification; the GIF89a specification.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from remix.errors import PictureError, VideoError
from remix.motion import pngs
from remix.motion.atomic import atomic_write
from remix.motion.ffmpeg import READ_STRICTLY, Ffmpeg
from remix.motion.images import BROKEN, MAX_BYTES, quiet_pillow
from remix.motion.pictures import png_bytes
from remix.motion.regular import open_file
from remix.motion.stealth import read_stealth
from remix.motion.texts import LIMIT, read_texts

FILMS = (".mp4", ".m4v", ".mov", ".webm", ".mkv")
SUFFIXES = {".png": (".png", ".apng"), ".jpg": (".jpg", ".jpeg", ".jfif"), ".mp4": (".mp4", ".m4v"), ".m4v": (".m4v",)}
"""The suffixes of a format, if it has several. The first is the most common."""

SIGNATURES = {
    ".png": (pngs.SIGNATURE, 0, b""),
    ".jpg": (b"\xff\xd8\xff", 0, b""),
    ".webp": (b"RIFF", 8, b"WEBP"),
    ".gif": (b"GIF8", 0, b""),
}
"""How pictures begin: their first bytes, and others with their place."""

BITEXACT = ("-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact")

PNG_METADATA = (*pngs.TEXT_CHUNKS, b"eXIf", b"tIME", b"caBX")
WEBP_METADATA = (b"EXIF", b"XMP ", b"C2PA")
WEBP_FLAGS = 0x08 | 0x04
"""The bits of VP8X that announce EXIF and XMP."""

_ORIENTATION = 0x0112
_APP0, _APP2, _APP14, _APP15, _COMMENT, _SCAN, _END = 0xE0, 0xE2, 0xEE, 0xEF, 0xFE, 0xDA, 0xD9


class _CutOff(Exception):
    """A file ends early. Its only argument is the name of its format."""


def strip_metadata(path: str | os.PathLike[str], out: str | os.PathLike[str]) -> list[str]:
    """Writes a copy of a picture or film without metadata to `out`, atomically, and returns what was removed, by name.

    Text in the lowest bits of a PNG's pixels is removed as well, by clearing those bits. The orientation of a JPEG
    stays. Raises PictureError for a format that cannot be stripped, for a suffix of another format, and if some text is
    left.
    """
    path, out = Path(path), Path(out)
    found = [*read_texts(path).found]
    with open_file(path) as file:
        kind = _format(path, file.read(12))
    data = b"" if kind in FILMS else _read(path)
    if out.suffix.lower() not in SUFFIXES.get(kind, (kind,)):
        raise PictureError(f"{out}: is a copy of a {kind[1:].upper()}, bit for bit; call it {out.with_suffix(kind)}")
    try:
        with atomic_write(out) as part:
            if kind in FILMS:
                _copy_film(path, part, kind)
            elif kind == ".png" and (hidden := read_stealth(path, LIMIT)):
                found.append(f"hidden in the pixels ({len(hidden)} characters)")
                _write(part, _png(_without_bits(path)))
            else:
                _write(part, _stripped(path, kind, data))
            if left := read_texts(part).found:
                raise PictureError(
                    f"{path}: {', '.join(left)} cannot be removed from this file; convert it to PNG first"
                )
    except _CutOff as error:
        raise PictureError(f"{path}: a {error} that is cut off; give a whole one") from None
    return found


def _read(path: Path) -> bytes:
    with open_file(path, limit=MAX_BYTES, remedy="give a picture of a usual size") as file:
        return file.read()


def _write(part: Path, pieces: Iterator[bytes]) -> None:
    with part.open("wb") as file:
        file.writelines(pieces)


def _format(path: Path, head: bytes) -> str:
    """Returns the suffix of a file's format: that of its first bytes for pictures, its own for films."""
    for kind, (start, at, more) in SIGNATURES.items():
        if head.startswith(start) and head[at:].startswith(more):
            return kind
    if path.suffix.lower() in FILMS:
        return path.suffix.lower()
    raise PictureError(f"{path}: has no format that can be stripped; give a PNG, JPEG, WebP, GIF, mp4 or webm")


def _stripped(path: Path, kind: str, data: bytes) -> Iterator[bytes]:
    """Returns the parts of a picture without metadata."""
    if kind == ".png":
        return _png(data)
    if kind == ".jpg":
        return _jpeg(data, _orientation(path))
    return iter([_webp(data)]) if kind == ".webp" else _gif(data)


def _png(data: bytes) -> Iterator[bytes]:
    yield pngs.SIGNATURE
    position = len(pngs.SIGNATURE)
    while position + 12 <= len(data):
        size, kind = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        if position + 12 + size > len(data):
            raise _CutOff("PNG")
        if kind not in PNG_METADATA:
            yield data[position : position + 12 + size]
        position += 12 + size
        if kind == b"IEND":
            return
    raise _CutOff("PNG")


def _without_bits(path: Path) -> bytes:
    """Returns a PNG with the lowest bits cleared that hide a text: those of alpha, and of the colors without alpha."""
    with quiet_pillow(os.fspath(path)), Image.open(path, formats=["PNG"]) as image:
        pixels = np.array(image)
    if pixels.shape[2] == 4:
        pixels[..., 3] |= 1
    pixels[..., :3] &= 0xFE
    return png_bytes(pixels)


def _orientation(path: Path) -> int:
    try:
        with quiet_pillow(os.fspath(path)), Image.open(path, formats=["JPEG"]) as image:
            value = image.getexif().get(_ORIENTATION)
    except BROKEN as error:
        raise PictureError(f"{path}: is not a whole JPEG ({error}); give a whole one") from error
    return value if isinstance(value, int) and 2 <= value <= 8 else 1


def _jpeg(data: bytes, orientation: int) -> Iterator[bytes]:
    """Yields the parts of a JPEG: all segments but those of applications and comments, with the color profile."""
    yield data[:2]
    if orientation != 1:
        exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHLHHL", _ORIENTATION, 3, 1, orientation, 0, 0)
        yield b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker == _SCAN:
            end = data.rfind(b"\xff\xd9")
            yield data[position : end + 2 if end > position else len(data)]
            return
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        segment = data[position:end]
        application = _APP0 <= marker <= _APP15
        profile = marker == _APP2 and segment[4:16] == b"ICC_PROFILE\0"
        if marker != _COMMENT and (not application or marker in (_APP0, _APP14) or profile):
            yield segment
        position = end
    raise _CutOff("JPEG")


def _webp(data: bytes) -> bytes:
    kept, position = [], 12
    while position + 8 <= len(data):
        kind, size = struct.unpack("<4sL", data[position : position + 8])
        end = position + 8 + size + size % 2
        if end > len(data) + size % 2:
            raise _CutOff("WebP")
        chunk = bytearray(data[position:end])
        if kind == b"VP8X" and size:
            chunk[8] &= ~WEBP_FLAGS & 0xFF
        if kind not in WEBP_METADATA:
            kept.append(bytes(chunk))
        position = end
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + struct.pack("<L", len(body)) + body


def _gif(data: bytes) -> Iterator[bytes]:
    """Yields the parts of a GIF without comments and without XMP."""
    data += b"\0" * 12  # so that no look ahead is past the end
    position = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    yield data[:position]
    while position < len(data) and data[position] in b"\x21\x2c":
        start, extension = position, data[position] == 0x21
        if extension:
            position += 2
        else:
            flags = data[position + 9]
            position += 11 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
        first = position
        while position < len(data) and data[position]:
            position += 1 + data[position]
        position += 1
        label, name = data[start + 1], data[first + 1 : first + 12]
        if not extension or not (label == _COMMENT or (label == 0xFF and name == b"XMP DataXMP")):
            yield data[start:position]
    if position >= len(data) - 12:
        raise _CutOff("GIF")
    yield b";"


def _copy_film(path: Path, part: Path, suffix: str) -> None:
    """Copies the streams of a film without its texts."""
    muxer = {".m4v": "mp4", ".mkv": "matroska"}.get(suffix, suffix[1:])
    nothing = ("-map_metadata", "-1", "-map_metadata:s", "-1", "-map_chapters", "-1")
    streams = ("-map", "0:v", "-map", "0:a?", "-c", "copy")
    output = (*streams, *nothing, *BITEXACT, "-f", muxer, "-y", str(part))
    with Ffmpeg([*READ_STRICTLY, "-i", str(path.resolve()), *output]) as process:
        if (status := process.finish()) != 0:
            raise VideoError(process.failure("copying", path, status))
