"""`remix video`: makes a film of pictures without an engine."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from remix.client.cli.engines import server_options
from remix.client.cli.outputs import overwrite_option, refuse_present
from remix.client.cli.screen import progress
from remix.client.cli.timing import Timing, even, timing_options
from remix.engine import Event
from remix.errors import BadInput, JobError, PictureError, VideoFormatError
from remix.job import film_credits, film_texts, is_job, job_texts, read_frames, recipe_of, spans
from remix.motion import FORMATS, Picture, fit, load_frame, write_video
from remix.motion.atomic import contents
from remix.motion.formats import format_of, rate_of
from remix.motion.images import frame_formats, is_animated, is_transparent
from remix.motion.pacing import variation
from remix.motion.pictures import MAX_PIXELS, PLACES, inset
from remix.motion.retiming import Loaded, Method, Retimed, with_steps
from remix.motion.song import song_path
from remix.plan import Recipe

URL = "http://127.0.0.1:8188"
"""The default address of ComfyUI, repeated so that the command does not import its engine."""

NAMED = 5
"""Largest number of ignored files that a note lists by name."""


@dataclass(frozen=True)
class Size:
    """The size of a film, and how pictures are fitted to it."""

    sides: tuple[int, int] | None = None
    scale: float = 1.0
    pad: bool = False

    def of(self, picture: Picture) -> Picture:
        """Returns a picture fitted to this size."""
        rows, columns = picture.shape[:2]
        sides = self.sides or (max(1, round(columns * self.scale)), max(1, round(rows * self.scale)))
        return inset(picture, *sides) if self.pad else fit(picture, *sides)


@click.command("video")
@click.argument("frames", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Film; its suffix is the format.")
@click.option("--format", "name", metavar="NAME", help=f"Format, if the suffix is not enough: {', '.join(FORMATS)}.")
@timing_options
@click.option(
    "--audio",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Sound; cut where the film ends.  [default: the job's song]",
)
@click.option("--size", "sides", metavar="WxH", help="Scale the pictures to fill this size, cropped evenly.")
@click.option("--scale", type=click.FloatRange(0, 64, min_open=True), help="Scale the pictures by a factor.")
@click.option(
    "--for",
    "place",
    type=click.Choice(list(PLACES)),
    help="Size for where the film is shown: " + ", ".join(f"{name} {w}x{h}" for name, (w, h) in PLACES.items()) + ".",
)
@click.option("--pad", is_flag=True, help="With --size and --for: add bars instead of cropping.")
@click.option("--alpha", is_flag=True, help="Keep transparency: webm, webp, apng, png, mov (ProRes 4444), mkv.")
@click.option("--unfinished", is_flag=True, help="Make a film of a job that lacks frames.")
@click.option("--open", "show", is_flag=True, help="Open the film when it is finished.")
@overwrite_option
@click.option("--url", default=URL, show_default=True, help="Address of the ComfyUI of --method.")
@server_options
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def command(
    frames: Path,
    out: Path,
    name: str | None,
    audio: Path | None,
    sides: str | None,
    scale: float | None,
    place: str | None,
    pad: bool,
    alpha: bool,
    unfinished: bool,
    show: bool,
    overwrite: bool,
    url: str,
    quiet: bool,
    timing: Timing,
    **server: Any,
) -> None:
    """Makes a film of the pictures in the folder FRAMES, or of a job folder.

    Pictures are ordered by name, numbers by value: 2.png comes before 10.png. The film carries what the first picture
    says about how it was made. From a job only its own frames are used; they are verified, and the film carries the
    job's recipe, and its song if the frames keep their times.
    """
    of_job = is_job(frames)
    if unfinished and not of_job:
        raise BadInput(f"--unfinished: {frames} is not a job folder; leave it out")
    if timing.model and alpha:
        raise BadInput("--method and --alpha: models of ComfyUI know no transparency; leave one of them out")
    size = _size(sides, scale, place, pad)
    paths = frames_of(frames, unfinished) if of_job else pictures_in(frames)
    if os.path.realpath(out) in map(os.path.realpath, (paths[0].parent, *paths, *([audio] if audio else []))):
        raise BadInput(f"{out}: the film is made of this, and would replace it; give another name")
    refuse_present(out, overwrite)
    recipe = recipe_of(frames) if of_job else None
    loop = timing.loop or (recipe is not None and recipe.loop)
    shown, rate = timing.rates(format_of(out, name), recipe.fps if recipe else 12)
    moments = timing.moments(len(paths), shown, rate, loop)
    pictures, steps = Loaded(paths, _Loader(alpha, size)), list[float]()
    if not alpha and format_of(out, name).alpha and not of_job and is_transparent(paths[0]):
        click.echo("note    the pictures have transparent parts, laid over white; keep them with --alpha", err=True)
    if recipe is not None and audio is None:
        in_time = len(paths) == recipe.frames and timing.pace is None and shown == rate_of(recipe.fps)
        in_time = in_time and all(moment == index * shown / rate for index, moment in enumerate(moments))
        audio = _song(recipe, bool(format_of(out, name).container(out).sound), in_time)
    before = 0.0
    if timing.pace == "even":
        # The keyframes of a job keep their moments, unless frames are missing.
        stops = recipe.positions() if recipe and len(paths) == recipe.frames else ()
        moments, before = even(moments, pictures, stops, loop)
    with progress(quiet) as listen, _method(timing.model, shown / rate, url, server) as method:
        film: Iterable[Picture] = Retimed(pictures, moments, loop=loop, quality=timing.quality, method=method)
        info = write_video(
            with_steps(film, steps) if timing.pace == "even" else film,
            out,
            rate,
            format=name,
            metadata=job_texts(frames) if of_job else {**film_texts(paths[0]), **film_credits(paths)},
            audio=audio,
            on_frame=lambda done: listen(Event("film", done, len(moments))),
        )
    if steps:
        click.echo(f"pace    the steps vary by {variation(steps):.2f}, without pacing by {before:.2f}")
    sound = f", {info.sound.codec} {info.sound.duration:.2f} s" if info.sound else ""
    click.echo(f"film    {out}  {info.frames} frames {info.width}x{info.height} {_shown(rate)} fps{sound}")
    if show:
        click.launch(str(out.resolve()))


@contextmanager
def _method(model: str | None, step: Fraction, url: str, server: Mapping[str, Any]) -> Iterator[Method | None]:
    """Yields the method of a ComfyUI's model, for moments every `step` pictures; None without a model."""
    if model is None:
        yield None
        return
    from remix.client.comfyui.interpolation import Interpolation, parts_of
    from remix.client.comfyui.server import Server
    from remix.client.http import connected

    parts = parts_of(step)
    with connected(url, **{name: value for name, value in server.items() if value is not None}) as http:
        yield Interpolation(Server(http, "remix video"), model, parts)


def _song(recipe: Recipe, can_hold: bool, in_time: bool) -> Path | None:
    """Returns the song of a job's recipe, None if there is none or the film cannot have it; a note says why."""
    if recipe.music is None:
        return None
    song = song_path(recipe.folder or ".", recipe.music.file)
    if not can_hold:
        reason = "this format holds no sound"
    elif not in_time:
        reason = "the frames are not shown at the times that follow it; add it with --audio"
    elif not song.is_file():
        reason = f"{song} does not exist"
    else:
        return song
    click.echo(f"note    the film is without the job's song: {reason}", err=True)
    return None


def _size(sides: str | None, scale: float | None, place: str | None, pad: bool) -> Size:
    given = [option for option, value in (("--size", sides), ("--scale", scale), ("--for", place)) if value is not None]
    if len(given) > 1:
        raise BadInput(f"{' and '.join(given)}: both set the size; give one of them")
    if pad and given not in (["--size"], ["--for"]):
        raise BadInput("--pad: needs a size to pad to; give --size or --for too")
    if place is not None:
        return Size(PLACES[place], pad=pad)
    if sides is None:
        return Size(scale=1.0 if scale is None else scale)
    read = re.fullmatch(r"([0-9]{1,5})[xX]([0-9]{1,5})", sides.strip())
    width, height = (int(read[1]), int(read[2])) if read else (0, 0)
    if not 1 <= width * height <= MAX_PIXELS:
        raise BadInput(f"--size: {sides!r}; give a width and a height in pixels, such as 1280x720")
    return Size((width, height), pad=pad)


def _shown(rate: Fraction) -> str:
    return f"{float(rate):g}" if 1000 % rate.denominator == 0 else str(rate)


def frames_of(job: Path, unfinished: bool) -> list[Path]:
    """Returns the verified frames of a job in order. With `unfinished`, returns the existing ones."""
    paths, missing = read_frames(job)
    if not missing:
        return paths
    lost = f"{len(missing)} of {len(paths)} frames are missing or damaged ({_short(spans(missing))})"
    if len(missing) == len(paths):
        raise JobError(f"{job}: {lost}; render it first")
    if not unfinished:
        raise JobError(
            f"{job}: {lost}; run the same remix render again to get them, or take --unfinished for a film without them"
        )
    click.echo(f"note    {lost}", err=True)
    gone = set(missing)
    return [path for index, path in enumerate(paths) if index not in gone]


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[:most].rpartition(",")[0] + ", ..."


def pictures_in(folder: Path) -> list[Path]:
    """Returns the pictures of a folder, ordered by name with numbers by value.

    A note lists other files. Films are not frames, so an earlier film in the folder is not part of the next one.
    """
    if not folder.is_dir():
        raise PictureError(f"{folder}: is not a folder; give a folder of pictures or a job folder")
    known = frame_formats()
    reasons = {path: _why_not(path, known) for path in contents(folder)}
    found = [path for path, reason in reasons.items() if not reason]
    others = [f"{path.name} ({reason})" for path, reason in reasons.items() if reason]
    if others:
        more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        click.echo(f"note    not in the film: {', '.join(others[:NAMED])}{more}", err=True)
    if not found:
        raise PictureError(f"{folder}: holds no pictures ({', '.join(sorted(known))}); give another folder")
    return sorted(found, key=_natural)


def _why_not(path: Path, known: dict[str, str]) -> str:
    """Returns why a file is not a frame, or "" for a frame."""
    if path.is_dir():
        return "a folder"
    if not path.exists():
        return "a link to nothing"
    if path.suffix.lower() not in known:
        is_film = any(path.suffix.lower() in row.suffixes for row in FORMATS.values())
        return "a film" if is_film else "not a picture that is read here"
    return "a film" if is_animated(path) else ""


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    parts = re.split(r"(\d+)", path.stem)
    return [(int(part), "") if part.isdecimal() else (0, part.casefold()) for part in parts], path.name


class _Loader:
    """Loads the pictures of a film, fitted to its size."""

    def __init__(self, alpha: bool, size: Size) -> None:
        self._alpha, self._size = alpha, size
        self._first: tuple[Path, tuple[int, ...]] | None = None

    def __call__(self, path: Path) -> Picture:
        picture = load_frame(path, alpha=self._alpha)
        first, shape = self._first = self._first or (path, picture.shape)
        if picture.shape != shape and self._size.sides is None:
            raise VideoFormatError(
                f"{path}: {picture.shape[1]}x{picture.shape[0]}, but {first.name} is "
                f"{shape[1]}x{shape[0]}; give all pictures one size, or set one with --size"
            )
        return self._size.of(picture)
