"""A small network that recognizes what a picture of the playground world shows, for the check.

``python -m remix.client.playground.classifier`` trains it from scratch on drawn pictures, from one seed, and
writes ``classifier.safetensors`` next to this file; ``--on`` continues it. It has seen nothing that the model made.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import logging
import random
from collections.abc import Sequence
from pathlib import Path

import click
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from remix.client.playground import SIDE
from remix.client.playground.drawing import draw
from remix.client.playground.settings import LOG_LINES
from remix.client.playground.training import Run, learning_rate, noise_source
from remix.client.playground.world import ATTRIBUTES, Scene, random_scenes

log = logging.getLogger(__name__)

KEPT: Path = Path(__file__).with_name("classifier.safetensors")
"""The trained classifier's file."""

CLASSIFIED = ("thing", "second", "background")
"""The attributes that the classifier recognizes."""

_CHANNELS = (24, 48, 96, 128)
_WIDTH = 128
_BATCH = 128
_RATE = 2e-3
_CHUNK = 100
_SHIFT = 4
_HELD_OUT_SEED = "never trained on"


@dataclasses.dataclass(frozen=True)
class Told:
    """What the classifier reads in a picture."""

    thing: str
    second: str
    background: str


class Classifier(nn.Module):
    """Four convolutions at half size and one classifier for each of `TOLD`; 0.37 million parameters."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (3, *_CHANNELS)
        kernels = (5, 3, 3, 3)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, k, stride=2, padding=k // 2) for a, b, k in zip(sizes, sizes[1:], kernels, strict=False)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(8, channels) for channels in _CHANNELS)
        places = (SIDE // 2 // 2 ** len(_CHANNELS)) ** 2
        self.read = nn.Linear(_CHANNELS[-1] * places, _WIDTH)
        self.heads = nn.ModuleList(nn.Linear(_WIDTH, len(ATTRIBUTES[name])) for name in CLASSIFIED)

    def forward(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        """Returns the logits of each of `TOLD`: [B, values], from pictures [B, 3, 64, 64] in 0..1."""
        values = pictures * 2 - 1
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            values = F.relu(norm(convolution(values)))
        values = F.relu(self.read(values.flatten(1)))
        return [head(values) for head in self.heads]


@torch.no_grad()
def classify(pictures: torch.Tensor) -> list[Told]:
    """Returns what each of pictures [B, 3, 128, 128] in 0..1 shows."""
    columns = [logits.argmax(1).tolist() for logits in _trained()(F.avg_pool2d(pictures, 2))]
    named = [[ATTRIBUTES[name][i] for i in column] for name, column in zip(CLASSIFIED, columns, strict=True)]
    return [Told(*row) for row in zip(*named, strict=True)]


def _kept(path: Path) -> Classifier:
    classifier = Classifier()
    classifier.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return classifier


@functools.lru_cache(maxsize=1)
def _trained() -> Classifier:
    return _kept(KEPT)


def accuracy(count: int = 2000) -> dict[str, float]:
    """Returns, for each of `CLASSIFIED`, the share of `count` drawn pictures that is classified correctly.

    It was never trained on these pictures.
    """
    scenes = list(itertools.islice(random_scenes(random.Random(_HELD_OUT_SEED)), count))
    found = [one for part in _chunks(scenes) for one in classify(draw(part))]
    return {
        name: sum(getattr(one, name) == getattr(scene, name) for one, scene in zip(found, scenes, strict=True)) / count
        for name in CLASSIFIED
    }


def train(path: Path, *, pictures: int, steps: int, seed: int = 0, start: Path | None = None) -> None:
    """Trains a classifier on drawn pictures, from nothing or from that in `start`; writes it to `path` in fp16."""
    scenes = list(itertools.islice(random_scenes(random.Random(f"classifier {seed}")), pictures))
    small = torch.cat([(F.avg_pool2d(draw(part), 2) * 255).round().byte() for part in _chunks(scenes)])
    columns = [list(ATTRIBUTES).index(name) for name in CLASSIFIED]
    labels = torch.tensor([scene.labels() for scene in scenes])[:, columns]
    torch.manual_seed(seed)
    classifier = _kept(start) if start else Classifier()
    run = Run(path, {"classifier": classifier}, decay=0.99)
    while run.step < steps:
        source = noise_source(seed, run.step)
        rows = torch.randint(pictures, (_BATCH,), generator=source)
        logits = classifier(_worn(small[rows].float() / 255, source))
        loss = torch.stack([F.cross_entropy(one, labels[rows, i]) for i, one in enumerate(logits)]).sum()
        run.descend(loss, learning_rate(run.step, steps, _RATE / 2 if start else _RATE), loss.item())
        if run.step % 200 == 0:
            log.info("classifier: step %d of %d, loss %.4f", run.step, steps, run.loss)
    run.average.write()
    save_file({name: value.half().contiguous() for name, value in classifier.state_dict().items()}, path)


def _chunks(scenes: Sequence[Scene]) -> list[Sequence[Scene]]:
    return [scenes[i : i + _CHUNK] for i in range(0, len(scenes), _CHUNK)]


def _worn(pictures: torch.Tensor, source: torch.Generator) -> torch.Tensor:
    """Returns pictures moved by up to _SHIFT pixels, half of them a little blurred, all with some noise.

    The result must not depend on single pixels: there are more places than training pictures, and no
    model's edges are perfect.
    """
    left, top = torch.randint(2 * _SHIFT + 1, (2,), generator=source).tolist()
    wide = F.pad(pictures, (_SHIFT,) * 4, mode="replicate")
    pictures = wide[:, :, top : top + SIDE // 2, left : left + SIDE // 2]
    half = len(pictures) // 2
    blurred = F.avg_pool2d(pictures[:half], 3, 1, 1, count_include_pad=False)
    strength = torch.rand(len(pictures), 1, 1, 1, generator=source) * 0.06
    return torch.cat([blurred, pictures[half:]]) + strength * torch.randn(pictures.shape, generator=source)


@click.command(context_settings={"show_default": True})
@click.option("--pictures", default=30_000, help="Pictures to draw.")
@click.option("--steps", default=2_000, help="Steps of 128 pictures.")
@click.option("--seed", default=0, help="Of everything that is drawn at random.")
@click.option("--on", is_flag=True, help="Train the kept classifier on, at half the rate, instead of from nothing.")
def main(pictures: int, steps: int, seed: int, on: bool) -> None:
    """Train the check's classifier and tell its accuracy on drawn pictures that it has not seen."""
    logging.basicConfig(level=logging.INFO, format=LOG_LINES)
    torch.set_num_threads(1)
    train(KEPT, pictures=pictures, steps=steps, seed=seed, start=KEPT if on else None)
    _trained.cache_clear()
    click.echo(", ".join(f"{name} {share:.4f}" for name, share in accuracy().items()))


if __name__ == "__main__":
    main()
