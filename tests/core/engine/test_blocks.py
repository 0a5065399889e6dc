"""Which frames are rendered together."""

from __future__ import annotations

from itertools import chain

import pytest

from remix.engine.blocks import blocks, checked_batch, covering, grouped, requests
from remix.errors import Unsupported


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


def test_groups_keep_the_order_of_frames() -> None:
    assert grouped([4, 1, 2, 7], lambda index: index % 2) == [[4, 2], [1, 7]]


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_of_no_frame_is_refused(batch: int) -> None:
    with pytest.raises(Unsupported, match=f"^batch: {batch} is less than one frame"):
        checked_batch(batch)
    assert checked_batch(None) is None
