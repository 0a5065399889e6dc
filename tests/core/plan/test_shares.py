"""Tables of shares and numbers for each frame, to mix things that recipes cannot name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remix.errors import RecipeError
from remix.plan import EASINGS, Keyframe, Mix, Recipe, plan
from remix.plan.shares import scheduled_shares, table, travelled_shares, written_shares
from remix.plan.values import expression_values, ramp_values, setting_values, share_values, whole


def film(*keyframes: Keyframe, frames: int = 5, **fields: object):
    return plan(Recipe(frames=frames, keyframes=keyframes or (Keyframe(),), **fields))


CATS = film(Keyframe(prompt="cat", cfg=2, seed=1), Keyframe(prompt="dog", cfg=6, seed=2))


def test_a_table_has_the_values_as_the_film_comes_upon_them():
    mixes = [Mix.one("b"), Mix((("a", 1), ("b", 1))), Mix.one("a")]
    assert table(mixes) == (["b", "a"], [[1, 0], [0.5, 0.5], [0, 1]])


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("1, 1", [[0.5, 0.5]]),
        ("3 1", [[0.75, 0.25]]),
        (" .7,.3 ", [[0.7, 0.3]]),
        ("1,0\n\n1,1\n0,1\n", [[1, 0], [0.5, 0.5], [0, 1]]),
        ("1 0; 0 1", [[1, 0], [0, 1]]),
        ("1e-2, 3e-2", [[0.25, 0.75]]),
    ],
)
def test_shares_are_read_line_by_line(text, rows):
    assert written_shares(text, 2) == rows


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", None, "there are none; write 2 numbers, such as 1, 1"),
        ("1", 1, "has 1 part"),
        ("1, 1\n1, 2, 3", 2, "has 3 part.*there are 2 sources; write 2 in each line"),
        ("1, one", 1, "is not numbers alone"),
        ("0, 0", 1, "at least one value with a weight above 0"),
        ("1, -1", 1, "not a number from 0 up"),
        ("1, nan", 1, "not a number from 0 up"),
        ("1, inf", 1, "not a number from 0 up"),
    ],
)
def test_shares_that_cannot_be_are_refused_with_their_line(text, line, words):
    with pytest.raises(RecipeError, match=words) as caught:
        written_shares(text, 2)
    assert (caught.value.path, caught.value.line) == ("weights", line)


@given(count=st.integers(1, 6), more=st.integers(0, 30), ease=st.sampled_from(EASINGS), loop=st.booleans())
def test_a_travel_visits_every_source_in_order_and_sums_to_one(count, more, ease, loop):
    rows = travelled_shares(count, count + more, ease=ease, loop=loop)
    assert len(rows) == count + more
    assert all(abs(sum(row) - 1) < 1e-12 and min(row) >= 0 for row in rows)
    alone = [row.index(1.0) for row in rows if 1.0 in row]
    assert set(alone) == set(range(count))
    assert alone[0] == 0
    assert rows[0][0] == 1
    if not loop:
        assert alone == sorted(alone)
        assert rows[-1][-1] == 1 or count == 1


def test_a_travel_needs_a_frame_for_each_source():
    with pytest.raises(RecipeError, match="frames: 2 cannot visit 3 sources; give 3 or more"):
        travelled_shares(3, 2)


def test_a_schedule_gives_its_shares_to_as_many_sources():
    assert scheduled_shares(CATS, "prompt", 2) == travelled_shares(2, 5)
    assert scheduled_shares(CATS, "negative", 1) == [[1.0]] * 5


@pytest.mark.parametrize(
    ("field", "count", "words"),
    [
        ("prompt", 3, r"prompt: the schedule has 2 \('cat', 'dog'\), and 3 sources are given; give one for each"),
        ("image", 2, "image: no keyframe sets it"),
        ("cfg", 2, "'cfg' is not mixed; choose one of prompt, negative, seed, image"),
    ],
)
def test_a_schedule_that_does_not_fit_the_sources_is_refused(field, count, words):
    with pytest.raises(RecipeError, match=words):
        scheduled_shares(CATS, field, count)


# --- numbers for each frame


def test_settings_are_those_of_the_frames():
    assert setting_values(CATS, "cfg") == [2, 3, 4, 5, 6]
    assert setting_values(CATS, "denoise") == [1.0] * 5
    with pytest.raises(RecipeError, match="choose cfg or denoise"):
        setting_values(CATS, "prompt")


def test_a_ramp_goes_from_start_to_end_and_home_in_a_loop():
    assert ramp_values(CATS, -200, 200) == [-200, -100, 0, 100, 200]
    assert ramp_values(CATS, 1, 3, "in") == [1, 1.125, 1.5, 2.125, 3]
    assert max(ramp_values(CATS, 0, 1, "elastic-out")) > 1
    assert ramp_values(film(frames=4, loop=True), 0, 1) == [0, 0.5, 1, 0.5]
    assert ramp_values(film(frames=1), 7, 9) == [7]
    assert all(type(value) is float for value in ramp_values(CATS, 0, 1))


def test_a_share_is_how_much_of_a_value_a_frame_has():
    assert share_values(CATS, "prompt", 1) == [0, 0.25, 0.5, 0.75, 1]
    assert share_values(CATS, "seed", 0, 2, 6) == [6, 5, 4, 3, 2]
    with pytest.raises(RecipeError, match="prompt: 2 is not one of its 2 values; give 0 to 1"):
        share_values(CATS, "prompt", 2)
    with pytest.raises(RecipeError, match="image: no keyframe sets it"):
        share_values(CATS, "image", 0)


def test_an_expression_knows_the_frame_and_its_numbers():
    assert expression_values(CATS, "t/max_f") == [0, 0.25, 0.5, 0.75, 1]
    assert expression_values(CATS, "cfg + fps") == [14, 15, 16, 17, 18]
    with pytest.raises(RecipeError, match="sede"):
        expression_values(CATS, "sede + 1")


def test_whole_numbers_are_the_nearest_and_halves_go_up():
    assert whole([0.5, 1.5, 2.49, -0.5, -0.51]) == [1, 2, 2, 0, -1]
    with pytest.raises(RecipeError, match="1e\\+30 is beyond"):
        whole([0.0, 1e30])
