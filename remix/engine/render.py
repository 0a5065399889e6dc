"""render(recipe, engine, folder): the only render loop of the toolkit."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path, PureWindowsPath

from remix.digest import sha256
from remix.engine.budget import chosen_frames, inbetweens, is_spared, most_rendered
from remix.engine.draft import draft_frames, draft_text, film_of, is_draft
from remix.engine.handover import move
from remix.engine.pacing import is_unmeasured, known_recipe, measured_pace, most_pictures, rounds
from remix.engine.protocol import Engine, Event, Listener
from remix.engine.report import job_report, report_path, write_report
from remix.engine.restoring import is_exact, restored
from remix.engine.seam import denoise_remark, seam_remark
from remix.errors import BadInput, Interrupted, OtherRecipe, VideoFormatError
from remix.job.disk_space import DiskSpace, raising_disk_full
from remix.job.identity import finished_at
from remix.job.job import Job, frame_path, sources_of
from remix.job.opening import open_job, warn
from remix.job.reading import OWN, PACING, SHEET, is_job, refuse_foreign
from remix.motion.atomic import windows_problem
from remix.motion.ffmpeg import ffmpeg_exe, refuse_lacking
from remix.motion.formats import format_of, rate_for, rate_of
from remix.motion.images import load_picture
from remix.motion.inbetween import METHOD, opencv
from remix.motion.pictures import Picture, fit, save_picture
from remix.motion.regular import fingerprint
from remix.motion.song import song_path
from remix.motion.sound import track_for
from remix.motion.video import write_video
from remix.plan import Recipe, Schedule, plan
from remix.plan.schedule import remarks_on
from remix.show.contact_sheet import contact_sheet
from remix.show.page import lacking, require
from remix.show.report import VERSION

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """The result of a run: the job folder, its film, contact sheet and report, and the number of rendered frames.

    `film`, `sheet` and `report` are None while frames outside the requested range are missing. A part of a film has
    neither sheet nor report.
    `remarks` are the sentences on likely mistakes that `tell` received. `error` is set only by `render_all`, for a film
    that failed; `render` raises it.
    """

    folder: Path
    film: Path | None
    sheet: Path | None
    rendered: int
    frames: int
    remarks: tuple[str, ...] = ()
    error: Exception | None = None
    schedule: Schedule | None = field(default=None, compare=False, repr=False)
    report: Path | None = None


def render(
    recipe: Recipe | Schedule,
    engine: Engine,
    folder: Path | str,
    *,
    new: bool = False,
    film: str | None = "film.mp4",
    audio: Path | str | None = None,
    frames: Sequence[int] | None = None,
    every: int = 1,
    report: bool | None = None,
    donors: Sequence[Path] = (),
    checked: Sequence[str] | None = None,
    listen: Listener = lambda event: None,
    stop: Callable[[], bool] = lambda: False,
    tell: Callable[[str], None] = warn,
) -> Outcome:
    """Renders the missing frames of a recipe or schedule into a job folder, and then the film, sheet and report.

    To resume a run, however it ended, call this again with the same arguments. Frames in the folder that are equal for
    another recipe are kept. Frames of other jobs (`donors`) are reused if the same engine rendered them. `new` allows
    replacing finished frames, see `open_job`.

    `film` names the film file in the folder; its suffix selects the format, and None writes frames only. `audio` is a
    file whose sound the film gets, by default the recipe's song. `frames` limits the run to these frames; the film, the
    sheet and the report are then written only if all other frames exist. `report` None writes a report if its packages
    are installed (`remix.show.page.REQUIREMENTS`), True requires them, and False writes none. `stop` is polled
    regularly. Once it returns True, the frames in progress are finished, no new ones start, and a film that is being
    written is abandoned. `tell` receives remarks for the user, as sentences; by default they are logged.

    `every` renders a draft: only every few frames and the last, with in-betweens for the others in its film, see
    `remix.engine.draft`. It has no sheet and no report.

    `checked` has the remarks of `engine.check`, if the caller has called it for this schedule; else it is called here.

    With an even pace, the clock is measured first by rendering pictures, most of which become frames, see
    `remix.engine.pacing`.

    A job that another engine started continues with this one if their pictures are the same, see
    `remix.engine.handover`. The engine stays open; close it yourself, or use it as a context manager.

    Raises `Unsupported`, `VideoFormatError` or `MissingPackage` before the first frame, `OtherRecipe` or `JobLocked`
    from `open_job`, `Interrupted` if the run was stopped or the engine was cancelled, and `DiskFull` if there is no
    space left.
    """
    schedule = recipe if isinstance(recipe, Schedule) else plan(recipe)
    remarks = list[str]()

    def remark(sentence: str) -> None:
        remarks.append(sentence)
        tell(sentence)

    wanted = draft_frames(len(schedule), every) if frames is None else _wanted(frames, len(schedule))
    draft = frames is None and len(wanted) < len(schedule)
    if draft or is_spared(schedule.recipe) or schedule.recipe.rendered is not None:
        opencv()
    if film is not None:
        _check_film(film, schedule.recipe, audio)
        audio = _song(film, schedule.recipe, remark) if audio is None else audio
    if report:
        require()
    for sentence in (*remarks_on(schedule), *(engine.check(schedule) if checked is None else checked)):
        remark(sentence)
    with raising_disk_full(Path(folder), schedule.recipe) as room:
        wants_report = not lacking() if report is None else report
        run = _Run(engine, Path(folder), new, film, audio, wants_report, listen, stop, remark, room)
        outcome = _rendered(run, schedule, wanted, donors, remarks, draft=draft)
    return replace(outcome, remarks=tuple(remarks))


@dataclass(frozen=True)
class _Run:
    """What a run was asked for: its engine, its folder and its outputs, and whom it tells."""

    engine: Engine
    folder: Path
    new: bool
    film: str | None
    audio: Path | str | None
    report: bool
    listen: Listener
    stop: Callable[[], bool]
    tell: Callable[[str], None]
    room: DiskSpace


def _rendered(
    run: _Run, schedule: Schedule, wanted: Sequence[int], donors: Sequence[Path], remarks: Sequence[str], *, draft: bool
) -> Outcome:
    """Renders what is missing of the `wanted` frames, and writes what they are enough for."""
    identity = run.engine.identity(schedule)
    run = replace(run, new=run.new or (not draft and is_draft(run.folder, schedule, identity)))
    measured, tell, unpaced = 0, run.tell, schedule.frames
    if is_unmeasured(schedule.recipe):
        if (known := known_recipe(run.folder, schedule)) is not None:
            schedule = plan(known)
            if known.rendered is not None and draft:
                wanted, draft = range(len(schedule)), False
        elif schedule.recipe.pace == "even" and not draft:
            schedule, measured = _paced(run, schedule, donors)
            donors = [*donors, *rounds(run.folder)]
        elif not draft:
            schedule, measured = _chosen(run, schedule, identity, donors)
            tell = log.debug
    identity = identity if schedule.frames == unpaced else run.engine.identity(schedule)
    with _open(run, schedule, identity, donors, tell) as job:
        rendered = min(_render_missing(run, job, wanted, run.listen) + measured, len(wanted))
        _make_inbetweens(run, job, wanted)
        _end_measuring(job)
        outcome = Outcome(job.folder, None, None, rendered, len(wanted), schedule=schedule)
        if len(wanted) < len(schedule) and not job.is_whole():
            film = _write_film(run, job, wanted) if draft and run.film is not None else None
            return replace(outcome, film=film)
        if rendered and not schedule.whole:
            for about in (seam_remark(job), denoise_remark(job, _pause(run.folder, run.stop))):
                if about is not None:
                    run.tell(about)
        run.room.expect(len(schedule))
        film = _write_film(run, job) if run.film is not None else None
        if schedule.whole:  # nobody views the sheet and the report of a part of a film
            return replace(outcome, film=film)
        sheet = _write_sheet(job)
        page = _write_report(job, film, run.audio, remarks) if run.report else None
        return replace(outcome, film=film, sheet=sheet, report=page)


def _end_measuring(job: Job) -> None:
    """Notes what measuring an even pace took, and removes its pictures, once all frames are rendered."""
    if (job.folder / PACING).exists() and job.is_whole():
        job.note_measuring(rounds(job.folder))
        shutil.rmtree(job.folder / PACING, ignore_errors=True)


def _paced(run: _Run, schedule: Schedule, donors: Sequence[Path]) -> tuple[Schedule, int]:
    """Returns the schedule with a measured clock, and the number of rendered pictures.

    Raises `OtherRecipe` before measuring if the folder has frames of another recipe.
    """
    folder = run.folder
    if folder.is_dir():
        refuse_foreign(folder)
    if not run.new and is_job(folder) and finished_at(folder):
        raise OtherRecipe(f"{folder}: holds the job of another recipe; give another folder")
    before = rendered = 0
    most = most_pictures(schedule)

    def pacing(event: Event) -> None:
        if event.stage == "frames":
            event = Event("pacing", before + event.done, max(most, before + event.total))
        run.listen(event)

    def render_round(part: Recipe, count: int, place: Path) -> list[Path]:
        nonlocal before, rendered
        planned = plan(part)
        with open_job(
            place,
            planned,
            run.engine.identity(planned),
            new=True,
            donors=[folder, *donors],
            pause=_pause(folder, run.stop),
            tell=log.debug,
        ) as job:
            rendered += _render_missing(run, job, range(count), pacing)
            before += count
            return [frame_path(job.folder, index) for index in range(count)]

    recipe = measured_pace(schedule, folder / PACING, render_round, run.tell)
    run.listen(Event("pacing", before, before))
    return plan(recipe), rendered


def _chosen(run: _Run, schedule: Schedule, identity: Mapping[str, str], donors: Sequence[Path]) -> tuple[Schedule, int]:
    """Returns the schedule with the frames that its budget renders, and their number, once they are rendered."""
    before = rendered = 0
    most = most_rendered(schedule.recipe)

    def counted(event: Event) -> None:
        if event.stage == "frames":
            event = Event("frames", before + event.done, max(most, before + event.total))
        run.listen(event)

    with _open(run, schedule, identity, donors, run.tell) as job:

        def render_round(frames: Sequence[int]) -> None:
            nonlocal before, rendered
            rendered += _render_missing(run, job, frames, counted)
            before += len(frames)

        frames = chosen_frames(job, render_round)
    return plan(schedule.recipe.replace(rendered=frames)), rendered


@contextmanager
def _open(
    run: _Run, schedule: Schedule, identity: Mapping[str, str], donors: Sequence[Path], tell: Callable[[str], None]
) -> Iterator[Job]:
    """Opens the job of a run, which this engine continues if another began it."""
    with open_job(
        run.folder,
        schedule,
        identity,
        new=run.new,
        moving=True,
        donors=donors,
        taking=_taking(run.listen, run.stop, schedule.recipe),
        pause=_pause(run.folder, run.stop),
        tell=tell,
    ) as job:
        if job.begun_with is not None:
            move(job, run.engine, Inputs(job), run.listen)
        yield job


def _taking(listen: Listener, stop: Callable[[], bool], recipe: Recipe) -> Callable[[int, int], None]:
    """Returns the function to call before each frame that is copied."""
    most = most_rendered(recipe) if is_spared(recipe) else len(recipe.rendered or range(recipe.frames))

    def taking(done: int, total: int) -> None:
        total = min(total, most)
        listen(Event("frames", min(done, total), total))
        if stop():
            raise Interrupted(f"stopped with {done} of {total} frames in their places; run it again to continue")

    return taking


def _pause(folder: Path, stop: Callable[[], bool]) -> Callable[[], None]:
    """Returns the function to call between two blocks of a file that is checked."""

    def pause() -> None:
        if stop():
            raise Interrupted(f"{folder}: stopped while its files were checked; run it again to continue")

    return pause


def _wanted(frames: Sequence[int] | None, count: int) -> Sequence[int]:
    if frames is None:
        return range(count)
    if odd := [index for index in frames if not 0 <= index < count]:
        raise BadInput(f"frames: {odd[0]} is not a frame of this recipe; give some of 0 to {count - 1}")
    return sorted(set(frames))


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


def _note_setting(job: Job, setting: Mapping[str, str]) -> None:
    before = job.note_setting(setting)
    if before is not None:
        earlier = ", ".join(f"{name} {before.get(name)}" for name in setting if before.get(name) != setting[name])
        log.warning(
            "%s: was begun with %s; frames that are rendered now may differ from those of that run by a level or two",
            job.folder,
            earlier,
        )


def _render_missing(run: _Run, job: Job, wanted: Sequence[int], listen: Listener) -> int:
    engine, room, stop = run.engine, run.room, run.stop
    wanted = sorted({source for index in wanted for source in sources_of(job.schedule.recipe, index)})
    missing, total = job.missing(wanted), len(wanted)
    listen(Event("frames", total - len(missing), total))
    room.expect(len(missing))
    room.warn()
    rendered, begun = 0, time.monotonic()
    if missing and not stop():
        if setting := engine.setting(job.schedule):
            _note_setting(job, setting)
        for index, picture in restored(engine, job.schedule, missing, Inputs(job), listen):
            now = time.monotonic()
            texts = {} if is_exact(job.schedule, index) else engine.texts(index)
            job.keep(index, picture, texts, seconds=now - begun)
            begun = now
            rendered += 1
            room.expect(len(missing) - rendered)
            listen(Event("frames", total - len(missing) + rendered, total))
            if stop():  # the run may have been stopped before the engine started, which the engine does not know
                engine.cancel()
    if rendered < len(missing):
        left = len(missing) - rendered
        raise Interrupted(f"{job.folder}: stopped with {left} of {total} frames left; run it again to continue")
    return rendered


def _make_inbetweens(run: _Run, job: Job, wanted: Sequence[int]) -> None:
    """Makes the missing in-betweens of a job with a budget, whose rendered frames are finished."""
    missing = job.missing(wanted)
    for index, picture in zip(missing, inbetweens(job, missing), strict=True) if missing else ():
        if run.stop():
            raise Interrupted(f"{job.folder}: stopped at the in-betweens; run it again to continue")
        job.keep(index, picture)


def _write_film(run: _Run, job: Job, shown: Sequence[int] | None = None) -> Path:
    """Writes the film of all frames, or of those `shown` and in-betweens for the others."""
    assert run.film is not None
    shown = range(len(job.schedule)) if shown is None else shown
    path, recipe = job.folder / run.film, job.schedule.recipe
    key = _film_key(job, run.film + draft_text(recipe, shown), run.audio)
    if job.is_finished(path, key):
        return path

    film = film_of(job, shown)

    def pictures() -> Iterator[Picture]:
        for picture in film:
            if run.stop():
                raise Interrupted(f"{job.folder}: stopped at the film; all frames are there, run it again to continue")
            yield picture

    write_video(
        pictures(),
        path,
        _film_rate(recipe),
        metadata=job.film_texts(),
        audio=run.audio,
        on_frame=lambda done: run.listen(Event("film", done, len(film))),
    )
    job.note(path, key)
    return path


def _film_key(job: Job, name: str, audio: Path | str | None) -> str:
    recipe = job.schedule.recipe
    between = f" {recipe.between} {METHOD}" if recipe.between else ""
    sound = "" if audio is None else f" {fingerprint(Path(audio))}"
    return _key_of_all(job, f"{name} {recipe.fps}{between}{sound}")


def _write_sheet(job: Job) -> Path:
    path, key = job.folder / SHEET, _key_of_all(job, SHEET)
    if not job.is_finished(path, key):
        save_picture(path, contact_sheet(job.frame_paths()), job.film_texts())
        job.note(path, key)
    return path


def _write_report(job: Job, film: Path | None, audio: Path | str | None, remarks: Sequence[str]) -> Path:
    path, film = report_path(job.folder), film if film is not None and film.is_file() else None
    shown = "" if film is None else _film_key(job, film.name, audio)
    key = _key_of_all(job, f"{path.name} {VERSION} {job.schedule.recipe.fps} {shown}")
    if not job.is_finished(path, key):
        write_report(job_report(job.folder, job.schedule, film=film, remarks=remarks), path)
        job.note(path, key)
    return path


def _key_of_all(job: Job, about: str) -> str:
    """Returns the hash of everything that a file made from all frames depends on."""
    keys = "".join(job.frame_key(index) for index in range(len(job.schedule)))
    return sha256(f"{about} {keys}".encode("utf-8", "surrogateescape"))


class Inputs(Mapping[str, Picture]):
    """A job's init pictures and masks by their recipe names, fitted to its size. The last few stay in memory.

    Pictures of a workflow or payload keep their size.
    """

    KEPT = 8

    def __init__(self, job: Job) -> None:
        self._job = job
        self._names = tuple(job.input_names())
        self._loaded: dict[str, Picture] = {}

    def __getitem__(self, name: str) -> Picture:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._loaded:
            if len(self._loaded) >= self.KEPT:
                del self._loaded[next(iter(self._loaded))]
            recipe, picture = self._job.schedule.recipe, load_picture(self._job.input_path(name))
            fits = name in recipe.pictures()
            self._loaded[name] = fit(picture, recipe.width, recipe.height) if fits else picture
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
