"""In-betweens of two pictures: motion, occlusion, morphs, transparency, and what is refused."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from remix.errors import BadInput, MissingPackage
from remix.motion import Picture, fit
from remix.motion.inbetween import QUALITIES, between
from remix.motion.pictures import difference

SIDE = 96


@pytest.fixture(autouse=True)
def opencv() -> None:
    pytest.importorskip("cv2")


def texture(seed: int, side: int = SIDE + 32) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (side // 6, side // 6, 3), dtype=np.uint8)
    return fit(coarse, side, side)


def shifted(whole: Picture, columns: int, rows: int = 0) -> Picture:
    return np.ascontiguousarray(whole[16 + rows : 16 + rows + SIDE, 16 + columns : 16 + columns + SIDE])


def dissolve(one: Picture, two: Picture, part: float) -> Picture:
    return np.rint((1 - part) * one.astype(np.float32) + part * two).astype(np.uint8)


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("part", [0.25, 0.5, 0.75])
def test_a_moving_picture_is_at_its_place_at_each_moment(quality: str, part: float) -> None:
    whole = texture(1)
    one, two, true = shifted(whole, 0), shifted(whole, 8, -4), shifted(whole, round(8 * part), round(-4 * part))
    (made,) = between(one, two, [part], quality=quality)
    inner = np.s_[12:-12, 12:-12]
    assert difference(made[inner], true[inner]).psnr > 38
    assert difference(dissolve(one, two, part)[inner], true[inner]).psnr < 25


def test_the_ends_are_the_pictures_themselves() -> None:
    one, two = shifted(texture(1), 0), shifted(texture(1), 5)
    first, last = between(one, two, [0, 1])
    assert np.array_equal(first, one)
    assert np.array_equal(last, two)


def test_what_a_moving_object_hides_comes_from_the_picture_that_shows_it() -> None:
    ground, disc = fit(texture(2)[:24, :24], 288, 288), fit(texture(3)[:10, :10], 128, 128)

    def scene(left: int) -> Picture:
        made = ground.copy()
        made[80:208, left : left + 128] = disc
        return made

    (made,) = between(scene(64), scene(88), [0.5])
    true = scene(76)
    assert difference(made, true).psnr > difference(dissolve(scene(64), scene(88), 0.5), true).psnr + 4
    for edge in (np.s_[80:208, 66:74], np.s_[80:208, 206:214]):  # hidden in one picture, visible in the other
        plain = difference(dissolve(scene(64), scene(88), 0.5)[edge], true[edge]).psnr
        assert difference(made[edge], true[edge]).psnr > plain + 2


def test_unrelated_pictures_dissolve_without_tearing() -> None:
    one, two = shifted(texture(4), 0), shifted(texture(5), 0)
    for part, made in zip((0.25, 0.5, 0.75), between(one, two, (0.25, 0.5, 0.75)), strict=True):
        assert difference(made, dissolve(one, two, part)).psnr > 26


def test_transparency_moves_with_its_object_and_hidden_colors_stay_hidden() -> None:
    def scene(left: int) -> Picture:
        made = np.zeros((64, 96, 4), np.uint8)
        made[..., :3] = (255, 0, 0)  # red, but transparent
        made[16:48, left : left + 32] = (0, 0, 255, 255)
        return made

    (made,) = between(scene(16), scene(32), [0.5])
    assert (made[20:44, 28:52, 3] > 250).all()
    assert (made[:, :12, 3] == 0).all()
    assert (made[:, 70:, 3] == 0).all()
    shown = made[made[..., 3] > 20]
    assert (shown[:, 0] < 20).all()
    assert (shown[:, 2] > 230).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (7, 5), (12, 12), (17, 33), (300, 8)])
@pytest.mark.parametrize("channels", [3, 4])
def test_pictures_of_any_size_have_in_betweens(size: tuple[int, int], channels: int) -> None:
    one, two = (np.full((*size, channels), level, np.uint8) for level in (100, 200))
    for each in (one, two):
        each[..., 3:] = 255
    (made,) = between(one, two, [0.5])
    assert made.shape == one.shape
    assert (made[..., :3] == 150).all()
    assert (made[..., 3:] == 255).all()


def test_pictures_of_two_sizes_and_an_unknown_quality_are_refused() -> None:
    with pytest.raises(BadInput, match="16x8 and 8x16"):
        between(np.zeros((8, 16, 3), np.uint8), np.zeros((16, 8, 3), np.uint8), [0.5])
    with pytest.raises(BadInput, match="'best'; choose from fine, fast"):
        between(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8), [0.5], quality="best")


def test_without_opencv_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingPackage, match=r"pip install .*\.\[between\]"):
        between(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8), [0.5])
