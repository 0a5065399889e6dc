"""The position of a keyframe: a frame, a time (``"2s"``, ``"500ms"``), a share (``"50%"``), or a beat of the song.

All computed in exact fractions, so that every machine gets the same frame.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from numbers import Integral
from typing import TYPE_CHECKING, Any

from remix.errors import RecipeError
from remix.plan.documents import MAX_DIGITS
from remix.plan.fields import integer, number, show

if TYPE_CHECKING:
    from remix.plan.music import Music

MAX_FRAMES = 100_000

CLOCK_DECIMALS = 6
CLOCK_UNIT = 10**-CLOCK_DECIMALS
"""The precision of a clock's moments, in frames."""

_MOMENT = re.compile(r"\s*([0-9]{1,12}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})\s*(ms|s|%)\s*", re.ASCII)
_MUSICAL = re.compile(r"\s*(beat|bar|onset)\s+([0-9]{1,6})\s*", re.ASCII)
_COUNT = re.compile(rf"[0-9]{{1,{MAX_DIGITS}}}", re.ASCII)
_FORMS = 'a frame (24), a time ("2s", "500ms"), a share ("50%") or a beat of the song ("beat 8", "bar 3", "onset 5")'

SONG = "song"
"""The length of a film that is as long as its song."""


def moment(at: Any, path: str = "at") -> int | str | None:
    """Returns `at` in its canonical form: a frame as int, a time or share as text without spaces, "beat 8", or None.

    Raises RecipeError for anything else. `place` checks whether it is within the film.
    """
    if at is None:
        return None
    if isinstance(at, str):
        if musical := _MUSICAL.fullmatch(at):
            return f"{musical[1]} {int(musical[2])}"
        found = _MOMENT.fullmatch(at)
        if not found:
            raise RecipeError(f"{show(at)} is not a moment; write {_FORMS}", path=path)
        return "".join(found.groups())
    if isinstance(at, bool) or not isinstance(at, (int, float, Integral)):
        raise RecipeError(f"{show(at)} is not a moment; write {_FORMS}", path=path)
    if isinstance(at, float) and not at.is_integer():
        raise RecipeError(f"{show(at)} is between two frames; write {_FORMS}", path=path)
    if at < 0:
        raise RecipeError(f"{show(at)} is before the first frame (0); {_FORMS} count from the start", path=path)
    return int(at)


def clock(moments: Any, frames: int, loop: bool, keyframes: Sequence[int]) -> tuple[float, ...]:
    """Returns the moments of a recipe's clock in canonical form: one for each frame, see `rising`.

    In a loop whose first keyframe is after frame 0, the seam is on the way from the last keyframe to the first. There,
    the first frames may have moments before 0, and the last frames moments after the end.
    """
    if isinstance(moments, list | tuple) and len(moments) != frames:
        raise RecipeError(f"has {len(moments)} moments for {frames} frames; give one for each frame", path="clock")
    if not loop:
        return rising(moments, 0, frames - 1, "clock")
    found = rising(moments, max(keyframes) - frames, min(keyframes) + frames - CLOCK_UNIT, "clock")
    number(found[-1], f"clock[{frames - 1}]", found[0], found[0] + frames - CLOCK_UNIT)
    return found


def rendered_frames(numbers: Any, frames: int, loop: bool) -> tuple[int, ...]:
    """Returns the numbers of a film's rendered frames, which ascend and include both ends; in a loop frame 0."""
    if isinstance(numbers, str) or not isinstance(numbers, Sequence):
        raise RecipeError(f"{show(numbers)} is not a list of frames; write [0, 2, 4]", path="rendered")
    found: list[int] = []
    for i, frame in enumerate(numbers):
        found.append(integer(frame, f"rendered[{i}]", found[-1] + 1 if found else 0, frames - 1))
    for end in {0, 0 if loop else frames - 1}:
        if end not in found:
            raise RecipeError(f"lacks frame {end}, without which no in-between can be made; add it", path="rendered")
    return tuple(found)


def moments_in(moments: Any, frames: int, loop: bool, path: str) -> tuple[float, ...]:
    """Returns moments from 0 to the last frame, in a loop to just before frame 0 comes again, see `rising`."""
    return rising(moments, 0, frames - CLOCK_UNIT if loop else frames - 1, path)


def rising(moments: Any, low: float, high: float, path: str) -> tuple[float, ...]:
    """Returns moments of a film, in frames, to six decimals: from `low` to `high`, none before the previous one.

    Raises RecipeError with the position of the first that is invalid.
    """
    if isinstance(moments, str) or not isinstance(moments, Sequence):
        raise RecipeError(f"{show(moments)} is not a list of moments; write [0, 1.5, 3]", path=path)
    found, before = [], low
    for i, moment in enumerate(moments):
        before = number(moment, f"{path}[{i}]", before, high)
        found.append(round(before, CLOCK_DECIMALS) + 0.0)
    return tuple(found)


def length(text: str) -> int | str:
    """Returns a typed length for `frame_count`: digits as the number of frames, anything else unchanged.

    >>> length("48"), length("4s")
    (48, '4s')
    """
    return int(text) if _COUNT.fullmatch(text) else text


def frame_count(frames: Any, fps: float, path: str = "frames", music: Music | None = None) -> int:
    """Returns the number of frames of a film of length `frames`: a count, a time at `fps`, or that of the `music`."""
    if frames == SONG:
        if music is None:
            raise RecipeError('"song" is the length of the music; write file = "song.mp3" below [music]', path=path)
        count = music.frames(fps)
    elif isinstance(frames, str):
        found = _MOMENT.fullmatch(frames)
        if not found or found[2] == "%":
            raise RecipeError(f'{show(frames)} is not a length; write frames (48) or a time ("4s")', path=path)
        count = _nearest(_seconds(found[1], found[2]) * _exact(fps))
    elif isinstance(frames, bool) or not isinstance(frames, Integral):
        raise RecipeError(f'{show(frames)} is not a length; write frames (48) or a time ("4s")', path=path)
    else:
        count = int(frames)
    if not 1 <= count <= MAX_FRAMES:
        meant = f"{show(frames)} is {count} frames, which" if isinstance(frames, str) else show(frames)
        raise RecipeError(f"{meant} is outside 1 to {MAX_FRAMES}; choose a length inside", path=path)
    return count


def place(at: int | str, frames: int, fps: float, loop: bool, path: str, music: Music | None = None) -> int:
    """Returns the frame of the moment `at` in a film of `frames` frames.

    A time, also that of a beat of the `music`, is rounded to the nearest frame, halves up. A share goes from the first
    frame to the last; in a loop it goes around once, so that 100% would be frame 0 again.
    """
    written = show(at) if isinstance(at, int) else f'"{at}"'
    if isinstance(at, int):
        frame = at
    elif musical := _MUSICAL.fullmatch(at):
        if music is None:
            raise RecipeError(f'{written} is a moment of music; write file = "song.mp3" below [music]', path=path)
        frame = nearest_frame(music.seconds_of(musical[1], int(musical[2]), path), fps)
    else:
        number, unit = _MOMENT.fullmatch(at).groups()  # type: ignore[union-attr]
        if unit == "%":
            frame = _nearest(Fraction(number) / 100 * (frames if loop else frames - 1))
        else:
            frame = _nearest(_seconds(number, unit) * _exact(fps))
    if loop and frame == frames:
        raise RecipeError(
            f"{written} of a loop is frame 0 again; leave this keyframe out, the loop closes by itself", path=path
        )
    if frame >= frames:
        meant = written if isinstance(at, int) else f"{written} is frame {frame}, which"
        raise RecipeError(
            f'{meant} is past the last frame ({frames - 1}); raise "frames" or move the keyframe', path=path
        )
    return frame


def places(
    moments: Sequence[int | str | None], frames: int, fps: float, loop: bool, music: Music | None = None
) -> tuple[int, ...]:
    """Returns the frame of each keyframe, in the given order.

    Keyframes without a moment are spaced evenly between the placed ones before and after. If the first has none it is
    at frame 0. If the last has none it is at the last frame or, in a loop, as far from the first as its neighbors are
    from each other. Raises RecipeError if two share a frame, or one is past the end.
    """
    placed = {
        i: place(at, frames, fps, loop, f"keyframes[{i}].at", music) for i, at in enumerate(moments) if at is not None
    }
    placed.setdefault(0, 0)
    if not loop:
        placed.setdefault(len(moments) - 1, frames - 1)
    ends = sorted(placed.items())
    if loop:
        ends.append((len(moments), placed[0] + frames))  # the first keyframe again, one round later
    found = dict(placed)
    for (first, start), (last, end) in pairwise(ends):
        for i in range(first + 1, last):
            found[i] = _nearest(start + Fraction((end - start) * (i - first), last - first)) % frames
    result = tuple(found[i] for i in range(len(moments)))
    _refuse_twins(result)
    return result


def nearest_frame(seconds: float, fps: float) -> int:
    """Returns the frame nearest to a time, halves up.

    >>> nearest_frame(0.5, 12), nearest_frame(0.125, 12)
    (6, 2)
    """
    return _nearest(_exact(seconds) * _exact(fps))


def _refuse_twins(placed: Sequence[int]) -> None:
    first: dict[int, int] = {}
    for i, frame in enumerate(placed):
        if frame in first:
            raise RecipeError(
                f'frame {frame} already belongs to keyframes[{first[frame]}]; move one of the two, or raise "frames"',
                path=f"keyframes[{i}].at",
            )
        first[frame] = i


def _seconds(number: str, unit: str) -> Fraction:
    return Fraction(number) / (1000 if unit == "ms" else 1)


def _exact(number: float) -> Fraction:
    """Returns the decimal number that a float was written as: 23.976, and not the nearest binary number."""
    return Fraction(repr(number))


def _nearest(value: Fraction) -> int:
    return (value + Fraction(1, 2)).__floor__()
