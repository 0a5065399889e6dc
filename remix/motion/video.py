"""Writes films: frames stream through ffmpeg one at a time, and the written film is opened again to verify it.

Prompts never reach ffmpeg's arguments, because metadata is passed in a file. Every path in its arguments is absolute,
and inputs may be neither networks nor playlists.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from numbers import Integral
from pathlib import Path

from remix.errors import PictureError, VideoError, VideoFormatError
from remix.motion import apng, atomic, gif, stills
from remix.motion.atomic import FULL, WHOLE, atomic_write, contents, flush_folder, mode_at, refuse_place, workplace
from remix.motion.ffmpeg import BITEXACT, Ffmpeg, ffmpeg_exe, free_space, refuse_lacking
from remix.motion.formats import Format, format_of, rate_for
from remix.motion.frames import Feed
from remix.motion.pictures import Picture
from remix.motion.reading import probe
from remix.motion.sound import Track, join, refuse_other_sound, track_for
from remix.motion.streams import VideoInfo, ffmetadata

_PALETTE_PIXELS = 2 * 2**20


def write_video(
    pictures: Iterable[Picture],
    path: str | os.PathLike[str],
    fps: int | float | str | Fraction,
    *,
    format: str | None = None,
    loops: int = 0,
    metadata: Mapping[str, str] | None = None,
    audio: str | os.PathLike[str] | None = None,
    on_frame: Callable[[int], object] | None = None,
) -> VideoInfo:
    """Writes a film to `path`, reopens and counts it, and returns its properties.

    - `pictures` (uint8 [height, width, 3], all one size) are consumed one at a time. Formats that support transparency
      also accept [height, width, 4].
    - `fps` is stored as an exact fraction.
    - `format` is a name in `FORMATS`; None selects it by the suffix. If the format needs even sides, odd ones are
      padded by repeating the edge, never resized.
    - `loops` is how often a GIF, WebP or APNG plays, 0 for forever.
    - `metadata` holds texts by name, as `remix.job.metadata.read_metadata` reads them back.
    - `audio` is a file whose first sound is added. It is copied if it has the container's codec and is not too long,
      otherwise encoded. A shorter sound leaves silence, a longer one is cut at the end of the last frame.
    - `on_frame` is called with the number of frames written so far.

    The film is written atomically and replaces an existing file. Equal frames and settings give equal bytes with the
    same ffmpeg.

    Raises VideoFormatError for unsuitable frames or settings, BadInput if no film can be written to `path`,
    MissingPackage if ffmpeg lacks an encoder, and PictureError for unreadable `audio`. Raises VideoError, with the
    encoder's last messages, if encoding fails, the disk is full or the film cannot be read back. Errors of `pictures`
    itself are passed through.

    >>> write_video(frames, "film.mp4", 12).fps  # doctest: +SKIP
    Fraction(12, 1)
    """
    row = format_of(path, format)
    rate = rate_for(row, fps)
    loops = _checked_loops(row, loops)
    target = Path(os.path.abspath(path))
    _refuse_target(row, target)
    texts = _checked_texts(metadata or {})
    track = None if audio is None else track_for(audio, row, target)
    if row.needs:
        refuse_lacking(row.name, (*row.needs, *(track.encoders if track else ())), ffmpeg_exe())
    film = _Film(Feed(pictures, row, on_frame), target, row, rate, loops, texts, track)
    try:
        return _write_folder(film) if row.name == "png" else _write_file(film)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise VideoError(
            f"{target}: the disk is full, {free_space(target)}; make room, or write it to another", disk_full=True
        ) from error


@dataclass(frozen=True)
class _Film:
    """A film to write: its frames, its target, and its settings."""

    feed: Feed
    target: Path
    row: Format
    rate: Fraction
    loops: int
    texts: Mapping[str, str]
    track: Track | None

    @property
    def encoder(self) -> tuple[str, ...]:
        return self.row.alpha_encoder if self.feed.alpha else self.row.encoder


_OWN_WRITERS: Mapping[str, Callable[[Feed, Path, Fraction, int, Mapping[str, str]], None]] = {
    "webp": stills.write_webp,
    "apng": apng.write_apng,
}


def _checked_loops(row: Format, loops: object) -> int:
    if isinstance(loops, bool) or not isinstance(loops, Integral):
        raise VideoFormatError(f"loops: {loops!r}; give a whole number, 0 for ever")
    loops = int(loops)
    if loops and not row.max_loops:
        raise VideoFormatError(f"loops: {loops}; {row.name} cannot say so, give 0 or repeat the frames by film_order")
    if not 0 <= loops <= row.max_loops:
        raise VideoFormatError(f"loops: {loops}; {row.name} plays 1 to {row.max_loops} times, or for ever with 0")
    return loops


def _refuse_target(row: Format, target: Path) -> None:
    if row.name != "png":
        refuse_place(target)
        return
    mode = mode_at(target)
    if mode is not None and not stat.S_ISDIR(mode):
        raise VideoFormatError(f"{target}: is not a folder, and png is a folder of pictures; give the name of a folder")
    if mode is not None and not all(map(stills.is_numbered, contents(target))):
        raise VideoFormatError(f"{target}: holds other files than numbered PNGs; choose a new folder")


def _checked_texts(texts: Mapping[str, str]) -> dict[str, str]:
    for key, text in texts.items():
        if not re.fullmatch(r"[A-Za-z0-9_ -]{1,79}", key):
            raise VideoFormatError(f"metadata: {key!r}; give keys of 1 to 79 letters, digits, spaces, '_' and '-'")
        if "\0" in text or re.search("[\ud800-\udfff]", text):
            raise VideoFormatError(f"metadata {key!r}: holds a NUL or half a character; give plain Unicode text")
    return dict(texts)


def _verified(film: _Film, part: Path) -> VideoInfo:
    feed, target = film.feed, film.target
    try:
        info = probe(part)
    except PictureError as error:
        raise VideoError(f"{target}: the film cannot be opened again ({error}); {free_space(target)}") from error
    if (info.frames, info.width, info.height) != (feed.count, feed.width, feed.height):
        raise VideoError(
            f"{target}: {feed.count} frames of {feed.width}x{feed.height} were written, "
            f"{info.frames} of {info.width}x{info.height} can be read; {free_space(target)}"
        )
    return replace(info, fps=film.rate)


def _write_file(film: _Film) -> VideoInfo:
    with atomic_write(film.target) as part:
        if film.row.name in _OWN_WRITERS:
            _OWN_WRITERS[film.row.name](film.feed, part, film.rate, film.loops, film.texts)
        elif film.row.two_pass:
            _encode_gif(film, part)
        else:
            _encode(film, part)
        info = _verified(film, part)
        if film.track is not None:
            refuse_other_sound(info, film.track, film.target)
        return info


def _encode(film: _Film, part: Path) -> None:
    # Next to the film, where there is space for films.
    tags, silent = part.with_name("texts"), part if film.track is None else part.with_name("silent")
    tags.write_text(ffmetadata(film.texts), encoding="utf-8", newline="\n")
    texts = ("-f", "ffmetadata", "-i", str(tags), "-map", "0:v:0", "-map_metadata", "1")
    _pour(film, silent, (*texts, *film.encoder, *BITEXACT, *film.row.container(film.target).muxer))
    if film.track is not None:
        join(silent, film.track, tags, part, film.feed.count / film.rate, film.target)


def _pour(film: _Film, part: Path, arguments: Iterable[str]) -> None:
    """Sends raw frames to an ffmpeg that writes `part`."""
    size = f"{film.feed.width}x{film.feed.height}"
    raw = ("-f", "rawvideo", "-pixel_format", "rgba" if film.feed.alpha else "rgb24", "-video_size", size)
    clock = ("-framerate", f"{film.rate.numerator}/{film.rate.denominator}", "-i", "pipe:0")
    with Ffmpeg([*raw, *clock, *arguments, "-y", str(part)], feed=True) as process:
        taken = all(process.write(picture) for picture in film.feed)
        _ended_well(process, film)
        if not taken:
            raise process.error("encoding", film.target, 0)


def _encode_gif(film: _Film, part: Path) -> None:
    # The palette of the whole film must be known before its first frame, and ffmpeg's one-pass method keeps all frames
    # in memory. So the frames are stored losslessly on disk and read twice.
    frames, palette = part.with_name("frames"), part.with_name("palette")
    _pour(film, frames, ("-c:v", "libx264rgb", "-preset", "ultrafast", "-qp", "0", "-f", "nut"))
    made = ("-vf", _palette_filter(film.feed), "-c:v", "rawvideo", "-f", "nut", "-y", str(palette))
    with Ffmpeg(["-i", str(frames), *made]) as process:
        _ended_well(process, film)
    plays = ("-loop", {0: "0", 1: "-1"}.get(film.loops, str(film.loops - 1)))
    shown = ("-i", str(frames), "-i", str(palette), *film.row.encoder, *BITEXACT, *plays, *film.row.muxer)
    with Ffmpeg([*shown, "pipe:1"]) as process, open(part, "wb") as file:
        head = process.read(2**16)
        file.write(gif.with_comment(head, film.texts) if head else b"")
        while data := process.read(2**16):
            file.write(data)
        _ended_well(process, film)


def _palette_filter(feed: Feed) -> str:
    # Counting the colors of every pixel takes longer than everything else; a fair sample gives the same palette.
    shrink = math.sqrt(_PALETTE_PIXELS / (feed.count * feed.width * feed.height))
    width, height = (max(1, round(side * shrink)) for side in (feed.width, feed.height))
    sample = f"scale={width}:{height}:flags=neighbor," if shrink < 1 else ""
    return f"{sample}palettegen=stats_mode=full"


def _ended_well(process: Ffmpeg, film: _Film) -> None:
    status = process.finish()
    if status != 0:
        raise process.error("encoding", film.target, status)


def _write_folder(film: _Film) -> VideoInfo:
    with workplace(film.target) as place:
        part, old = place / WHOLE, place / "old"
        stills.write_pngs(film.feed, part, film.texts)
        info = _verified(film, part)
        flush_folder(part)
        _refuse_target(film.row, film.target)  # other files may have been added meanwhile
        try:
            if os.path.lexists(film.target):
                atomic.replace(film.target, old)
            atomic.replace(part, film.target)
        except BaseException:
            if os.path.lexists(old) and not os.path.lexists(film.target):
                atomic.replace(old, film.target)
            raise
        flush_folder(film.target.parent)
    return info
