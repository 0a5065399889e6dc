"""Asking a playground model for pictures, and counting what is right in them."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw

from remix.client.playground.drawing import SIDE, draw
from remix.client.playground.judge import Verdict, judge
from remix.client.playground.words import COLOURS, SCENERY, SCENERY_PHRASES, THINGS
from remix.client.playground.world import arrange, held_out
from remix.errors import BadInput

_BATCH = 18
_HELD_OUT_TIMES = 4
_SCENERY_THINGS = 8
_LOST = {"mushroom": "white", "tree": "brown"}  # stalk and trunk have a colour of their own

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
)
"""The prompts of the sample sheet."""


@dataclasses.dataclass(frozen=True)
class Task:
    """A prompt, and what its picture should show. Over scenery only the background is judged."""

    thing: str
    colour: str
    background: str

    @property
    def prompt(self) -> str:
        """The prompt, in the plainest of the captions' forms."""
        around = SCENERY_PHRASES.get(self.background, (f"on {_a(self.background)} background",))[0]
        return f"{_a(self.colour)} {self.thing} {around}"

    def passed(self, verdict: Verdict) -> tuple[bool | None, bool | None, bool]:
        """Returns whether thing, colour and background are right; None where they are not judged."""
        background = verdict.background == self.background
        if self.background in SCENERY:
            return None, None, background
        return verdict.thing == self.thing, verdict.colour == self.colour, background


def _a(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def tasks() -> dict[str, list[Task]]:
    """Returns what is asked of a model, by group.

    ``seen pairs``: each thing in each of its eleven trained colours, on random plain backgrounds.
    ``held-out pairs``: each thing in the colour that was kept from training, on four backgrounds.
    ``scenery``: eight things before each of the five sceneries.
    """
    rng = random.Random(11)
    pairs = [(thing, colour) for thing in THINGS for colour in COLOURS]
    kept = [pair for pair in pairs if held_out(*pair)]

    def plain(thing: str, colour: str) -> Task:
        taken = (colour, _LOST.get(thing))
        return Task(thing, colour, rng.choice([name for name in COLOURS if name not in taken]))

    return {
        "seen pairs": [plain(*pair) for pair in pairs if pair not in kept],
        "held-out pairs": [plain(*pair) for pair in kept for _ in range(_HELD_OUT_TIMES)],
        "scenery": [Task(*rng.choice(pairs), name) for name in SCENERY for _ in range(_SCENERY_THINGS)],
    }


def load(folder: Path) -> Any:
    """Returns the stock pipeline in `folder`, in float32 on the CPU. Raises BadInput where there is none."""
    if not (folder / "model_index.json").is_file():
        raise BadInput(f"{folder}: holds no model_index.json; give the folder of a diffusers pipeline")
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(str(folder), safety_checker=None).to(torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def generate(pipeline: Any, prompts: Sequence[str], *, steps: int, cfg: float, seed: int = 0) -> torch.Tensor:
    """Returns pictures [B, 3, 128, 128] in 0..1 of `prompts`; the i-th has the noise of ``seed + i``."""
    made = []
    for first in range(0, len(prompts), _BATCH):
        batch = list(prompts[first : first + _BATCH])
        sources = [torch.Generator().manual_seed(seed + first + i) for i in range(len(batch))]
        result = pipeline(
            batch,
            num_inference_steps=steps,
            guidance_scale=cfg,
            height=SIDE,
            width=SIDE,
            generator=sources,
            output_type="np",
        )
        made.append(torch.from_numpy(result.images).permute(0, 3, 1, 2).float())
    return torch.cat(made)


def shares(group: Sequence[Task], pictures: torch.Tensor) -> list[float | None]:
    """Returns the shares of right things, colours, backgrounds, and of pictures right in all of them."""
    passes = [task.passed(judge(picture)) for task, picture in zip(group, pictures, strict=True)]
    columns = [list(column) for column in zip(*passes, strict=True)]
    columns.append([all(right is not False for right in row) for row in passes])
    return [None if None in column else sum(map(bool, column)) / len(column) for column in columns]


def by_thing(group: Sequence[Task], pictures: torch.Tensor) -> dict[str, float]:
    """Returns for each thing the share of its pictures that show it."""
    right: dict[str, list[bool]] = {thing: [] for thing in THINGS}
    for task, picture in zip(group, pictures, strict=True):
        right[task.thing].append(judge(picture).thing == task.thing)
    return {thing: sum(hits) / len(hits) for thing, hits in right.items() if hits}


def real_drawings(group: Sequence[Task]) -> torch.Tensor:
    """Returns drawings of what is asked for, as a perfect model would make them."""
    rng = random.Random(5)
    return draw([arrange(task.thing, task.colour, task.background, rng=rng) for task in group])


def sheet(pictures: torch.Tensor, captions: Sequence[str], columns: int = 6) -> Image.Image:
    """Returns the pictures as one image, each with its caption in two lines below it."""
    edge, below = 8, 30
    rows = -(-len(pictures) // columns)
    step_x, step_y = SIDE + edge, SIDE + below + edge
    page = Image.new("RGB", (columns * step_x + edge, rows * step_y + edge), "white")
    pen = ImageDraw.Draw(page)
    for i, (picture, said) in enumerate(zip(pictures, captions, strict=True)):
        left, top = edge + i % columns * step_x, edge + i // columns * step_y
        levels = (picture.permute(1, 2, 0) * 255).round().byte().numpy()
        page.paste(Image.fromarray(levels), (left, top))
        words = said.split()
        half = next(n for n in range(len(words), 0, -1) if pen.textlength(" ".join(words[:n])) <= SIDE)
        lines = " ".join(words[:half]) + "\n" + " ".join(words[half:])
        pen.multiline_text((left, top + SIDE + 2), lines, fill="black", spacing=2)
    return page
