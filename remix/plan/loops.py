"""What keeps a loop from closing: a frame that is shown twice, a cut at the seam, expressions that jump there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from remix.plan.expression import Expression
from remix.plan.travel import Travel

if TYPE_CHECKING:
    from remix.plan.schedule import Schedule

JUMP = 1.5
"""An expression jumps at the seam if its step there is this many times the largest other step."""


def loop_remarks(schedule: Schedule) -> Iterator[str]:
    """Yields a sentence for each likely mistake at the seam of a schedule that loops.

    Travels between keyframes always close: their values and speeds across the seam are those of any other place.
    """
    frames = schedule.frames
    if not schedule.recipe.loop or len(frames) < 3:
        return
    first, second_last, last = (replace(frame, index=0) for frame in (frames[0], frames[-2], frames[-1]))
    if last == first != second_last:
        yield (
            f"loop: frame {len(frames) - 1} is frame 0 again, so the film rests there; leave out the keyframe that "
            "repeats the first one, the loop closes by itself"
        )
    travels = len({replace(frame, index=0) for frame in frames[-3:]}) == 3
    if max(schedule.recipe.positions()) == len(frames) - 1 and travels and last != first:
        yield (
            f"loop: the last keyframe is on the last frame ({len(frames) - 1}), so the film cuts from it to frame 0; "
            "put it earlier, or give more frames"
        )
    for name, values in _expressions(schedule):
        seam, most = abs(values[0] - values[-1]), max(abs(b - a) for a, b in pairwise(values))
        if seam > JUMP * most + 1e-6:
            yield (
                f"loop: the expression of {name} jumps by {seam:.3g} from the last frame to the first, and by at most "
                f"{most:.3g} elsewhere; let it repeat after {len(frames)} frames, such as sin(2*pi*t/{len(frames)})"
            )


def _expressions(schedule: Schedule) -> Iterator[tuple[str, Sequence[float]]]:
    """Yields each field that expressions set, and its numbers over the film."""
    keyframes = schedule.recipe.keyframes
    for name in ("cfg", "denoise"):
        if any(isinstance(getattr(keyframe, name), Expression) for keyframe in keyframes):
            yield name, [getattr(frame, name) for frame in schedule]
    travel = Travel(schedule.recipe)
    for name in ("prompt", "negative"):
        yield from ((name, values) for values in travel.numbers_at_seam(name))
