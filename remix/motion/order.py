"""The order in which a film shows its frames."""

from __future__ import annotations

from numbers import Integral

from remix.errors import BadInput

LONGEST = 10**6
"""The most frames that are put in order: eleven hours at 24 a second."""


def film_order(count: int, *, ping_pong: bool = False, repeat: int = 1) -> list[int]:
    """Returns the indices of the frames to show, in order: `repeat` whole cycles of `count` frames.

    A cycle is 0 to count-1; with `ping_pong` it then goes back to 1, so that neither end is shown
    twice in a row, also where one cycle meets the next. BadInput for numbers that are not whole, and for more
    than `LONGEST` frames.

    >>> film_order(4, ping_pong=True)
    [0, 1, 2, 3, 2, 1]
    """
    count = _whole("count", count, "frames", least=0)
    repeat = _whole("repeat", repeat, "cycles", least=1)
    length = count + max(0, count - 2) if ping_pong else count
    if length * repeat > LONGEST:
        raise BadInput(f"film: {repeat} cycles of {length} frames; give at most {LONGEST} frames in all")
    cycle = list(range(count))
    if ping_pong:
        cycle += cycle[-2:0:-1]
    return cycle * repeat


def _whole(name: str, value: object, unit: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise BadInput(f"{name}: {value!r}; give a whole number of {unit}, {least} or more")
    if value < least:
        raise BadInput(f"{name}: {value} {unit}; give {least} or more")
    return int(value)
