"""Pictures in and out: bounded opening, fitting, padding, PNG.

A *picture* is a numpy array uint8 [height, width, 3], RGB. Colour profiles are not applied: like
ComfyUI and AUTOMATIC1111, the numbers in the file are taken as sRGB.
"""

from __future__ import annotations

import io
import logging
import os
import stat
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin, UnidentifiedImageError, WebPImagePlugin

from remix.errors import BadInput, PictureError
from remix.motion import exif, pngs
from remix.motion.atomic import atomic_write

log = logging.getLogger(__name__)
_warnings_lock = threading.RLock()

Picture: TypeAlias = npt.NDArray[np.uint8]

MAX_PIXELS = 64 * 10**6
MAX_BYTES = 256 * 2**20
FORMATS = ("PNG", "JPEG", "WEBP")

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
    Image.DecompressionBombError,
    struct.error,
    zlib.error,
)
"""What Pillow's readers raise on damaged files."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How to undo each value of EXIF's Orientation."""


def open_image(source: str | os.PathLike[str] | BinaryIO) -> Image.Image:
    """Returns the picture in a file as a decoded RGB `PIL.Image`, upright.

    `source` is the path of an ordinary file, or a binary file object (left open). PNG, JPEG and WebP
    up to 64 million pixels and 256 MiB, both checked before anything is decoded; of an animation the
    first frame. EXIF orientation is applied, transparency laid over white (as AUTOMATIC1111 does), and
    16-bit grey scaled to 8. PictureError for everything else; a URL is just a file that does not exist.
    """
    if isinstance(source, (str, os.PathLike)):
        with open_file(source) as file:
            return _decoded(file, os.fspath(source))
    return _decoded(source, str(getattr(source, "name", "picture")))


def load_picture(source: str | os.PathLike[str] | BinaryIO) -> Picture:
    """Returns the picture in a file as uint8 [height, width, 3]; bounds and errors as for `open_image`."""
    return np.array(open_image(source), dtype=np.uint8)


def only_colour(picture: Picture) -> tuple[int, ...] | None:
    """Returns the colour of all pixels of a picture, None where they have several.

    >>> only_colour(np.full((2, 2, 3), (255, 0, 0), np.uint8))
    (255, 0, 0)
    """
    return tuple(picture[0, 0].tolist()) if (picture == picture[:1, :1]).all() else None


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """Returns the ordinary file at `path`, opened for reading; PictureError for pipes, devices, folders."""
    try:
        # Looked at before it is opened: opening a named pipe would wait for its other end.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise PictureError(f"{os.fspath(path)}: not an ordinary file; give a picture or film")
        return open(path, "rb")
    except FileNotFoundError as error:
        raise PictureError(f"{os.fspath(path)}: no such file; only files on this machine are read") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise PictureError(f"{os.fspath(path)!r}: cannot be read ({error}); give a picture or film") from error


@contextmanager
def quiet_pillow(name: str) -> Iterator[None]:
    """Returns a context in which Pillow's warnings about a file's header go to the log."""
    # Python's warning filters belong to the whole process: one thread at a time may change them.
    with _warnings_lock, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for warning in caught:
                log.warning("%s: %s", name, warning.message)


def _decoded(file: BinaryIO, name: str) -> Image.Image:
    start = file.tell()
    try:
        return _opened(file, name)
    except BROKEN as error:
        problem = error
    # Pillow refuses a whole picture over large text chunks, such as a big workflow; the picture is good.
    stripped = pngs.without_texts(file, start)
    if stripped is not None:
        try:
            image = _opened(io.BytesIO(stripped), name)
        except BROKEN as error:
            problem = error
        else:
            log.warning("%s: its text chunks are too large; the picture was read without them", name)
            return image
    raise PictureError(f"{name}: {_reason(problem)}; give a whole PNG, JPEG or WebP") from problem


def _opened(file: BinaryIO, name: str) -> Image.Image:
    start = file.tell()
    size = file.seek(0, os.SEEK_END) - start
    file.seek(start)
    if size > MAX_BYTES:
        raise PictureError(f"{name}: {size} bytes; at most {MAX_BYTES} are read, make the picture smaller")
    with quiet_pillow(name):
        image = _of_bearable_size(file, name)
        # Decoded first: asked for its EXIF, Pillow may decode too, and would pass damage off as EXIF's.
        image.load()
        turn = _TURNS.get(_orientation(image, name))
    if image.format == "PNG" and pngs.is_damaged(file, start):
        raise PictureError(f"{name}: its pixels do not match their checksum; give a whole PNG, or write it again")
    flat = _flattened(image)
    return flat.transpose(turn) if turn is not None else flat


def _of_bearable_size(file: BinaryIO, name: str) -> Image.Image:
    """Returns the picture in `file`, not yet decoded; PictureError when its header says that it is too large."""
    start = file.tell()
    if file.read(2) == b"\xff\xd8":
        file.seek(start)
        exif.refuse_shared(exif.of_jpeg(file) or b"")  # which Pillow reads as it opens a JPEG
    file.seek(start)
    try:
        image = Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError:  # it does not say how large
        file.seek(start)
        image = _reader(file)(file)
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise PictureError(
            f"{name}: {width}x{height}; at most {MAX_PIXELS // 10**6} million pixels are read, shrink it"
        )
    return image


def _reader(file: BinaryIO) -> Callable[[BinaryIO], ImageFile.ImageFile]:
    """Returns Pillow's own reader for the kind of picture in `file`, which reads headers without a limit."""
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
    """What `getexif` will read: ImageMagick writes it into PNGs as text."""
    if "exif" not in image.info and "Raw profile type exif" in image.info:
        return bytes.fromhex("".join(image.info["Raw profile type exif"].split("\n")[3:]))
    return bytes(image.info.get("exif", b""))


def _flattened(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        # Pillow would clip 16-bit grey at 255 where it means 65535.
        grey = np.clip(np.rint(np.asarray(image).astype(np.float64) / 257), 0, 255).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info:
        colours = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, colours).convert("RGB")
    return image.convert("RGB") if image.mode != "RGB" else image.copy()


def checked(picture: Any, where: str = "picture") -> Picture:
    """Returns `picture` when it is uint8 [height, width, 3] with at least one pixel; else PictureError."""
    if not isinstance(picture, np.ndarray):
        raise PictureError(f"{where}: {type(picture).__name__}; give a numpy array uint8 [height, width, 3]")
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise PictureError(f"{where}: {picture.dtype} {list(picture.shape)}; give uint8 [height, width, 3], RGB")
    return picture


def fit(picture: Picture, width: int, height: int) -> Picture:
    """Returns `picture` resized to cover `width` x `height` and cut to it around its middle.

    Proportions are kept, nothing is padded; Lanczos. A picture of that size comes back unchanged.
    """
    checked(picture)
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise BadInput(f"size: {width}x{height}; give 1 to {MAX_PIXELS // 10**6} million pixels")
    rows, columns = picture.shape[:2]
    if (columns, rows) == (width, height):
        return picture
    scale = min(columns / width, rows / height)
    left = max(0.0, (columns - width * scale) / 2)
    top = max(0.0, (rows - height * scale) / 2)
    box = (left, top, min(columns, left + width * scale), min(rows, top + height * scale))
    resized = Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS, box=box)
    return np.array(resized, dtype=np.uint8)


def pad_to_even(picture: Picture) -> Picture:
    """Returns `picture` with an odd last column or row doubled: both sides are even, nothing is resized."""
    rows, columns = picture.shape[:2]
    if rows % 2 == 0 and columns % 2 == 0:
        return picture
    return np.pad(picture, ((0, rows % 2), (0, columns % 2), (0, 0)), mode="edge")


def png_bytes(picture: Picture, texts: Mapping[str, str] | None = None, *, compress_level: int = 4) -> bytes:
    """Returns `picture` as a PNG file that carries `texts` uncompressed, in their order.

    Latin-1 texts go into tEXt chunks, others into iTXt, as readers of either host expect. Keys are 1
    to 79 Latin-1 characters; a key or text that PNG cannot hold is a PictureError.
    """
    checked(picture)
    chunks = PngImagePlugin.PngInfo()
    for key, text in (texts or {}).items():
        if not 1 <= len(key) <= 79 or not all(" " <= c <= "~" or "\xa1" <= c <= "\xff" for c in key):
            raise PictureError(f"metadata: {key!r}; a PNG's keys are 1 to 79 Latin-1 characters")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise PictureError(f"metadata {key!r}: half a character ({error}); give whole Unicode text") from error
        if "\0" in text:
            raise PictureError(f"metadata {key!r}: a NUL character, which PNG ends its texts with; remove it")
        chunks.add_text(key, text)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", pnginfo=chunks, compress_level=compress_level)
    return buffer.getvalue()


def save_picture(path: str | os.PathLike[str], picture: Picture, texts: Mapping[str, str] | None = None) -> Path:
    """Returns `path` after `picture` is safely there as a PNG, whole, with `texts` in it; see `png_bytes`."""
    with atomic_write(path) as part:
        part.write_bytes(png_bytes(picture, texts))
    return Path(path)
