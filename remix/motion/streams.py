"""Parses ffmpeg's messages and tables about a film. Text in, values out."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

_VIDEO = re.compile(
    r"^\s+Stream #0:\d+.*?: Video: (?P<codec>[\w.]+)[^,]*?(?:\([^)]*\)[^,(]*)*, "
    r"(?P<pixels>\w+)(?:\((?P<tags>[^)]*)\))?(?P<rest>.*)$",
    re.MULTILINE,
)
_AUDIO = re.compile(
    r"^\s+Stream #0:\d+.*?: Audio: (?P<codec>\w+).*?, (?P<rate>\d+) Hz, (?P<channels>[^,\n]+)", re.MULTILINE
)
_HEAD = re.compile(r"#(?P<name>tb|dimensions) (?P<stream>\d+): (?P<value>\S+)")
_RATE = re.compile(r", ([\d.]+)(k?) fps")

NTSC_RATES = tuple(Fraction(rate * 1000, 1001) for rate in (24, 30, 60, 120))

COLOUR_TAGS = ("range", "space", "primaries", "transfer")


@dataclass(frozen=True)
class Sound:
    """The sound of a film or of a sound file: its codec, samples per second, channels, length in seconds."""

    codec: str
    rate: int
    channels: str
    duration: float


@dataclass(frozen=True)
class VideoInfo:
    """The properties of a film.

    `frames` is counted, not read from a header. `fps` is exact if the container's clock allows it, otherwise the
    simplest rate that matches its times, and None for a folder, which has no clock. `colour` has the tags ``range``,
    ``space``, ``primaries`` and ``transfer`` by ffmpeg's names, "unknown" if a film does not set them. `sound` is None
    for a silent film.
    """

    width: int
    height: int
    frames: int
    fps: Fraction | None
    codec: str
    pixel_format: str
    colour: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(COLOUR_TAGS, "unknown"))
    sound: Sound | None = None

    @property
    def duration(self) -> float | None:
        """Returns the playing time of the pictures in seconds; None for a folder of pictures."""
        return None if self.fps is None else float(self.frames / self.fps)


@dataclass
class _Track:
    """The packets of one stream: their presentation times, and the end of the last, in `tick` seconds."""

    tick: Fraction = Fraction(0)
    size: tuple[int, int] = (0, 0)
    times: list[int] = field(default_factory=list)
    end: int = 0


def _tracks(table: Iterable[str]) -> dict[int, _Track]:
    tracks: dict[int, _Track] = defaultdict(_Track)
    for line in table:
        if found := _HEAD.match(line):
            track = tracks[int(found["stream"])]
            if found["name"] == "tb":
                track.tick = Fraction(found["value"])
            else:
                width, _, height = found["value"].partition("x")
                track.size = (int(width), int(height))
        elif line[:1].isdigit():
            stream, decoded, shown, length = (int(number) for number in line.split(",")[:4])
            time = decoded if shown < -(2**62) else shown  # AVI has no presentation times
            tracks[stream].times.append(time)
            tracks[stream].end = max(tracks[stream].end, time + length)
    return tracks


def described(words: str, table: Iterable[str]) -> VideoInfo | None:
    """Returns the first video stream of a film and its sound, as reported by ffmpeg; None if there is none.

    `words` is its log at level info. `table` holds the lines of its ``framecrc`` format, one for each packet, with the
    pictures as stream 0 and the sound, if any, as stream 1.
    """
    stream = _VIDEO.search(words)
    tracks = _tracks(table)
    film = tracks[0]
    if stream is None or not film.times or 0 in film.size:
        return None
    found = _RATE.search(stream["rest"])
    fallback = Fraction(found[1]) * (1000 if found[2] else 1) if found else Fraction(0)
    return VideoInfo(
        width=film.size[0],
        height=film.size[1],
        frames=len(film.times),
        fps=rate_from_times(sorted(film.times), film.tick) or fallback or Fraction(1),
        codec=stream["codec"],
        pixel_format=stream["pixels"],
        colour=_colour(stream["tags"] or ""),
        sound=_sound(words, tracks[1]),
    )


def heard(words: str, table: Iterable[str]) -> Sound | None:
    """Returns the first sound of a file, stream 0 of `table`, as reported by ffmpeg; None if there is none."""
    return _sound(words, _tracks(table)[0])


def _sound(words: str, track: _Track) -> Sound | None:
    stream = _AUDIO.search(words)
    if stream is None or not track.times:
        return None
    # Packets before time zero only prime the decoder, and are not heard.
    duration = (track.end - max(0, min(track.times))) * track.tick
    return Sound(stream["codec"], int(stream["rate"]), stream["channels"].strip(), float(duration))


def _colour(tags: str) -> dict[str, str]:
    found = dict.fromkeys(COLOUR_TAGS, "unknown")
    for tag in (part.strip() for part in tags.split(",")):
        if tag in {"tv", "pc"}:
            found["range"] = tag
        elif tag.count("/") == 2:
            found["space"], found["primaries"], found["transfer"] = tag.split("/")
        elif tag and tag != "progressive" and "first" not in tag:
            found["space"] = found["primaries"] = found["transfer"] = tag
    return found


def rate_from_times(times: Sequence[int], tick: Fraction) -> Fraction | None:
    """Returns the frame rate of frames shown at `times`, in units of `tick` seconds; None for a single frame.

    The rate is exact if the clock is finer than a millisecond and the steps are equal. WebM rounds to milliseconds and
    GIF to hundredths; then it is the simplest rate whose frames fall on these times.
    """
    steps = len(times) - 1
    span = times[-1] - times[0] if times else 0
    if steps < 1 or span <= 0:
        return None
    even = all((later - earlier) * steps == span for earlier, later in pairwise(times))
    if even and tick < Fraction(1, 1000):
        return steps / (span * tick)
    return simplest_rate(steps / ((span + 1) * tick), steps / (max(Fraction(span - 1), Fraction(1, 2)) * tick))


def simplest_rate(low: Fraction, high: Fraction) -> Fraction:
    """Returns a whole rate between `low` and `high` if there is one (the nearest to their middle).

    Otherwise returns an NTSC rate, or else the fraction with the smallest denominator.
    """
    middle = (low + high) / 2
    whole = Fraction(round(middle))
    if low <= whole <= high and whole > 0:
        return whole
    for rate in NTSC_RATES:
        if low <= rate <= high:
            return rate
    return _simplest_between(low, high)


def _simplest_between(low: Fraction, high: Fraction) -> Fraction:
    # Stern-Brocot by continued fractions: both ends share their integer parts until they differ.
    whole = math.floor(low)
    if whole == low:
        return Fraction(whole)
    if whole < math.floor(high):
        return Fraction(whole + 1)
    return whole + 1 / _simplest_between(1 / (high - whole), 1 / (low - whole))


_HEADER = ";FFMETADATA1\n"
_PACKED = "json:"


def ffmetadata(texts: Mapping[str, str]) -> str:
    """Returns `texts` in ffmpeg's metadata format, escaped so that no text is read as a command."""
    lines = (f"{_escaped(key)}={_escaped(_packed(text))}\n" for key, text in texts.items())
    return _HEADER + "".join(lines)


def _packed(text: str) -> str:
    # ffmpeg drops empty texts, ends a text at a carriage return, and reads a final backslash as an escape.
    awkward = not text or "\r" in text or text.endswith("\\") or text.startswith(_PACKED)
    return _PACKED + json.dumps(text) if awkward else text


def _unpacked(text: str) -> str:
    if text.startswith(_PACKED):
        try:
            held = json.loads(text[len(_PACKED) :])
        except (ValueError, RecursionError):
            return text
        return held if isinstance(held, str) else text
    return text


def _escaped(text: str) -> str:
    return re.sub(r"([=;#\\\n])", r"\\\1", text)


def from_ffmetadata(text: str) -> dict[str, str]:
    """Returns the texts in ffmpeg's metadata format: those of the film, without its chapters and streams."""
    found: dict[str, str] = {}
    # A backslash escapes the next character, including a line ending.
    for line in re.findall(r"(?:[^\\\n]|\\.)+", text.removeprefix(_HEADER), re.DOTALL):
        if line.startswith("["):
            break
        entry = re.match(r"((?:[^\\=]|\\.)*)=(.*)", line, re.DOTALL)
        if entry and not line.startswith((";", "#")):
            found[_plain(entry[1])] = _unpacked(_plain(entry[2]))
    return found


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
