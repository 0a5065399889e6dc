"""Asking a playground model for pictures, and counting what is right in them."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw

from remix.client.playground import SIDE
from remix.client.playground.classifier import classify
from remix.client.playground.drawing import draw
from remix.client.playground.judge import background_of, colors_of
from remix.client.playground.settings import require_model
from remix.client.playground.words import COLORS, SCENERY, THINGS
from remix.client.playground.world import ATTRIBUTES, Scene, arrange, caption, held_out, random_scenes

_BATCH = 18
_HELD_OUT_TIMES = 4

ACCURACY_PICTURES = 2000
"""On how many drawings the classifier itself is measured."""

SHOWN = (
    *("a red circle on a blue background", "a green star on a yellow background"),
    *("a big pink heart on a white background", "a yellow moon at night"),
    *("a brown house on a green hill", "an orange fish by the sea"),
    *("a small purple flower on a teal background", "a green tree in the snow"),
    *("a striped red square on a white background", "an outlined blue triangle on a pink background"),
    *("a black boat at sunset", "a yellow sun on the left on a blue background"),
    *("a dotted red mushroom on a green hill", "a shaded orange drop on a black background"),
    *("a white cloud at the top on a blue background", "a teal ring on the right on a gray background"),
    *("a huge yellow star at night", "a white boat on the sea"),
    *("a red circle and a blue star on a white background", "a yellow moon and a green tree at night"),
    *("a pink fish and an orange boat by the sea", "a purple house and a brown mushroom on a green hill"),
    *("a black heart and a white cross on a teal background", "a green diamond and a red sun in the snow"),
)
"""The prompts of the sample sheet."""


@dataclasses.dataclass(frozen=True)
class Task:
    """A prompt, and a scene that it describes."""

    prompt: str
    scene: Scene


@dataclasses.dataclass(frozen=True)
class Mark:
    """What is right in a picture: every thing asked for, all their colors, and the background.

    A picture with a second thing that nobody asked for does not show the right thing.
    """

    thing: bool
    color: bool
    background: bool

    @property
    def all(self) -> bool:
        """Whether everything is right at once."""
        return self.thing and self.color and self.background


def grammar_tasks(count: int, seed: int = 0) -> list[Task]:
    """Returns `count` prompts from the whole grammar, each naming its things, their colors and the background."""
    rng = random.Random(f"asked {seed}")
    return [_task(scene, rng) for scene in itertools.islice(random_scenes(rng), count)]


def _task(scene: Scene, rng: random.Random) -> Task:
    """Returns a task with the first random caption that leaves out nothing that the check looks at."""
    while True:
        described = caption(scene, rng)
        named = dict(zip(ATTRIBUTES, described.named, strict=True))
        unusual = scene.neighbor is None and scene.style != "flat"
        if named["thing"] and named["color"] and named["background"] and (named["style"] or not unusual):
            return Task(described.text, scene)


def held_out_tasks() -> list[Task]:
    """Returns a plain prompt for each thing in the color that was kept from training, on four backgrounds."""
    rng = random.Random(11)
    tasks = []
    for thing, color in ((thing, color) for thing in THINGS for color in COLORS if held_out(thing, color)):
        for background in rng.sample([name for name in COLORS if name != color], _HELD_OUT_TIMES):
            prompt = f"{_a(color)} {thing} on {_a(background)} background"
            tasks.append(Task(prompt, arrange(thing, color, background, rng=rng)))
    return tasks


def _a(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def drawn(group: Sequence[Task]) -> torch.Tensor:
    """Returns drawings of the tasks, as a perfect model would make them."""
    return draw([task.scene for task in group])


def marks(group: Sequence[Task], pictures: torch.Tensor) -> list[Mark]:
    """Returns what is right in the pictures [B, 3, 128, 128] of a group of tasks.

    The classifier recognizes things and scenery, the judge colors and plain backgrounds.
    """
    found = []
    for task, picture, seen in zip(group, pictures, classify(pictures), strict=True):
        scene = task.scene
        colors = [scene.color, *([scene.second_color] if scene.neighbor else [])]
        behind = seen.background if scene.background in SCENERY else background_of(picture)
        found.append(
            Mark(
                thing=(seen.thing, seen.second) == (scene.thing, scene.second),
                color=colors_of(picture, scene) == colors,
                background=behind == scene.background,
            )
        )
    return found


def shares(found: Sequence[Mark]) -> list[float]:
    """Returns the shares of right things, colors, backgrounds, and of pictures right in all of them."""
    return [sum(getattr(one, name) for one in found) / len(found) for name in ("thing", "color", "background", "all")]


def by_thing(group: Sequence[Task], found: Sequence[Mark]) -> dict[str, float]:
    """Returns for each thing the share of right ones among the pictures that should show it alone."""
    right: dict[str, list[bool]] = {thing: [] for thing in THINGS}
    for task, mark in zip(group, found, strict=True):
        if task.scene.neighbor is None:
            right[task.scene.thing].append(mark.thing)
    return {thing: sum(hits) / len(hits) for thing, hits in right.items() if hits}


def load(folder: Path) -> Any:
    """Returns the stock pipeline in `folder`, in float32 on the CPU. Raises BadInput where there is none."""
    require_model(folder)
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(str(folder), safety_checker=None).to(torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def generate(pipeline: Any, prompts: Sequence[str], *, steps: int, cfg: float, seed: int = 0) -> torch.Tensor:
    """Returns pictures [B, 3, 128, 128] in 0..1 of `prompts`; the i-th has the noise of ``seed + i``."""
    made = []
    for first in range(0, len(prompts), _BATCH):
        batch = list(prompts[first : first + _BATCH])
        seeds = range(seed + first, seed + first + len(batch))
        made.append(pictures_of(pipeline, seeds, steps=steps, cfg=cfg, prompt=batch))
    return torch.cat(made)


def pictures_of(pipeline: Any, seeds: Sequence[int], *, steps: int, cfg: float, **options: Any) -> torch.Tensor:
    """Returns a picture [3, 128, 128] in 0..1 for each seed. `options` are those of the pipeline, such as `prompt`."""
    result = pipeline(
        num_inference_steps=steps,
        guidance_scale=cfg,
        height=SIDE,
        width=SIDE,
        generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        output_type="np",
        **options,
    )
    return torch.from_numpy(result.images).permute(0, 3, 1, 2).float()


def sheet(pictures: torch.Tensor, captions: Sequence[str], columns: int = 6) -> Image.Image:
    """Returns the pictures as one image, each with its caption in up to three lines below it."""
    edge, below = 8, 42
    rows = -(-len(pictures) // columns)
    step_x, step_y = SIDE + edge, SIDE + below + edge
    page = Image.new("RGB", (columns * step_x + edge, rows * step_y + edge), "white")
    pen = ImageDraw.Draw(page)
    for i, (picture, text) in enumerate(zip(pictures, captions, strict=True)):
        left, top = edge + i % columns * step_x, edge + i // columns * step_y
        levels = (picture.permute(1, 2, 0) * 255).round().byte().numpy()
        page.paste(Image.fromarray(levels), (left, top))
        pen.multiline_text((left, top + SIDE + 2), _wrapped(text, pen), fill="black", spacing=2)
    return page


def _wrapped(text: str, pen: ImageDraw.ImageDraw) -> str:
    """A caption in lines that are no wider than a picture."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if pen.textlength(longer) <= SIDE:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)
