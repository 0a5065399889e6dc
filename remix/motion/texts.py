"""Reads the texts in a picture or film file, with limits: PNG chunks, EXIF, XMP, comments, container tags."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from PIL import Image

from remix.errors import MissingPackage, PictureError
from remix.motion import exif, gif, pngs, stills
from remix.motion.images import BROKEN, MAX_BYTES, frame_formats, quiet_pillow
from remix.motion.reading import container_tags
from remix.motion.regular import open_file

LIMIT = 8 * 2**20
"""The longest text that is read, in bytes."""

IN_ALL = 32 * 2**20
"""The maximum total of text bytes that are read or decompressed from one file."""

MOST = 64
"""The maximum number of texts that are read, and of notes."""

_NO_TEXT = re.compile("[\0\ud800-\udfff]")
"""Characters that films cannot store."""

_UNPACKED = 1032
"""The maximum expansion factor of zlib."""

XMP = "XML:com.adobe.xmp"
"""The name of XMP in a PNG, which it gets here from every kind of file."""

_XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"
_DESCRIPTION, _SOFTWARE = 0x010E, 0x0131
_AVIF = (b"ftypavif", b"ftypavis")

_CAMERA = {"encoder", "major_brand", "minor_version", "compatible_brands", "duration"}
"""Entries that containers write about themselves."""


@dataclass
class Texts:
    """The texts of a file by lower-case name, and notes on skipped ones with reasons."""

    found: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    left: int = IN_ALL

    def add(self, key: str, text: str) -> None:
        """Adds a text, without NULs at its end. The first text of a name is kept."""
        key, text = key.lower(), text.rstrip("\0")
        room, self.left = self.left, self.left - len(text)
        if len(self.found) >= MOST:
            self.note(f"{key!r}: skipped, more than {MOST} texts")
        elif len(text) > room:
            self.note(f"{key!r}: skipped, more than {IN_ALL} bytes of texts")
        elif key in self.found:
            self.note(f"{key!r}: skipped, there is one of that name already")
        elif _NO_TEXT.search(text):
            self.note(f"{key!r}: skipped, holds a NUL or half a character")
        else:
            self.found[key] = text

    def note(self, words: str) -> None:
        """Adds a note on a skipped text. The last note that fits states that others were skipped."""
        if len(self.notes) < MOST:
            self.notes.append(words if len(self.notes) < MOST - 1 else "more was skipped")

    def is_full(self) -> bool:
        """Returns whether no more texts can be added."""
        return self.left <= 0 or len(self.found) >= MOST or len(self.notes) >= MOST

    def add_all(self, texts: Mapping[str, str]) -> None:
        """Adds several texts."""
        for key, text in texts.items():
            self.add(key, text)


def read_texts(path: str | os.PathLike[str]) -> Texts:
    """Returns the texts of a PNG, JPEG, WebP, AVIF, GIF or film file; of a folder of PNGs, those of its first.

    No pixels are decoded. Malformed and overlong texts are skipped and noted. Raises PictureError only if there is no
    file to read.
    """
    texts, path = Texts(), _file_of(path)
    with open_file(path) as file:
        try:
            _gather(file, path, texts)
        except (PictureError, MissingPackage) as error:
            texts.note(f"metadata: skipped, {error}")
    return texts


def read_tags(path: str | os.PathLike[str]) -> dict[str, str]:
    """Returns the texts of a film or picture by lower-case name. Raises PictureError if it cannot be read."""
    texts, path = Texts(), _file_of(path)
    with open_file(path) as file:
        _gather(file, path, texts)
    return texts.found


def _file_of(path: str | os.PathLike[str]) -> str | os.PathLike[str]:
    return stills.numbered_pngs(path)[0] if os.path.isdir(path) else path


def _gather(file: BinaryIO, path: str | os.PathLike[str], texts: Texts) -> None:
    head = file.read(12)
    file.seek(0)
    if head.startswith(pngs.SIGNATURE):
        _from_png(file, texts)
    elif head.startswith(b"\xff\xd8"):
        _from_jpeg(file, texts)
    elif head[:4] == b"RIFF" and head[8:] == b"WEBP":
        _from_webp(file, os.fspath(path), texts)
    elif head.startswith(b"GIF8"):
        _from_gif(file, os.fspath(path), texts)
    elif head[4:12] in _AVIF:
        _from_avif(file, os.fspath(path), texts)
    else:
        for key, text in container_tags(path).items():
            if key.lower() == "comment" and _is_infotext(text):
                texts.add("parameters", text)
            elif key.lower() not in _CAMERA:
                texts.add(key, text)


def _from_png(file: BinaryIO, texts: Texts) -> None:
    for chunk in pngs.chunks(file):
        if chunk.kind not in (*pngs.TEXT_CHUNKS, b"eXIf"):
            continue
        if texts.is_full():
            texts.note(f"other texts: skipped, more than {MOST} texts or notes, or {IN_ALL} bytes")
            return
        data = _within_limit(file, chunk.start + 8, chunk.size, texts)
        if data is not None and chunk.kind == b"eXIf":
            _add_exif(data, texts)
        elif data is not None:
            _add_chunk(chunk.kind, data, texts)


def _from_jpeg(file: BinaryIO, texts: Texts) -> None:
    data = exif.of_jpeg(file)
    if data is None:
        texts.note("EXIF: skipped, a JPEG that is cut off")
        return
    _add_exif(data, texts)
    for marker, segment in exif.segments_of_jpeg(file):
        if texts.is_full():
            texts.note("other comments: skipped")
            return
        if marker == exif.COMMENT:
            _add_comment(segment[:LIMIT].decode("utf-8", "replace"), texts)
        elif segment.startswith(_XMP_SEGMENT):
            texts.add(XMP, segment[len(_XMP_SEGMENT) :].decode("utf-8", "replace"))


def _from_avif(file: BinaryIO, name: str, texts: Texts) -> None:
    if ".avif" not in frame_formats():
        raise PictureError(f"{name}: is AVIF, which this Pillow cannot read; install Pillow 11.3 or newer")
    if file.seek(0, os.SEEK_END) > MAX_BYTES:
        raise PictureError(f"{name}: larger than {MAX_BYTES} bytes; give a smaller picture")
    file.seek(0)
    try:
        with quiet_pillow(name), Image.open(file, formats=["AVIF"]) as image:
            data, xmp = image.info.get("exif"), image.info.get("xmp")
    except BROKEN as error:
        raise PictureError(f"{name}: an AVIF that is damaged ({error}); write it again") from error
    for found, add in ((data, _add_exif), (xmp, _add_xmp)):
        if isinstance(found, bytes) and len(found) <= LIMIT:
            add(found, texts)


def _add_xmp(data: bytes, texts: Texts) -> None:
    texts.add(XMP, data.decode("utf-8", "replace"))


def _from_webp(file: BinaryIO, name: str, texts: Texts) -> None:
    # Not with Pillow, which reads a whole animation.
    for kind, start, size in stills.webp_chunks(file):
        if kind == b"EXIF" and (data := _within_limit(file, start, size, texts)) is not None:
            _add_exif(data, texts)
        elif kind == b"XMP " and (data := _within_limit(file, start, size, texts)) is not None:
            _add_xmp(data, texts)
    stills.refuse_cut(file, name)


def _within_limit(file: BinaryIO, start: int, size: int, texts: Texts) -> bytes | None:
    if size > LIMIT:
        texts.note(f"a text of {size} bytes: skipped, longer than {LIMIT}")
        return None
    file.seek(start)
    return file.read(size)


def _add_chunk(kind: bytes, data: bytes, texts: Texts) -> None:
    limit = min(LIMIT, texts.left)
    try:
        texts.add(*pngs.text_of(kind, data, limit))
    except ValueError as error:
        texts.left -= min(limit, _UNPACKED * len(data))
        texts.note(f"a text chunk: skipped, {error}")


def _from_gif(file: BinaryIO, name: str, texts: Texts) -> None:
    try:
        for comment in gif.comments(file, LIMIT):
            _add_comment(comment.decode("utf-8", "replace"), texts)
    except PictureError as error:
        raise PictureError(f"{name}: {error}") from error


def _add_comment(text: str, texts: Texts) -> None:
    """Adds a comment: our JSON object of texts, A1111's text, or any other. Cameras leave it blank."""
    text = text.rstrip("\0")
    if not text.strip():
        return
    if text.startswith("{"):
        try:
            held = json.loads(text)
        except (ValueError, RecursionError):
            held = None
        if isinstance(held, dict) and held and all(isinstance(value, str) for value in held.values()):
            texts.add_all(held)
            return
    texts.add("parameters" if _is_infotext(text) else "comment", text)


def _is_infotext(text: str) -> bool:
    return "Steps: " in text and not text.lstrip().startswith("{")


def _add_exif(data: bytes, texts: Texts) -> None:
    held = Image.Exif()
    try:
        with quiet_pillow("EXIF"):
            exif.refuse_shared(data)
            held.load(data)
            entries = {**held, **held.get_ifd(stills.EXIF_IFD)}
    except BROKEN as error:
        texts.note(f"EXIF: skipped, {error or type(error).__name__}")
        return
    for tag, value in entries.items():
        if tag == stills.USER_COMMENT and isinstance(value, (bytes, str)):
            _add_comment(_user_comment(value) if isinstance(value, bytes) else value, texts)
        elif isinstance(value, str):
            # ComfyUI's nodes write "prompt:{...}" and "Workflow: {...}" into camera fields.
            key, colon, text = value.partition(":")
            if colon and text.lstrip().startswith("{") and key.isidentifier():
                texts.add(key, text.lstrip())
            elif tag == _DESCRIPTION and (value.lstrip().startswith("{") or _is_infotext(value)):
                _add_comment(value, texts)
            elif tag == _SOFTWARE and value.strip("\0 "):
                texts.add("software", value)


def _user_comment(data: bytes) -> str:
    """Returns EXIF's UserComment (Exif 2.32, 4.6.5): eight bytes that name its encoding, then the text."""
    code, text = data[:8], data[8:][:LIMIT]
    if code == b"UNICODE\0":
        # The standard does not define the byte order; the zero bytes in Latin text reveal it.
        text = text[: len(text) // 2 * 2]
        big = text[0::2].count(0) >= text[1::2].count(0)
        return text.decode("utf-16-be" if big else "utf-16-le", "replace")
    if code in (b"ASCII\0\0\0", b"\0" * 8):
        return text.decode("utf-8", "replace")
    return data[:LIMIT].decode("utf-8", "replace")
