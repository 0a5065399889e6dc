"""Shows pictures at other moments than their own: in-betweens, other frame rates, and an even pace after the fact.

A *moment* is a position in a sequence of pictures: 2 is the third picture, 2.25 a quarter of the way to the next. In a
loop, the moments from the last picture on lead back to the first.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from remix.errors import BadInput
from remix.motion.inbetween import Motion, Prepared, check_quality, opencv
from remix.motion.pacing import SAME, USUAL_POWER, variation
from remix.motion.perceptual import distance, look
from remix.motion.pictures import Picture

X = TypeVar("X")

CUT, LEAST_CUT = 6.0, 12.0
"""A cut changes the picture this many times as much as the changes around it, and by this many levels on average."""

AROUND = 2
"""The number of changes before and after a change that it is compared with."""

_THUMBNAIL = (8, 8)

_KEPT = 8
"""The number of pictures in memory. Telling a cut needs the six around it."""

_DECIMALS = 9


def check_between(count: int) -> int:
    """Returns `count` unchanged. Raises BadInput unless it is a whole number, 0 or more."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise BadInput(f"between: {count!r}; give a whole number of in-betweens, 0 or more")
    return count


def moments_between(count: int, between: int, *, loop: bool = False) -> list[float]:
    """Returns the moments of a film of `count` pictures with `between` new pictures from each to the next.

    >>> moments_between(3, 1)
    [0.0, 0.5, 1.0, 1.5, 2.0]
    >>> moments_between(2, 1, loop=True)
    [0.0, 0.5, 1.0, 1.5]
    """
    return moments_every(Fraction(1, check_between(between) + 1), count, loop=loop)


def moments_every(step: Fraction, count: int, *, loop: bool = False) -> list[float]:
    """Returns the moments of `count` pictures at multiples of `step`, up to the last picture or the end of the loop.

    With pictures at 24 per second, a step of 24/60 gives a film of 60.
    """
    if count < 1:
        return []
    last = (count - (0 if loop else 1)) / step
    return [float(index * step) for index in range(int(last) + (0 if loop and last == int(last) else 1))]


def moments_in_order(
    order: Sequence[int], step: Fraction, *, loop: bool = False, ping_pong: bool = False
) -> list[float]:
    """Returns the moments of a film that shows pictures in an `order`, as `film_order` returns it.

    `ping_pong` says that the film leads back to its first picture, as a `loop` does. Without a loop, nothing is between
    the last picture and the first of the next repetition.

    >>> moments_in_order([0, 1, 2, 1], Fraction(1, 2), ping_pong=True)
    [0, 0.5, 1, 1.5, 2, 1.5, 1, 0.5]
    """
    times = moments_every(step, len(order), loop=(loop or ping_pong) and len(order) > 1)
    return [_moment_in_order(order, time, loop) for time in times]


def _moment_in_order(order: Sequence[int], time: float, loop: bool) -> float:
    place, part = int(time), time % 1
    here, there = order[place], order[(place + 1) % len(order)]
    if not part:
        return here
    if loop and (here, there) == (max(order), 0):
        return here + part
    if abs(there - here) <= 1:
        return here + part * (there - here)
    return here if part < 0.5 else there


class Loaded(Sequence[Picture]):
    """The pictures of files or other items, each loaded by `load` when it is used."""

    def __init__(self, paths: Sequence[X], load: Callable[[X], Picture]) -> None:
        self._paths, self._load = paths, load

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: Any) -> Any:
        return [*map(self._load, self._paths[index])] if isinstance(index, slice) else self._load(self._paths[index])


class Between(Protocol):
    """What is between two pictures, as `remix.motion.inbetween.Motion` and the models of a ComfyUI know it."""

    def at(self, moments: Sequence[float]) -> Sequence[Picture]:
        """Returns the pictures at `moments`, from 0 (the first picture) to 1 (the second)."""


Method = Callable[[Picture, Picture], Between]
"""Another way to make in-betweens: two pictures -> what is between them."""


class Retimed(Sequence[Picture]):
    """The pictures of a sequence at `moments`: its own ones at whole moments, in-betweens elsewhere.

    `pictures` is a sequence whose items are loaded when they are used, each once if the moments ascend; a few are kept.
    Nothing is placed between the pictures of a cut, where the nearer one is shown. In-betweens need OpenCV, unless
    `method` makes them. Raises BadInput for an unknown `quality` and for moments outside of the sequence, and
    MissingPackage without OpenCV.

    >>> black, white = np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 200, np.uint8)
    >>> film = Retimed([black, white], moments_between(2, 3))
    >>> [int(picture.mean()) for picture in film]
    [0, 50, 100, 150, 200]
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        moments: Sequence[float],
        *,
        loop: bool = False,
        quality: str = "fine",
        method: Method | None = None,
    ) -> None:
        end = len(pictures) if loop else len(pictures) - 1
        self._moments = [round(float(moment), _DECIMALS) for moment in moments]
        if odd := [each for each in self._moments if not (0 <= each <= end and (each < end or not loop))]:
            raise BadInput(f"moments: {odd[0]:g} is outside of {len(pictures)} pictures; give 0 to {end}")
        self._pictures, self._loop, self._quality = pictures, loop, check_quality(quality)
        self._method = method
        if method is None and any(moment % 1 for moment in self._moments):
            opencv()  # before the first picture, not hours later
        self._loaded: dict[int, Picture] = {}
        self._prepared: dict[int, Prepared] = {}
        self._motions: dict[int, Between] = {}
        self._thumbnails: dict[int, npt.NDArray[Any]] = {}

    def __len__(self) -> int:
        return len(self._moments)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        return self._at(self._moments[index])

    def __iter__(self) -> Iterator[Picture]:
        return map(self._at, self._moments)

    def is_cut(self, index: int) -> bool:
        """Returns whether there is a cut from a picture to the next.

        A change is a cut if it is large and stands alone. A flash, a single picture that differs, has two cuts.
        """
        change, last = self._change(index), len(self._pictures) - (0 if self._loop else 1)
        if change <= LEAST_CUT:
            return False
        near = {index + step: step for step in range(-AROUND, AROUND + 1) if step}
        if self._loop:
            near = {each % last: step for each, step in near.items() if each % last != index}
        near = {each: step for each, step in near.items() if 0 <= each < last}
        large = [step for each, step in near.items() if CUT * self._change(each) >= change]
        if len(near) <= 2 * len(large) or len(large) > 1:
            return False
        if not large:
            return True
        first = index + min(large[0], 0)
        return abs(large[0]) == 1 and CUT * self._apart(first, first + 2) < change

    def _at(self, moment: float) -> Picture:
        index, part = int(moment), moment % 1
        if part == 0:
            return self._picture(index)
        if self.is_cut(index):
            return self._picture(index if part < 0.5 else index + 1)
        motion = _kept(self._motions, index, 1, self._motion)
        return motion.at([part])[0]

    def _motion(self, index: int) -> Between:
        if self._method is not None:
            return self._method(self._picture(index), self._picture(index + 1))
        first, second = (
            _kept(self._prepared, each % len(self._pictures), 2, lambda each: Prepared.of(self._picture(each)))
            for each in (index, index + 1)
        )
        return Motion(first, second, self._quality)

    def _picture(self, index: int) -> Picture:
        return _kept(self._loaded, index % len(self._pictures), _KEPT, lambda each: self._pictures[each])

    def _change(self, index: int) -> float:
        return self._apart(index, index + 1)

    def _apart(self, one: int, other: int) -> float:
        """Returns the mean difference of two pictures, in levels, seen from afar."""
        first, second = (self._thumbnail(each % len(self._pictures)) for each in (one, other))
        return float(np.abs(first.astype(np.int16) - second).mean())

    def _thumbnail(self, index: int) -> npt.NDArray[Any]:
        if index not in self._thumbnails:
            small = Image.fromarray(self._picture(index)).resize(_THUMBNAIL, Image.Resampling.BOX)
            self._thumbnails[index] = np.asarray(small)
        return self._thumbnails[index]


class EvenPace:
    """The moments at which a sequence of pictures changes evenly, measured from all of its pictures once.

    `stops` are pictures that keep their moments, such as keyframes; both ends always do. A cut takes as long as the
    mean of the other steps.
    """

    def __init__(self, pictures: Sequence[Picture], stops: Sequence[int] = (), *, loop: bool = False) -> None:
        end = len(pictures) if loop else len(pictures) - 1
        self._stops = sorted({0, *(stop for stop in stops if 0 < stop < end), max(end, 0)})
        film = Retimed(pictures, range(len(pictures)), loop=loop)
        steps, cuts = np.empty(end), np.zeros(end, bool)
        last = look(film[0][..., :3])
        for index in range(end):
            following = look(film[(index + 1) % len(pictures)][..., :3])
            steps[index], cuts[index] = max(distance(last, following), SAME), film.is_cut(index)
            last = following
        self.before = variation(steps[~cuts]) if not cuts.all() else 0.0
        """How much the steps between the pictures vary: their standard deviation over their mean."""
        steps **= 1 / USUAL_POWER
        steps[cuts] = steps[~cuts].mean() if not cuts.all() else 1.0
        self._arcs = np.concatenate([[0.0], np.cumsum(steps)])

    def __call__(self, time: float) -> float:
        """Returns the moment that is shown at a time, which is a position in the sequence as it is."""
        place = min(max(bisect_right(self._stops, time) - 1, 0), len(self._stops) - 2)
        if place < 0:
            return 0.0
        begin, end = self._stops[place], self._stops[place + 1]
        arcs = self._arcs[begin : end + 1]
        wanted = arcs[0] + (time - begin) / (end - begin) * (arcs[-1] - arcs[0])
        return round(float(np.interp(wanted, arcs, np.arange(begin, end + 1))), _DECIMALS)


def with_steps(pictures: Iterable[Picture], steps: list[float]) -> Iterator[Picture]:
    """Yields the pictures, and appends the perceptual distance of each and the one before to `steps`."""
    last = None
    for picture in pictures:
        following = look(picture[..., :3])
        if last is not None:
            steps.append(distance(last, following))
        last = following
        yield picture


def _kept(kept: dict[int, X], index: int, most: int, make: Callable[[int], X]) -> X:
    """Returns `make(index)`, from `kept` if it is there. Of the others, the `most` latest are kept."""
    if index not in kept:
        made = make(index)
        while len(kept) >= most:
            del kept[next(iter(kept))]
        kept[index] = made
    return kept[index]
