"""Measuring whether a prompt travel of a playground model is a morph, and no cross-fade through noise."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from remix.client.playground.measure import Task, pictures_of
from remix.mix import mix

FRAMES = 9
"""Frames of a measured travel, both ends included."""

GRAIN = 0.005
"""The most grain of a frame. Pure noise has about 0.2; a drawn picture has less than 0.0025."""

SHARPNESS = 0.25
"""The least sharpness of a frame. 1 in 150 drawings has less; blurred over nine pixels three times, 99 of 100 have."""

SLACK = 0.02
"""How far a distance may go back between two frames, as a share of the distance between the ends."""


@dataclasses.dataclass(frozen=True)
class Travel:
    """The frames of one travel in numbers: the worst grain and sharpness, and the largest step back."""

    grain: float
    sharpness: float
    back: float

    @property
    def clean(self) -> bool:
        """Whether no frame is noise or blur."""
        return self.grain <= GRAIN and self.sharpness >= SHARPNESS

    @property
    def steady(self) -> bool:
        """Whether every frame is farther from the first and nearer to the last than the one before."""
        return self.back <= SLACK


def grain(pictures: torch.Tensor) -> torch.Tensor:
    """Returns how noisy pictures [B, 3, H, W] are: the median deviation from their surroundings, [B]."""
    smooth = F.avg_pool2d(pictures, 3, 1, 1, count_include_pad=False)
    return (pictures - smooth).abs().flatten(1).median(1).values


def sharpness(pictures: torch.Tensor) -> torch.Tensor:
    """Returns how sharp the edges in pictures [B, 3, H, W] are, as a share of the picture's own contrast: [B].

    Edges are the 99th percentile of the step between pixels two apart, contrast is that of the distance from the
    picture's median color: yellow on orange is as sharp as white on black.
    """
    across = (pictures[..., 2:] - pictures[..., :-2]).abs().amax(1)
    middle = pictures.flatten(2).median(2).values[..., None, None]
    edges, contrast = (torch.quantile(far.flatten(1), 0.99, 1) for far in (across, (pictures - middle).abs().amax(1)))
    return edges / contrast.clamp(min=1 / 255)


def travel(pipeline: Any, first: Task, last: Task, seed: int, *, steps: int, cfg: float) -> torch.Tensor:
    """Returns the frames [FRAMES, 3, 128, 128] between two prompts at one seed, their conditionings mixed evenly."""
    encoded = [pipeline.encode_prompt(task.prompt, "cpu", 1, False)[0] for task in (first, last)]
    places = torch.linspace(0, 1, FRAMES)
    between = mix(torch.cat(encoded), torch.stack([1 - places, places], 1), how="lerp")
    empty = pipeline.encode_prompt("", "cpu", 1, False)[0].expand(FRAMES, -1, -1)
    return pictures_of(
        pipeline, [seed] * FRAMES, steps=steps, cfg=cfg, prompt_embeds=between, negative_prompt_embeds=empty
    )


def measured(frames: torch.Tensor) -> Travel:
    """Returns a travel's frames [F, 3, H, W] in numbers. The ends count too, as any other frame."""
    from_first = (frames - frames[0]).square().mean((1, 2, 3)).sqrt()
    from_last = (frames - frames[-1]).square().mean((1, 2, 3)).sqrt()
    steps = torch.cat([from_first[1:] - from_first[:-1], from_last[:-1] - from_last[1:]])
    back = (-steps.min()).clamp(min=0) / from_first[-1]
    return Travel(float(grain(frames).max()), float(sharpness(frames).min()), float(back))


def travels(pipeline: Any, group: Sequence[Task], *, steps: int, cfg: float) -> list[Travel]:
    """Returns a travel between every two tasks that follow each other in `group`, pair by pair."""
    pairs = zip(group[::2], group[1::2], strict=False)
    return [measured(travel(pipeline, *pair, seed, steps=steps, cfg=cfg)) for seed, pair in enumerate(pairs)]
