"""Even pacing on travels whose shape is known."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remix.motion.pacing import FINEST, Jump, Pacer, variation
from remix.motion.perceptual import distance, look

Place = Callable[[float], float]


def logistic(steep: float, middle: float = 0.5) -> Place:
    return lambda weight: 0.5 * (1 + math.tanh(steep * (weight - middle) / 2))


def stairs(weight: float) -> float:
    return logistic(60, 0.2)(weight) + logistic(300, 0.55)(weight) + 0.2 * weight


def paced(place: Place, count: int, share: float, power: float = 1.15) -> tuple[list[float], list[Jump], Pacer, int]:
    """A film on a travel that is at `place` at each weight, where distances add up by `power`."""
    pacer = Pacer(count, int(count * share), lambda a, b: abs(place(b) - place(a)) ** power)
    rounds = 0
    while wanted := pacer.wanted():
        rounds += 1
        assert wanted == sorted(set(wanted))
        for weight in wanted:
            pacer.add(weight)
    film, jumps = pacer.film()
    return film, jumps, pacer, rounds


def steps(place: Place, film: list[float]) -> np.ndarray:
    return np.abs(np.diff([place(weight) for weight in film]))


@pytest.mark.parametrize("count", [16, 48])
@pytest.mark.parametrize(
    "place",
    [lambda weight: weight, lambda weight: weight**3, logistic(20), logistic(200, 0.37), stairs],
    ids=["even", "cubed", "logistic", "steep", "stairs"],
)
def test_the_steps_of_a_film_become_even(place: Place, count: int) -> None:
    film, jumps, pacer, rounds = paced(place, count, 1.5)
    assert film[0] == 0
    assert film[-1] == 1
    assert len(film) == len(set(film)) == count
    assert set(film) <= set(pacer.weights)
    assert len(pacer.weights) <= 1.5 * count
    assert variation(steps(place, film)) <= (0.15 if count == 16 else 0.12)
    assert jumps == []
    assert rounds <= 25


@pytest.mark.parametrize("count", [16, 48])
def test_a_jump_is_named_and_the_rest_is_even(count: int) -> None:
    def place(weight: float) -> float:
        return weight + (0.5 if weight > 0.3 else 0.0)

    film, jumps, pacer, _ = paced(place, count, 1.5)
    assert len(jumps) == 1
    assert jumps[0].before <= 0.3 < jumps[0].after
    assert jumps[0].after - jumps[0].before < 1 / (64 * (count - 1))
    rest = np.sort(steps(place, film))[:-1]
    assert jumps[0].steps == pytest.approx((0.5 / rest.mean()) ** 1.15, rel=0.1)
    assert variation(rest) <= 0.4
    assert len([weight for weight in pacer.weights if 0.29 < weight < 0.31]) < (20 if count == 16 else 30)


def test_a_steep_place_is_no_jump() -> None:
    film, jumps, _, _ = paced(logistic(3000), 16, 2)
    assert jumps == []
    assert variation(steps(logistic(3000), film)) < 0.3


def test_a_travel_on_which_nothing_changes_ends() -> None:
    film, jumps, pacer, _ = paced(lambda weight: 0.0, 16, 1.5)
    assert (len(film), film[0], film[-1], jumps) == (16, 0, 1, [])
    assert len(pacer.weights) <= 24


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6])
def test_short_films_are_paced(count: int) -> None:
    film, _, _, _ = paced(lambda weight: weight**2, count, 2)
    assert len(film) == count
    assert variation(steps(lambda weight: weight**2, film)) < 0.35


def test_a_film_that_is_even_enough_renders_no_more() -> None:
    _, _, pacer, _ = paced(lambda weight: weight, 33, 1.5)
    assert len(pacer.weights) == 33


def test_the_same_travel_gives_the_same_film() -> None:
    assert paced(stairs, 24, 1.5)[0] == paced(stairs, 24, 1.5)[0]


def test_a_film_of_too_few_pictures_is_refused() -> None:
    pacer = Pacer(5, 8, lambda a, b: b - a)
    pacer.add(0.0)
    pacer.add(1.0)
    with pytest.raises(ValueError, match="2 pictures do not make a film of 5"):
        pacer.film()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(1, 2000), st.floats(0, 1), st.floats(0.01, 1)), min_size=1, max_size=4),
    st.integers(2, 40),
    st.sampled_from([1.0, 1.25, 1.5, 2.0]),
)
def test_any_travel_ends_within_its_budget(parts: list[tuple[float, float, float]], count: int, share: float) -> None:
    def place(weight: float) -> float:
        return sum(size * 0.5 * (1 + math.tanh(steep * (weight - middle))) for steep, middle, size in parts)

    film, jumps, pacer, _ = paced(place, count, share)
    assert len(pacer.weights) <= max(int(count * share), count)
    assert len(film) == count
    assert film == sorted(film)
    assert all(jump.after - jump.before >= FINEST / 2 for jump in jumps)


def picture(shift: int, size: int = 64) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    disc = (x - 20 - shift) ** 2 + (y - 30) ** 2 < 120
    return np.where(disc[..., None], (220, 60, 40), (30, 60, 90)).astype(np.uint8)


def test_the_distance_of_pictures_grows_with_the_change() -> None:
    looks = [look(picture(shift)) for shift in range(0, 12, 2)]
    found = [distance(looks[0], other) for other in looks]
    assert found[0] == pytest.approx(0, abs=1e-6)
    assert found == sorted(found)
    assert distance(looks[1], looks[4]) == distance(looks[4], looks[1])


@pytest.mark.parametrize("shape", [(1, 1), (5, 9), (8, 300), (128, 64), (720, 1280)])
def test_pictures_of_any_size_can_be_compared(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 255, (*shape, 3), dtype=np.uint8) for _ in range(2))
    assert distance(look(a), look(a)) == pytest.approx(0, abs=1e-5)
    assert distance(look(a), look(b)) > 0.05


def test_windows_give_the_structural_similarity_of_its_authors() -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.integers(0, 255, (9, 11, 3), dtype=np.uint8) for _ in range(2))
    x, y = a / 255, b / 255
    found = []
    for row in range(3):
        for column in range(5):
            for channel in range(3):
                p, q = (z[row : row + 7, column : column + 7, channel] for z in (x, y))
                light = (2 * p.mean() * q.mean() + 1e-4) / (p.mean() ** 2 + q.mean() ** 2 + 1e-4)
                found.append(light * (2 * ((p - p.mean()) * (q - q.mean())).mean() + 9e-4) / (p.var() + q.var() + 9e-4))
    assert distance(look(a), look(b)) == pytest.approx(1 - np.mean(found) + np.abs(x - y).mean(), abs=1e-5)
