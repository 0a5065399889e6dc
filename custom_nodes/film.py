"""Turns pictures into a VIDEO for the host's nodes. Its frames are loaded one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from comfy_api.latest import Input, InputImpl, Types, io
from torch.utils._pytree import tree_map

from remix.errors import BadInput
from remix.job import job_texts
from remix.motion import film_order, load_picture
from remix.motion.formats import rate_of
from remix.motion.inbetween import QUALITIES
from remix.motion.pictures import to_bytes, to_floats
from remix.motion.retiming import Loaded, Retimed, moments_in_order
from remix.plan import Schedule

from .inputs import FILM, JobType, only, rendered_of, schedule_input, schedule_of, schema
from .interpolation import method_of, methods

PLAIN_FPS = 12
"""Default frame rate, as in a recipe."""

MOST_REPEATS = 1000

MOST_BETWEEN, FINE = 63, "fine"
"""The largest number of in-betweens from a frame to the next, and the default way to make them."""


class Frames:
    """The frames of a film in display order, loaded one at a time."""

    def __init__(self, pictures: torch.Tensor | Sequence[Path], order: Sequence[int]) -> None:
        self._pictures, self._order = pictures, order
        self.shape = (len(order), *self[0].shape)

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int) -> torch.Tensor:
        picture = self._pictures[self._order[index]]
        return picture if isinstance(picture, torch.Tensor) else torch.from_numpy(to_floats(load_picture(picture)))

    def __iter__(self) -> Iterator[torch.Tensor]:
        return (self[index] for index in range(len(self)))

    def whole(self) -> torch.Tensor:
        """Returns all frames as one IMAGE."""
        if isinstance(self._pictures, torch.Tensor):
            return self._pictures if self.in_memory else self._pictures[list(self._order)]
        return torch.stack(list(self))

    def opaque(self) -> Frames:
        """Returns the frames without their alpha channel."""
        if not isinstance(self._pictures, torch.Tensor) or self._pictures.shape[-1] == 3:
            return self
        return Frames(self._pictures[..., :3], self._order)

    @property
    def in_memory(self) -> bool:
        """Whether the pictures are already a tensor, in the order of the film."""
        return isinstance(self._pictures, torch.Tensor) and list(self._order) == list(range(len(self._pictures)))


class SmoothFrames(Frames):
    """The frames of a film with in-betweens, made when they are indexed. Alpha channels are left out."""

    def __init__(
        self,
        pictures: torch.Tensor | Sequence[Path],
        order: Sequence[int],
        step: Fraction,
        method: str,
        *,
        loop: bool,
        ping_pong: bool,
    ) -> None:
        own = Frames(pictures, range(len(pictures)))
        moments = moments_in_order(order, step, loop=loop, ping_pong=ping_pong)
        loaded = Loaded(range(len(own)), lambda index: to_bytes(own[index][..., :3].numpy()))
        quality = method if method in QUALITIES else FINE
        self._film = Retimed(loaded, moments, loop=loop, quality=quality, method=method_of(method))
        super().__init__(pictures, range(len(moments)))

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(to_floats(self._film[index]))

    def whole(self) -> torch.Tensor:
        """Returns all frames as one IMAGE."""
        return torch.stack(list(self))

    def opaque(self) -> Frames:
        """Returns these frames: they have no alpha channel."""
        return self

    @property
    def in_memory(self) -> bool:
        """False: in-betweens are made one at a time."""
        return False


class FrameTensor(torch.Tensor):
    """An IMAGE [frames, height, width, 3] whose frames are read one at a time, when they are indexed or iterated.

    Any other operation loads all frames into one tensor.
    """

    _frames: Frames

    @staticmethod
    def __new__(cls, frames: Frames) -> FrameTensor:
        """Returns a tensor of the frames' shape that allocates no memory."""
        made: FrameTensor = torch.Tensor._make_wrapper_subclass(cls, frames.shape, dtype=torch.float32)
        made._frames = frames
        return made

    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter(self._frames)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        if func is torch.ops.aten.select.int and args[1] == 0:
            return args[0]._frames[args[2]]

        def loaded(value: Any) -> Any:
            return value._frames.whole() if isinstance(value, FrameTensor) else value

        return func(*tree_map(loaded, args), **tree_map(loaded, kwargs or {}))


class Film(Input.Video):
    """A VIDEO of `Frames`. Only `get_components` loads all of them into memory. `job` is the folder of its frames."""

    def __init__(self, frames: Frames, rate: Fraction, audio: Any = None, job: Path | None = None) -> None:
        self._frames, self._rate, self._audio, self._job = frames, rate, audio, job

    def texts(self) -> dict[str, str]:
        """Returns the metadata of the job, {} if the film does not come from one."""
        return job_texts(self._job) if self._job else {}

    def parts(self) -> tuple[Frames, Fraction, Any]:
        """Returns the frames, which are loaded one at a time, the frame rate and the audio."""
        return self._frames, self._rate, self._audio

    def get_components(self) -> Types.VideoComponents:
        """Returns all frames as one tensor, with frame rate and audio."""
        return Types.VideoComponents(images=self._frames.opaque().whole(), audio=self._audio, frame_rate=self._rate)

    def save_to(self, path: Any, *settings: Any, **named: Any) -> None:
        """Writes the film with the host's encoder, which reads one frame at a time."""
        frames = self._frames.opaque()
        images = frames.whole() if frames.in_memory else FrameTensor(frames)
        components = Types.VideoComponents(images=images, audio=self._audio, frame_rate=self._rate)
        InputImpl.VideoFromComponents(components).save_to(path, *settings, **named)

    def as_trimmed(
        self, start_time: float | None = None, duration: float | None = None, strict_duration: bool = False
    ) -> Input.Video | None:
        """Returns a part of the film, trimmed by the host."""
        start, length = start_time or 0.0, duration or 0.0
        if strict_duration and self.get_duration() < start + length:
            return None
        return InputImpl.VideoFromFile(self.get_stream_source(), start_time=start, duration=length)

    def get_dimensions(self) -> tuple[int, int]:
        """Returns width and height."""
        return self._frames.shape[2], self._frames.shape[1]

    def get_frame_count(self) -> int:
        """Returns the number of frames."""
        return len(self._frames)

    def get_frame_rate(self) -> Fraction:
        """Returns frames per second."""
        return self._rate

    def get_duration(self) -> float:
        """Returns the length in seconds."""
        return float(len(self._frames) / self._rate)

    def get_color_space(self) -> str:
        """Returns the color space of the pictures."""
        return "sRGB"


class RemixFilm(io.ComfyNode):
    """Node that turns pictures, or a finished job, into a VIDEO."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Returns the inputs, outputs and texts of the node."""
        return schema(
            node_id="RemixFilm",
            display_name="Remix Film",
            category=FILM,
            description="Makes a VIDEO from images or from a job of Remix Render. Connect Remix Save Film or Save "
            "Video. The frames of a job are read from disk one at a time, and a list of image batches is joined.",
            search_aliases=["create video", "video combine", "images to video", "ping pong", "loop video"],
            inputs=[
                io.Image.Input(
                    "images",
                    optional=True,
                    tooltip="The frames, in order. A list of batches is joined. Transparency is kept if all have it.",
                ),
                JobType.Input(
                    "job", optional=True, tooltip="A finished job from Remix Render. Connect it instead of images."
                ),
                schedule_input("Sets the frame rate if images are connected.", optional=True),
                io.Audio.Input("audio", optional=True, tooltip="Sound. It is cut at the end of the last frame."),
                io.Float.Input(
                    "fps",
                    default=0.0,
                    min=0.0,
                    max=240.0,
                    step=0.01,
                    tooltip=f"Frames per second. 0: from the job or schedule, or {PLAIN_FPS} without one.",
                ),
                io.Boolean.Input(
                    "ping_pong", default=False, tooltip="Play forward, then backward. No end is shown twice in a row."
                ),
                io.Int.Input(
                    "repeat",
                    default=1,
                    min=1,
                    max=MOST_REPEATS,
                    tooltip="How many times the film plays.",
                ),
                io.Int.Input(
                    "between",
                    default=0,
                    min=0,
                    max=MOST_BETWEEN,
                    optional=True,
                    tooltip="In-betweens from each frame to the next. The film lasts as long as without. 0: as in the "
                    "recipe of the job or schedule, or none.",
                ),
                io.Float.Input(
                    "to_fps",
                    default=0.0,
                    min=0.0,
                    max=240.0,
                    step=0.01,
                    optional=True,
                    tooltip="Frame rate of the film, reached by in-betweens, such as 60. 0: set by between.",
                ),
                io.Combo.Input(
                    "method",
                    options=methods(),
                    default=FINE,
                    optional=True,
                    tooltip="How in-betweens are made. fine, fast: by the motion of the picture, without a model; fast "
                    "takes a third of the time. Or by a RIFE or FILM model in ComfyUI's folder "
                    "models/frame_interpolation.",
                ),
            ],
            outputs=[
                io.Video.Output("video", display_name="video", tooltip="The video, for Save Video and other nodes.")
            ],
            is_input_list=True,
        )

    @classmethod
    def execute(
        cls,
        fps: list[float],
        ping_pong: list[bool],
        repeat: list[int],
        images: list[torch.Tensor] | None = None,
        job: list[Any] | None = None,
        schedule: list[Any] | None = None,
        audio: list[Any] | None = None,
        between: Sequence[int] = (0,),
        to_fps: Sequence[float] = (0.0,),
        method: Sequence[str] = (FINE,),
    ) -> io.NodeOutput:
        """Returns the film."""
        rendered = rendered_of(only("job", job)) if job else None
        pictures = _pictures(images, rendered.frames if rendered else None)
        order = film_order(len(pictures), ping_pong=only("ping_pong", ping_pong), repeat=only("repeat", repeat))
        planned = rendered.schedule if rendered else schedule_of(only("schedule", schedule)) if schedule else None
        shown = rate_of(only("fps", fps) or (planned.recipe.fps if planned else PLAIN_FPS))
        rate = _film_rate(shown, only("between", between), only("to_fps", to_fps), planned)
        frames = Frames(pictures, order)
        if rate != shown:
            # A part of a loop does not lead back to its own first frame.
            loop = planned is not None and planned.recipe.loop and len(pictures) == len(planned)
            there_and_back = only("ping_pong", ping_pong)
            way = only("method", method)
            frames = SmoothFrames(pictures, order, shown / rate, way, loop=loop, ping_pong=there_and_back)
        return io.NodeOutput(Film(frames, rate, only("audio", audio), rendered.folder if rendered else None))


def _film_rate(shown: Fraction, between: int, to_fps: float, planned: Schedule | None) -> Fraction:
    """Returns the frame rate of a film with in-betweens, of pictures at the rate `shown`."""
    if between and to_fps:
        raise BadInput("between, to_fps: both set the number of in-betweens; set one of them to 0")
    if to_fps:
        return rate_of(to_fps)
    return shown * ((between or (planned.recipe.between if planned else 0)) + 1)


def _pictures(images: list[torch.Tensor] | None, frames: Sequence[Path] | None) -> torch.Tensor | Sequence[Path]:
    if (images is None) == (frames is None):
        given = "neither is" if images is None else "both are"
        raise BadInput(f"images, job: {given} connected; connect one of them")
    if images is None:
        return frames or ()
    sizes = {tuple(batch.shape[1:3]) for batch in images}
    if len(sizes) > 1:
        listed = " and ".join(f"{width}x{height}" for height, width in sorted(sizes))
        raise BadInput(f"images: sizes {listed}; give frames of one size")
    if not any(len(batch) for batch in images):
        raise BadInput("images: there are none; give at least one")
    channels = min(batch.shape[-1] for batch in images)
    return images[0] if len(images) == 1 else torch.cat([batch[..., :channels] for batch in images])


NODES = [RemixFilm]
