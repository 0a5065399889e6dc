"""Whether frames between two pictures are a morph, in numbers."""

from __future__ import annotations

import random

import pytest
import torch

from remix.client.playground.drawing import draw
from remix.client.playground.travel import FRAMES, GRAIN, SHARPNESS, grain, measured, sharpness
from remix.client.playground.world import arrange, random_scenes


def _ends() -> tuple[torch.Tensor, torch.Tensor]:
    rng = random.Random(1)
    first, last = draw([arrange("star", "red", "blue", rng=rng), arrange("ring", "green", "white", rng=rng)])
    return first, last


def _faded(shares: list[float]) -> torch.Tensor:
    first, last = _ends()
    return torch.stack([first + (last - first) * share for share in shares])


def test_drawings_are_calm_and_sharp() -> None:
    world = random_scenes(random.Random(2))
    pictures = draw([next(world) for _ in range(60)])
    assert grain(pictures).max() < GRAIN / 2
    assert sharpness(pictures).min() > SHARPNESS


def test_noise_has_grain_and_blur_is_not_sharp() -> None:
    picture = _ends()[0][None]
    noisy = picture + 0.1 * torch.randn(picture.shape, generator=torch.Generator().manual_seed(0))
    blurred = torch.nn.functional.avg_pool2d(picture, 63, 1, 31, count_include_pad=False)
    assert grain(noisy).item() > GRAIN
    assert sharpness(blurred).item() < SHARPNESS


def test_drawings_are_told_from_blurred_ones() -> None:
    world = random_scenes(random.Random(7))
    drawn = draw([next(world) for _ in range(150)])
    blurred = drawn
    for _ in range(3):
        wide = torch.nn.functional.pad(blurred, (4,) * 4, mode="replicate")
        blurred = torch.nn.functional.avg_pool2d(wide, 9, 1)
    assert (sharpness(drawn) < SHARPNESS).float().mean() < 0.02
    assert (sharpness(blurred) < SHARPNESS).float().mean() > 0.98


def test_faint_colors_are_as_sharp_as_bold_ones() -> None:
    bold = _ends()[0][None]
    faint = 0.5 + 0.2 * (bold - 0.5)
    blurred = torch.nn.functional.avg_pool2d(bold, 15, 1, 7, count_include_pad=False)
    assert sharpness(faint).item() == pytest.approx(sharpness(bold).item(), rel=1e-4)
    assert sharpness(bold).item() > 2 * SHARPNESS > 2 * sharpness(blurred).item()


def test_an_even_walk_is_steady() -> None:
    made = measured(_faded(torch.linspace(0, 1, FRAMES).tolist()))
    assert made.back == 0
    assert made.steady
    assert made.clean


def test_a_walk_that_turns_round_is_not_steady() -> None:
    made = measured(_faded([0, 0.2, 0.6, 0.4, 0.8, 1]))
    assert abs(made.back - 0.2) < 0.02
    assert not made.steady


def test_a_noisy_frame_in_the_middle_is_not_clean() -> None:
    frames = _faded([0, 0.5, 1])
    frames[1] = torch.rand(3, 128, 128, generator=torch.Generator().manual_seed(0))
    assert not measured(frames).clean
