"""Which frames are rendered together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import pytest

from remix.engine.blocks import blocks, checked_batch, covering, in_one_call, requests
from remix.engine.memory import halving
from remix.errors import OutOfMemory, Unsupported
from remix.plan import Keyframe, Recipe, plan


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9])
@pytest.mark.parametrize("size", [1, 3, 8, 20])
def test_blocks_hold_every_frame_once(count: int, size: int) -> None:
    found = list(blocks(count, size))
    assert list(chain.from_iterable(found)) == list(range(count))
    assert all(block.start % size == 0 for block in found)


@pytest.mark.parametrize(
    ("frames", "size", "most", "groups"),
    [
        (range(20), 4, 8, [range(8), range(8, 16), range(16, 20)]),
        (range(20), 16, 8, [range(16), range(16, 20)]),
        ([0, 1, 9, 10], 4, 16, [(0, 1), (9, 10)]),
        ([3, 4, 9], 4, 16, [(3, 4, 9)]),
        ([3, 5], 1, 16, [(3,), (5,)]),
        ([], 4, 16, []),
    ],
)
def test_requests_are_whole_blocks_without_one_that_nobody_wants(
    frames: range | list[int], size: int, most: int, groups: list
) -> None:
    assert list(requests(frames, size, most)) == [tuple(group) for group in groups]


@pytest.mark.parametrize(
    ("frames", "span"), [((0,), range(4)), ((3, 4), range(8)), ((8,), range(8, 10)), ((5, 9), range(4, 10))]
)
def test_the_span_of_a_request_is_of_whole_blocks(frames: tuple[int, ...], span: range) -> None:
    assert covering(frames, 10, 4) == span


def test_frames_in_one_call_agree_in_what_hosts_accept_once() -> None:
    frames = [Keyframe(at=at, prompt="a", cfg=cfg, seed=at) for at, cfg in enumerate((5, 7, 5, 7))]
    film = plan(Recipe(frames=4, keyframes=frames))
    assert in_one_call(film, range(4)) == [[0, 2], [1, 3]]
    assert in_one_call(film, [3, 0, 2], lambda frame: frame.index == 2) == [[3], [0], [2]]
    alone = plan(Recipe(frames=2, sampler="dpm_adaptive", keyframes=[Keyframe(prompt="a")]))
    assert in_one_call(alone, range(2)) == [[0], [1]]


def in_memory_for(most: int, frames: int, wanted: set[int], stop: list[bool] | None = None) -> tuple[list, list]:
    """Returns the blocks that are tried and those that are rendered if memory holds `most` frames."""
    tried, answers = [], iter(stop or [False] * 99)

    def render(block: Sequence[int]) -> None:
        tried.append(list(block))
        if len(block) > most:
            raise MemoryError

    found = halving(
        blocks(frames, 4),
        wanted,
        render,
        stop=lambda: next(answers),
        shrink=lambda count, fewer: None,
        too_large="it does not fit",
    )
    return tried, [list(block) for block, _ in found]


def test_blocks_that_exceed_memory_are_halved_and_those_that_nobody_wants_skipped() -> None:
    tried, rendered = in_memory_for(2, 12, {0, 3, 11})
    assert (tried, rendered) == ([[0, 1, 2, 3], [0, 1], [2, 3], [10, 11]], [[0, 1], [2, 3], [10, 11]])
    tried, rendered = in_memory_for(1, 4, {2})
    assert (tried, rendered) == ([[0, 1, 2, 3], [2, 3], [2]], [[2]])


def test_a_run_stops_between_halves() -> None:
    assert in_memory_for(2, 8, set(range(8)), [False, False, True])[1] == [[0, 1]]


def test_a_frame_that_exceeds_memory_is_named() -> None:
    with pytest.raises(OutOfMemory, match=r"^frame 5: it does not fit"):
        in_memory_for(0, 8, {5})


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_of_no_frame_is_refused(batch: int) -> None:
    with pytest.raises(Unsupported, match=f"^batch: {batch} is less than one frame"):
        checked_batch(batch)
    assert checked_batch(None) is None
