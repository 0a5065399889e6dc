"""The contact sheet."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remix.errors import BadInput, PictureError
from remix.motion import save_picture
from remix.show.contact_sheet import BACKGROUND, GAP, contact_sheet, evenly
from remix.show.lettering import LINE


def greys(count: int, width: int = 20, height: int = 10) -> list[np.ndarray]:
    return [np.full((height, width, 3), 30 + index, np.uint8) for index in range(count)]


def shown(sheet: np.ndarray, width: int = 20, height: int = 10) -> list[int]:
    """Returns the numbers of the gray pictures on a sheet, in reading order."""
    found = []
    for top in range(GAP, sheet.shape[0] - height, height + GAP):
        for left in range(GAP, sheet.shape[1] - width, width + GAP):
            cell = sheet[top : top + height, left : left + width]
            assert (cell == cell[0, 0]).all()
            if cell[0, 0, 0] != BACKGROUND[0]:
                found.append(int(cell[0, 0, 0]) - 30)
    return found


@pytest.mark.parametrize(
    ("count", "most", "chosen"),
    [(0, 5, []), (1, 5, [0]), (5, 5, [0, 1, 2, 3, 4]), (5, 1, [0]), (5, 2, [0, 4]), (10, 4, [0, 3, 6, 9])],
)
def test_evenly_chosen_indices(count: int, most: int, chosen: list[int]) -> None:
    assert evenly(count, most) == chosen


@settings(deadline=None)
@given(count=st.integers(1, 5000), most=st.integers(2, 60))
def test_evenly_chosen_indices_have_both_ends_and_equal_steps(count: int, most: int) -> None:
    chosen = evenly(count, most)
    assert (chosen[0], chosen[-1], len(chosen)) == (0, count - 1, min(count, most))
    steps = {after - before for before, after in pairwise(chosen)}
    assert not steps or (min(steps) >= 1 and max(steps) - min(steps) <= 1)


def test_a_sheet_shows_all_pictures_in_reading_order() -> None:
    sheet = contact_sheet(greys(7), 3)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (GAP + 3 * (10 + GAP), GAP + 3 * (20 + GAP), 3)
    assert shown(sheet) == list(range(7))


@pytest.mark.parametrize(
    ("count", "shape", "columns"),
    [
        (1, (10, 10), 1),
        (2, (10, 10), 2),
        (3, (10, 10), 3),
        (4, (10, 10), 2),
        (5, (10, 10), 3),
        (6, (10, 10), 3),
        (7, (10, 10), 4),
        (9, (10, 10), 3),
        (12, (10, 10), 4),
        (13, (10, 10), 5),
        (24, (10, 10), 6),
        (4, (20, 10), 4),
        (4, (10, 20), 2),
        (3, (2, 90), 1),
    ],
)
def test_a_sheet_leaves_few_places_empty_and_is_no_strip(count: int, shape: tuple[int, int], columns: int) -> None:
    """`shape` is height and width of a picture."""
    sheet = contact_sheet(greys(count, shape[1], shape[0]))
    assert sheet.shape[1] == GAP + columns * (shape[1] + GAP)
    assert len(shown(sheet, shape[1], shape[0])) == count


def test_many_pictures_are_thinned_out_evenly() -> None:
    assert shown(contact_sheet(greys(100), 4, max_pictures=12)) == evenly(100, 12)


@settings(deadline=None)
@given(count=st.integers(1, 130), most=st.integers(2, 12))
def test_a_stream_is_thinned_out_too_with_both_ends(count: int, most: int) -> None:
    found = shown(contact_sheet(iter(greys(count)), 4, max_pictures=most))
    assert found == sorted(set(found))
    assert (found[0], found[-1]) == (0, count - 1)
    assert len(found) == min(count, most)
    assert max(abs(a - b) for a, b in zip(found, evenly(count, most), strict=True)) <= max(1, count // (4 * most))


def test_of_paths_only_what_is_shown_is_opened(tmp_path: Path) -> None:
    paths: list[str | Path] = [tmp_path / f"{index}.png" for index in range(50)]
    for index in evenly(50, 4):
        save_picture(paths[index], greys(50)[index])
    assert shown(contact_sheet(paths, 2, max_pictures=4)) == evenly(50, 4)


def test_a_long_stream_leaves_only_thumbnails_in_memory() -> None:
    def stream() -> Iterator[np.ndarray]:
        for index in range(200):
            yield np.full((256, 256, 3), index, np.uint8)

    contact_sheet(stream(), max_cell=16)  # loads fonts and modules
    tracemalloc.start()
    contact_sheet(stream(), max_cell=16)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 256 * 256 * 3


def test_cells_keep_the_shape_of_the_first_picture() -> None:
    sheet = contact_sheet(greys(1, 400, 100), max_cell=64)
    assert sheet.shape == (GAP + 16 + GAP, GAP + 64 + GAP, 3)
    mixed = contact_sheet([*greys(1, 40, 40), np.full((10, 40, 3), 200, np.uint8)], 2)
    assert (mixed[GAP + 16 : GAP + 24, GAP + 40 + GAP : -GAP] == 200).all()
    assert (mixed[GAP, GAP + 40 + GAP] == BACKGROUND).all()


def test_small_pictures_are_not_enlarged() -> None:
    assert contact_sheet(greys(1, 3, 2)).shape == (GAP + 2 + GAP, GAP + 3 + GAP, 3)


def test_labels_are_written_below() -> None:
    plain, labelled = (
        contact_sheet(greys(2, 60, 40), 2),
        contact_sheet(greys(2, 60, 40), 2, label=lambda n: f"frame {n}"),
    )
    assert labelled.shape[0] == plain.shape[0] + LINE
    assert np.array_equal(labelled[: GAP + 40], plain[: GAP + 40])
    assert (labelled[GAP + 40 :] < 100).any()


def test_impossible_sheets_are_refused() -> None:
    with pytest.raises(PictureError, match="no pictures"):
        contact_sheet([])
    with pytest.raises(PictureError, match="no pictures"):
        contact_sheet(iter([]))
    with pytest.raises(PictureError, match="uint8"):
        contact_sheet([np.zeros((3, 3))])
    with pytest.raises(BadInput, match="columns: 0"):
        contact_sheet(greys(1), 0)
    with pytest.raises(BadInput, match="give 1 or more"):
        contact_sheet(greys(1), max_pictures=0)
    with pytest.raises(BadInput, match="smaller cells"):
        contact_sheet(greys(1, 9000, 8000), max_cell=9000)
