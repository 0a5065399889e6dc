"""The autoencoder: an encoder set by hand and a decoder that starts as an enlarger."""

from __future__ import annotations

import random
from itertools import islice

import numpy as np
import pytest
import torch

from remix.client.playground.drawing import draw
from remix.client.playground.vae import SCALE, SHAPE, _corner, _crops, latents, new_autoencoder
from remix.client.playground.world import random_scenes


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    return draw(list(islice(random_scenes(random.Random(1)), 32))) * 2 - 1


def test_latents_are_block_means_and_the_slope_of_brightness() -> None:
    picture = torch.rand(1, 3, 16, 16) * 2 - 1
    small = latents(picture)
    assert small.shape == (1, 4, 2, 2)
    torch.testing.assert_close(small[0, :3, 1, 0], picture[0, :, 8:, :8].mean((1, 2)))
    bright = (picture[0] * torch.tensor([0.3, 0.59, 0.11]).view(3, 1, 1)).sum(0)
    slope = 2 * (bright[8:12, :4].mean() - bright[12:, 4:8].mean())
    torch.testing.assert_close(small[0, 3, 1, 0], slope)


def test_the_network_encodes_as_the_formula_does(pictures: torch.Tensor) -> None:
    model = new_autoencoder(0)
    noise = torch.rand(2, 3, 128, 128) * 2 - 1  # not of this world: the encoder does not mind
    for batch in (pictures[:4], noise):
        with torch.no_grad():
            coded = model.encode(batch).latent_dist
        assert coded.mean.shape[1:] == SHAPE
        torch.testing.assert_close(coded.mean, latents(batch), rtol=0, atol=1e-4)
        assert coded.std.max() < 0.02


def test_the_decoder_starts_as_an_enlarger_of_the_means(pictures: torch.Tensor) -> None:
    with torch.no_grad():
        small = latents(pictures[:4])
        decoded = new_autoencoder(0).decode(small).sample
    enlarged = torch.nn.functional.interpolate(small[:, :3], scale_factor=8)
    assert (decoded - enlarged).abs().mean() < 0.1


def test_scaled_latents_have_unit_variance(pictures: torch.Tensor) -> None:
    assert (latents(pictures) * SCALE).std().item() == pytest.approx(1, abs=0.15)


def test_training_crops_are_of_pictures_and_repeat_for_a_key() -> None:
    assert _crops((0, 2, 8)).shape == (4, 3, 128, 128)
    crops = _crops((0, 2, 9))
    assert crops.shape == (16, 3, 64, 64)
    assert crops.min() >= -1
    assert crops.max() <= 1
    assert torch.equal(crops, _crops((0, 2, 9)))
    assert not torch.equal(crops, _crops((0, 2, 10)))


def test_crop_corners_lie_on_the_grid_of_the_latents() -> None:
    source = np.random.default_rng(0)
    for scene in islice(random_scenes(random.Random(2)), 300):
        for corner in _corner(scene, source):
            assert corner % 8 == 0
            assert 0 <= corner <= 64
