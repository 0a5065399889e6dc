"""A mix: weights that sum to 1 to the billionth."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remix.errors import RecipeError
from remix.plan import Mix
from remix.plan.mix import STEPS, UNITS, between, share_out

parts = st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(1e-6, 1e6)), min_size=1, max_size=9)
mixes = parts.map(lambda pairs: Mix(tuple(pairs)))
shares = st.floats(-0.5, 1.5)


def units(mix: Mix[str]) -> dict[str, int]:
    return {value: round(weight * UNITS) for value, weight in mix.items}


@pytest.mark.parametrize(
    ("pairs", "items"),
    [
        ((("a", 1),), (("a", 1.0),)),
        ((("a", 0.7), ("b", 0.3)), (("a", 0.7), ("b", 0.3))),
        ((("a", 2), ("b", 1)), (("a", 0.666666667), ("b", 0.333333333))),
        ((("a", 1), ("b", 1), ("c", 1)), (("a", 0.333333334), ("b", 0.333333333), ("c", 0.333333333))),
        ((("b", 1), ("a", 1), ("b", 2)), (("b", 0.75), ("a", 0.25))),
        ((("a", 0), ("b", 5)), (("b", 1.0),)),
        ((("a", 1e-12), ("b", 1)), (("b", 1.0),)),
        ((("a", 5e-324), ("b", 5e-324)), (("a", 0.5), ("b", 0.5))),
        (((7, 0.5), (2**64 - 1, 0.5)), ((7, 0.5), (2**64 - 1, 0.5))),
    ],
)
def test_parts_become_weights(pairs: tuple[tuple[object, float], ...], items: object) -> None:
    assert Mix(pairs).items == items


@pytest.mark.parametrize(
    "pairs", [(), (("a", 0),), (("a", -1), ("b", 2)), (("a", float("nan")),), (("a", float("inf")),)]
)
def test_parts_that_are_no_weights_are_refused(pairs: tuple[tuple[str, float], ...]) -> None:
    with pytest.raises(RecipeError, match="weight"):
        Mix(pairs)


@pytest.mark.parametrize("part", ["1", True])
def test_a_weight_is_a_number(part: object) -> None:
    with pytest.raises(RecipeError, match="is not a number"):
        Mix((("a", part),))  # type: ignore[arg-type]


@given(mixes)
def test_weights_are_billionths_that_sum_to_one(mix: Mix[str]) -> None:
    assert sum(units(mix).values()) == UNITS
    assert all(
        count > 0 and count / UNITS == weight for (_, weight), count in zip(mix.items, units(mix).values(), strict=True)
    )
    assert len(set(mix.values)) == len(mix.values)
    assert Mix(mix.items) == mix
    assert sum(mix.weights) == pytest.approx(1, abs=1e-12)


@given(parts)
def test_a_weight_is_within_a_billionth_of_its_part(pairs: list[tuple[str, float]]) -> None:
    whole = sum(Fraction(part) for _, part in pairs)
    found = dict(Mix(tuple(pairs)).items)
    for value in dict(pairs):
        exact = sum(Fraction(part) for name, part in pairs if name == value) / whole
        assert abs(Fraction(found.get(value, 0.0)) - exact) < Fraction(1, UNITS) + Fraction(1, 10**15)


@given(mixes, mixes, shares)
def test_on_the_way_weights_are_within_a_billionth_of_the_line(a: Mix[str], b: Mix[str], t: float) -> None:
    found = a.toward(b, t)
    held = min(max(t, 0.0), 1.0)
    assert sum(units(found).values()) == UNITS
    for value in {*a.values, *b.values}:
        exact = (1 - held) * dict(a.items).get(value, 0.0) + held * dict(b.items).get(value, 0.0)
        assert dict(found.items).get(value, 0.0) == pytest.approx(exact, abs=1.01e-9)


@given(mixes, mixes)
def test_a_travel_hits_its_ends(a: Mix[str], b: Mix[str]) -> None:
    assert a.toward(b, 0) == a
    assert a.toward(b, 1) == b
    assert between(a, b, [-STEPS, 0, STEPS, 2 * STEPS]) == [a, a, b, b]


@given(mixes, shares)
def test_a_travel_to_itself_stays(mix: Mix[str], t: float) -> None:
    assert mix.toward(mix, t) == mix


def test_values_stand_in_order_of_first_appearance() -> None:
    start, end = Mix((("b", 1), ("a", 1))), Mix((("c", 1), ("a", 1)))
    assert start.toward(end, 0.5).values == ("b", "a", "c")


@given(st.integers(1, 50), st.lists(st.integers(0, 1000), min_size=1, max_size=6))
def test_shares_are_whole_near_and_keep_their_sum(per: int, exact: list[int]) -> None:
    exact.append(-sum(exact) % per)
    found = share_out(exact, per)
    assert sum(found) * per == sum(exact)
    assert all(abs(Fraction(part, per) - whole) < 1 for part, whole in zip(exact, found, strict=True))


def test_of_equal_remainders_the_earlier_is_served_first() -> None:
    assert share_out([1, 1], 2) == [1, 0]
    assert share_out([1, 1, 1], 3) == [1, 0, 0]
    assert share_out([2, 5, 5], 4) == [1, 1, 1]


def test_mixes_of_equal_items_are_equal_and_hash_alike() -> None:
    assert Mix((("a", 1),)) == Mix.one("a") == Mix((("a", 3),))
    assert len({Mix.one("a"), Mix((("a", 2),)), Mix.one("b")}) == 2
