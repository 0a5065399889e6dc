"""The song of a recipe: names in expressions, such as `beat` and `bass`, and moments, such as ``"beat 8"``.

A recipe names a file; `remix.motion.song` measures it once, and the recipe then carries the numbers. A recipe with
numbers is planned anywhere, without the file and without the packages that measured it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from remix.errors import PictureError, RecipeError
from remix.plan import fields as check
from remix.plan.moments import nearest_frame

PULSES = ("beat", "bar", "onset")
"""Names that are 1 on the frame nearest to each beat, bar or onset, and then decay."""

LEVELS = ("rms", "bass", "mid", "high")
"""Names that are the loudness of the song, or of one of its bands, relative to its loudest moment."""

MUSIC_NAMES = (*PULSES, *LEVELS)
"""Variables of expressions in a recipe with music. All are between 0 and 1."""

LEVEL_RATE = 25
"""Levels are stored this many times per second, and interpolated between."""

HALF_LIFE = {"beat": 0.1, "bar": 0.4, "onset": 0.1}
"""The seconds in which a pulse falls to half."""

MAX_SECONDS = 3600.0
"""The longest song."""

MAX_EVENTS = 100_000
_DECIMALS = 6
_PARTS_OF_LEVEL = 1000
_SHA256 = re.compile(r"[0-9a-f]{64}|", re.ASCII)


@dataclass(frozen=True, init=False)
class Music:
    """A song, with the numbers that were measured in it.

    - `file`: its path below the recipe's folder.
    - `beats_per_bar`, `first_bar`: the length of a bar, and the number of the beat on which bar 1 begins. Beats count
      from 1.
    - `length` and the times in `beats` and `onsets` are in seconds, `tempo` in beats per minute.
    - `rms`, `bass`, `mid`, `high`: levels from 0 to 1, `LEVEL_RATE` per second from 0. In files they are a text of
      thousandths: ``"0 12 998"``.
    - `sha256`: the hash of the measured file, "" if the numbers are not from a file.

    Raises RecipeError for invalid values.
    """

    file: str
    length: float
    beats_per_bar: int = 4
    first_bar: int = 1
    sha256: str = ""
    tempo: float = 0.0
    beats: tuple[float, ...] = ()
    onsets: tuple[float, ...] = ()
    rms: tuple[float, ...] = ()
    bass: tuple[float, ...] = ()
    mid: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    def __init__(
        self,
        file: str,
        length: float,
        beats_per_bar: int = 4,
        first_bar: int = 1,
        sha256: str = "",
        tempo: float = 0.0,
        beats: Sequence[float] = (),
        onsets: Sequence[float] = (),
        rms: str | Sequence[float] = (),
        bass: str | Sequence[float] = (),
        mid: str | Sequence[float] = (),
        high: str | Sequence[float] = (),
    ) -> None:
        if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
            raise RecipeError(f"{check.show(sha256)} is not a SHA-256; leave it out", path="sha256")
        seconds = check.number(length, "length", 0.001, MAX_SECONDS)
        check.settle(
            self,
            file=check.picture(file, "file"),
            length=seconds,
            beats_per_bar=check.integer(beats_per_bar, "beats_per_bar", 1, 64),
            first_bar=check.integer(first_bar, "first_bar", 1, MAX_EVENTS),
            sha256=sha256,
            tempo=check.number(tempo, "tempo", 0, 1000),
            beats=_times(beats, "beats", seconds),
            onsets=_times(onsets, "onsets", seconds),
            rms=_levels(rms, "rms"),
            bass=_levels(bass, "bass"),
            mid=_levels(mid, "mid"),
            high=_levels(high, "high"),
        )

    @property
    def bars(self) -> tuple[float, ...]:
        """Returns the times at which bars begin, in seconds."""
        return self.beats[self.first_bar - 1 :: self.beats_per_bar]

    def seconds_of(self, kind: str, number: int, path: str) -> float:
        """Returns the time of a beat, bar or onset by its number, from 1. Raises RecipeError if there is none."""
        times = self._times_of(kind)
        if not 1 <= number <= len(times):
            known = f"has {len(times)}; give 1 to {len(times)}" if times else "has none; give a time"
            raise RecipeError(f'"{kind} {number}" is not in {self.file}, which {known}', path=path)
        return times[number - 1]

    def frames(self, fps: float) -> int:
        """Returns the number of frames of a film as long as the song."""
        return max(1, nearest_frame(self.length, fps))

    def columns(self, moments: Sequence[float], fps: float) -> dict[str, list[float]]:
        """Returns the value of each of `MUSIC_NAMES` at each of the `moments`, given in frames.

        Pulses start on a whole frame, the one of a keyframe at the same beat, so that each reaches 1 at any rate.
        Levels are those at the moment's exact time. Before the first beat and after the end, all are 0.
        """
        found = {name: self._pulse(name, moments, fps) for name in PULSES}
        return {**found, **{name: _along(getattr(self, name), moments, fps) for name in LEVELS}}

    def _times_of(self, kind: str) -> tuple[float, ...]:
        return {"beat": self.beats, "bar": self.bars, "onset": self.onsets}[kind]

    def _pulse(self, kind: str, moments: Sequence[float], fps: float) -> list[float]:
        starts, half = _frames_of(self._times_of(kind), fps), HALF_LIFE[kind] * fps
        ages = [moment - starts[i - 1] if (i := bisect_right(starts, moment)) else None for moment in moments]
        return [0.0 if age is None else round(0.5 ** (age / half), _DECIMALS) for age in ages]


MUSIC_FIELDS = tuple(f.name for f in fields(Music))
_MEASURED = tuple(name for name in MUSIC_FIELDS if name not in ("file", "beats_per_bar", "first_bar"))


def read_music(value: Any, folder: str, astray: Mapping[str, str]) -> Music:
    """Returns the music of a recipe from plain values.

    A song without numbers is read from `folder` and measured, or found in the cache. Raises RecipeError for a file that
    cannot be read, and MissingPackage if the packages for it are not installed.
    """
    if isinstance(value, Music):
        return value
    found = check.only(value, MUSIC_FIELDS, astray)
    if "file" not in found:
        raise RecipeError('is missing; write the song, such as file = "song.mp3"', path="file")
    if "length" in found:
        return Music(**found)
    if lone := [name for name in _MEASURED if name in found]:
        raise RecipeError(
            f'is missing, and "{lone[0]}" is set; write the song\'s length in seconds, or leave out '
            f"{', '.join(lone)} to have them measured",
            path="length",
        )
    file = check.picture(found["file"], "file")
    if not folder:
        raise RecipeError(
            f"{check.show(file)} is relative to the file of a recipe, and this recipe is a text; write the song's "
            "numbers below [music] (remix music FILE --toml prints them), or read the recipe from a file",
            path="file",
        )
    from remix.motion.song import measured_song  # loads numpy

    try:
        return Music(**found, **measured_song(folder, file))
    except PictureError as error:
        raise RecipeError(str(error), path="file") from error


def plain_music(music: Music) -> dict[str, Any]:
    """Returns the music as plain values, without fields at their defaults."""
    plain: dict[str, Any] = {"file": music.file, "length": music.length}
    for name, value in check.changed(music).items():
        if name in LEVELS:
            value = " ".join(str(round(level * _PARTS_OF_LEVEL)) for level in value)
        plain[name] = list(value) if isinstance(value, tuple) else value
    return plain


def _times(values: Any, path: str, end: float) -> tuple[float, ...]:
    """Returns ascending times in seconds, to milliseconds."""
    if not isinstance(values, (list, tuple)):
        raise RecipeError(f"{check.show(values)} is not a list of times; write [0.5, 1.0]", path=path)
    if len(values) > MAX_EVENTS:
        raise RecipeError(f"{len(values)} are too many; keep to {MAX_EVENTS}", path=path)
    found: list[float] = []
    for i, value in enumerate(values):
        found.append(round(check.number(value, f"{path}[{i}]", found[-1] if found else 0, end), 3))
    return tuple(found)


def _levels(values: Any, path: str) -> tuple[float, ...]:
    """Returns levels from 0 to 1, to thousandths, from numbers or from a text of thousandths."""
    if isinstance(values, str):
        if not re.fullmatch(r"[0-9 ]*", values) or any(len(part) > 4 for part in values.split()):
            raise RecipeError(f"{check.show(values)} is not a text of thousandths; write 0 to 1000 each", path=path)
        values = [int(part) / _PARTS_OF_LEVEL for part in values.split()]
    if not isinstance(values, (list, tuple)):
        raise RecipeError(f'{check.show(values)} is not a list of levels; write "0 500 1000"', path=path)
    if len(values) > (most := round(MAX_SECONDS * LEVEL_RATE) + 1):
        raise RecipeError(f"{len(values)} are too many; keep to {most}", path=path)
    return tuple(round(check.number(value, f"{path}[{i}]", 0, 1), 3) for i, value in enumerate(values))


@lru_cache(maxsize=16)
def _frames_of(times: tuple[float, ...], fps: float) -> tuple[int, ...]:
    return tuple(nearest_frame(time, fps) for time in times)


def _along(levels: Sequence[float], moments: Sequence[float], fps: float) -> list[float]:
    found = []
    for moment in moments:
        place = moment * LEVEL_RATE / fps
        i = int(place)
        if i + 1 < len(levels):
            found.append(round(levels[i] + (levels[i + 1] - levels[i]) * (place - i), _DECIMALS))
        else:
            found.append(levels[i] if place == i < len(levels) else 0.0)
    return found
