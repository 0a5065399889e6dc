"""A schedule as pictures: its curves and its table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageDraw

from remix.plan import Keyframe, Mix, Recipe, Schedule, plan
from remix.show import plot
from remix.show.plot import COLOURS, DARK, LIGHT, WIDTH, bands, draw, ticks


def schedule(frames: int, prompt: str = "a") -> Schedule:
    return plan(Recipe(frames=frames, keyframes=(Keyframe(prompt=prompt), Keyframe(prompt="b", cfg=3))))


@pytest.mark.parametrize(
    ("count", "fps", "expected"),
    [
        (1, 12, [0]),
        (2, 12, [0, 1]),
        (5, 12, [0, 1, 2, 3, 4]),
        (24, 12, [0, 3, 6, 9, 12, 15, 18, 21]),
        (48, 12, [0, 6, 12, 18, 24, 30, 36, 42]),
        (100, 24, list(range(0, 100, 12))),
        (100, 23.976, list(range(0, 100, 10))),
        (30, 0.01, list(range(0, 30, 3))),
    ],
)
def test_the_frames_that_an_axis_tells_stand_at_even_times(count: int, fps: float, expected: list[int]) -> None:
    assert list(ticks(count, fps)) == expected


@given(count=st.integers(1, 10_000_000), fps=st.floats(0.001, 240))
def test_an_axis_tells_at_least_three_frames_and_at_most_ten(count: int, fps: float) -> None:
    assert min(count, 3) <= len(ticks(count, fps)) <= 10


@pytest.mark.parametrize("frames", [1, 2, 48])
def test_below_each_band_stand_the_numbers_of_frames(frames: int) -> None:
    """A stroke for each number; both ends of what is written stay within the margins."""
    keyframes = (Keyframe(prompt="a", seed=1), Keyframe(prompt="b", seed=2))[:frames]
    recipe = Recipe(frames=frames, keyframes=keyframes)
    picture = draw(plan(recipe))
    strokes = sum((line == np.asarray(LIGHT.ink)).all(-1).sum() == len(ticks(frames, 12)) for line in picture)
    assert strokes >= 4 * len(bands(plan(recipe)))
    assert (picture[:, :15] == np.asarray(LIGHT.paper)).all()
    assert (picture[:, WIDTH - 15 :] == np.asarray(LIGHT.paper)).all()


def many(keyframes: int) -> Schedule:
    return plan(Recipe(frames=2 * keyframes, keyframes=tuple(Keyframe(prompt=f"p{k}") for k in range(keyframes))))


def test_what_is_drawn_grows_with_the_keyframes_and_no_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    corners: list[int] = []
    polygon = ImageDraw.ImageDraw.polygon

    def counted(self: Any, xy: Sequence[Any], *args: Any, **kwargs: Any) -> None:
        corners.append(len(xy))
        polygon(self, xy, *args, **kwargs)

    monkeypatch.setattr(ImageDraw.ImageDraw, "polygon", counted)
    drawn = {}
    for keyframes in (50, 200):
        corners.clear()
        bands(many(keyframes))
        drawn[keyframes] = sum(corners)
    assert 0 < drawn[200] <= 4.2 * drawn[50]


def test_shares_are_stacked_in_the_order_in_which_they_appear() -> None:
    """One that ends, and one that comes back: each column shows the shares of its frame, the first value lowest."""
    keyframes = (Keyframe(prompt="a"), Keyframe(prompt="b"), Keyframe(prompt="c"), Keyframe(prompt="a"))
    [band] = bands(plan(Recipe(frames=4, keyframes=keyframes)))
    height, width = band.picture.shape[:2]

    def colors(x: int, *heights: float) -> list[tuple[int, ...]]:
        return [tuple(int(part) for part in band.picture[int(height * (1 - y)), x]) for y in heights]

    a, b, c = COLOURS[:3]
    assert colors(3, 0.1, 0.9) == [a, a]
    assert colors(width // 6, 0.25, 0.75) == [a, b]
    assert colors(width // 2, 0.25, 0.75) == [b, c]
    assert colors(width * 5 // 6, 0.25, 0.75) == [a, c]
    assert colors(width - 4, 0.1, 0.9) == [a, a]


def test_a_legend_names_the_first_values_and_counts_the_others() -> None:
    [band] = bands(many(3_000))
    assert [text for _, text in band.legend] == [*(f"p{k}" for k in range(12)), "and 2,988 more"]


def test_keyframes_without_room_are_strokes_that_leave_the_band_visible() -> None:
    [band] = bands(many(3_000))
    ink = (band.picture == np.asarray(LIGHT.ink)).all(-1)
    assert ink[:50].sum() == 0
    assert ink[-6].mean() > 0.9


def test_a_band_of_a_long_film_draws_few_frames_and_loses_no_peak() -> None:
    values = [1.0] * 100_000
    values[54_321], values[54_322] = 9.0, -9.0
    chosen = plot.sampled(values)
    assert {0, 54_321, 54_322, 99_999} <= set(chosen)
    assert list(chosen) == sorted(chosen)
    assert len(chosen) <= 2 * plot.SAMPLES
    assert list(plot.sampled(values[:3_600])) == list(range(3_600))
    mixes = [Mix.one("a")] * 99_999 + [Mix.one("b")]
    assert plot.sampled(mixes)[-1] == 99_999
    assert len(plot.sampled(mixes)) == plot.SAMPLES


def test_a_dark_picture_has_the_same_curves_on_another_background() -> None:
    light, dark = (draw(schedule(48), theme) for theme in (LIGHT, DARK))
    assert light.shape == dark.shape
    assert dark.mean() < light.mean() / 2
    for theme, picture in ((LIGHT, light), (DARK, dark)):
        assert (picture == np.asarray(theme.paper)).all(-1).mean() > 0.3
    for color in COLOURS[:2]:
        assert np.array_equal((light == np.asarray(color)).all(-1), (dark == np.asarray(color)).all(-1))
