"""The UNet, its noise times and its batches."""

from __future__ import annotations

import random
from itertools import islice
from pathlib import Path

import pytest
import torch

from remix.client.playground.dataset import draw_dataset, load_dataset
from remix.client.playground.drawing import draw
from remix.client.playground.settings import Settings
from remix.client.playground.training import noise_source
from remix.client.playground.unet import (
    _captions,
    _noised,
    _rows,
    deal,
    new_scheduler,
    new_unet,
    noise_times,
    outline_weights,
)
from remix.client.playground.vae import SCALE, latents
from remix.client.playground.world import random_scenes


def test_the_unet_is_small_and_starts_near_zero() -> None:
    model = new_unet(0)
    assert sum(parameter.numel() for parameter in model.parameters()) < 6_000_000
    with torch.no_grad():
        guess = model(torch.randn(2, 4, 16, 16), torch.tensor([3, 800]), torch.randn(2, 32, 128)).sample
    assert guess.shape == (2, 4, 16, 16)
    assert guess.std() < 0.3


def test_noise_times_cover_everything_in_their_first_half() -> None:
    times = noise_times(400, noise_source(1))
    assert times.dtype == torch.long
    assert times.min() >= 0
    assert times.max() < 1000
    assert torch.equal(times[:200] // 5, torch.arange(200))
    assert times[200:].float().mean().item() == pytest.approx(550, abs=10)
    assert times[200:].float().std().item() == pytest.approx(170, abs=15)


def test_what_is_predicted_gives_back_the_clean_latents() -> None:
    clean = torch.randn(8, 4, 16, 16, generator=noise_source(5))
    keep = new_scheduler().alphas_cumprod.view(-1, 1, 1, 1)
    noisy, times, goal = _noised(clean, keep, noise_source(2))
    back = keep[times].sqrt() * noisy - (1 - keep[times]).sqrt() * goal
    torch.testing.assert_close(back, clean, atol=1e-5, rtol=0)
    scheduler = new_scheduler()
    noise = (noisy - keep[times].sqrt() * clean) / (1 - keep[times]).sqrt()
    torch.testing.assert_close(goal, scheduler.get_velocity(clean, noise, times), atol=1e-3, rtol=0)


def test_outlines_count_more_than_flat_places_in_the_loss() -> None:
    clean = torch.zeros(2, 4, 16, 16)
    clean[0, :, 4:9, 4:9] = 1
    weights = outline_weights(clean)
    assert weights.shape == (2, 1, 16, 16)
    assert weights[0].mean().item() == pytest.approx(1)
    assert weights[0, 0, 4, 4] > 2
    assert weights[0, 0, 0, 12] == 0.5
    assert torch.equal(weights[1], torch.full((1, 16, 16), 0.5))  # nothing to see, nothing but half


def test_an_epoch_shows_each_picture_once_over_all_processes() -> None:
    settings = Settings(batch=4, processes=2)
    first = torch.cat([_rows(24, step, rank, settings) for step in range(3) for rank in range(2)])
    assert sorted(first.tolist()) == list(range(24))
    second = torch.cat([_rows(24, step, rank, settings) for step in range(3, 6) for rank in range(2)])
    assert sorted(second.tolist()) == list(range(24))
    assert first.tolist() != second.tolist()


def test_pairs_and_suns_are_dealt_three_times() -> None:
    scenes = list(islice(random_scenes(random.Random(0)), 100))
    dealt = deal(scenes).tolist()
    hard = [scene.neighbor is not None or scene.thing == "sun" for scene in scenes]
    assert [dealt.count(i) for i in range(100)] == [3 if one else 1 for one in hard]
    assert any(scene.thing == "sun" and not scene.neighbor for scene in scenes)


def test_fewer_pictures_than_a_batch_are_shown_again() -> None:
    rows = _rows(3, 5, 0, Settings(batch=8, processes=1))
    assert sorted(set(rows.tolist())) == [0, 1, 2]


def test_one_caption_in_ten_is_silent() -> None:
    scenes = list(islice(random_scenes(random.Random(0)), 3000))
    silent = [not each.text and not any(each.named) for each in _captions(scenes, random.Random(1))]
    assert sum(silent) / len(silent) == pytest.approx(0.1, abs=0.02)


def test_the_dataset_is_drawn_once_and_matches_its_scenes(tmp_path: Path) -> None:
    settings = Settings(pictures=7, seed=3)
    draw_dataset(tmp_path, settings)
    written = [(path.name, path.stat().st_mtime_ns) for path in (tmp_path / "latents").iterdir()]
    scenes, clean = load_dataset(tmp_path, settings)
    assert [name for name, _ in written] == ["000.npy"]
    assert clean.shape == (7, 4, 16, 16)
    torch.testing.assert_close(clean, latents(draw(scenes) * 2 - 1) * SCALE, atol=0.03, rtol=0)
    draw_dataset(tmp_path, settings)
    assert [(path.name, path.stat().st_mtime_ns) for path in (tmp_path / "latents").iterdir()] == written
