"""The order in which a film shows its frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remix.errors import BadInput
from remix.motion.frames import film_order


@pytest.mark.parametrize(
    ("count", "ping_pong", "repeat", "order"),
    [
        (0, False, 1, []),
        (0, True, 3, []),
        (1, False, 1, [0]),
        (1, True, 1, [0]),
        (1, True, 3, [0, 0, 0]),
        (2, True, 1, [0, 1]),
        (2, True, 2, [0, 1, 0, 1]),
        (3, False, 2, [0, 1, 2, 0, 1, 2]),
        (3, True, 1, [0, 1, 2, 1]),
        (4, True, 2, [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1]),
    ],
)
def test_order_of_short_films(count: int, ping_pong: bool, repeat: int, order: list[int]) -> None:
    assert film_order(count, ping_pong=ping_pong, repeat=repeat) == order


@settings(deadline=None)
@given(count=st.integers(2, 60), ping_pong=st.booleans(), repeat=st.integers(1, 4))
def test_no_frame_is_shown_twice_in_a_row_also_over_the_loop(count: int, ping_pong: bool, repeat: int) -> None:
    order = film_order(count, ping_pong=ping_pong, repeat=repeat)
    assert all(order[n] != order[n - 1] for n in range(len(order)))
    assert set(order) == set(range(count))


@settings(deadline=None)
@given(count=st.integers(2, 60))
def test_ping_pong_moves_by_one_frame_at_a_time_around_the_whole_loop(count: int) -> None:
    order = film_order(count, ping_pong=True)
    assert all(abs(order[n] - order[n - 1]) == 1 for n in range(len(order)))


@pytest.mark.parametrize(
    ("count", "repeat", "sentence"),
    [
        (-1, 1, "count: -1 frames; give 0 or more"),
        (3, 0, "repeat: 0 cycles; give 1 or more"),
        (3, -2, "repeat: -2 cycles; give 1 or more"),
        (3, 1.5, "repeat: 1.5; give a whole number of cycles"),
        (3, 2.0, "repeat: 2.0; give a whole number of cycles"),
        (3, None, "repeat: None; give a whole number of cycles"),
        (3, True, "repeat: True; give a whole number of cycles"),
        (1.5, 1, "count: 1.5; give a whole number of frames"),
        ("3", 1, "count: '3'; give a whole number of frames"),
        (3, 10**12, "film: 1000000000000 cycles of 3 frames; give at most 1000000 frames"),
    ],
)
def test_impossible_orders_are_refused(count: object, repeat: object, sentence: str) -> None:
    with pytest.raises(BadInput, match=f"^{sentence}"):
        film_order(count, repeat=repeat)  # type: ignore[arg-type]


def test_numbers_of_numpy_are_numbers() -> None:
    assert film_order(np.int64(2), repeat=np.int32(2)) == [0, 1, 0, 1]  # type: ignore[arg-type]
