"""Compares frames that several engines rendered from one recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image

from remix.engine import Picture
from remix.motion import load_picture
from remix.motion.pictures import Difference, difference
from remix.show.contact_sheet import evenly
from remix.show.lettering import LINE, width_of, write

CELL, GAP = 128, 4
BACKGROUND, INK = (24, 24, 24), (200, 200, 200)
MOST_COLUMNS = 8
BRIGHTEST = 64
"""Largest factor by which differences are multiplied: single bits become visible but still look small."""


@dataclass(frozen=True)
class Pair:
    """Two engines and the difference of each frame."""

    engines: tuple[str, str]
    frames: tuple[Difference, ...]

    @property
    def worst(self) -> Difference:
        """The lowest PSNR and the largest difference over all frames. They may come from different frames."""
        return Difference(min(one.psnr for one in self.frames), max(one.off for one in self.frames))


def compare(frames: Mapping[str, Sequence[Path]]) -> list[Pair]:
    """Returns the differences of every pair of engines. `frames` maps each engine to its files, in order."""
    found: dict[tuple[str, str], list[Difference]] = {pair: [] for pair in combinations(frames, 2)}
    for paths in zip(*frames.values(), strict=True):
        pictures = dict(zip(frames, map(load_picture, paths), strict=True))
        for (one, other), differences in found.items():
            differences.append(difference(pictures[one], pictures[other]))
    return [Pair(engines, tuple(differences)) for engines, differences in found.items()]


def sheet(frames: Mapping[str, Sequence[Path]], pairs: Sequence[Pair]) -> Picture:
    """Returns a picture with a row of frames for each engine, and a row of brightened differences for each pair.

    The columns are evenly spaced frames, plus the frames in which engines differ most.
    """
    count = len(next(iter(frames.values())))
    worst = [min(range(count), key=lambda index: pair.frames[index].psnr) for pair in pairs if pair.worst.off]
    shown = sorted({*evenly(count, MOST_COLUMNS - min(len(worst), 2)), *worst[:2]})
    times = {pair.engines: min(BRIGHTEST, 255 // max(pair.worst.off, 1)) for pair in pairs}
    rows: dict[str, list[Picture]] = {}
    for index in shown:
        pictures = {engine: load_picture(paths[index]) for engine, paths in frames.items()}
        for engine, picture in pictures.items():
            rows.setdefault(engine, []).append(_small(picture))
        for pair in pairs:
            one, other = (pictures[engine].astype(np.int16) for engine in pair.engines)
            apart = (np.abs(one - other) * times[pair.engines]).clip(0, 255).astype(np.uint8)
            label = f"{pair.engines[0]} - {pair.engines[1]}: {_summary(pair.worst)}; shown x {times[pair.engines]}"
            rows.setdefault(label, []).append(_small(_brightest(apart)))
    return _drawn(rows, shown)


def _summary(worst: Difference) -> str:
    return "the same" if worst.off == 0 else f"at least {worst.psnr:.1f} dB, off by {worst.off} at most"


def _drawn(rows: Mapping[str, Sequence[Picture]], shown: Sequence[int]) -> Picture:
    """Returns rows of pictures, each below its label, with frame numbers above the columns."""
    height, width = next(iter(rows.values()))[0].shape[:2]
    widest = math.ceil(max(map(width_of, rows))) + 2 * GAP
    size = (
        max(GAP + len(shown) * (width + GAP), widest),
        LINE + GAP + len(rows) * (LINE + height + GAP),
    )
    drawn = Image.new("RGB", size, BACKGROUND)
    for column, index in enumerate(shown):
        write(drawn, (GAP + column * (width + GAP), 0), f"frame {index}", INK)
    top = LINE + GAP
    for label, pictures in rows.items():
        write(drawn, (GAP, top), label, INK)
        for column, picture in enumerate(pictures):
            drawn.paste(Image.fromarray(picture), (GAP + column * (width + GAP), top + LINE))
        top += LINE + height + GAP
    return np.asarray(drawn)


def _small(picture: Picture) -> Picture:
    """Returns a picture scaled so that its longer side fits a cell."""
    scale = CELL / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    way = Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(picture).resize(size, way))


def _brightest(picture: Picture) -> Picture:
    """Returns a picture reduced to at most two cells.

    Each block keeps its brightest value, so no difference is lost.
    """
    step = max(1, max(picture.shape[:2]) // CELL)
    height, width = (max(1, side // step) * min(step, side) for side in picture.shape[:2])
    blocks = picture[:height, :width].reshape(max(1, height // step), -1, max(1, width // step), min(step, width), 3)
    return np.ascontiguousarray(blocks.max(axis=(1, 3)))
