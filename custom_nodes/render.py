"""Remix Render: from a schedule to finished frames in a job folder, which an interrupt or a crash does not lose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.utils
import folder_paths
import latent_preview
from comfy_api.latest import io, ui

from remix.job import Event, open_job
from remix.job import render as render_job

from .engine import ComfyEngine
from .inputs import FILM, LARGEST_BATCH, JobType, Rendered, schedule_input, schedule_of, schema
from .job import job_folder, made_by

FROM = ("model", "clip", "vae")
"""The inputs that, with the schedule, make the pictures."""


class RemixRender(io.ComfyNode):
    """Frames that are sampled, decoded and stored batch by batch."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RemixRender",
            display_name="Remix Render",
            category=FILM,
            description="Renders a schedule batch by batch into a job folder below the output folder. Queue it again "
            "after an interrupt or a crash, and only missing frames are rendered. Memory does not grow with length.",
            search_aliases=["render animation", "resume render", "batch render", "prompt travel video"],
            inputs=[
                io.Model.Input("model", tooltip="The model, with LoRAs and patches if any."),
                io.Clip.Input("clip", tooltip="The text encoder."),
                io.Vae.Input("vae", tooltip="What decodes the frames, and encodes the recipe's pictures."),
                schedule_input(),
                io.String.Input(
                    "filename_prefix",
                    default="remix/film",
                    tooltip="The beginning of the job folder's name, below the output folder. The rest of the name "
                    "stands for the schedule and the model, so that the same workflow finds its job again.",
                ),
                io.Int.Input(
                    "batch_size",
                    default=8,
                    min=1,
                    max=LARGEST_BATCH,
                    tooltip="Frames that are sampled together: more are faster and need more memory.",
                ),
            ],
            outputs=[JobType.Output("job", tooltip="The finished job, for Remix Film and Remix Frames.")],
            hidden=[io.Hidden.dynprompt, io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls, model: Any, clip: Any, vae: Any, schedule: Any, filename_prefix: str, batch_size: int
    ) -> io.NodeOutput:
        schedule = schedule_of(schedule)
        origin = made_by(cls.hidden.dynprompt, cls.hidden.unique_id, FROM)
        folder = job_folder(filename_prefix, schedule, origin)
        progress = Progress(model, schedule.recipe.steps)
        engine = ComfyEngine(model, clip, vae, made_by=origin, batch_size=batch_size, on_step=progress.step)
        outcome = render_job(schedule.recipe, engine, folder, film=None, listen=progress.listen)
        with open_job(folder, schedule, engine.identity(schedule)) as job:
            frames = tuple(job.frame_paths())
        return io.NodeOutput(Rendered(outcome.folder, schedule, frames), ui=_shown(outcome.sheet))


class Progress:
    """The bar and the preview under the node. Each call ends the run when the user has interrupted it."""

    def __init__(self, model: Any, steps: int) -> None:
        self._bar = comfy.utils.ProgressBar(1)
        self._previewer = latent_preview.get_previewer(model.load_device, model.model.latent_format)
        self._steps = steps
        self._frames = self._total = self._at = 0

    def listen(self, event: Event) -> None:
        """Takes how many frames are finished."""
        if event.stage == "frames":
            self._frames, self._total = event.done, event.total
            self._show(event.done * self._steps)

    def step(self, frames: int, done: int, total: int, estimate: Any) -> None:
        """Takes a step of frames that are sampled together."""
        preview = None
        if self._previewer is not None:
            preview = self._previewer.decode_latent_to_preview_image("JPEG", estimate)
        self._show(self._frames * self._steps + frames * self._steps * done // total, preview)

    def _show(self, at: int, preview: Any = None) -> None:
        # Frames that were sampled together are stored one by one: the bar waits for them, and does not go back.
        self._at = max(self._at, at)
        # The bar looks too, but not at every call: it is slow to tell small steps.
        comfy.model_management.throw_exception_if_processing_interrupted()
        self._bar.update_absolute(self._at, self._total * self._steps, preview)


def _shown(sheet: Path) -> dict[str, Any]:
    """The contact sheet, under the node and in the history."""
    root = Path(folder_paths.get_output_directory()).resolve()
    subfolder = sheet.parent.relative_to(root).as_posix()
    return ui.SavedImages([ui.SavedResult(sheet.name, subfolder, io.FolderType.output)]).as_dict()


NODES = [RemixRender]
