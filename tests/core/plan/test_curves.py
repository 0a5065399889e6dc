"""Easing by name, and the curve through numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remix.errors import RecipeError
from remix.plan.curves import EASINGS, ease, easing_name, hermite, slopes
from tests.core.plan.recipes import beziers

shares = st.floats(0, 1)
MONOTONE = [name for name in EASINGS if not name.startswith(("bounce", "elastic"))]


@pytest.mark.parametrize(
    ("name", "t", "value"),
    [
        ("linear", 0.3, 0.3),
        ("in", 0.5, 0.25),
        ("out", 0.5, 0.75),
        ("in-out", 0.25, 0.125),
        ("cubic-in", 0.5, 0.125),
        ("cubic-out", 0.5, 0.875),
        ("cubic-in-out", 0.25, 0.0625),
        ("sine-in", 1 / 3, 1 - math.sqrt(3) / 2),
        ("sine-out", 1 / 3, 0.5),
        ("sine-in-out", 0.5, 0.5),
        ("exponential-in", 0.5, 2.0**-5),
        ("exponential-out", 0.5, 1 - 2.0**-5),
        ("exponential-in-out", 0.25, 2.0**-6),
        ("bounce-out", 1 / 2.75, 1.0),
        ("bounce-out", 0.36, 7.5625 * 0.36**2),
        ("bounce-out", 0.5, 7.5625 * (0.5 - 1.5 / 2.75) ** 2 + 0.75),
        ("bounce-out", 0.85, 7.5625 * (0.85 - 2.25 / 2.75) ** 2 + 0.9375),
        ("bounce-out", 0.95, 7.5625 * (0.95 - 2.625 / 2.75) ** 2 + 0.984375),
        ("bounce-in", 0.5, 1 - (7.5625 * (0.5 - 1.5 / 2.75) ** 2 + 0.75)),
        ("elastic-out", 0.5, 2.0**-5 * math.sin((5 - 0.75) * 2 * math.pi / 3) + 1),
        ("elastic-in", 0.5, -(2.0**-5) * math.sin((5 - 10.75) * 2 * math.pi / 3)),
        ("elastic-in-out", 0.25, -(2.0**-5) * math.sin((5 - 11.125) * 2 * math.pi / 4.5) / 2),
        ("hold", 0.999, 0.0),
        ("cubic-bezier(0, 0, 1, 1)", 0.3, 0.3),
        ("cubic-bezier(0.42, 0, 0.58, 1)", 0.5, 0.5),
        ("cubic-bezier(0.25, 0.1, 0.25, 1)", 0.5, 0.802403387584857),
    ],
)
def test_easings_follow_their_equations(name: str, t: float, value: float) -> None:
    assert ease(name, t) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("name", [*EASINGS, "cubic-bezier(0.3, -2, 0.1, 3)"])
def test_every_easing_hits_its_ends(name: str) -> None:
    assert (ease(name, 0), ease(name, 1)) == (0.0, 1.0)
    assert (ease(name, -0.5), ease(name, 1.5)) == (0.0, 1.0)


@pytest.mark.parametrize("name", EASINGS)
def test_an_easing_has_no_jump_at_its_ends(name: str) -> None:
    assert ease(name, 1e-9) == pytest.approx(0, abs=1e-3)
    if name != "hold":
        assert ease(name, 1 - 1e-9) == pytest.approx(1, abs=1e-3)


@given(st.sampled_from(MONOTONE), shares, shares)
def test_all_but_bounce_and_elastic_rise(name: str, s: float, t: float) -> None:
    low, high = sorted((s, t))
    assert ease(name, low) <= ease(name, high) + 1e-12


@given(st.sampled_from([name for name in EASINGS if name.endswith("in-out")]), st.integers(0, 1000))
def test_in_out_is_its_own_mirror(name: str, thousandths: int) -> None:
    t = thousandths / 1000
    assert ease(name, t) + ease(name, 1 - t) == pytest.approx(1, abs=1e-9)


@given(st.sampled_from(["", "cubic-", "sine-", "exponential-", "bounce-", "elastic-"]), shares)
def test_out_is_in_backwards(family: str, t: float) -> None:
    assert ease(f"{family}out", t) == pytest.approx(1 - ease(f"{family}in", 1 - t), abs=1e-12)


@given(shares, st.floats(-10, 10), shares, st.floats(-10, 10), shares)
def test_cubic_bezier_is_the_curve_of_its_points(x1: float, y1: float, x2: float, y2: float, u: float) -> None:
    def point(first: float, second: float) -> float:
        return 3 * (1 - u) ** 2 * u * first + 3 * (1 - u) * u**2 * second + u**3

    # Where x hardly moves, y is not to be had from x.
    slope = 3 * (1 - u) ** 2 * x1 + 6 * (1 - u) * u * (x2 - x1) + 3 * u**2 * (1 - x2)
    found = ease(f"cubic-bezier({x1!r}, {y1!r}, {x2!r}, {y2!r})", point(x1, x2))
    if slope > 1e-3 and 0 < point(x1, x2) < 1:
        assert found == pytest.approx(point(y1, y2), abs=1e-8)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("linear", "linear"),
        ("ease-in", "in"),
        ("ease_in_out", "in-out"),
        ("ease in out", "in-out"),
        ("EASE OUT", "out"),
        ("easeInOut", "in-out"),
        ("easeInOutCubic", "cubic-in-out"),
        ("ease_out_bounce", "bounce-out"),
        ("cubic", "cubic-in-out"),
        ("quadratic", "in-out"),
        ("easeInQuad", "in"),
        ("sine-in", "sine-in"),
        ("exponential_ease_out", "exponential-out"),
        ("easeOutExpo", "exponential-out"),
        ("inout", "in-out"),
        ("elastic", "elastic-in-out"),
        ("step", "hold"),
        ("Hold", "hold"),
        ("cubic-bezier(.42,0,1,1)", "cubic-bezier(0.42, 0, 1, 1)"),
        ("Cubic_Bezier( 0.1 , -2e0 , 1. , 3.5 )", "cubic-bezier(0.1, -2, 1, 3.5)"),
        ("cubic-bezier(-0, -0, 1, 1)", "cubic-bezier(0, 0, 1, 1)"),
    ],
)
def test_spellings_that_users_know_have_one_name(text: str, name: str) -> None:
    assert easing_name(text) == name
    assert easing_name(name) == name


@given(beziers)
def test_the_name_of_a_bezier_is_its_own_name(text: str) -> None:
    name = easing_name(text)
    assert easing_name(name) == name
    assert ease(name, 0.37) == ease(text, 0.37)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "known: linear"),
        ("ease", "known: linear"),
        ("sinus-in", 'did you mean "sine-in"'),
        ("linear-in", "did you mean"),
        ("hold-out", "known"),
        ("out-in", "known"),
        ("in-in", "known"),
        ("cubic-sine-in", "did you mean"),
        ("bezier(0,0,1,1)", "cubic-bezier(x1, y1, x2, y2)"),
        ("cubic-bezier(0,0,1)", "cubic-bezier(x1, y1, x2, y2)"),
        ("cubic-bezier(0,nan,1,1)", "cubic-bezier(x1, y1, x2, y2)"),
        ("cubic-bezier(1.1,0,1,1)", "0..1"),
        ("cubic-bezier(0,11,1,1)", "-10..10"),
        ("cubic-bezier(0,1e999,1,1)", "-10..10"),
        ("in" * 200, "400 characters"),
    ],
)
def test_what_is_no_easing_is_refused_with_advice(text: str, part: str) -> None:
    with pytest.raises(RecipeError) as caught:
        easing_name(text)
    assert part in str(caught.value)


points = st.lists(st.tuples(st.integers(1, 30), st.floats(-100, 100)), min_size=2, max_size=8)


def _curve(
    points: list[tuple[int, float]], period: float | None = None
) -> tuple[list[float], list[float], list[float]]:
    at = [float(sum(gap for gap, _ in points[: i + 1])) for i in range(len(points))]
    values = [value for _, value in points]
    return at, values, slopes(at, values, period)


@given(points, shares)
def test_the_cubic_curve_is_monotone_between_its_points(points: list[tuple[int, float]], t: float) -> None:
    at, values, found = _curve(points)
    for i in range(len(at) - 1):
        span = at[i + 1] - at[i]
        earlier, later = (
            hermite(values[i], values[i + 1], found[i] * span, found[i + 1] * span, u)
            for u in sorted((t, min(t + 0.1, 1)))
        )
        rising = values[i + 1] >= values[i]
        assert (later - earlier) * (1 if rising else -1) >= -1e-9


@given(points)
def test_the_cubic_curve_hits_its_points_and_reads_the_same_backwards(
    points: list[tuple[int, float]],
) -> None:
    at, values, found = _curve(points)
    back = slopes([-x for x in reversed(at)], list(reversed(values)))
    assert [-slope for slope in reversed(back)] == pytest.approx(found)
    for i in range(len(at) - 1):
        ends = [hermite(values[i], values[i + 1], found[i], found[i + 1], t) for t in (0.0, 1.0)]
        assert ends == pytest.approx([values[i], values[i + 1]])


@given(points, st.integers(1, 20), st.integers(0, 7))
def test_the_closed_curve_has_no_beginning(points: list[tuple[int, float]], gap: int, turn: int) -> None:
    at, values, _ = _curve(points)
    period = at[-1] - at[0] + gap
    turn %= len(at)
    turned = slopes([*at[turn:], *[x + period for x in at[:turn]]], [*values[turn:], *values[:turn]], period)
    found = slopes(at, values, period)
    assert turned == pytest.approx([*found[turn:], *found[:turn]])


def test_the_cubic_curve_of_a_line_is_the_line() -> None:
    assert slopes([0, 1, 5, 7], [1, 3, 11, 15]) == [2, 2, 2, 2]
    assert slopes([0, 4, 8], [0, 2, 0]) == [0.5, 0, -0.5]
    assert slopes([0, 4, 8], [0, 2, 1]) == [0.5, 0, -0.25]
    assert slopes([3], [7]) == [0]
