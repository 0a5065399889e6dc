"""Reads films: frames are counted and decoded one at a time, from regular files, never from networks or playlists."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np

from remix.errors import PictureError
from remix.motion import apng, gif, pngs, stills
from remix.motion.ffmpeg import LISTEN_STRICTLY, READ_STRICTLY, Ffmpeg, every_frame, ffmpeg_exe
from remix.motion.pictures import MAX_PIXELS, Picture
from remix.motion.regular import open_file
from remix.motion.streams import Sound, VideoInfo, described, from_ffmetadata, heard, simplest_rate

log = logging.getLogger(__name__)

_TABLE_BYTES = 64 * 2**20
_TAG_BYTES = 8 * 2**20
_PACKETS = ("-c", "copy", "-f", "framecrc", "pipe:1")
"""One output line for each packet, without decoding it."""


def read_video(path: str | os.PathLike[str]) -> Iterator[Picture]:
    """Yields all frames of a film, uint8 [height, width, 3].

    The film is a file (MP4, MOV, WebM, MKV, AVI, GIF, animated WebP or PNG) or a folder of numbered PNGs, and is read
    as a stream. Colors follow the film's tags. Raises PictureError if it cannot be read. A URL is treated as a missing
    file.
    """
    if os.path.isdir(path):
        return stills.read_pngs(path)
    with open_file(path) as file:
        kind = _kind(file, os.fspath(path))
        if kind == "apng":
            apng.apng_film(file, os.fspath(path))  # a decoder silently shows a truncated film shorter
    return stills.read_webp(path) if kind == "webp" else _decoded(Path(os.path.abspath(path)))


def _kind(file: BinaryIO, name: str) -> str:
    head = file.read(12)
    file.seek(0)
    if head[:4] == b"RIFF" and head[8:] == b"WEBP":
        return "webp"
    if head[:4] == b"GIF8":
        gif.refuse_cut(file, name)
        return "gif"
    return "apng" if head.startswith(pngs.SIGNATURE) else "film"


def _decoded(path: Path) -> Iterator[Picture]:
    exe = ffmpeg_exe()
    colors = ("-sws_flags", "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp")
    # PPM frames include their size, so it need not be known in advance.
    output = (*every_frame(exe), *colors, "-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "pipe:1")
    with Ffmpeg([*READ_STRICTLY, "-i", str(path), "-map", "0:v:0", *output], exe=exe) as process:
        frames = 0
        while (picture := _ppm(process, path)) is not None:
            frames += 1
            yield picture
        status = process.finish()
        if status != 0 or not frames or process.saw_damage():
            raise PictureError(process.failure("decoding", path, status))


def _ppm(process: Ffmpeg, path: Path) -> Picture | None:
    head = b""
    while head.count(b"\n") < 3:
        byte = process.read(1)
        if not byte:
            return None
        head += byte
    _, width, height, _ = head.split()
    shape = (int(height), int(width), 3)
    if shape[0] * shape[1] > MAX_PIXELS:
        raise PictureError(f"{path}: frames of {shape[1]}x{shape[0]}; at most {MAX_PIXELS} pixels are read")
    picture = np.empty(shape, dtype=np.uint8)
    return picture if process.read_into(picture) else None


def probe(path: str | os.PathLike[str]) -> VideoInfo:
    """Returns the properties of a film, after counting its frames packet by packet. Raises PictureError."""
    if os.path.isdir(path):
        folder = stills.png_film(path)
        return VideoInfo(folder.width, folder.height, folder.frames, None, "png", "rgb24")
    with open_file(path) as file:
        kind = _kind(file, os.fspath(path))
        if kind == "webp":
            return _probed_webp(stills.webp_film(file, os.fspath(path)))
        if kind == "apng":
            film = apng.apng_film(file, os.fspath(path))
            return VideoInfo(film.width, film.height, film.frames, film.fps, "apng", "rgb24")
    target = Path(os.path.abspath(path))
    with Ffmpeg(
        [*READ_STRICTLY, "-i", str(target), "-map", "0:v:0", "-map", "0:a:0?", *_PACKETS], level="info"
    ) as process:
        table = _table(process, target)
        status = process.finish()
        info = described(process.words(), table)
        if status != 0 or info is None or process.saw_damage():
            raise PictureError(process.failure("reading", target, status))
    return info


_NO_SOUND = ("matches no streams", "Format not on whitelist")
"""Messages of ffmpeg for a film without sound, and for pictures, texts and playlists."""


def probe_sound(path: str | os.PathLike[str]) -> Sound:
    """Returns the first sound in a film or sound file, measured by reading all packets. Raises PictureError."""
    open_file(path, remedy="give a sound file, or a film with sound").close()
    target = Path(os.path.abspath(path))
    with Ffmpeg([*LISTEN_STRICTLY, "-i", str(target), "-map", "0:a:0", *_PACKETS], level="info") as process:
        table = _table(process, target)
        status = process.finish()
        sound = heard(process.words(), table)
        if status == 0 and sound is not None and not process.saw_damage():
            return sound
        if any(words in line for line in process.complaints() for words in _NO_SOUND):
            raise PictureError(
                f"{target}: holds no sound; give a WAV, FLAC, MP3, AAC, Ogg or AIFF, or a film with sound"
            )
        log.info("%s", process.failure("reading", target, status))
        reason = next(iter(process.complaints()), "").rstrip(".\n") or "ffmpeg cannot read it"
        raise PictureError(f"{target}: the sound is damaged or cut off ({reason}); give a whole file")


def _table(process: Ffmpeg, path: Path) -> list[str]:
    """Returns ffmpeg's list of packets. Raises PictureError for one that is too long: ffmpeg would wait for ever."""
    table = process.read(_TABLE_BYTES + 1)
    if len(table) > _TABLE_BYTES:
        raise PictureError(f"{path}: more than {_TABLE_BYTES // 60} packets; cut the film or song, or encode it again")
    return table.decode("ascii", "replace").splitlines()


def _probed_webp(film: stills.WebpFilm) -> VideoInfo:
    # Each moment is rounded to a millisecond, including the end of the film.
    ends = (Fraction(2 * film.milliseconds + sign, 2000) for sign in (1, -1))
    low, high = (film.frames / max(end, Fraction(1, 4000)) for end in ends)
    return VideoInfo(film.width, film.height, film.frames, simplest_rate(low, high), "webp", "yuv420p")


def container_tags(path: str | os.PathLike[str]) -> dict[str, str]:
    """Returns the texts of a film by name, as ffmpeg finds them in its container. Raises PictureError if unreadable."""
    open_file(path).close()
    target = Path(os.path.abspath(path))
    with Ffmpeg([*READ_STRICTLY, "-i", str(target), "-f", "ffmetadata", "pipe:1"]) as process:
        text = process.read(_TAG_BYTES + 1)
        if len(text) > _TAG_BYTES:
            raise PictureError(f"{target}: more than {_TAG_BYTES} bytes of texts; they were not read")
        status = process.finish()
        if status != 0:
            raise PictureError(process.failure("reading", target, status))
    return from_ffmetadata(text.decode("utf-8", "replace"))
