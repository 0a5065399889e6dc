"""Remix Render: renders a schedule into a job folder. Finished frames survive an interrupt or a crash."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.utils
import latent_preview
from comfy_api.latest import io

from remix.digest import sha256
from remix.engine import Event
from remix.engine import render as render_job
from remix.engine.draft import draft_frames
from remix.engine.tags import with_tags_applied
from remix.errors import BadInput
from remix.job import frame_path, siblings
from remix.plan import Schedule
from remix.plan.denoise import DENOISE_OF_PICTURES

from .applied import applied
from .connected import with_pictures
from .engine import ComfyEngine
from .inputs import (
    FILM,
    LARGEST_BATCH,
    WORKFLOW,
    JobType,
    Rendered,
    schedule_input,
    schedule_of,
    schema,
    seldom,
    shown_remarks,
    workflow_texts,
)
from .job import job_folder, made_by, named, shown_page, shown_pictures
from .loras import lora_paths
from .pictures import file_hash, input_stamps
from .placeholders import PLACEHOLDERS, filled

log = logging.getLogger(__name__)

FROM = ("model", "clip", "vae")
"""The inputs that, together with the schedule, determine the pictures."""


class RemixRender(io.ComfyNode):
    """Node that samples, decodes and stores frames batch by batch."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RemixRender",
            display_name="Remix Render",
            category=FILM,
            description="Renders a schedule batch by batch into a job folder in the output folder. After an interrupt "
            "or a crash, queue it again: only missing frames are rendered. Memory use does not grow with the length.",
            search_aliases=["render animation", "resume render", "batch render", "prompt travel video"],
            inputs=[
                io.Model.Input("model", tooltip="The model, with any LoRAs and patches applied."),
                io.Clip.Input("clip", tooltip="The text encoder."),
                io.Vae.Input("vae", tooltip="The VAE that decodes frames and encodes the recipe's pictures."),
                schedule_input(extra_dict={"parts": True, "loras": True}),  # clients check these before they send part
                io.String.Input(
                    "filename_prefix",
                    default="remix/film",
                    tooltip="Start of the job folder's name, in the output folder. A key for the frames and the model "
                    f"is added, so the same workflow continues its job. {PLACEHOLDERS}",
                ),
                io.Int.Input(
                    "batch_size",
                    default=8,
                    min=1,
                    max=LARGEST_BATCH,
                    tooltip="Number of frames to sample together. More are faster and need more memory.",
                ),
                io.Int.Input(
                    "first",
                    default=0,
                    min=0,
                    max=99_999,
                    optional=True,
                    **seldom(),
                    tooltip="First frame to render, counted from 0.",
                ),
                io.Int.Input(
                    "count",
                    default=0,
                    min=0,
                    max=100_000,
                    optional=True,
                    **seldom(),
                    tooltip="Number of frames to render. 0: all from the first. If you render a part, the preview and "
                    "the job output contain that part.",
                ),
                io.Image.Input(
                    "images",
                    optional=True,
                    tooltip="Init pictures: one for all frames, one for each keyframe of the recipe, or one for each "
                    "frame, such as the frames of a video.",
                ),
                io.Mask.Input(
                    "masks",
                    optional=True,
                    tooltip="Where init pictures are redrawn: white is redrawn, black is kept. One, one for each "
                    "keyframe, or one for each frame.",
                ),
                io.Float.Input(
                    "denoise",
                    default=DENOISE_OF_PICTURES,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    optional=True,
                    tooltip="How much of connected images is redrawn. Unused if the recipe sets pictures or denoise.",
                ),
                io.Conditioning.Input(
                    "positive",
                    optional=True,
                    tooltip="Replaces the prompts of the recipe, such as those of Remix Prompt Travel (batch_size 0) "
                    "with a ControlNet. One for all frames, or one for each frame in one batch.",
                ),
                io.Conditioning.Input(
                    "negative",
                    optional=True,
                    tooltip="Replaces the negative prompts of the recipe, in the same way.",
                ),
                io.Int.Input(
                    "every",
                    default=1,
                    min=1,
                    max=1_000,
                    optional=True,
                    **seldom(),
                    tooltip="Draft: render only every Nth frame and the last. The job output shows each until the "
                    "next, at the film's pace. 1 renders all, and completes a draft. For half the size, set width and "
                    "height of Remix Recipe.",
                ),
            ],
            outputs=[JobType.Output("job", tooltip="The finished job, for Remix Film or Remix Frames.")],
            hidden=[io.Hidden.dynprompt, io.Hidden.unique_id, *WORKFLOW],
            is_output_node=True,
        )

    @classmethod
    def fingerprint_inputs(cls, filename_prefix: str = "", **inputs: Any) -> str:
        """Returns a new value if frames of this prefix or files of their recipes have changed, otherwise a constant.

        The host caches a node's output. Without this, it would list deleted files or show an old film.
        """
        odd = [name for given in _given.values() if given.prefix == filename_prefix for name in given.odd()]
        return sha256("\n".join(sorted(odd)).encode("utf-8", "surrogateescape")) if odd else ""

    @classmethod
    def execute(
        cls,
        model: Any,
        clip: Any,
        vae: Any,
        schedule: Any,
        filename_prefix: str,
        batch_size: int,
        first: int = 0,
        count: int = 0,
        images: Any = None,
        masks: Any = None,
        denoise: float = DENOISE_OF_PICTURES,
        positive: Any = None,
        negative: Any = None,
        every: int = 1,
    ) -> io.NodeOutput:
        asked = schedule_of(schedule)
        wanted = _wanted(asked, first, count, every)
        origin = {**made_by(cls.hidden.dynprompt, cls.hidden.unique_id, FROM), **applied(model, clip, vae)}
        progress = Progress(model, asked.recipe.steps)
        engine = ComfyEngine(
            model,
            clip,
            vae,
            made_by=origin,
            batch_size=batch_size,
            on_step=progress.step,
            texts=workflow_texts(cls.hidden),
            positive=positive,
            negative=negative,
        )
        prefix = filled(filename_prefix, cls.hidden, (asked.recipe.width, asked.recipe.height))
        remarks: list[str] = []

        def tell(remark: str) -> None:
            log.warning("Remix Render: %s", remark)
            remarks.append(remark)

        # Before rendering, so that a file that is replaced meanwhile is noticed.
        loras = {path: file_hash(path) for path in lora_paths(with_tags_applied(asked)).values()}
        given = {**input_stamps(asked.recipe), **loras}
        with with_pictures(asked, images, masks, denoise) as planned:
            outcome = render_job(
                planned,
                engine,
                job_folder(prefix, planned, engine.identity(planned)),
                film=None,
                frames=None if every > 1 else wanted,
                every=every,
                donors=siblings(*named(prefix)),
                listen=progress.listen,
                tell=tell,
            )
        rendered = tuple(frame_path(outcome.folder, index) for index in wanted)
        _remember(Given(filename_prefix, outcome.folder, rendered, given))
        shown = rendered if first or count or outcome.sheet is None else [outcome.sheet]
        # A draft lasts as long as the film, so each of its frames is shown until the next.
        frames = rendered if every == 1 else tuple(rendered[bisect_right(wanted, i) - 1] for i in range(len(asked)))
        return io.NodeOutput(
            Rendered(outcome.folder, outcome.schedule or asked, frames),
            ui={**shown_pictures(shown), **shown_page(outcome.report), **shown_remarks(remarks)},
        )


@dataclass(frozen=True)
class Given:
    """Frames that the host received, and the hashes of the recipe's pictures and LoRAs at that time, by path."""

    prefix: str
    folder: Path
    frames: tuple[Path, ...]
    files: Mapping[Path, str]

    def odd(self) -> list[str]:
        """Returns the frames that are gone and the files that have changed."""
        gone = [str(path) for path in self.frames if not path.is_file()]
        return gone + [f"{path} {now}" for path, was in self.files.items() if (now := file_hash(path)) != was]


MOST_GIVEN = 64
"""Number of recent renders that are remembered."""

_given: dict[tuple[str, Path, tuple[Path, ...]], Given] = {}


def _remember(given: Given) -> None:
    """Remembers a render. Forgets renders of the same frames, or with files that have changed since."""
    key = (given.prefix, given.folder, given.frames[:1] + given.frames[-1:])
    for other, held in list(_given.items()):
        replaced = any(held.files.get(path, now) != now for path, now in given.files.items())
        if other == key or (held.prefix == given.prefix and replaced):
            del _given[other]
    _given[key] = given
    while len(_given) > MOST_GIVEN:
        del _given[next(iter(_given))]


def _wanted(schedule: Schedule, first: int, count: int, every: int) -> Sequence[int]:
    """Returns the frames that `first` and `count` select, or those of a draft."""
    if every > 1:
        if first or count:
            raise BadInput("every: a draft is of the whole film; set first and count to 0, or every to 1")
        return draft_frames(len(schedule), every)
    if first >= len(schedule):
        raise BadInput(f"first: {first} is past the last frame ({len(schedule) - 1}); give a smaller one")
    return range(first, min(first + count, len(schedule)) if count else len(schedule))


class Progress:
    """The progress bar and preview of the node. Each call ends the run if the user has interrupted it."""

    def __init__(self, model: Any, steps: int) -> None:
        self._bar = comfy.utils.ProgressBar(1)
        self._previewer = latent_preview.get_previewer(model.load_device, model.model.latent_format)
        self._steps = steps
        self._frames = self._total = self._at = 0

    def listen(self, event: Event) -> None:
        """Updates the number of finished frames."""
        if event.stage in ("pacing", "frames"):
            self._frames, self._total = event.done, event.total
            self._show(event.done * self._steps)

    def step(self, frames: int, done: int, total: int, estimate: Any) -> None:
        """Updates the step of frames that are sampled together."""
        preview = None
        if self._previewer is not None:
            preview = self._previewer.decode_latent_to_preview_image("JPEG", estimate)
        self._show(self._frames * self._steps + frames * self._steps * done // total, preview)

    def _show(self, at: int, preview: Any = None) -> None:
        # Frames that were sampled together are stored one by one. The bar waits for them and never moves back.
        self._at = max(self._at, at)
        # The bar checks too, but not on every call, since it limits its updates.
        comfy.model_management.throw_exception_if_processing_interrupted()
        self._bar.update_absolute(self._at, self._total * self._steps, preview)


NODES = [RemixRender]
