"""Reads pictures from files: bounded reading, decoding, color profiles, transparency.

Init pictures, masks and frames are read as the hosts read them: their values are taken as sRGB, whatever profile the
file carries. `load_frame` is for films made of arbitrary pictures: it converts profiles and supports more formats.
"""

from __future__ import annotations

import io
import logging
import os
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms, ImageFile, JpegImagePlugin, PngImagePlugin, UnidentifiedImageError, WebPImagePlugin
from PIL import features as pillow

from remix.errors import PictureError, PictureSizeError
from remix.motion import exif, pngs
from remix.motion.pictures import MAX_PIXELS, Picture
from remix.motion.regular import open_file

log = logging.getLogger(__name__)
_warnings_lock = threading.RLock()

MAX_BYTES = 256 * 2**20
FORMATS = ("PNG", "JPEG", "WEBP")

STRIP = 2**20
"""The number of pixels converted at a time. All intermediate forms of a whole picture would take gigabytes."""

PROFILE_BYTES = 8 * 2**20
"""The largest color profile that is applied, in bytes."""

SAME_COLOR = 2
"""A profile that changes no channel by more than this (of 255) counts as sRGB, and the values stay unchanged."""

BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    OverflowError,
    ZeroDivisionError,
    NotImplementedError,
    AttributeError,
    RuntimeError,  # of the AVIF decoder
    Image.DecompressionBombError,
    struct.error,
    zlib.error,
)
"""Exceptions that Pillow's readers raise for damaged files."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The operation that undoes each value of EXIF's Orientation."""


def frame_formats() -> dict[str, str]:
    """Returns the formats that `load_frame` reads with the installed Pillow: suffix -> Pillow's name.

    AVIF needs Pillow 11.3, or a system build with libavif.
    """
    suffixes = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
    suffixes |= {".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an older Pillow warns about the unknown name
        return suffixes | ({".avif": "AVIF"} if pillow.check("avif") else {})


def open_image(source: str | os.PathLike[str] | BinaryIO, *, size: tuple[int, int] | None = None) -> Image.Image:
    """Returns the picture in a file as a decoded RGB `PIL.Image`; see `load_picture`."""
    return Image.fromarray(load_picture(source, size=size))


def load_picture(source: str | os.PathLike[str] | BinaryIO, *, size: tuple[int, int] | None = None) -> Picture:
    """Returns the picture in a file as uint8 [height, width, 3], upright.

    `source` is the path of a regular file, or a binary file object, which is not closed. Reads PNG, JPEG and WebP of up
    to 64 million pixels and 256 MiB; of an animation, the first frame. With `size`, (width, height), a picture whose
    header has any other size is refused before it is decoded. EXIF orientation is applied, transparency is composited
    onto white (as in AUTOMATIC1111), and 16-bit gray is scaled to 8. Raises PictureError for anything else. A URL is
    treated as a missing file.
    """
    return _read(source, _Wanted(size=size))


def load_frame(source: str | os.PathLike[str], *, alpha: bool = False) -> Picture:
    """Returns a picture for a film, uint8 [height, width, 3]; with `alpha`, [height, width, 4].

    Colors are converted to sRGB from the file's profile. Reads the formats of `frame_formats`, with the limits and
    errors of `load_picture`.
    """
    return _read(source, _Wanted(tuple(dict.fromkeys(frame_formats().values())), profiles=True, alpha=alpha))


def is_transparent(source: str | os.PathLike[str]) -> bool:
    """Returns whether a picture that `load_frame` reads has transparent pixels."""
    return bool((load_frame(source, alpha=True)[..., 3] < 255).any())


def is_animated(path: str | os.PathLike[str]) -> bool:
    """Returns whether a file is an animated WebP, PNG or AVIF: a film, not a picture. Nothing is decoded."""
    with open_file(path) as file:
        head = file.read(21)
        if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X":
            return bool(head[20] & 2)
        if head[4:12] == b"ftypavis":
            return True
        for chunk in pngs.chunks(file):
            if chunk.kind in (b"acTL", b"IDAT"):
                return chunk.kind == b"acTL"
    return False


@dataclass(frozen=True)
class _Wanted:
    """How to read a picture: its formats, its size if known, and the handling of profiles and transparency."""

    formats: tuple[str, ...] = FORMATS
    size: tuple[int, int] | None = None
    profiles: bool = False
    alpha: bool = False


@contextmanager
def quiet_pillow(name: str) -> Iterator[None]:
    """Returns a context manager in which Pillow's warnings about a file's header go to the log."""
    # Python's warning filters are global to the process, so only one thread at a time may change them.
    with _warnings_lock, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for warning in caught:
                log.warning("%s: %s", name, warning.message)


def _read(source: str | os.PathLike[str] | BinaryIO, wanted: _Wanted) -> Picture:
    if isinstance(source, (str, os.PathLike)):
        with open_file(source) as file:
            return _decoded(file, os.fspath(source), wanted)
    return _decoded(source, str(getattr(source, "name", "picture")), wanted)


def _decoded(file: BinaryIO, name: str, wanted: _Wanted) -> Picture:
    start = file.tell()
    try:
        return _opened(file, name, wanted)
    except BROKEN as error:
        problem = error
    # Pillow refuses a whole picture because of large text chunks, such as a big workflow. The picture is valid.
    stripped = pngs.without_texts(file, start)
    if stripped is not None:
        try:
            picture = _opened(io.BytesIO(stripped), name, wanted)
        except BROKEN as error:
            problem = error
        else:
            log.warning("%s: its text chunks are too large; the picture was read without them", name)
            return picture
    known = "PNG, JPEG or WebP" if wanted.formats == FORMATS else ", ".join(wanted.formats)
    raise PictureError(f"{name}: {_reason(problem)}; give a whole {known}") from problem


def _opened(file: BinaryIO, name: str, wanted: _Wanted) -> Picture:
    start = file.tell()
    size = file.seek(0, os.SEEK_END) - start
    file.seek(start)
    if size > MAX_BYTES:
        raise PictureError(f"{name}: {size} bytes; at most {MAX_BYTES} are read, make the picture smaller")
    with quiet_pillow(name):
        image = _of_bearable_size(file, name, wanted)
        # Decoded first, since reading EXIF may make Pillow decode too, and report damage as an EXIF error.
        image.load()
        turn = _TURNS.get(_orientation(image, name))
        flat = _flattened(image, name, wanted)
    if image.format == "PNG" and pngs.is_damaged(file, start):
        raise PictureError(f"{name}: its pixels do not match their checksum; give a whole PNG, or write it again")
    return np.array(Image.fromarray(flat).transpose(turn)) if turn is not None else flat


def _of_bearable_size(file: BinaryIO, name: str, wanted: _Wanted) -> Image.Image:
    """Returns the picture in `file`, not yet decoded. Raises PictureError if its header has too large a size."""
    start = file.tell()
    _refuse_shared_entries(file)
    file.seek(start)
    try:
        image = Image.open(file, formats=wanted.formats)
    except Image.DecompressionBombError:  # which does not include the size
        file.seek(start)
        image = _reader(file)(file)
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise PictureError(
            f"{name}: {width}x{height}; at most {MAX_PIXELS // 10**6} million pixels are read, shrink it"
        )
    if wanted.size is not None and {wanted.size, wanted.size[::-1]}.isdisjoint({image.size}):
        raise PictureSizeError(f"{name}: {width}x{height}; expected {wanted.size[0]}x{wanted.size[1]}")
    return image


def _refuse_shared_entries(file: BinaryIO) -> None:
    """Raises ValueError for a JPEG or TIFF whose entries share bytes. Pillow copies them when it opens the file."""
    start, head = file.tell(), file.read(4)
    file.seek(start)
    if head[:2] == b"\xff\xd8":
        exif.refuse_shared(exif.of_jpeg(file) or b"")
    elif head in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        exif.refuse_shared(file.read())


def _reader(file: BinaryIO) -> Callable[[BinaryIO], ImageFile.ImageFile]:
    """Returns Pillow's reader for the kind of picture in `file`, which reads headers without a limit."""
    head = file.read(4)
    file.seek(-len(head), os.SEEK_CUR)
    if head == pngs.SIGNATURE[:4]:
        return PngImagePlugin.PngImageFile
    return WebPImagePlugin.WebPImageFile if head == b"RIFF" else JpegImagePlugin.JpegImageFile


def _reason(error: BaseException) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not a picture that is read here"
    return f"a picture that cannot be decoded ({error or type(error).__name__})"


def _orientation(image: Image.Image, name: str) -> int:
    try:
        exif.refuse_shared(_exif_of(image))
        value = image.getexif().get(0x0112, 1)
    except BROKEN as error:
        log.warning("%s: its EXIF data cannot be read and was left out (%s)", name, error)
        return 1
    return value if isinstance(value, int) else 1


def _exif_of(image: Image.Image) -> bytes:
    """Returns the data that `getexif` will read. ImageMagick writes it into PNGs as text."""
    if "exif" not in image.info and "Raw profile type exif" in image.info:
        return bytes.fromhex("".join(image.info["Raw profile type exif"].split("\n")[3:]))
    return bytes(image.info.get("exif", b""))


def _flattened(image: Image.Image, name: str, wanted: _Wanted) -> Picture:
    """Returns the pixels as uint8, converted strip by strip."""
    convert = _profile_of(image, name) if wanted.profiles else None
    width, height = image.size
    pixels = np.empty((height, width, 4 if wanted.alpha else 3), np.uint8)
    rows = max(1, min(STRIP, Image.MAX_IMAGE_PIXELS or STRIP) // width)  # `crop` has Pillow's limit too
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        pixels[top : top + rows] = _strip(strip, convert, wanted.alpha)
    return pixels


def _strip(strip: Image.Image, convert: _Conversion | None, alpha: bool) -> Picture:
    if strip.mode.startswith("I") or strip.mode == "F":
        # Pillow would clip 16-bit gray at 255 instead of scaling from 65535.
        strip = Image.fromarray(np.clip(np.rint(np.asarray(strip).astype(np.float64) / 257), 0, 255).astype(np.uint8))
    opacity = None
    if strip.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in strip.info:
        strip = strip.convert("RGBA")
        opacity = strip.getchannel("A")
    if convert is not None:
        strip = _applied(convert, strip)
    if opacity is None:
        return np.asarray(strip.convert("RGBA" if alpha else "RGB"))
    strip = strip.convert("RGB")
    strip.putalpha(opacity)
    if alpha:
        return np.asarray(strip)
    return np.asarray(Image.alpha_composite(Image.new("RGBA", strip.size, (255, 255, 255, 255)), strip).convert("RGB"))


@dataclass(frozen=True)
class _Conversion:
    """A conversion to sRGB from pictures of one mode."""

    mode: str
    transform: ImageCms.ImageCmsTransform


def _applied(convert: _Conversion, strip: Image.Image) -> Image.Image:
    given = strip if strip.mode == convert.mode else strip.convert(convert.mode)
    converted = ImageCms.applyTransform(given, convert.transform)
    assert converted is not None  # only None for conversions in place
    return converted


def _profile_of(image: Image.Image, name: str) -> _Conversion | None:
    """Returns the conversion from the picture's color profile to sRGB, None if the values are already sRGB."""
    profile = image.info.get("icc_profile")
    if not profile:
        return None
    if len(profile) > PROFILE_BYTES:
        raise PictureError(f"{name}: a color profile of {len(profile)} bytes; at most {PROFILE_BYTES} are read")
    mode = {"CMYK": "CMYK", "LAB": "LAB"}.get(image.mode, "L" if _is_grey(profile) else "RGB")
    try:
        return _to_srgb(profile, mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        log.warning("%s: its color profile cannot be used (%s); its numbers are taken as sRGB", name, error)
        return None


def _is_grey(profile: bytes) -> bool:
    return profile[16:20] == b"GRAY"  # the data color space of the header, ICC.1:2010, 7.2.6


@lru_cache(maxsize=8)
def _to_srgb(profile: bytes, mode: str) -> _Conversion | None:
    source = ImageCms.getOpenProfile(io.BytesIO(profile))
    convert = _Conversion(mode, ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB"))
    if mode not in ("RGB", "L"):
        return convert
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    probe = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(1, -1, 3)
    given = Image.fromarray(probe if mode == "RGB" else levels[None])
    moved = np.asarray(_applied(convert, given)).astype(int)
    same = np.abs(moved - np.asarray(given.convert("RGB"))).max() <= SAME_COLOR
    return None if same else convert
