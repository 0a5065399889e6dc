"""Remix Save Film: writes a VIDEO as a file of any of the toolkit's formats."""

from __future__ import annotations

import tempfile
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.utils
import folder_paths
import torch
from comfy_api.latest import io, ui

from remix.motion import Picture, write_video
from remix.motion.formats import FORMATS, Format
from remix.motion.pictures import PLACES, fit, to_bytes

from .film import Film
from .inputs import FILM, WORKFLOW, schema, seldom, shown_remarks, temporary_folder, workflow_texts
from .placeholders import PLACEHOLDERS, filled

SAVED = [name for name, row in FORMATS.items() if row.suffixes]
"""The formats that are files. A folder of PNGs is what Save Image writes."""

SHOWN = ("mp4", "webm", "webp", "apng", "av1")
"""The formats that the front end plays. It would open a GIF as a video."""

OWN_SIZE = "own size"

SMALL, FEW = 384, 96
"""Longest side and largest number of frames of a preview of another format."""


class RemixSaveFilm(io.ComfyNode):
    """Node that writes a film."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Returns the inputs, outputs and texts of the node."""
        formats = " ".join(f"{name}: {FORMATS[name].about}." for name in SAVED)
        return schema(
            node_id="RemixSaveFilm",
            display_name="Remix Save Film",
            category=FILM,
            description="Saves a VIDEO as MP4, WebM, GIF, animated WebP or PNG, ProRes, HEVC, AV1, or without loss. "
            "Keeps transparency if the format can, and shows the film.",
            search_aliases=["save gif", "save webp", "save apng", "prores", "save webm", "export video", "save video"],
            inputs=[
                io.Video.Input("video", tooltip="The film, from Remix Film or any other node with a VIDEO."),
                io.String.Input(
                    "filename_prefix",
                    default="video/remix",
                    tooltip=f"Start of the file's name, in the output folder. {PLACEHOLDERS}",
                ),
                io.Combo.Input("format", options=SAVED, default="mp4", tooltip=formats),
                io.Int.Input(
                    "loops",
                    default=0,
                    min=0,
                    max=min(FORMATS[name].max_loops for name in ("gif", "webp", "apng")),
                    optional=True,
                    **seldom(),
                    tooltip="How often a GIF, WebP or APNG plays. 0: forever.",
                ),
                io.Combo.Input(
                    "place",
                    options=[OWN_SIZE, *PLACES],
                    default=OWN_SIZE,
                    optional=True,
                    tooltip="Size for where the film is shown, cropped evenly: "
                    + ", ".join(f"{name} {width}x{height}" for name, (width, height) in PLACES.items())
                    + f". {OWN_SIZE}: the size of the frames.",
                ),
            ],
            outputs=[io.Video.Output("video", display_name="video", tooltip="The video, unchanged.")],
            hidden=list(WORKFLOW),
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls, video: Any, filename_prefix: str, format: str, loops: int = 0, place: str = OWN_SIZE
    ) -> io.NodeOutput:
        """Writes the film, and shows it."""
        row, film = FORMATS[format], replace(film_of(video), fitted=PLACES.get(place))
        path, subfolder = _new_file(filled(filename_prefix, cls.hidden, film.size), row)
        remarks = [remark for lost, remark in _losses(row, film) if lost]
        texts = {**(video.texts() if isinstance(video, Film) else {}), **workflow_texts(cls.hidden)}
        bar = comfy.utils.ProgressBar(film.count)

        def write(audio: str | None) -> None:
            write_video(
                film.pictures(alpha=row.alpha),
                path,
                film.rate,
                format=format,
                loops=loops,
                metadata=texts,
                audio=audio,
                on_frame=lambda done: _step(bar, done, film.count),
            )

        if film.audio is None or not row.container(path).sound:
            write(None)
        else:
            _with_sound(film.audio, write)
        shown = ui.SavedResult(path.name, subfolder, io.FolderType.output) if format in SHOWN else _preview(film)
        return io.NodeOutput(video, ui={"images": [shown], "animated": (True,), **shown_remarks(remarks)})


@dataclass(frozen=True)
class Frames:
    """The frames of a VIDEO, its rate and its sound. `images` are floats [height, width, 3 or 4], one at a time."""

    images: Any
    count: int
    rate: Fraction
    audio: Any
    alpha: torch.Tensor | None
    fitted: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Returns width and height: of the frames, or those that they are fitted to."""
        if self.fitted:
            return self.fitted
        height, width = self.images.shape[1:3]
        return int(width), int(height)

    @property
    def is_transparent(self) -> bool:
        """Returns whether the frames have an alpha channel."""
        return self.alpha is not None or self.images.shape[-1] == 4

    def pictures(self, *, alpha: bool) -> Iterator[Picture]:
        """Yields the frames as bytes, with their alpha channel if `alpha`."""
        for index, image in enumerate(self.images):
            if alpha and self.alpha is not None:
                image = torch.cat([image[..., :3], self.alpha[index].reshape(*image.shape[:2], 1).to(image)], dim=-1)
            picture = to_bytes((image if alpha else image[..., :3]).cpu().numpy())
            yield fit(picture, *self.fitted) if self.fitted else picture


def film_of(video: Any) -> Frames:
    """Returns the frames of a VIDEO. Those of Remix Film are loaded one at a time, others all at once."""
    if isinstance(video, Film):
        frames, rate, audio = video.parts()
        return Frames(frames, len(frames), rate, audio, None)
    parts = video.get_components()
    alpha = getattr(parts, "alpha", None)  # of a VIDEO since ComfyUI 0.3.68
    return Frames(parts.images, len(parts.images), Fraction(parts.frame_rate), parts.audio, alpha)


def _new_file(prefix: str, row: Format) -> tuple[Path, str]:
    """Returns a new file in the output folder, named by the host's rule, and its subfolder."""
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, folder_paths.get_output_directory())
    return Path(folder) / f"{name}_{counter:05}_{row.suffix}", subfolder


def _losses(row: Format, film: Frames) -> Iterator[tuple[bool, str]]:
    """Yields what the format cannot keep, with a sentence for each."""
    keep = ", ".join(name for name in SAVED if FORMATS[name].alpha)
    yield (
        film.is_transparent and not row.alpha,
        f"format: {row.name} has no transparency, so it is left out; choose one of {keep} to keep it",
    )
    yield (
        film.audio is not None and not row.container("").sound,
        f"audio: {row.name} has no sound, so it is left out; choose mp4, webm or prores to keep it",
    )


def _step(bar: Any, done: int, total: int) -> None:
    comfy.model_management.throw_exception_if_processing_interrupted()
    bar.update_absolute(done, total)


def _with_sound(audio: Any, write: Callable[[str | None], None]) -> None:
    """Calls `write` with a file of the sound: an AUDIO, waveform [batch, channels, samples] from -1 to 1."""
    samples = audio["waveform"][0].clamp(-1, 1).mul(32767).round().to(torch.int16)
    with tempfile.TemporaryDirectory(dir=temporary_folder()) as folder:
        path = Path(folder) / "sound.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(len(samples))
            file.setsampwidth(2)
            file.setframerate(int(audio["sample_rate"]))
            file.writeframes(samples.T.contiguous().cpu().numpy().astype("<i2").tobytes())
        write(str(path))


def _preview(film: Frames) -> Any:
    """Returns a small animated WebP in the temporary folder, for a format that the front end does not play."""
    width, height = film.size
    scale = min(1.0, SMALL / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    step = -(-film.count // FEW)
    pictures = (fit(picture, *size) for picture in islice(film.pictures(alpha=False), 0, None, step))
    with tempfile.NamedTemporaryFile(suffix=".webp", prefix="remix_", dir=temporary_folder(), delete=False) as file:
        pass
    write_video(pictures, file.name, film.rate / step)
    return ui.SavedResult(Path(file.name).name, "", io.FolderType.temp)


NODES = [RemixSaveFilm]
