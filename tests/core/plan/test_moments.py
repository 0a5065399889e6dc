"""Where keyframes sit: frames, times, shares, and evenly spaced."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remix.errors import RecipeError
from remix.plan import Keyframe, Recipe


def positions(moments: list[Any], frames: int | str, loop: bool = False, fps: float = 12.0) -> tuple[int, ...]:
    keyframes = tuple(Keyframe(at) for at in moments)
    return Recipe(frames, keyframes, fps=fps, loop=loop).positions()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("at", "frame", "in_a_loop"),
    [
        (0, 0, 0),
        (47, 47, 47),
        (12.0, 12, 12),
        ("0%", 0, 0),
        ("50%", 24, 24),
        ("25%", 12, 12),
        ("33.3%", 16, 16),
        ("99%", 47, None),
        ("100%", 47, None),
        ("2s", 24, 24),
        ("1.5s", 18, 18),
        ("500ms", 6, 6),
        (".5 s", 6, 6),
        (" 2. s ", 24, 24),
        ("41ms", 0, 0),
        ("42ms", 1, 1),
        ("125ms", 2, 2),
    ],
)
def test_a_moment_falls_on_a_frame(at: Any, frame: int, in_a_loop: int | None) -> None:
    assert positions([at], 48) == (frame,)
    if in_a_loop is not None:
        assert positions([at], 48, loop=True) == (in_a_loop,)


def test_frames_a_second_are_the_decimal_number_they_were_written_as() -> None:
    """5 s at 0.3 are 1.5 frames, although the float 0.3 is a little less."""
    assert positions(["5s"], 48, fps=0.3) == (2,)


@pytest.mark.parametrize(
    ("moments", "frames", "loop", "found"),
    [
        ([None], 48, False, (0,)),
        ([None], 48, True, (0,)),
        ([None, None], 48, False, (0, 47)),
        ([None, None], 48, True, (0, 24)),
        ([None] * 3, 49, False, (0, 24, 48)),
        ([None] * 3, 48, True, (0, 16, 32)),
        ([None] * 4, 10, False, (0, 3, 6, 9)),
        ([None] * 4, 10, True, (0, 3, 5, 8)),
        ([10, None, 20], 48, False, (10, 15, 20)),
        ([10, None, None, 20], 48, False, (10, 13, 17, 20)),
        ([None, 20, None], 41, False, (0, 20, 40)),
        ([12, None, None], 48, True, (12, 28, 44)),
        ([40, None], 48, True, (40, 16)),
        ([None, "1s", None, "3s"], 48, False, (0, 12, 24, 36)),
        ([30, 10, 20], 48, False, (30, 10, 20)),
        ([0], 1, False, (0,)),
        (["100%"], 1, False, (0,)),
    ],
)
def test_keyframes_without_a_moment_are_spaced_evenly(
    moments: list[Any], frames: int, loop: bool, found: tuple[int, ...]
) -> None:
    assert positions(moments, frames, loop) == found


@pytest.mark.parametrize(
    ("moments", "frames", "loop", "path", "part"),
    [
        ([0, 48], 48, False, "keyframes[1].at", '48 is past the last frame (47); raise "frames"'),
        ([48], 48, True, "keyframes[0].at", "48 of a loop is frame 0 again; leave"),
        ([0, "4s"], 48, False, "keyframes[1].at", '"4s" is frame 48, which is past the last frame (47)'),
        (["101%"], 101, False, "keyframes[0].at", '"101%" is frame 101, which is past the last frame (100)'),
        ([0, "100%"], 48, True, "keyframes[1].at", '"100%" of a loop is frame 0 again; leave this keyframe out'),
        (["4s"], 48, True, "keyframes[0].at", '"4s" of a loop is frame 0 again'),
        ([5, 7, 5], 48, False, "keyframes[2].at", "frame 5 already belongs to keyframes[0]; move one"),
        (["1s", 12], 48, False, "keyframes[1].at", "frame 12 already belongs to keyframes[0]"),
        ([None, 0], 48, False, "keyframes[1].at", "frame 0 already belongs to keyframes[0]"),
        ([None, None, None], 2, False, "keyframes[2].at", "frame 1 already belongs to keyframes[1]"),
        ([None, None, None], 2, True, "keyframes[2].at", "frame 1 already belongs to keyframes[1]"),
    ],
)
def test_moments_that_do_not_fit_the_film_are_refused(
    moments: list[Any], frames: int, loop: bool, path: str, part: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        positions(moments, frames, loop)
    assert caught.value.path == path
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("at", "part"),
    [
        (-1, "-1 is before the first frame (0)"),
        (-2.0, "-2.0 is before the first frame"),
        (1.5, "1.5 is between two frames"),
        (float("nan"), "between two frames"),
        (float("inf"), "between two frames"),
        (True, "True is not a moment"),
        ("12", '\'12\' is not a moment; write a frame (24), a time ("2s", "500ms"), a share ("50%") or a beat'),
        ("-1s", "not a moment"),
        ("1h", "not a moment"),
        ("", "not a moment"),
        ("%", "not a moment"),
        ("1e3s", "not a moment"),
        ("1" * 13 + "s", "not a moment"),
        ("٣s", "not a moment"),
        ([1], "not a moment"),
        pytest.param(10**5000, "an integer of more than 38 digits is past the last frame", id="5001 digits"),
    ],
)
def test_what_is_no_moment_is_refused(at: Any, part: str) -> None:
    with pytest.raises(RecipeError) as caught:
        positions([at], 48)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("frames", "fps", "count"),
    [(1, 12, 1), (100_000, 12, 100_000), ("4s", 12, 48), ("4s", 23.976, 96), ("500ms", 25, 13), ("0.1s", 10, 1)],
)
def test_a_length_is_a_count_or_a_time(frames: Any, fps: float, count: int) -> None:
    assert Recipe(frames, (Keyframe(),), fps=fps).frames == count


@pytest.mark.parametrize("frames", [0, -1, 100_001, 1.0, True, "4", "50%", "0s", "9999s", None, "4 min"])
def test_a_length_that_is_none_is_refused(frames: Any) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe(frames, (Keyframe(),))
    assert caught.value.path == "frames"


@given(st.integers(1, 10**9), st.integers(1, 240_000), st.integers(1, 5000))
def test_a_time_falls_on_the_nearest_frame(microseconds: int, milli_fps: int, frames: int) -> None:
    exact = Fraction(microseconds, 10**6) * Fraction(milli_fps, 1000)
    nearest = (exact + Fraction(1, 2)).__floor__()
    text = f"{microseconds // 10**6}.{microseconds % 10**6:06}s"
    if nearest < frames:
        assert positions([text], frames, fps=milli_fps / 1000) == (nearest,)
    else:
        with pytest.raises(RecipeError, match="past the last frame"):
            positions([text], frames, fps=milli_fps / 1000)


@given(st.integers(1, 40), st.integers(0, 400), st.booleans())
def test_even_spacing_is_even(count: int, more: int, loop: bool) -> None:
    found = positions([None] * count, count + more, loop)
    assert found[0] == 0
    assert list(found) == sorted(set(found))
    ends = [*found, count + more] if loop else list(found)
    gaps = [b - a for a, b in pairwise(ends)]
    assert not gaps or max(gaps) - min(gaps) <= 1
    if not loop and count > 1:
        assert found[-1] == count + more - 1
