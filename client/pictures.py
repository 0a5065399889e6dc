"""Decodes pictures from a server after checking their headers."""

from __future__ import annotations

import io

from remix.engine import Picture
from remix.errors import BadReply, PictureError, PictureSizeError, WrongSize
from remix.motion import load_picture


def decode_picture(data: bytes, size: tuple[int, int] | None = None) -> Picture:
    """Returns a decoded picture, uint8 [height, width, 3].

    Raises `BadReply` for data that is not a complete picture, and `WrongSize` if the width and height are not `size`.
    The header is checked first: a file of 100 KB may decode to a gigabyte.
    """
    try:
        picture = load_picture(io.BytesIO(data), size=size)
    except PictureSizeError as error:
        raise WrongSize(f"{error}; use a width and height that the model supports") from error
    except PictureError as error:
        raise BadReply(f"{len(data)} bytes that are not a whole picture ({error})") from error
    if size is not None and picture.shape[:2] != (size[1], size[0]):  # decoding may rotate a JPEG
        raise WrongSize(f"picture: {picture.shape[1]}x{picture.shape[0]}; expected {size[0]}x{size[1]}")
    return picture
