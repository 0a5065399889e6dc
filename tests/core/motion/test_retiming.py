"""Pictures at other moments: in-betweens in a sequence, loops, cuts, and an even pace after the fact."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from remix.errors import BadInput
from remix.motion import Picture, fit
from remix.motion.pacing import variation
from remix.motion.pictures import difference
from remix.motion.retiming import EvenPace, Loaded, Retimed, moments_between, moments_every, with_steps


def grays(*levels: int) -> list[Picture]:
    return [np.full((32, 32, 3), level, np.uint8) for level in levels]


def levels(film: Sequence[Picture]) -> list[int]:
    return [int(picture.mean()) for picture in film]


def texture(seed: int) -> np.ndarray:
    return fit(np.random.default_rng(seed).integers(0, 256, (16, 24, 3), dtype=np.uint8), 96, 64)


def test_the_moments_of_a_rate_end_with_the_last_picture_or_the_loop() -> None:
    assert moments_every(Fraction(24, 60), 3) == [0.0, 0.4, 0.8, 1.2, 1.6, 2.0]
    assert moments_every(Fraction(2, 5), 3, loop=True) == [0.0, 0.4, 0.8, 1.2, 1.6, 2.0, 2.4, 2.8]
    assert moments_every(Fraction(3, 4), 3) == [0.0, 0.75, 1.5]
    assert moments_between(3, 0) == [0.0, 1.0, 2.0]
    assert moments_between(1, 3) == [0.0]
    assert moments_between(0, 3) == []


def test_whole_moments_need_no_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    assert levels(Retimed(grays(10, 20, 30), [0, 2, 1])) == [10, 30, 20]


def test_a_loop_closes_without_a_doubled_frame() -> None:
    pytest.importorskip("cv2")
    film = Retimed(grays(0, 40, 80, 40), moments_between(4, 1, loop=True), loop=True)
    assert levels(film) == [0, 20, 40, 60, 80, 60, 40, 20]


def test_nothing_is_placed_in_a_cut() -> None:
    pytest.importorskip("cv2")
    pictures = grays(8, 12, 16, 20, 200, 204, 208, 212)
    film = Retimed(pictures, moments_between(8, 3))
    assert [film.is_cut(index) for index in range(7)] == [False, False, False, True, False, False, False]
    assert levels(film)[12:17] == [20, 20, 200, 200, 200]
    assert levels(film)[16:20] == [200, 201, 202, 203]


def test_a_flash_has_two_cuts() -> None:
    film = Retimed(grays(8, 10, 12, 250, 14, 16, 18), [0])
    assert [film.is_cut(index) for index in range(6)] == [False, False, True, True, False, False]


@pytest.mark.parametrize(
    "pictures",
    [
        grays(10, 10, 60, 60, 110, 110, 160, 160),  # on twos
        grays(0, 40, 80, 120, 160, 200),  # fast, but even
        grays(0, 50),
        grays(0, 100, 200),
        grays(0, 2, 4, 60, 116, 118, 120),  # steep
    ],
)
def test_large_changes_alone_are_no_cuts(pictures: list[Picture]) -> None:
    film = Retimed(pictures, [0])
    assert not any(film.is_cut(index) for index in range(len(pictures) - 1))


def test_each_picture_is_loaded_once_and_few_are_kept(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    loads: list[str] = []

    def load(path: Path) -> Picture:
        loads.append(path.name)
        return grays(2 * int(path.name))[0]

    film = Retimed(Loaded([tmp_path / str(index) for index in range(40)], load), moments_between(40, 2))
    assert levels(film)[::3] == [2 * index for index in range(40)]
    assert loads == [str(index) for index in range(40)]
    assert len(film._loaded) <= 8


def test_moments_outside_are_refused() -> None:
    for moment, loop in ((2.5, False), (-0.1, False), (3.0, True)):
        with pytest.raises(BadInput, match="outside of 3 pictures"):
            Retimed(grays(1, 2, 3), [moment], loop=loop)


def uneven(loop: bool = False) -> list[Picture]:
    """A picture that moves, slowly at first and fast in the middle."""
    whole = fit(texture(1), 768, 512)
    places = 192 * np.linspace(0, 1, 17) ** 3
    if loop:
        places = np.concatenate([places[::2], places[-2::-2]])[:-1]
    return [fit(np.roll(whole, round(float(place)), 1)[:, 192:], 72, 64) for place in places]


def steps(film: Sequence[Picture]) -> list[float]:
    measured: list[float] = []
    assert len(list(with_steps(film, measured))) == len(film)
    return measured


def test_a_film_moves_evenly_after_the_fact() -> None:
    pytest.importorskip("cv2")
    pictures = uneven()
    pace = EvenPace(pictures)
    assert pace(0) == 0
    assert pace(16) == 16
    film = Retimed(pictures, [pace(time) for time in range(17)])
    assert pace.before == pytest.approx(variation(steps(pictures)))
    assert pace.before > 0.8
    assert variation(steps(film)) < 0.35


def test_stops_keep_their_moments_and_a_loop_leads_back() -> None:
    pace = EvenPace(uneven(), [5, 11])
    assert (pace(5), pace(11)) == (5, 11)
    looped = uneven(loop=True)
    pace = EvenPace(looped, loop=True)
    times = np.linspace(0, len(looped), 200)
    moments = [pace(time) for time in times]
    assert moments[0] == 0
    assert moments[-1] == len(looped)
    assert (np.diff(moments) >= 0).all()


def test_a_rest_takes_no_time_and_a_cut_one_step() -> None:
    pytest.importorskip("cv2")
    pace = EvenPace(grays(0, 10, 10, 10, 20, 30))
    moments = [pace(time) for time in np.linspace(0, 5, 1001)]
    assert sum(1.01 < moment < 2.99 for moment in moments) <= 1
    levels = (0, 4, 8, 12, 200, 204, 208, 212)
    cut = EvenPace(grays(*levels))
    places = [cut(time) for time in np.linspace(0, 7, 701)]
    assert sum(3 < place < 4 for place in places) == pytest.approx(100, abs=2)


def test_one_picture_and_equal_pictures_have_a_pace() -> None:
    assert EvenPace(grays(7))(0) == 0
    assert EvenPace(grays(7, 7, 7))(1) == 1


def test_alpha_is_kept() -> None:
    pytest.importorskip("cv2")
    one, two = np.zeros((32, 32, 4), np.uint8), np.full((32, 32, 4), 255, np.uint8)
    film = Retimed([one, two], moments_between(2, 1))
    assert film[1].shape == (32, 32, 4)
    assert abs(int(film[1][0, 0, 3]) - 128) <= 1
    assert difference(film[2][..., :3], two[..., :3]).off == 0
