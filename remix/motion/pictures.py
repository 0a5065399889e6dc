"""Pictures in memory: checking, fitting, comparing, and writing them as PNG.

A *picture* is a numpy array uint8 [height, width, 3], sRGB.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin

from remix.errors import BadInput, PictureError
from remix.motion.atomic import atomic_write

Picture: TypeAlias = npt.NDArray[np.uint8]

MAX_PIXELS = 64 * 10**6

PLACES = {"wide": (1920, 1080), "square": (1080, 1080), "portrait": (1080, 1350), "upright": (1080, 1920)}
"""Named sizes of films, for where they are shown."""

LEAST_PSNR, MOST_OFF = 55.0, 2
"""Pictures are considered equal with at least this PSNR in dB and at most this channel difference: it is invisible."""


def checked(picture: Any, where: str = "picture", *, alpha: bool = False) -> Picture:
    """Returns `picture` unchanged. Raises PictureError unless it is uint8 [height, width, 3] with at least one pixel.

    With `alpha`, it may also have four channels.
    """
    if not isinstance(picture, np.ndarray):
        raise PictureError(f"{where}: {type(picture).__name__}; give a numpy array uint8 [height, width, 3]")
    channels = (3, 4) if alpha else (3,)
    if picture.dtype != np.uint8 or picture.ndim != 3 or 0 in picture.shape or picture.shape[2] not in channels:
        raise PictureError(f"{where}: {picture.dtype} {list(picture.shape)}; give uint8 [height, width, 3], RGB")
    return picture


def fit(picture: Picture, width: int, height: int) -> Picture:
    """Returns `picture` scaled to fill `width` x `height` and center-cropped.

    Proportions are kept and nothing is padded; uses Lanczos. A picture of that size is returned unchanged.
    """
    checked(picture, alpha=True)
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


def inset(picture: Picture, width: int, height: int) -> Picture:
    """Returns `picture` resized to fit into `width` x `height`, with bars: black, or transparent if it has alpha."""
    checked(picture, alpha=True)
    rows, columns, channels = picture.shape
    scale = min(width / columns, height / rows)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    bars = np.zeros((height, width, channels), np.uint8)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    bars[top : top + size[1], left : left + size[0]] = fit(picture, *size)
    return bars


def pad_to_even(picture: Picture) -> Picture:
    """Returns `picture` with even sides, by repeating an odd last column or row. Nothing is resized."""
    rows, columns = picture.shape[:2]
    if rows % 2 == 0 and columns % 2 == 0:
        return picture
    return np.pad(picture, ((0, rows % 2), (0, columns % 2), (0, 0)), mode="edge")


def png_bytes(picture: Picture, texts: Mapping[str, str] | None = None, *, compress_level: int = 4) -> bytes:
    """Returns `picture` as a PNG file with `texts` as uncompressed chunks, in order.

    Latin-1 texts go into tEXt chunks, others into iTXt, as readers of either host expect. Keys have 1 to 79 Latin-1
    characters. Raises PictureError for a key or text that PNG cannot hold.
    """
    checked(picture, alpha=True)
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
    """Writes `picture` to `path` as a PNG with `texts`, atomically, and returns `path`; see `png_bytes`."""
    with atomic_write(path) as part:
        part.write_bytes(png_bytes(picture, texts))
    return Path(path)


def only_colour(picture: Picture) -> tuple[int, ...] | None:
    """Returns the color of all pixels of a picture, None if they have several.

    >>> only_colour(np.full((2, 2, 3), (255, 0, 0), np.uint8))
    (255, 0, 0)
    """
    return tuple(picture[0, 0].tolist()) if (picture == picture[:1, :1]).all() else None


def to_bytes(pictures: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Returns float `pictures` [..., height, width, 3 or 4] as uint8: 255 times each value, truncated as in ComfyUI.

    Values outside of 0 to 1 are clipped. Raises PictureError for NaN, and for other types than floats.
    """
    if not np.issubdtype(pictures.dtype, np.floating) or pictures.ndim < 3 or pictures.shape[-1] not in (3, 4):
        shape = list(pictures.shape)
        raise PictureError(f"pictures: {pictures.dtype} {shape}; give floats [..., height, width, 3 or 4]")
    if np.isnan(pictures).any():
        raise PictureError("pictures: they hold NaN; make them again, with a VAE in float32 if it overflowed")
    return np.clip(255.0 * pictures, 0, 255).astype(np.uint8)


def to_floats(pictures: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Returns uint8 `pictures` as float32 from 0 to 1, as ComfyUI loads them."""
    return pictures.astype(np.float32) / np.float32(255)


@dataclass(frozen=True)
class Difference:
    """The difference of two pictures: PSNR in dB (infinite if equal), and the largest channel difference, of 255."""

    psnr: float
    off: int

    def agrees(self, psnr: float = LEAST_PSNR, off: int = MOST_OFF) -> bool:
        """Returns whether two pictures with this difference are considered equal."""
        return self.psnr >= psnr and self.off <= off

    def __str__(self) -> str:
        return "same" if self.off == 0 else f"{self.psnr:.1f} dB, {self.off}"


def difference(one: Picture, other: Picture) -> Difference:
    """Returns the difference of two pictures of one size, uint8 [height, width, 3].

    PSNR = 10 log10(255^2 / mean squared difference). Raises PictureError for different sizes.

    >>> gray = np.full((8, 8, 3), 100, np.uint8)
    >>> print(difference(gray, gray), "|", difference(gray, gray + 1))
    same | 48.1 dB, 1
    """
    if one.shape != other.shape:
        raise PictureError(f"pictures: one is {list(one.shape)}, the other {list(other.shape)}; render them alike")
    apart = np.abs(one.astype(np.int16) - other.astype(np.int16))
    squares = float((apart.astype(np.float64) ** 2).mean())
    return Difference(math.inf if squares == 0 else 10 * math.log10(255**2 / squares), int(apart.max(initial=0)))
