"""Small films for the tests."""

from __future__ import annotations

import math
import os
import stat
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

Picture = np.ndarray


def smooth(count: int, width: int = 32, height: int = 24) -> list[Picture]:
    """Returns `count` pictures with soft colors, each unlike its neighbors."""
    y, x = np.mgrid[0:height, 0:width]
    return [
        np.stack(
            [60 + x * 120 // width, 60 + y * 120 // height, np.full_like(x, 40 + 160 * index // count)], -1
        ).astype(np.uint8)
        for index in range(count)
    ]


def flat(color: tuple[int, int, int], count: int = 2, width: int = 16, height: int = 16) -> list[Picture]:
    """Returns `count` equal pictures of one color."""
    return [np.full((height, width, 3), color, np.uint8)] * count


def difference(first: Picture, second: Picture) -> float:
    """Returns the mean difference in levels; of the second only what the first covers."""
    height, width = first.shape[:2]
    return float(np.abs(first.astype(int) - second[:height, :width]).mean())


def put_in_place_of_ffmpeg(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Makes imageio-ffmpeg find a Python program with `body` in place of its encoder."""
    program = folder / "ffmpeg"
    program.write_text(f"#!{sys.executable}\nimport os, sys, time\n{body}\n", encoding="utf-8")
    os.chmod(program, program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))


def sine(path: Path, seconds: float, rate: int = 48000, channels: int = 1) -> Path:
    """Writes a tone of 440 Hz that does not grow softer."""
    times = np.arange(round(seconds * rate)) / rate
    samples = (12000 * np.sin(2 * math.pi * 440 * times)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(samples, channels).tobytes())
    return path
