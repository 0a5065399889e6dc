"""Blocks of frames that are rendered together.

A matrix product rounds differently for another number of rows. So a film is cut into fixed blocks, and a block is
always rendered whole: a frame has the same bytes whether its neighbors are missing or not.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

from remix.catalog.samplers import SAMPLERS
from remix.errors import Unsupported
from remix.plan import Frame, Schedule

PIXELS_AT_ONCE = 8 * 512 * 512
"""The number of pixels that are sampled together if no batch is set."""


def checked_batch(batch: int | None) -> int | None:
    """Returns `batch`. Raises `Unsupported` if it is less than one frame. None leaves the choice to the engine."""
    if batch is not None and batch < 1:
        raise Unsupported(f"batch: {batch} is less than one frame; leave it out or give 1 or more")
    return batch


def frames_at_once(width: int, height: int, most: int) -> int:
    """Returns the number of frames of this size that are rendered together if no batch is set: 1 to `most`.

    >>> frames_at_once(512, 512, 16), frames_at_once(1024, 1024, 16)
    (8, 2)
    """
    return max(1, min(most, PIXELS_AT_ONCE // (width * height)))


def blocks(count: int, size: int) -> Iterator[range]:
    """Yields the fixed blocks of a film of `count` frames, `size` frames in each but the last.

    >>> list(blocks(5, 2))
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    return (range(first, min(first + size, count)) for first in range(0, count, size))


def covering(frames: Sequence[int], count: int, size: int) -> range:
    """Returns the span of whole blocks that contains ascending `frames`, in a film of `count` frames.

    >>> covering([3, 4], 9, 2)
    range(2, 6)
    """
    return range(frames[0] // size * size, min((frames[-1] // size + 1) * size, count))


def per_request(size: int, most: int) -> int:
    """Returns the number of frames in a request: whole blocks of `size`, about `most` frames, at least one block.

    >>> per_request(8, 16), per_request(5, 16), per_request(20, 16)
    (16, 15, 20)
    """
    return size * max(1, most // size)


def requests(frames: Iterable[int], size: int, most: int) -> Iterator[tuple[int, ...]]:
    """Yields ascending frames in groups, one for each request: about `most` frames, in whole blocks of `size`.

    A group has no gap of a whole block, since that block would be rendered for nothing.

    >>> list(requests([0, 1, 5, 6, 7, 8], 2, 4))
    [(0, 1), (5, 6, 7), (8,)]
    """
    chunk = per_request(size, most)
    group: list[int] = []
    for index in frames:
        if group and (group[-1] // chunk != index // chunk or index // size - group[-1] // size > 1):
            yield tuple(group)
            group = []
        group.append(index)
    if group:
        yield tuple(group)


def in_one_call(
    schedule: Schedule, block: Iterable[int], more: Callable[[Frame], Hashable] = lambda frame: None
) -> list[list[int]]:
    """Returns the frames of a block in groups that a host can sample in one call.

    Hosts accept cfg, denoise, LoRAs and the values that `more` returns for a frame only once for each call. Samplers
    that choose their steps by all pictures of a batch get one frame in each call.
    """
    alone = SAMPLERS[schedule.recipe.sampler].one_at_a_time
    groups: dict[Hashable, list[int]] = {}
    for index in block:
        frame = schedule[index]
        key = frame.cfg, frame.denoise, frame.image is None, frame.loras, more(frame), index if alone else None
        groups.setdefault(key, []).append(index)
    return list(groups.values())
