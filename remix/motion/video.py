"""Film out: frames stream through ffmpeg one at a time, and what was written is opened again.

Prompts never reach ffmpeg's arguments: metadata travels in a file. Every path given to it is absolute,
and inputs may be neither networks nor playlists.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from remix.errors import PictureError, VideoError, VideoFormatError
from remix.motion import apng, gif, stills
from remix.motion.feed import Feed
from remix.motion.ffmpeg import BITEXACT, Ffmpeg, ffmpeg_exe, free_space, refuse_lacking
from remix.motion.formats import Format, format_of, rate_of
from remix.motion.images import Picture
from remix.motion.landing import flush_folder, landing
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
    """Returns what the film at `path` holds, after it was written, opened again and counted.

    `pictures` (uint8 [height, width, 3], all one size) are taken one at a time. `fps` is kept as an exact
    fraction. `format` is a name in `FORMATS`; None reads it off the suffix. Odd sides are padded to even
    by their edge where the format needs it, never resized. `loops` is how often a GIF, WebP or
    APNG plays, 0 for ever. `metadata` are texts by name, as `remix.job.metadata.read_metadata` reads them
    back. `audio` is a file whose first sound the film gets: copied where it is in the container's codec and
    not too long, else encoded; a shorter one leaves silence, a longer one is cut at the last frame's end.
    `on_frame` is called with the number of frames written so far.

    The film appears under its name whole or not at all, over what was there before; equal frames and
    settings give equal bytes with the same ffmpeg. VideoFormatError for frames or settings that do not
    fit, MissingPackage where ffmpeg lacks an encoder, PictureError for `audio` that cannot be read,
    VideoError (with the encoder's last words) when encoding fails or the film cannot be read back, OSError
    when the disk refuses a picture format. What `pictures` itself raises passes through.

    >>> write_video(frames, "film.mp4", 12).fps  # doctest: +SKIP
    Fraction(12, 1)
    """
    row, rate = format_of(path, format), rate_of(fps)
    _refuse_misfits(row, rate, fps, loops)
    target = Path(os.path.abspath(path))
    texts = _checked_texts(metadata or {})
    track = None if audio is None else track_for(audio, row, target)
    if row.needs:
        refuse_lacking(row.name, (*row.needs, *(track.encoders if track else ())), ffmpeg_exe())
    feed = Feed(pictures, row, on_frame)
    if row.name == "png":
        return _write_folder(feed, target, rate, texts)
    return _write_file(feed, target, row, rate, loops, texts, track)


_OWN_WRITERS: Mapping[str, Callable[[Feed, Path, Fraction, int, Mapping[str, str]], None]] = {
    "webp": stills.write_webp,
    "apng": apng.write_apng,
}


def _refuse_misfits(row: Format, rate: Fraction, fps: object, loops: int) -> None:
    if rate > row.max_fps:
        raise VideoFormatError(f"fps: {fps} frames per second; {row.name} keeps time up to {row.max_fps}")
    if loops < 0 or (loops and not row.played):
        raise VideoFormatError(f"loops: {loops}; give 0, or for {row.name} repeat the frames by film_order")


def _checked_texts(texts: Mapping[str, str]) -> dict[str, str]:
    for key, text in texts.items():
        if not re.fullmatch(r"[A-Za-z0-9_ -]{1,79}", key):
            raise VideoFormatError(f"metadata: {key!r}; give keys of 1 to 79 letters, digits, spaces, '_' and '-'")
        if "\0" in text or re.search("[\ud800-\udfff]", text):
            raise VideoFormatError(f"metadata {key!r}: holds a NUL or half a character; give plain Unicode text")
    return dict(texts)


def _verified(part: Path, target: Path, feed: Feed, rate: Fraction) -> VideoInfo:
    try:
        info = probe(part)
    except PictureError as error:
        raise VideoError(f"{target}: the film cannot be opened again ({error}); {free_space(part)}") from error
    if (info.frames, info.width, info.height) != (feed.count, feed.width, feed.height):
        raise VideoError(
            f"{target}: {feed.count} frames of {feed.width}x{feed.height} were written, "
            f"{info.frames} of {info.width}x{info.height} can be read; {free_space(part)}"
        )
    return replace(info, fps=rate)


def _write_file(
    feed: Feed, target: Path, row: Format, rate: Fraction, loops: int, texts: Mapping[str, str], track: Track | None
) -> VideoInfo:
    with landing(target, target.with_name(f"{target.stem}.part{target.suffix}")) as part:
        if row.name in _OWN_WRITERS:
            _OWN_WRITERS[row.name](feed, part, rate, loops, texts)
        elif row.two_pass:
            _encode_gif(feed, part, row, rate, loops, texts)
        else:
            _encode(feed, part, row, rate, texts, track)
        info = _verified(part, target, feed, rate)
        if track is not None:
            refuse_other_sound(info, track, target)
        return info


def _encode(feed: Feed, part: Path, row: Format, rate: Fraction, texts: Mapping[str, str], track: Track | None) -> None:
    with ExitStack() as leave:
        tags = Path(leave.enter_context(tempfile.TemporaryDirectory()), "texts")
        tags.write_text(ffmetadata(texts), encoding="utf-8", newline="\n")
        # Beside the target, where there is room for films.
        silent = part if track is None else part.with_name(f"{part.stem}.silent{part.suffix}")
        if track is not None:
            leave.callback(silent.unlink, missing_ok=True)
        arguments = [
            *("-f", "ffmetadata", "-i", str(tags), "-map", "0:v:0", "-map_metadata", "1"),
            *row.encoder,
            *BITEXACT,
            *row.container(part).muxer,
        ]
        _pour(feed, silent, rate, arguments)
        if track is not None:
            join(silent, track, tags, part, feed.count / rate)


def _pour(feed: Feed, part: Path, rate: Fraction, arguments: Iterable[str]) -> None:
    """Feeds raw frames to an ffmpeg that writes `part`."""
    raw = ("-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", f"{feed.width}x{feed.height}")
    clock = ("-framerate", f"{rate.numerator}/{rate.denominator}", "-i", "pipe:0")
    # "-n": the encoder of a run that was killed just now may still be starting, and must not empty our file.
    part.unlink(missing_ok=True)
    with Ffmpeg([*raw, *clock, *arguments, "-n", str(part)], feed=True) as process:
        taken = all(process.write(picture) for picture in feed)
        _ended_well(process, part)
        if not taken:
            raise VideoError(process.failure("encoding", part, 0))


def _encode_gif(feed: Feed, part: Path, row: Format, rate: Fraction, loops: int, texts: Mapping[str, str]) -> None:
    # One palette for the whole film must be known before its first frame, and ffmpeg's one-pass way
    # keeps all frames in memory. So they wait on disk without loss and are read twice.
    whole, palette = part.with_suffix(".nut"), part.with_suffix(".palette.nut")
    with ExitStack() as leave:
        for file in (whole, palette):
            leave.callback(file.unlink, missing_ok=True)
        _pour(feed, whole, rate, ("-c:v", "libx264rgb", "-preset", "ultrafast", "-qp", "0", "-f", "nut"))
        made = ("-vf", _palette_filter(feed), "-c:v", "rawvideo", "-f", "nut", "-y", str(palette))
        with Ffmpeg(["-i", str(whole), *made]) as process:
            _ended_well(process, part)
        plays = {0: "0", 1: "-1"}.get(loops, str(loops - 1))
        shown = [
            "-i",
            str(whole),
            "-i",
            str(palette),
            *row.encoder,
            *BITEXACT,
            "-loop",
            plays,
            *row.container(part).muxer,
        ]
        with Ffmpeg([*shown, "pipe:1"]) as process, open(part, "wb") as film:
            head = process.read(2**16)
            film.write(gif.with_comment(head, texts) if head else b"")
            while data := process.read(2**20):
                film.write(data)
            _ended_well(process, part)


def _palette_filter(feed: Feed) -> str:
    # Counting the colours of every pixel takes longer than all the rest; a fair sample gives the same palette.
    shrink = math.sqrt(_PALETTE_PIXELS / (feed.count * feed.width * feed.height))
    width, height = (max(1, round(side * shrink)) for side in (feed.width, feed.height))
    sample = f"scale={width}:{height}:flags=neighbor," if shrink < 1 else ""
    return f"{sample}palettegen=stats_mode=full"


def _ended_well(process: Ffmpeg, path: Path) -> None:
    status = process.finish()
    if status != 0:
        raise VideoError(process.failure("encoding", path, status))


def _write_folder(feed: Feed, target: Path, rate: Fraction, texts: Mapping[str, str]) -> VideoInfo:
    if target.exists() and not (
        target.is_dir() and all(stills.NUMBERED.fullmatch(path.name) for path in target.iterdir())
    ):
        raise VideoFormatError(f"{target}: holds other files than numbered PNGs; choose a new folder")
    part, old = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.old")
    for left in (part, old):
        if left.is_dir():
            shutil.rmtree(left)
    try:
        stills.write_pngs(feed, part, texts)
        info = _verified(part, target, feed, rate)
        flush_folder(part)
        if target.exists():
            os.replace(target, old)
        os.replace(part, target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)
    flush_folder(target.parent)
    return info
