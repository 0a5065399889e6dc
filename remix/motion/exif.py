"""Checks the size of EXIF data before Pillow reads it: entries may share bytes, which Pillow copies for each entry.

A picture of 300 KB grew to 3.5 GB that way. Sources: TIFF 6.0, section 2; Exif 2.32, 4.6; ITU T.81, annex B.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

from PIL.JpegImagePlugin import MARKER

IFD = 0x8769
"""The entry with the offset of EXIF's own directory."""

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
"""Bytes of one value by its type."""

_SHARED = 4
"""The maximum ratio of the size of all values to the size of the data. Valid files stay below 1."""

_START_OF_SCAN = 0xFFDA
_APPLICATION_1 = 0xFFE1
COMMENT = 0xFFFE


def refuse_shared(data: bytes) -> None:
    """Raises ValueError for EXIF data whose entries add up to many times its size."""
    while data.startswith(b"Exif\0\0"):
        data = data[6:]
    if data[2:4] in (b"\0\x2b", b"\x2b\0"):
        raise ValueError("EXIF as BigTIFF")
    total = sum(min(size, max(len(data) - at, 0)) for size, at in _values(data))
    if total > _SHARED * len(data):
        raise ValueError(f"EXIF whose {len(data)} bytes are {total} when read; write it again without EXIF")


def _values(data: bytes) -> Iterator[tuple[int, int]]:
    """Yields size and offset of each value stored outside of its entry, in the first directory and in EXIF's own."""
    order = "<" if data[:2] == b"II" else ">"
    waiting = [int.from_bytes(data[4:8], "little" if order == "<" else "big")]
    for start in waiting:
        if start + 2 > len(data):
            continue
        (count,) = struct.unpack_from(f"{order}H", data, start)
        for place in range(start + 2, min(start + 2 + 12 * count, len(data) - 11), 12):
            tag, kind, number, at = struct.unpack_from(f"{order}HHLL", data, place)
            size = _SIZES.get(kind, 1) * number
            if size > 4:
                yield size, at
            elif tag == IFD and len(waiting) == 1:
                waiting.append(at)


def of_jpeg(file: BinaryIO) -> bytes | None:
    """Returns the EXIF data of the JPEG in `file`, with its segments joined as in Pillow; None if one is cut off.

    The position in the file is restored.
    """
    found = []
    for marker, segment in segments_of_jpeg(file):
        if marker is None:
            return None
        if marker == _APPLICATION_1 and segment.startswith(b"Exif\0\0"):
            found.append(segment[6:])
    return b"".join(found)


def segments_of_jpeg(file: BinaryIO) -> Iterator[tuple[int | None, bytes]]:
    """Yields marker and data of each segment with application data 1 or a comment; (None, b"") if one is cut off.

    The position in the file is restored at the end.
    """
    start = file.tell()
    file.seek(start + 2)
    while (marker := _marker(file)) not in (None, _START_OF_SCAN):
        assert marker is not None
        if marker not in MARKER or MARKER[marker][2] is None:
            continue
        size = max(int.from_bytes(file.read(2), "big") - 2, 0)
        if marker in (_APPLICATION_1, COMMENT):
            yield marker, file.read(size)
        else:
            file.seek(size, os.SEEK_CUR)
    file.seek(start)
    if marker is None:
        yield None, b""


def _marker(file: BinaryIO) -> int | None:
    """Returns the next marker, skipping other bytes as Pillow does; None at the end."""
    before = b""
    while byte := file.read(1):
        if before == b"\xff" and byte not in (b"\0", b"\xff"):
            return 0xFF00 | byte[0]
        before = byte
    return None
