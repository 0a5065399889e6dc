"""Films made of still pictures, written and read without an encoder: animated WebP, folders of PNGs.

WebP's own animation encoder joins equal frames and keeps the film in memory until its end. Here each frame is a
separate still, so the count is exact and memory use is constant. Source: WebP container specification (RFC 9649,
section 2).
"""

from __future__ import annotations

import io
import json
import os
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageSequence

from remix.errors import PictureError, VideoError
from remix.motion import pngs
from remix.motion.atomic import flush_to_disk
from remix.motion.images import MAX_BYTES, load_picture
from remix.motion.pictures import MAX_PIXELS, Picture, png_bytes
from remix.motion.regular import open_file

QUALITY = 80
METHOD = 2
"""libwebp's effort, 0 to 6: twice as fast as its default of 4, for files that are a tenth larger."""

USER_COMMENT = 0x9286
EXIF_IFD = 0x8769
NUMBERED = re.compile(r"\d{6,}\.png", re.ASCII)


def exif_with(texts: Mapping[str, str]) -> bytes:
    """Returns EXIF data (TIFF, big-endian) whose UserComment holds `texts` as one JSON object in ASCII."""
    comment = b"ASCII\0\0\0" + json.dumps(dict(texts)).encode("ascii")
    # TIFF 6.0: a header, a first directory that only points at EXIF's own, and that one with one entry.
    first, inner = 8, 8 + 18
    entry = struct.pack(">HHHLL", 1, EXIF_IFD, 4, 1, inner) + struct.pack(">L", 0)
    exif = struct.pack(">HHHLL", 1, USER_COMMENT, 7, len(comment), inner + 18) + struct.pack(">L", 0)
    return b"MM\0\x2a" + struct.pack(">L", first) + entry + exif + comment


def write_webp(pictures: Iterable[Picture], path: Path, rate: Fraction, loops: int, texts: Mapping[str, str]) -> None:
    """Writes `pictures` (all one size) to `path` as an animated WebP; `loops` 0 plays forever."""
    exif = exif_with(texts) if texts else b""
    with open(path, "wb") as file:
        file.write(b"RIFF\0\0\0\0WEBP")
        for index, picture in enumerate(pictures):
            height, width = picture.shape[:2]
            canvas = _uint24(width - 1) + _uint24(height - 1)
            if index == 0:
                alpha = 0x10 if picture.shape[2] == 4 else 0
                file.write(_chunk(b"VP8X", bytes([0x02 | alpha | (0x08 if exif else 0), 0, 0, 0]) + canvas))
                file.write(_chunk(b"ANIM", struct.pack("<4BH", 0, 0, 0, 255, loops)))
            shown = _milliseconds(index + 1, rate) - _milliseconds(index, rate)
            no_blend = b"\x02"
            head = _uint24(0) * 2 + canvas + _uint24(shown) + no_blend
            file.write(_chunk(b"ANMF", head + _still(picture)))
        if exif:
            file.write(_chunk(b"EXIF", exif))
        size = file.tell() - 8
        if size > 2**32 - 10:
            raise VideoError(f"webp: {size} bytes; a WebP holds 4 GiB, write an mp4 instead")
        file.seek(4)
        file.write(struct.pack("<L", size))


def _milliseconds(index: int, rate: Fraction) -> int:
    # Rounding each moment, not each step, keeps the film's length exact at every rate.
    return round(index * 1000 / rate)


def _still(picture: Picture) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", quality=QUALITY, method=METHOD)
    data = buffer.getvalue()
    buffer.seek(0)
    still = b""
    for kind, start, size in webp_chunks(buffer):
        if kind in (b"ALPH", b"VP8 ", b"VP8L"):
            still += data[start - 8 : start + size + size % 2]
        if kind in (b"VP8 ", b"VP8L"):
            return still
    raise VideoError("WebP: Pillow wrote a still without a picture; install another Pillow")


def _uint24(value: int) -> bytes:
    return value.to_bytes(3, "little")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<L", len(data)) + data + b"\0" * (len(data) % 2)


def webp_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yields kind, data offset and size of each complete chunk of a WebP. Only headers are read."""
    end = file.seek(0, os.SEEK_END)
    position = 12
    while position + 8 <= end:
        file.seek(position)
        kind, size = struct.unpack("<4sL", file.read(8))
        if position + 8 + size > end:
            return
        yield kind, position + 8, size
        position += 8 + size + size % 2


@dataclass(frozen=True)
class WebpFilm:
    """An animated WebP's canvas, number of frames and length in milliseconds."""

    width: int
    height: int
    frames: int
    milliseconds: int


def webp_film(file: BinaryIO, name: str) -> WebpFilm:
    """Returns the properties of an animated WebP, after counting its frames. Raises PictureError if it is not one."""
    size, frames, milliseconds = (0, 0), 0, 0
    refuse_cut(file, name)
    for kind, start, length in webp_chunks(file):
        file.seek(start)
        if kind == b"VP8X" and length >= 10:
            head = file.read(10)
            size = (int.from_bytes(head[4:7], "little") + 1, int.from_bytes(head[7:10], "little") + 1)
        elif kind == b"ANMF" and length >= 16:
            frames += 1
            milliseconds += int.from_bytes(file.read(16)[12:15], "little")
    if not frames or 0 in size:
        raise PictureError(f"{name}: a WebP without an animation, or cut off; open it as a picture")
    return WebpFilm(*size, frames, milliseconds)


def refuse_cut(file: BinaryIO, name: str) -> None:
    """Raises PictureError if a WebP is shorter than its header states."""
    file.seek(4)
    promised = int.from_bytes(file.read(4), "little") + 8
    if promised > file.seek(0, os.SEEK_END):
        raise PictureError(f"{name}: a WebP that is cut off; write it again")


def read_webp(path: str | os.PathLike[str]) -> Iterator[Picture]:
    """Yields the frames of an animated WebP."""
    with open_file(path) as file:
        film = webp_film(file, os.fspath(path))
        if film.width * film.height > MAX_PIXELS or file.seek(0, os.SEEK_END) > MAX_BYTES:
            raise PictureError(f"{os.fspath(path)}: over {MAX_BYTES} bytes or {MAX_PIXELS} pixels; cut it")
        file.seek(0)
        try:
            with Image.open(file, formats=("WEBP",)) as image:
                for frame in ImageSequence.Iterator(image):
                    yield np.array(frame.convert("RGB"), dtype=np.uint8)
        except (OSError, ValueError, EOFError, Image.DecompressionBombError) as error:
            raise PictureError(f"{os.fspath(path)}: a WebP that cannot be decoded ({error}); write it again") from error


def write_pngs(pictures: Iterable[Picture], folder: Path, texts: Mapping[str, str]) -> None:
    """Writes `pictures` into `folder` as ``000000.png`` and so on, each carrying `texts`."""
    folder.mkdir()
    for index, picture in enumerate(pictures):
        path = folder / f"{index:06d}.png"
        path.write_bytes(png_bytes(picture, texts))
        flush_to_disk(path)


def is_numbered(path: Path) -> bool:
    """Returns whether `path` is a file named like a film's picture, such as ``000000.png``."""
    return NUMBERED.fullmatch(path.name) is not None and path.is_file()


def numbered_pngs(folder: str | os.PathLike[str]) -> list[Path]:
    """Returns the numbered PNGs of a folder in order. Raises PictureError if there are none."""
    found = [path for path in Path(folder).iterdir() if is_numbered(path)]
    if not found:
        raise PictureError(f"{os.fspath(folder)}: a folder without numbered PNGs (000000.png); give a film's folder")
    return sorted(found, key=lambda path: int(path.stem))


def _unbroken(folder: str | os.PathLike[str]) -> list[Path]:
    found = numbered_pngs(folder)
    for number, path in enumerate(found, int(found[0].stem)):
        if int(path.stem) != number:
            odd = f"{number:06d}.png is missing" if int(path.stem) > number else f"{path.name} is there twice"
            raise PictureError(f"{os.fspath(folder)}: {odd}; give a film's whole folder, or number its pictures again")
    return found


@dataclass(frozen=True)
class PngFilm:
    """The size and number of the pictures in a folder."""

    width: int
    height: int
    frames: int


def png_film(folder: str | os.PathLike[str]) -> PngFilm:
    """Returns the properties of a folder of numbered PNGs. Raises PictureError for gaps, damage or different sizes."""
    found = _unbroken(folder)
    sizes = []
    for path in found:
        with open_file(path) as file:
            sizes.append(pngs.size_of(file, os.fspath(path)))
        _refuse_unlike(path, sizes[-1], found[0], sizes[0])
    return PngFilm(*sizes[0], len(found))


def _refuse_unlike(path: Path, size: tuple[int, int], first: Path, usual: tuple[int, int]) -> None:
    if size != usual:
        raise PictureError(
            f"{path}: {size[0]}x{size[1]}, but {first.name} is {usual[0]}x{usual[1]}; "
            "all frames of a film have one size"
        )


def read_pngs(folder: str | os.PathLike[str]) -> Iterator[Picture]:
    """Yields the pictures of a folder of numbered PNGs. Raises PictureError in the same cases as `png_film`."""
    found = _unbroken(folder)
    usual: tuple[int, int] | None = None
    for path in found:
        picture = load_picture(path)
        size = (picture.shape[1], picture.shape[0])
        usual = usual or size
        _refuse_unlike(path, size, found[0], usual)
        yield picture
