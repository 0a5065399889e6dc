"""The texts in a picture or film file, read with limits: PNG chunks, EXIF, GIF comments, container tags."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from PIL import Image

from remix.errors import MissingPackage, PictureError
from remix.motion import gif, pngs
from remix.motion.images import BROKEN, FORMATS, open_file, quiet_pillow
from remix.motion.reading import read_tags
from remix.motion.stills import EXIF_IFD, USER_COMMENT, numbered_pngs

LIMIT = 8 * 2**20
"""The longest text that is read, in bytes."""

MOST = 64
"""The greatest number of texts that are read."""

_CAMERA = {"encoder", "major_brand", "minor_version", "compatible_brands", "duration"}
"""What containers write about themselves."""


@dataclass
class Texts:
    """The texts of a file by lower-case name, and notes on what was left out and why."""

    found: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, key: str, text: str) -> None:
        """Keeps a text; the first of a name counts."""
        key = key.lower()
        if len(self.found) >= MOST:
            self.notes.append(f"{key!r}: skipped, more than {MOST} texts")
        elif key in self.found:
            self.notes.append(f"{key!r}: skipped, there is one of that name already")
        else:
            self.found[key] = text

    def add_all(self, texts: Mapping[str, str]) -> None:
        """Keeps several texts."""
        for key, text in texts.items():
            self.add(key, text)


def read_texts(path: str | os.PathLike[str]) -> Texts:
    """Returns the texts of a PNG, JPEG, WebP, GIF or film file; of a folder of PNGs those of its first.

    Nothing is decoded. What is malformed or too long is left out and noted. PictureError only where
    there is no file to read.
    """
    if os.path.isdir(path):
        path = numbered_pngs(path)[0]
    texts = Texts()
    with open_file(path) as file:
        head = file.read(12)
        file.seek(0)
        try:
            if head.startswith(pngs.SIGNATURE):
                _from_png(file, texts)
            elif head.startswith(b"\xff\xd8") or (head[:4] == b"RIFF" and head[8:] == b"WEBP"):
                _from_exif(file, texts)
            elif head.startswith(b"GIF8"):
                _from_gif(file, texts)
            else:
                tags = read_tags(path)
                texts.add_all({key: text for key, text in tags.items() if key.lower() not in _CAMERA})
        except (PictureError, MissingPackage) as error:
            texts.notes.append(f"metadata: skipped, {error}")
    return texts


def _from_png(file: BinaryIO, texts: Texts) -> None:
    for chunk in pngs.chunks(file):
        if chunk.kind in pngs.TEXT_CHUNKS:
            if chunk.size > LIMIT:
                texts.notes.append(f"a text of {chunk.size} bytes: skipped, longer than {LIMIT}")
                continue
            file.seek(chunk.start + 8)
            _add_chunk(chunk.kind, file.read(chunk.size), texts)
        elif chunk.kind == b"eXIf":
            _from_exif(file, texts)


def _add_chunk(kind: bytes, data: bytes, texts: Texts) -> None:
    try:
        texts.add(*pngs.text_of(kind, data, LIMIT))
    except ValueError as error:
        texts.notes.append(f"a text chunk: skipped, {error}")


def _from_gif(file: BinaryIO, texts: Texts) -> None:
    for comment in gif.comments(file, LIMIT):
        _add_comment(comment.decode("utf-8", "replace"), texts)


def _add_comment(text: str, texts: Texts) -> None:
    """A comment is our JSON object of texts, or it is A1111's text."""
    if text.startswith("{"):
        try:
            held = json.loads(text)
        except (ValueError, RecursionError):
            held = None
        if isinstance(held, dict) and held and all(isinstance(value, str) for value in held.values()):
            texts.add_all(held)
            return
    texts.add("parameters", text)


def _from_exif(file: BinaryIO, texts: Texts) -> None:
    file.seek(0)
    try:
        with quiet_pillow("EXIF"), Image.open(file, formats=FORMATS) as image:
            exif = image.getexif()
            entries = {**exif, **exif.get_ifd(EXIF_IFD)}
    except BROKEN as error:
        texts.notes.append(f"EXIF: skipped, {error or type(error).__name__}")
        return
    for tag, value in entries.items():
        if tag == USER_COMMENT and isinstance(value, (bytes, str)):
            _add_comment(_user_comment(value) if isinstance(value, bytes) else value, texts)
        elif isinstance(value, str):
            # ComfyUI's WebP nodes put "prompt:{...}" and "workflow:{...}" into camera fields.
            key, colon, text = value.partition(":")
            if colon and text.startswith("{") and key.isidentifier():
                texts.add(key, text.rstrip("\0"))


def _user_comment(data: bytes) -> str:
    """Returns EXIF's UserComment (Exif 2.32, 4.6.5): eight bytes that name its code, then the text."""
    code, text = data[:8], data[8:][:LIMIT]
    if code == b"UNICODE\0":
        # The standard leaves the byte order open: in Latin text the zero bytes tell it.
        text = text[: len(text) // 2 * 2]
        big = text[0::2].count(0) >= text[1::2].count(0)
        return text.decode("utf-16-be" if big else "utf-16-le", "replace").rstrip("\0")
    if code in (b"ASCII\0\0\0", b"\0" * 8):
        return text.decode("utf-8", "replace").rstrip("\0")
    return data[:LIMIT].decode("utf-8", "replace").rstrip("\0")
