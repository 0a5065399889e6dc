"""`remix video`: pictures to a film, with no engine at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from remix.client.cli.outputs import overwrite_option, refuse_present
from remix.client.cli.screen import progress
from remix.engine import Event
from remix.errors import BadInput, JobError, PictureError, VideoFormatError
from remix.job import film_texts, is_job, job_texts, read_frames, recipe_of, spans
from remix.motion import FORMATS, Picture, film_order, load_picture, write_video
from remix.motion.atomic import contents

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}


@click.command("video")
@click.argument("frames", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Film; its suffix is the format.")
@click.option("--format", "name", metavar="NAME", help=f"Where the suffix does not say: {', '.join(FORMATS)}.")
@click.option("--fps", help="Frames per second: 12, 23.976, 24000/1001.  [default: a job's own, else 12]")
@click.option("--ping-pong", is_flag=True, help="Forth and back, no frame doubled at the ends.")
@click.option("--repeat", type=click.IntRange(min=1), default=1, show_default=True, help="Play it so many times.")
@click.option("--audio", type=click.Path(path_type=Path), metavar="FILE", help="Sound; cut where the film ends.")
@click.option("--unfinished", is_flag=True, help="Of a job that lacks frames, a film of those that it has.")
@overwrite_option
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def command(
    frames: Path,
    out: Path,
    name: str | None,
    fps: str | None,
    ping_pong: bool,
    repeat: int,
    audio: Path | None,
    unfinished: bool,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Makes a film of the pictures in the folder FRAMES, in the order of their names, or of a job folder.

    Numbers in names count as numbers: 2.png comes before 10.png. What the first picture says of how it was made, the
    film says too. Of a job its own frames are taken and nothing else; they are verified, and the film says the job's
    recipe.
    """
    of_job = is_job(frames)
    if unfinished and not of_job:
        raise BadInput(f"--unfinished: {frames} is no job folder; leave it out")
    paths = frames_of(frames, unfinished) if of_job else pictures_in(frames)
    if out.resolve() in {path.resolve() for path in (paths[0].parent, *paths, *([audio] if audio else []))}:
        raise BadInput(f"{out}: is what the film is made of, and would be replaced; give another name")
    refuse_present(out, overwrite)
    rate = fps or (recipe_of(frames).fps if of_job else 12)
    order = film_order(len(paths), ping_pong=ping_pong, repeat=repeat)
    with progress(quiet) as listen:
        info = write_video(
            _loaded(paths, order),
            out,
            rate,
            format=name,
            metadata=job_texts(frames) if of_job else film_texts(paths[0]),
            audio=audio,
            on_frame=lambda done: listen(Event("film", done, len(order))),
        )
    heard = f", {info.sound.codec} {info.sound.duration:.2f} s" if info.sound else ""
    click.echo(f"film    {out}  {info.frames} frames {info.width}x{info.height} {fps or f'{rate:g}'} fps{heard}")


def frames_of(job: Path, unfinished: bool) -> list[Path]:
    """Returns the frames of a job in order, verified; with `unfinished` those that there are."""
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
    """Returns the pictures of a folder in the order of their names, numbers by value."""
    if not folder.is_dir():
        raise PictureError(f"{folder}: is not a folder; give a folder of pictures or a job folder")
    found = [path for path in contents(folder) if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not found:
        raise PictureError(f"{folder}: holds no pictures ({', '.join(sorted(SUFFIXES))}); give another folder")
    return sorted(found, key=_natural)


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    parts = re.split(r"(\d+)", path.stem)
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts], path.name


def _loaded(paths: list[Path], order: list[int]) -> Iterator[Picture]:
    first: tuple[int, ...] = ()
    for index in order:
        picture = load_picture(paths[index])
        first = first or picture.shape
        if picture.shape != first:
            raise VideoFormatError(
                f"{paths[index]}: {picture.shape[1]}x{picture.shape[0]}, but {paths[order[0]].name} is "
                f"{first[1]}x{first[0]}; give all pictures one size"
            )
        yield picture
