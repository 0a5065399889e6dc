"""Size, CPU time and loss of every film format on one and the same film. Run: python -m tests.bench formats

The film is drawn here: 512x512, clouds of several sizes that turn into one another under fine grain. The
figures depend on machine, ffmpeg and film; their order hardly does. The table in docs/film.md is this output.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from remix.motion import FORMATS, Picture, ffmpeg_exe, ffmpeg_version, fit, read_video, write_video
from tests.bench.race import now

SIDE = 512
FPS = 24


def clouds(seed: int) -> np.ndarray:
    """Returns one picture of clouds, float32 0 to 255."""
    rng = np.random.default_rng(seed)
    layers = []
    for cells in (4, 8, 16, 32, 64, 128):
        coarse = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        layers.append(fit(coarse, SIDE, SIDE).astype(np.float32) / cells**0.7)
    total = np.add.reduce(layers)
    return (total - total.min()) * (255 / (total.max() - total.min()))


def film(frames: int) -> Iterator[Picture]:
    """Returns `frames` pictures that travel through four clouds."""
    stations = [clouds(seed) for seed in range(4)]
    grain = np.random.default_rng(9)
    for index in range(frames):
        place, part = divmod(index * 3 / frames, 1)
        mixed = (1 - part) * stations[int(place)] + part * stations[int(place) + 1]
        yield np.clip(np.rint(mixed + grain.normal(0, 1.5, mixed.shape)), 0, 255).astype(np.uint8)


def row(name: str, pictures: list[Picture], folder: Path) -> str:
    """Returns one line of the table."""
    path = folder / f"{name}{FORMATS[name].suffix}"
    start = now()
    write_video(pictures, path, FPS, format=name)
    seconds = (now() - start).cpu
    files = list(path.iterdir()) if path.is_dir() else [path]
    megabytes = sum(file.stat().st_size for file in files) / 10**6
    errors = [
        np.square(found.astype(np.float32) - given).mean()
        for found, given in zip(read_video(path), pictures, strict=True)
    ]
    mean = float(np.mean(errors))
    loss = "lossless" if mean == 0 else f"{10 * np.log10(255**2 / mean):.1f} dB"
    return f"| `{name}` | {megabytes:.2f} | {len(pictures) / seconds:.0f} | {loss} |"


def table(frames: int = 120) -> str:
    """Returns the table, in Markdown."""
    pictures = list(film(frames))
    lines = [f"{frames} frames of {SIDE}x{SIDE}, ffmpeg {ffmpeg_version(ffmpeg_exe())}\n"]
    lines += ["| format | MB | frames per CPU second | PSNR |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        lines += [row(name, pictures, Path(folder)) for name in FORMATS]
    return "\n".join(lines)
