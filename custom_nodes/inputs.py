"""Shared by the nodes: custom types, common inputs, and menu categories."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import folder_paths
from comfy.cli_args import args
from comfy_api.latest import io

from remix.engine.blocks import blocks
from remix.engine.parts import read_part
from remix.engine.passes import OF_CONDITIONINGS
from remix.errors import BadInput, RecipeError, Unsupported
from remix.mix import POLICIES
from remix.plan import Schedule
from remix.plan.recipe import MIXINGS
from remix.prompt.tags import networks_of
from remix.syntax import ReadText, read_text

PLAN, MIX, FILM = "Remix/plan", "Remix/mix", "Remix/film"
"""Menu categories: recipes and schedules, tensors, pictures and films."""

ScheduleType = io.Custom("REMIX_SCHEDULE")
"""A `remix.plan.Schedule`: every number of every frame."""

JobType = io.Custom("REMIX_JOB")
"""A `Rendered`: a job folder with all of its frames."""

LARGEST_BATCH = 4096

WORKFLOW = (io.Hidden.prompt, io.Hidden.extra_pnginfo)
"""The hidden inputs that `workflow_texts` reads."""

AUTO = "auto"
"""The widget `syntax` of a text whose syntax is detected."""

OPTIONS = (
    (r"give frames \([^)]*--frames[^)]*\)", 'set the widget "frames"'),
    (r"name the syntax \(--from\)", 'choose one in the widget "syntax"'),
    (r" \(--field\)", ""),
    (r"unless you give one \(--seed\)", "unless a keyframe of a recipe sets one"),
)
"""Command-line option in an error about a text -> advice for users of a node."""


@dataclass(frozen=True)
class Rendered:
    """A finished job: its folder inside ComfyUI's output folder, its schedule, and its frames in order."""

    folder: Path
    schedule: Schedule
    frames: tuple[Path, ...]


def schema(**arguments: Any) -> io.Schema:
    """Returns a node's schema without arguments that this ComfyUI does not support (`search_aliases` before 0.10)."""
    known = {field.name for field in fields(io.Schema)}
    return io.Schema(**{name: value for name, value in arguments.items() if name in known})


def seldom() -> dict[str, Any]:
    """Returns the options that mark an input as advanced, if this ComfyUI supports that."""
    return {"advanced": True} if "advanced" in inspect.signature(io.Int.Input).parameters else {}


def schedule_input(tooltip: str = "The schedule, from Remix Recipe.", **options: Any) -> io.Input:
    """Returns the input `schedule`."""
    return ScheduleType.Input("schedule", tooltip=tooltip, **options)


def batch_input() -> io.Input:
    """Returns the input `batch_size`. 0 puts all frames into one batch."""
    return io.Int.Input(
        "batch_size",
        default=0,
        min=0,
        max=LARGEST_BATCH,
        tooltip="Number of frames to sample together. More frames become a list of batches, which downstream nodes "
        "process one after another, so memory use is limited. 0: all frames in one batch. Use the same value in all "
        "Remix nodes. With Remix Value Travel, the batch size is always 1.",
    )


def how_input(name: str = "how", *, recipe: bool = True) -> io.Input:
    """Returns the input for lerp or slerp. With `recipe`, also "output" and the default, "as the recipe says"."""
    more = " output: mix what the model predicts for each prompt. recipe: the recipe's setting."
    return io.Combo.Input(
        name,
        options=["recipe", *MIXINGS] if recipe else list(OF_CONDITIONINGS),
        default="recipe" if recipe else "lerp",
        tooltip="Interpolation method. lerp: in a straight line. slerp: along an arc that keeps the length."
        + (more if recipe else ""),
    )


def lengths_input(*, recipe: bool = True) -> io.Input:
    """Returns the input for a length policy. With `recipe`, the default is "as the recipe says"."""
    return io.Combo.Input(
        "lengths",
        options=["recipe" if recipe else "auto", *POLICIES],
        default="recipe" if recipe else "auto",
        tooltip="How to combine prompts of different lengths. tile: repeat each prompt. empty: pad with the empty "
        "prompt. zero: pad with zeros. trim: cut to the shortest. equal: raise an error. "
        + ("recipe: the recipe's setting, or" if recipe else "auto:")
        + " the method for the model family.",
    )


def schedule_of(value: Any) -> Schedule:
    """Returns the schedule from an input, or part of a film that a client sent over the API.

    Raises BadInput for anything else, such as a text.
    """
    if isinstance(value, Mapping):
        return read_part(value, folder_paths.get_input_directory())
    if not isinstance(value, Schedule):
        raise BadInput(f"schedule: {type(value).__name__} is not a schedule; connect Remix Recipe")
    return value


def read_recipe(
    recipe: str,
    frames: int | None = 0,
    fps: float | None = 0.0,
    width: int | None = 0,
    height: int | None = 0,
    syntax: str | None = AUTO,
) -> ReadText:
    """Returns the recipe in Remix Recipe's widgets, with notes. 0, "auto" and None leave a value to the text.

    Raises RecipeError with the names of widgets instead of command-line options.
    """
    try:
        found = read_text(
            recipe,
            None if syntax == AUTO else syntax,
            frames=frames or None,
            fps=fps or None,
            width=width or None,
            height=height or None,
            folder=folder_paths.get_input_directory(),
        )
        return found._replace(notes=tuple(map(_without_options, found.notes)))
    except RecipeError as error:
        raise RecipeError(
            _without_options(error.problem),
            path=error.path,
            source=error.source,
            line=error.line,
            column=error.column,
            excerpt=error.excerpt,
        ) from error


def _without_options(problem: str) -> str:
    for option, words in OPTIONS:
        problem = re.sub(option, words, problem)
    return problem


def only(name: str, values: Sequence[Any] | None) -> Any:
    """Returns the single value of a list input, or None for an empty one. Raises BadInput for several values."""
    if values is not None and len(values) > 1:
        raise BadInput(f"{name}: {len(values)} of them came as a list; this input takes one")
    return values[0] if values else None


def one_or_each(name: str, values: Sequence[Any], frames: int) -> Sequence[Any]:
    """Returns the values of a list input: one for all frames, or one per frame. Raises BadInput for another number."""
    if len(values) not in (1, frames):
        raise BadInput(f"{name}: {len(values)} of them came as a list, for {frames} frames; give one, or one for each")
    return values


def workflow_texts(hidden: Any) -> dict[str, str]:
    """Returns the metadata with which the front end opens a file as the workflow that made it.

    Empty if a client queued the workflow over the API, or if metadata is disabled in ComfyUI.
    """
    workflow = (hidden.extra_pnginfo or {}).get("workflow")
    if args.disable_metadata or workflow is None:
        return {}
    return {"workflow": json.dumps(workflow), "prompt": json.dumps(hidden.prompt)}


def temporary_folder() -> str:
    """Returns the host's folder for temporary files, which the host itself creates with its first preview."""
    folder: str = folder_paths.get_temp_directory()
    Path(folder).mkdir(parents=True, exist_ok=True)
    return folder


def shown_remarks(remarks: Sequence[str]) -> dict[str, Any]:
    """Returns the text that the front end shows on the node, and that the history contains."""
    return {"remarks": tuple(remarks)}


NO_LORAS = (
    "loras: only Remix Render loads a recipe's; use it, or connect a LoRA loader and leave them out of the recipe"
)


def refuse_unwired(schedule: Schedule) -> None:
    """Raises Unsupported for settings of keyframes, and tags of prompts, that the links of a workflow decide."""
    for prompt in (*schedule.prompts, *schedule.negatives):
        for network in networks_of(prompt):
            raise Unsupported(
                f"prompt: only Remix Render loads <{network.kind}:{network.name}>; use it, or connect a LoRA loader "
                "and leave the tag out"
            )
    if any(frame.loras for frame in schedule):
        raise Unsupported(NO_LORAS)
    if any(frame.mask is not None for frame in schedule):
        raise Unsupported(
            "mask: only Remix Render reads a recipe's; use Set Latent Noise Mask, and leave it out of the recipe"
        )


def rendered_of(value: Any) -> Rendered:
    """Returns the job from an input. Raises BadInput for anything else, such as a path from the API."""
    if not isinstance(value, Rendered):
        raise BadInput(f"job: {type(value).__name__} is not a job; connect Remix Render")
    return value


def batches(schedule: Schedule, batch_size: int) -> list[range]:
    """Returns the frames of each batch, in order."""
    return list(blocks(len(schedule), batch_size or len(schedule)))


def unlike(value: str, word: str = "recipe") -> str | None:
    """Returns the choice of a widget, or None if it leaves the choice to the recipe."""
    return None if value == word else value
