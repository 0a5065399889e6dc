"""What a run writes once frames are finished: the film with its sound, the contact sheet and the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path, PureWindowsPath

from remix.digest import sha256
from remix.engine.draft import draft_text, film_of
from remix.engine.protocol import Event, Listener
from remix.engine.report import job_report, report_path, write_report
from remix.errors import Interrupted, VideoFormatError
from remix.job.job import Job
from remix.job.reading import OWN, SHEET
from remix.motion.atomic import windows_problem
from remix.motion.ffmpeg import ffmpeg_exe, refuse_lacking
from remix.motion.formats import format_of, rate_for, rate_of
from remix.motion.inbetween import METHOD, opencv
from remix.motion.pictures import Picture, save_picture
from remix.motion.regular import fingerprint
from remix.motion.song import song_path
from remix.motion.sound import track_for
from remix.motion.video import write_video
from remix.plan import Recipe
from remix.show.contact_sheet import contact_sheet
from remix.show.page import lacking, require
from remix.show.report import VERSION


@dataclass(frozen=True)
class Outputs:
    """What to write: the film called `film` with the sound of the file `audio`, each None for none, and a `report`."""

    film: str | None
    audio: Path | str | None
    report: bool

    @classmethod
    def checked(
        cls,
        recipe: Recipe,
        film: str | None,
        audio: Path | str | None,
        report: bool | None,
        tell: Callable[[str], None],
    ) -> Outputs:
        """Returns the outputs of a run, by default with the recipe's song, and a report if its packages are installed.

        Raises, before hours of rendering, the error of a film that could not be written, and `MissingPackage` if a
        report is required and could not be. `tell` receives why a song is left out.
        """
        if film is not None:
            _check_film(film, recipe, audio)
            audio = _song(film, recipe, tell) if audio is None else audio
        if report:
            require()
        return cls(film, audio, not lacking() if report is None else report)


def _check_film(name: str, recipe: Recipe, audio: Path | str | None) -> None:
    """Raises an error, before hours of rendering, if the film could not be written afterwards."""
    if name in {"", ".."} or name != PureWindowsPath(name).name or name.casefold() in OWN:
        raise VideoFormatError(f"film: {name!r}; give the name of a file in the job, such as film.mp4")
    if problem := windows_problem(name):
        raise VideoFormatError(
            f"film: {name!r} is not a name for Windows ({problem}); choose another, such as film.mp4"
        )
    row = format_of(name)
    rate_for(row, _film_rate(recipe))
    if recipe.between:
        opencv()
    sound = () if audio is None else track_for(audio, row, Path(name)).encoders
    if row.needs:
        refuse_lacking(row.name, (*row.needs, *sound), ffmpeg_exe())


def _film_rate(recipe: Recipe) -> Fraction:
    """Returns the frames per second of a recipe's film, with its in-betweens."""
    return rate_of(recipe.fps) * (recipe.between + 1)


def _song(name: str, recipe: Recipe, tell: Callable[[str], None]) -> Path | None:
    """Returns the recipe's song for the film called `name`, None if there is none or the film cannot have it."""
    if recipe.music is None:
        return None
    song = song_path(recipe.folder or ".", recipe.music.file)
    if not format_of(name).container(Path(name)).sound:
        tell(f"music: {name} cannot hold sound, so the song is left out; choose an mp4, webm, mov or mkv")
        return None
    if not song.is_file():
        tell(f"music: {song} does not exist, so the film is silent; put it there, or pass the sound of the film")
        return None
    _check_film(name, recipe, song)
    return song


def write_film(job: Job, outputs: Outputs, shown: Sequence[int], listen: Listener, stop: Callable[[], bool]) -> Path:
    """Writes the film of the frames `shown`, with in-betweens for the others, and returns its path."""
    assert outputs.film is not None
    path, recipe = job.folder / outputs.film, job.schedule.recipe
    key = _film_key(job, outputs.film + draft_text(recipe, shown), outputs.audio)
    if job.is_finished(path, key):
        return path

    film = film_of(job, shown)

    def pictures() -> Iterator[Picture]:
        for picture in film:
            if stop():
                raise Interrupted(f"{job.folder}: stopped at the film; all frames are there, run it again to continue")
            yield picture

    write_video(
        pictures(),
        path,
        _film_rate(recipe),
        metadata=job.film_texts(),
        audio=outputs.audio,
        on_frame=lambda done: listen(Event("film", done, len(film))),
    )
    job.note(path, key)
    return path


def _film_key(job: Job, name: str, audio: Path | str | None) -> str:
    recipe = job.schedule.recipe
    between = f" {recipe.between} {METHOD}" if recipe.between else ""
    sound = "" if audio is None else f" {fingerprint(Path(audio))}"
    return _key_of_all(job, f"{name} {recipe.fps}{between}{sound}")


def write_sheet(job: Job) -> Path:
    """Writes the contact sheet of a job and returns its path."""
    path, key = job.folder / SHEET, _key_of_all(job, SHEET)
    if not job.is_finished(path, key):
        save_picture(path, contact_sheet(job.frame_paths()), job.film_texts())
        job.note(path, key)
    return path


def write_job_report(job: Job, outputs: Outputs, film: Path | None, remarks: Sequence[str]) -> Path:
    """Writes the report of a job with its film, if there is one, and returns its path."""
    path, film = report_path(job.folder), film if film is not None and film.is_file() else None
    shown = "" if film is None else _film_key(job, film.name, outputs.audio)
    key = _key_of_all(job, f"{path.name} {VERSION} {job.schedule.recipe.fps} {shown}")
    if not job.is_finished(path, key):
        write_report(job_report(job.folder, job.schedule, film=film, remarks=remarks), path)
        job.note(path, key)
    return path


def _key_of_all(job: Job, about: str) -> str:
    """Returns the hash of everything that a file made from all frames depends on."""
    keys = "".join(job.frame_key(index) for index in range(len(job.schedule)))
    return sha256(f"{about} {keys}".encode("utf-8", "surrogateescape"))
