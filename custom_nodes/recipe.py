"""Remix Recipe: plans a text."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

import comfy.samplers
import torch
from comfy_api.latest import io, ui

from remix.errors import BadInput, RemixError
from remix.job import missing_pictures
from remix.motion.pictures import to_floats
from remix.plan import Model, Recipe, Schedule, plan
from remix.plan.schedule import is_quick, remarks_on
from remix.show.plot import DARK, draw
from remix.show.table import text_table
from remix.syntax import SYNTAXES

from .inputs import AUTO, PLAN, ScheduleType, read_recipe, schema, seldom, shown_remarks
from .pictures import input_stamps
from .queued import widget
from .settings import Downstream, downstream_of, refuse_travelling, sampler_remarks, value_of
from .workflow import Workflow

log = logging.getLogger(__name__)

TRAVELS = "If it changes over time, this output cannot be used; use"

LENGTHS = (0, 100, 1_000, 10_000)
"""Values of the widget `frames` with which a text is tried: its own length, and longer ones."""

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
    """Node that plans a text, optionally with another length, frame rate or size."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RemixRecipe",
            display_name="Remix Recipe",
            category=PLAN,
            description="Plans a film from a recipe: keyframes with prompts, seeds and settings, and the frames "
            "between them. Shows curves and a table of all frames.",
            search_aliases=["prompt travel", "prompt schedule", "keyframes", "animation schedule", "deforum"],
            inputs=[
                io.String.Input(
                    "recipe",
                    multiline=True,
                    default=EXAMPLE,
                    dynamic_prompts=False,
                    tooltip="The recipe, in TOML or JSON. Each [[keyframes]] sets prompt, negative, seed, cfg, "
                    "denoise or image at one moment; values in between are interpolated. Schedules of FizzNodes, "
                    "Deforum, AnimateDiff and others work too. The node shows the detected syntax.",
                ),
                io.Int.Input(
                    "frames", default=0, min=0, max=100_000, tooltip="Number of frames. 0: the recipe's value."
                ),
                io.Float.Input(
                    "fps",
                    default=0.0,
                    min=0.0,
                    max=240.0,
                    step=0.5,
                    tooltip="Frames per second. 0: the recipe's value.",
                ),
                io.Int.Input(
                    "width", default=0, min=0, max=8192, step=8, tooltip="Width in pixels. 0: the recipe's value."
                ),
                io.Int.Input(
                    "height", default=0, min=0, max=8192, step=8, tooltip="Height in pixels. 0: the recipe's value."
                ),
                io.Combo.Input(
                    "syntax",
                    options=[AUTO, *SYNTAXES],
                    default=AUTO,
                    optional=True,
                    **seldom(),
                    tooltip="Syntax of the text, if it is not the detected one, which the node shows. auto: detect it.",
                ),
            ],
            outputs=[
                ScheduleType.Output("schedule", tooltip="The schedule, for the other Remix nodes."),
                io.Int.Output("frames", tooltip="Number of frames."),
                io.Float.Output("fps", tooltip="Frames per second."),
                io.Int.Output("width", tooltip="Width in pixels."),
                io.Int.Output("height", tooltip="Height in pixels."),
                io.Int.Output("steps", tooltip="Sampling steps."),
                io.Float.Output(
                    "cfg",
                    tooltip=f"The cfg, if it is the same in all frames. {TRAVELS} Remix Value Travel or Remix Render.",
                ),
                io.Int.Output(
                    "seed", tooltip=f"The seed, if it is the same in all frames. {TRAVELS} Remix Noise Travel."
                ),
                io.Custom(comfy.samplers.KSampler.SAMPLERS).Output(
                    "sampler", tooltip="The sampler, for KSampler or KSamplerSelect."
                ),
                io.Custom(comfy.samplers.KSampler.SCHEDULERS).Output(
                    "scheduler", tooltip="The scheduler, for KSampler or BasicScheduler."
                ),
                io.Float.Output(
                    "denoise",
                    tooltip=f"The denoise, if it is the same in all frames. {TRAVELS} Remix Value "
                    "Travel or Remix Render.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, recipe: str | None = None) -> bool | str:
        """Returns True, or the error in the recipe, before the workflow runs.

        The host reports the error once for each argument, and leaves their ranges unchecked, so this takes the text
        alone, and finds the widget `syntax` in the request. An error that the widget `frames` may resolve is reported
        by `execute`.
        """
        if recipe is None:  # connected, so its value is not known yet
            return True
        problems, syntax = [], widget(cls, "syntax")
        for frames in LENGTHS:
            try:
                read_recipe(recipe, frames, syntax=syntax)
            except RemixError as error:
                problems.append(str(error))
            else:
                return True
        return problems[0]

    @classmethod
    def fingerprint_inputs(
        cls,
        recipe: str | None = None,
        frames: int = 0,
        fps: float = 0.0,
        width: int = 0,
        height: int = 0,
        syntax: str = AUTO,
    ) -> str:
        """Returns the node's other dependencies: the recipe's pictures and song, connected outputs, later samplers.

        ComfyUI then runs the node again when a picture or the song is replaced under the same name.
        """
        stamps: list[str] = []
        if recipe is not None:  # not known yet if connected; Remix Render checks its pictures
            with suppress(RemixError):
                made = read_recipe(recipe, frames, fps, width, height, syntax).recipe
                stamps = list(input_stamps(made).values()) + ([made.music.sha256] if made.music else [])
        return f"{_downstream(cls)!r} {stamps}"

    @classmethod
    def execute(
        cls, recipe: str, frames: int, fps: float, width: int, height: int, syntax: str = AUTO
    ) -> io.NodeOutput:
        """Returns the schedule, and the settings that are the same in every frame."""
        made, notes, found = read_recipe(recipe, frames, fps, width, height, syntax)
        schedule, downstream = plan(made), _downstream(cls)
        refuse_travelling(schedule, downstream.outputs)
        remarks = [
            *notes,
            *_unwired(made, downstream),
            *_missing(made),
            *remarks_on(schedule),
            *sampler_remarks(schedule, recipe, downstream),
        ]
        for remark in remarks:
            log.warning("Remix Recipe: %s", remark)
        return io.NodeOutput(
            schedule,
            made.frames,
            made.fps,
            made.width,
            made.height,
            made.steps,
            *(value_of(schedule[0], name) for name in ("cfg", "seed")),
            made.sampler,
            made.scheduler,
            value_of(schedule[0], "denoise"),
            ui=_shown(cls, schedule, [f"Read as {SYNTAXES[found].title} ({found}).", *remarks]),
        )


def _downstream(cls: type[io.ComfyNode]) -> Downstream:
    number = getattr(cls.hidden, "unique_id", None)
    return Downstream() if number is None else downstream_of(Workflow.running(), number)


def _shown(cls: type[io.ComfyNode], schedule: Schedule, remarks: list[str]) -> dict[str, Any]:
    """Returns the preview: curves as a picture, and the table as text. `text` holds all texts, for the API."""
    if not is_quick(schedule.recipe):
        text = "The schedule is too large to be drawn here. The film can be rendered."
        return {**ui.PreviewText("\n".join([text, *remarks])).as_dict(), **shown_remarks(remarks)}
    curves, table = torch.from_numpy(to_floats(draw(schedule, DARK))).unsqueeze(0), text_table(schedule)
    return {
        **ui.PreviewImage(curves, cls=cls).as_dict(),
        **ui.PreviewText("\n".join([table, *remarks])).as_dict(),
        "table": (table,),
        **shown_remarks(remarks),
    }


def _unwired(recipe: Recipe, downstream: Downstream) -> list[str]:
    """Returns a remark for each model that the workflow's loaders decide, and for what only Remix Render does."""
    model, remarks = recipe.model, []
    if model.checkpoint != Model().checkpoint:
        remarks.append(f"model.checkpoint: {model.checkpoint!r} is not loaded here; connect a checkpoint loader")
    if model.loras and downstream.wired:
        remarks.append(
            f"model.loras: only Remix Render loads {model.loras[0].name!r}; connect a LoRA loader for other samplers"
        )
    if recipe.pace == "even" and recipe.clock is None and downstream.wired:
        remarks.append("pace: only Remix Render measures an even pace; with other samplers, frames are spaced by time")
    if recipe.restore and downstream.wired:
        remarks.append("restore: only Remix Render restores pictures; connect it, or leave restore out of the recipe")
    return remarks


def _missing(recipe: Recipe) -> list[str]:
    """Returns a remark for each picture that Remix Render would not find."""
    try:
        return [f"picture: {sentence}" for sentence in missing_pictures(recipe)]
    except BadInput as error:
        return [f"picture: {error}"]


NODES = [RemixRecipe]
