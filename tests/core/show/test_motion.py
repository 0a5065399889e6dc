"""How a film moves: steps, jumps, rests, flicker and the seam of a loop, on films whose answer is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from remix.errors import PictureError
from remix.show.motion import SHOWN_JUMPS, Motion, measure

SIDE = 32


def film(levels: Sequence[float]) -> Iterator[np.ndarray]:
    """Yields flat gray pictures of these levels, 0 to 255: their distance grows with the difference of the levels."""
    for level in levels:
        yield np.full((SIDE, SIDE, 3), level, np.uint8)


def noise(seeds: Sequence[int]) -> Iterator[np.ndarray]:
    for seed in seeds:
        yield np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def test_the_figures_of_steps_are_those_of_the_papers() -> None:
    motion = Motion((1.0, 2.0, 3.0, 6.0), loop=False, flicker=0.0)
    assert motion.path_length == 12.0
    assert motion.mean == 3.0
    assert motion.variance == 3.5
    assert motion.variation == pytest.approx(3.5**0.5 / 3)
    assert motion.typical == 2.5
    assert motion.largest == 2.4


def test_steps_of_equal_size_are_even_and_free_of_jumps_and_flicker() -> None:
    motion = measure(film([100 + 3 * k for k in range(12)])).motion
    assert len(motion.steps) == 11
    assert motion.variation < 0.1
    assert motion.flicker == 0
    assert motion.jumps() == []


def test_frames_that_alternate_flicker_and_a_steady_change_does_not() -> None:
    assert measure(film([100, 110] * 6)).motion.flicker == pytest.approx(1)
    assert measure(film(range(100, 120, 2))).motion.flicker == 0
    assert measure(film([100, 120, 110])).motion.flicker == pytest.approx(0.5)


def test_a_jump_is_found_with_its_frames_and_a_rest_is_counted() -> None:
    levels = [50, 53, 56, 59, 59, 62, 65, 200, 203, 206]
    measured = measure(film(levels))
    assert measured.motion.jumps() == [6]
    assert measured.motion.rests == 1
    before, after = measured.jumps[6]
    assert (before.getpixel((0, 0))[0], after.getpixel((0, 0))[0]) == (65, 200)


def test_an_invisible_step_is_no_jump_however_still_the_film() -> None:
    motion = measure(film([128] * 10 + [129] * 10)).motion
    assert motion.largest >= 1
    assert motion.jumps() == []


def test_of_many_jumps_the_largest_keep_their_pictures() -> None:
    levels = np.cumsum([0] + [1] * 40)
    jumps = [3 * k + 1 for k in range(12)]
    for size, place in enumerate(jumps):
        levels[place:] += 8 + size
    measured = measure(film(levels))
    assert measured.motion.jumps() == [place - 1 for place in jumps]
    assert len(measured.jumps) == SHOWN_JUMPS
    kept = sorted(measured.motion.steps[index] for index in measured.jumps)
    assert kept == sorted(measured.motion.steps)[-SHOWN_JUMPS:]


@pytest.mark.parametrize(
    ("levels", "low", "high"),
    [
        ([100, 110, 120, 110], 0.0, 0.2),  # the step over the seam is like its neighbors
        ([100, 110, 120, 110, 100], 0.9, 1.1),  # the first frame twice
        ([100, 110, 120, 130, 140, 150], 2.0, 9.0),  # back at once
    ],
)
def test_the_seam_of_a_loop_is_measured_against_the_steps_beside_it(levels: list[int], low: float, high: float) -> None:
    motion = measure(film(levels), loop=True).motion
    assert len(motion.steps) == len(levels)
    assert motion.loop_error is not None
    assert low <= motion.loop_error <= high


def test_a_film_that_does_not_loop_has_no_loop_error() -> None:
    assert measure(film([1, 2, 3])).motion.loop_error is None


@pytest.mark.parametrize("count", [1, 2])
def test_the_shortest_films_are_measured(count: int) -> None:
    measured = measure(noise(range(count)), loop=True)
    assert measured.frames == count
    assert measured.motion.loop_error is None
    assert [index for index, _ in measured.pictures] == list(range(count))


def test_still_frames_have_no_typical_step_and_no_division_by_zero() -> None:
    motion = measure(film([7] * 5), loop=True).motion
    assert (motion.typical, motion.largest, motion.variation, motion.loop_error) == (0, 0, 0, None)
    assert motion.jumps() == []


def test_a_stream_keeps_few_pictures_whatever_its_length() -> None:
    measured = measure(film([k % 200 for k in range(1000)]))
    assert measured.frames == 1000
    assert len(measured.pictures) <= 24
    assert [measured.pictures[0][0], measured.pictures[-1][0]] == [0, 999]


def test_films_without_frames_and_with_frames_of_two_sizes_are_refused() -> None:
    with pytest.raises(PictureError, match="no frames"):
        measure([])
    with pytest.raises(PictureError, match="frame 1: 8x8, but the film began with 32x32"):
        measure([*film([1]), np.zeros((8, 8, 3), np.uint8)])
