"""Films from picture to picture with the bundled model, which made neither of them: contrast and sharpness half-way.

Contrast is the deviation of the colors from their mean, sharpness the mean change from pixel to pixel. Both are given
as a share of what lies between those of the two pictures. A cross-fade of the pictures is the peer.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.client.local import Local
from remix.client.pictures_travel import ends, travel
from remix.client.playground.advice import DEFAULTS
from remix.engine import render
from remix.job import frame_path
from remix.motion import Picture, fit, load_picture
from remix.plan import Model

FOLDER = Path(__file__).parents[2] / "examples" / "pictures"
PICTURES = [FOLDER / "sun.png", FOLDER / "tree.png"]
PROMPTS = ["a yellow sun on a blue background", "a green tree in the snow"]
FRAMES = 17
TABLE = "Pictures: from one drawing to another, half-way"
LEAST = 0.7
"""The share of contrast and sharpness that the middle of a film must have."""


def contrast(picture: Picture) -> float:
    return float(np.sqrt(picture.astype(float).reshape(-1, 3).var(0).sum()))


def sharpness(picture: Picture) -> float:
    values = picture.astype(float)
    return float(sum(np.sqrt((np.diff(values, axis=axis) ** 2).sum(2)).mean() for axis in (0, 1)))


def shares(film: Sequence[Picture], figure: Any) -> tuple[float, float]:
    """The share of a figure in the middle frame, and the least of all frames."""
    found = [figure(picture) for picture in film]
    places = np.linspace(0, 1, len(found))
    relative = np.array(found) / ((1 - places) * found[0] + places * found[-1])
    return float(relative[len(film) // 2]), float(relative.min())


def way(film: Sequence[Picture]) -> float:
    """How far the pictures move from frame to frame, all together. Things that come and go make it longer."""
    return sum(float(np.sqrt(((a - b.astype(float)) ** 2).mean())) for a, b in pairwise(film))


def film_of(folder: Path, prompts: Sequence[str], **changes: bool) -> tuple[list[Picture], str]:
    found = travel(
        PICTURES,
        folder=FOLDER,
        prompts=prompts,
        frames=FRAMES,
        **DEFAULTS,
        model=Model("playground"),
    )
    recipe = found.recipe.replace(pace="linear", **changes)
    render(recipe, Local(batch=8), folder, film=None, report=False)
    frames = [frame_path(folder, index) for index in range(FRAMES)]
    least = min(apart.psnr for _, apart in ends(recipe, PICTURES, frames))
    return [load_picture(path) for path in frames], "exact" if least == float("inf") else f"{least:.1f} dB"


@pytest.mark.parametrize(("row", "prompts"), [("with prompts", PROMPTS), ("without prompts", [])])
def test_the_middle_keeps_contrast_and_sharpness(
    benchmark: Any, tmp_path: Path, row: str, prompts: Sequence[str]
) -> None:
    first, last = (fit(load_picture(path), 128, 128).astype(float) for path in PICTURES)
    fade = [np.rint(first + (last - first) * part).astype(np.uint8) for part in np.linspace(0, 1, FRAMES)]
    plain, plain_ends = film_of(tmp_path / "plain", prompts, restore=False, invert=False)
    restored, restored_ends = film_of(tmp_path / "restored", prompts, invert=False)
    inverted, inverted_ends = film_of(tmp_path / "inverted", prompts)
    benchmark.pedantic(lambda: None, rounds=1)
    cells = benchmark.extra_info["cells"] = []
    films = [
        ("cross-fade", fade, "exact"),
        (f"{row}, neither", plain, plain_ends),
        (f"{row}, invert = false", restored, restored_ends),
        (row, inverted, inverted_ends),
    ]
    for name, film, exact in films:
        for label, figure in (("contrast", contrast), ("sharpness", sharpness)):
            middle, least = shares(film, figure)
            cells += [
                [TABLE, name, label, f"{middle:.2f}"],
                [TABLE, name, f"least {label} of all frames", f"{least:.2f}"],
            ]
        cells.append([TABLE, name, "both pictures in the film", exact])
        cells.append([TABLE, name, "way through the pictures", f"{way(film) / way(fade):.1f}"])
    assert restored_ends == inverted_ends == "exact"
    for film in (restored, inverted):
        assert min(shares(film, figure)[0] for figure in (contrast, sharpness)) >= LEAST
    assert way(inverted) < way(restored)
