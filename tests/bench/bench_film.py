"""Writing film compared with a raw ffmpeg pipe: the same program, input, encoder and container."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from remix.motion import film_order, write_video
from remix.motion.ffmpeg import ffmpeg_exe
from remix.motion.formats import FORMATS, Format
from tests.bench.race import Race

SIDE = 512
FPS = 24
FRAMES = {"mp4": 1000, "webm": 1000, "gif": 100}
ROUNDS = 5
FLOOR = 0.9
TABLE = "Writing film: times as fast as a raw ffmpeg pipe"


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """A camera that moves over a picture of waves with a little grain: 50 frames, 2 pixels from one to the next."""
    size = SIDE + 100
    y, x = np.mgrid[:size, :size] / size
    waves = [np.sin(20 * x * k + 9 * np.cos(7 * y + k)) + np.cos(15 * y + 5 * k * x) for k in (1, 2, 3)]
    grain = np.random.default_rng(0).normal(0, 3, (size, size, 1))
    whole = (np.stack(waves, axis=2) * 50 + 128 + grain).clip(0, 255).astype(np.uint8)
    return [np.ascontiguousarray(whole[2 * k : 2 * k + SIDE, 2 * k : 2 * k + SIDE]) for k in range(50)]


def film(pictures: list[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """`count` frames, there and back and there again."""
    there_and_back = [pictures[k] for k in film_order(len(pictures), ping_pong=True)]
    return itertools.islice(itertools.cycle(there_and_back), count)


def one_pass(row: Format) -> tuple[str, ...]:
    """The encoder's arguments; where they need a palette as a second input, ffmpeg's own way to make it on the way.

    That keeps all frames in memory, which ours does not.
    """
    if not row.two_pass:
        return row.encoder
    whole = "[0:v]split[frames][all];[all]palettegen=stats_mode=full[palette];[frames][palette]"
    return tuple(argument.replace("[0:v][1:v]", whole) for argument in row.encoder)


def raw_pipe(frames: Iterator[np.ndarray], path: Path, row: Format) -> None:
    source = ("-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", f"{SIDE}x{SIDE}", "-framerate", str(FPS))
    command = [ffmpeg_exe(), "-loglevel", "error", *source, "-i", "pipe:0", *one_pass(row), *row.muxer, "-y", str(path)]
    # A session of its own, as ours has: the scheduler shares out time among sessions first.
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdin is not None
        for frame in frames:
            process.stdin.write(frame.data.cast("B"))
    assert process.returncode == 0


@pytest.mark.parametrize("name", FRAMES)
def test_film(name: str, pictures: list[np.ndarray], race: Race, tmp_path: Path) -> None:
    row, count = FORMATS[name], FRAMES[name]
    ours, theirs = (tmp_path / f"{who}{row.suffix}" for who in ("ours", "theirs"))
    action: Callable[[int], object] = lambda _: write_video(film(pictures, count), ours, FPS)  # noqa: E731
    found = race.run(action, {"raw": lambda _: raw_pipe(film(pictures, count), theirs, row)}, range(ROUNDS))["raw"]
    assert abs(ours.stat().st_size / theirs.stat().st_size - 1) < 0.1
    what = f"{name}, {count:,} frames of {SIDE}x{SIDE}"
    race.show(TABLE, what, CPU=f"{found.cpu:.2f}", wall=f"{found.wall:.2f}")
    race.show("Summary", f"Writing film: {what}", baseline="a raw ffmpeg pipe", ours=f"{found.cpu:.2f} times as fast")
    assert found.cpu >= FLOOR
    assert found.wall >= FLOOR
