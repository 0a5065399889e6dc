"""The order in which a film shows its frames."""

from __future__ import annotations

from remix.errors import BadInput


def film_order(count: int, *, ping_pong: bool = False, repeat: int = 1) -> list[int]:
    """Returns the indices of the frames to show, in order: `repeat` whole cycles of `count` frames.

    A cycle is 0 to count-1; with `ping_pong` it then goes back to 1, so that neither end is shown
    twice in a row, also where one cycle meets the next.

    >>> film_order(4, ping_pong=True)
    [0, 1, 2, 3, 2, 1]
    """
    if count < 0:
        raise BadInput(f"count: {count} frames; give 0 or more")
    if repeat < 1:
        raise BadInput(f"repeat: {repeat} cycles; give 1 or more")
    cycle = list(range(count))
    if ping_pong:
        cycle += cycle[-2:0:-1]
    return cycle * repeat
