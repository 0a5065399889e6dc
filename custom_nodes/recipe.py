"""Remix Recipe: from a text to every number of every frame."""

from __future__ import annotations

import logging
from typing import Any

import folder_paths
import numpy as np
import torch
from comfy_api.latest import io, ui

from remix.errors import RemixError
from remix.job.plot import draw, draw_table
from remix.plan import Model, Recipe, Schedule, plan
from remix.plan.table import text_table
from remix.plan.text import read_text

from .inputs import PLAN, ScheduleType, schema
from .pictures import input_stamps

log = logging.getLogger(__name__)

EXAMPLE = """\
frames = 16
fps = 8
size = [512, 512]
steps = 20
cfg = 7

[[keyframes]]
prompt = "a red house on a green hill"
seed = 3
ease = "sine-in-out"

[[keyframes]]
prompt = "a white house in the snow"
"""


class RemixRecipe(io.ComfyNode):
    """A text, perhaps with another length, pace or size, worked out."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RemixRecipe",
            display_name="Remix Recipe",
            category=PLAN,
            description="Works out every number of every frame from a recipe: keyframes with prompts, seeds and "
            "settings, and what lies between them. Shows the curves and the table.",
            search_aliases=["prompt travel", "prompt schedule", "keyframes", "animation schedule", "deforum"],
            inputs=[
                io.String.Input(
                    "recipe",
                    multiline=True,
                    default=EXAMPLE,
                    dynamic_prompts=False,
                    tooltip="The recipe, in TOML or JSON: each [[keyframes]] sets prompt, negative, seed, cfg, denoise "
                    "or image at a moment, and everything travels between them. Or a schedule of FizzNodes, Deforum, "
                    "AnimateDiff and others, told by how it looks.",
                ),
                io.Int.Input(
                    "frames", default=0, min=0, max=100_000, tooltip="How many frames. 0: as the recipe says."
                ),
                io.Float.Input(
                    "fps",
                    default=0.0,
                    min=0.0,
                    max=240.0,
                    step=0.5,
                    tooltip="Frames in a second of the film. 0: as the recipe says.",
                ),
                io.Int.Input(
                    "width", default=0, min=0, max=8192, step=8, tooltip="Width in pixels. 0: as the recipe says."
                ),
                io.Int.Input(
                    "height", default=0, min=0, max=8192, step=8, tooltip="Height in pixels. 0: as the recipe says."
                ),
            ],
            outputs=[
                ScheduleType.Output("schedule", tooltip="What every frame is made of, for the other Remix nodes."),
                io.Int.Output("frames", tooltip="How many frames there are."),
                io.Float.Output("fps", tooltip="Frames in a second of the film."),
                io.Int.Output("width", tooltip="Width in pixels."),
                io.Int.Output("height", tooltip="Height in pixels."),
                io.Int.Output("steps", tooltip="Steps of the sampler."),
                io.Float.Output(
                    "cfg", tooltip="The recipe's cfg; one that travels is worked out by Remix Value Travel."
                ),
                io.Int.Output("seed", tooltip="The seed of the first frame."),
            ],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(
        cls, recipe: str | None = None, frames: int = 0, fps: float = 0.0, width: int = 0, height: int = 0
    ) -> bool | str:
        """Returns what is wrong with the recipe, in one sentence, before anything of the workflow runs."""
        if recipe is None:  # it comes over a wire, and is not known yet
            return True
        try:
            _read(recipe, frames or 0, fps or 0.0, width or 0, height or 0)
        except RemixError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(
        cls, recipe: str | None = None, frames: int = 0, fps: float = 0.0, width: int = 0, height: int = 0
    ) -> str:
        """Returns the hashes of the recipe's pictures: the host works the node out again when one is replaced."""
        if recipe is None:  # it comes over a wire; Remix Render looks at the pictures itself
            return ""
        try:
            made, _ = _read(recipe, frames or 0, fps or 0.0, width or 0, height or 0)
        except RemixError:
            return ""
        return ",".join(input_stamps(made).values())

    @classmethod
    def execute(cls, recipe: str, frames: int, fps: float, width: int, height: int) -> io.NodeOutput:
        made, notes = _read(recipe, frames, fps, width, height)
        schedule, remarks = plan(made), [*notes, *_remarks(made)]
        for remark in remarks:
            log.warning("Remix Recipe: %s", remark)
        return io.NodeOutput(
            schedule,
            made.frames,
            made.fps,
            made.width,
            made.height,
            made.steps,
            made.cfg,
            schedule[0].seed.values[0],
            ui=_shown(cls, schedule, remarks),
        )


def _read(text: str, frames: int, fps: float, width: int, height: int) -> tuple[Recipe, tuple[str, ...]]:
    return read_text(
        text,
        frames=frames or None,
        fps=fps or None,
        width=width or None,
        height=height or None,
        folder=folder_paths.get_input_directory(),
    )


def _shown(cls: type[io.ComfyNode], schedule: Schedule, remarks: list[str]) -> dict[str, Any]:
    """The curves and the table as one picture under the node, and the table as a text for whoever asks over the API."""
    curves = torch.from_numpy(np.concatenate([draw(schedule), draw_table(schedule)])).unsqueeze(0) / 255
    return {
        **ui.PreviewImage(curves, cls=cls).as_dict(),
        **ui.PreviewText("\n".join([text_table(schedule), *remarks])).as_dict(),
    }


def _remarks(recipe: Recipe) -> list[str]:
    """What the recipe names and the wires decide."""
    model, remarks = recipe.model, []
    if model.checkpoint != Model().checkpoint:
        remarks.append(f"model.checkpoint: {model.checkpoint!r} is not loaded here; connect a checkpoint loader")
    if model.loras:
        remarks.append(f"model.loras: {model.loras[0].name!r} is not loaded here; connect a LoRA loader")
    return remarks


NODES = [RemixRecipe]
