"""The UNet's training set: scenes, and the latents of their pictures, kept in shards."""

from __future__ import annotations

import itertools
import logging
import os
import random
from pathlib import Path

import numpy as np
import torch

from remix.client.playground.drawing import draw
from remix.client.playground.settings import Settings
from remix.client.playground.vae import SCALE, latents
from remix.client.playground.world import Scene, random_scenes

log = logging.getLogger(__name__)

_SHARD = 1000
_CHUNK = 50


def _shards(settings: Settings) -> list[int]:
    """Returns the sizes of the shards."""
    full, rest = divmod(settings.pictures, _SHARD)
    return [_SHARD] * full + [rest] * (rest > 0)


def _shard_scenes(settings: Settings, shard: int, count: int) -> list[Scene]:
    return list(itertools.islice(random_scenes(random.Random(f"{settings.seed} {shard}")), count))


def draw_dataset(folder: Path, settings: Settings) -> None:
    """Draws the pictures of a run and writes their latents as ``latents/NNN.npy``; skips finished shards."""
    (folder / "latents").mkdir(exist_ok=True)
    sizes = _shards(settings)
    for shard, count in enumerate(sizes):
        path = folder / "latents" / f"{shard:03}.npy"
        if path.exists():
            continue
        scenes = _shard_scenes(settings, shard, count)
        chunks = [draw(scenes[i : i + _CHUNK]) for i in range(0, count, _CHUNK)]
        eight_bits = [(pictures * 255).round() / 127.5 - 1 for pictures in chunks]
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.save(file, torch.cat([latents(x) for x in eight_bits]).half().numpy())
        os.replace(part, path)
        if shard % 10 == 9 or shard + 1 == len(sizes):
            log.info("pictures: %d of %d drawn", shard * _SHARD + count, settings.pictures)


def load_dataset(folder: Path, settings: Settings) -> tuple[list[Scene], torch.Tensor]:
    """Returns the scenes that `draw_dataset` drew, and their scaled latents [N, 4, 16, 16] float32."""
    sizes = _shards(settings)
    scenes = [scene for i, count in enumerate(sizes) for scene in _shard_scenes(settings, i, count)]
    shards = [np.load(folder / "latents" / f"{i:03}.npy") for i in range(len(sizes))]
    return scenes, torch.from_numpy(np.concatenate(shards)).float() * SCALE
