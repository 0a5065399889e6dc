"""render(recipe, engine, folder): the only render loop of the toolkit."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from remix.engine.budget import chosen_frames, inbetweens, is_spared, most_rendered
from remix.engine.draft import draft_frames, is_draft
from remix.engine.handover import move
from remix.engine.outputs import Outputs, write_film, write_job_report, write_sheet
from remix.engine.pacing import is_unmeasured, known_recipe, measured_pace, most_pictures, rounds
from remix.engine.protocol import Engine, Event, Listener
from remix.engine.restoring import is_exact, restored
from remix.engine.seam import denoise_remark, seam_remark
from remix.errors import BadInput, Interrupted, OtherRecipe
from remix.job.disk_space import DiskSpace, raising_disk_full
from remix.job.identity import finished_at
from remix.job.inputs import Inputs
from remix.job.job import Job, frame_path, sources_of
from remix.job.opening import open_job, warn
from remix.job.reading import PACING, is_job, refuse_foreign
from remix.motion.inbetween import opencv
from remix.plan import Recipe, Schedule, plan
from remix.plan.schedule import remarks_on

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
    if (draft and film is not None) or is_spared(schedule.recipe) or schedule.recipe.rendered is not None:
        opencv()
    outputs = Outputs.checked(schedule.recipe, film, audio, report, remark)
    for sentence in (*remarks_on(schedule), *(engine.check(schedule) if checked is None else checked)):
        remark(sentence)
    with raising_disk_full(Path(folder), schedule.recipe) as room:
        run = _Run(engine, Path(folder), new, outputs, listen, stop, remark, room)
        outcome = _rendered(run, schedule, wanted, donors, remarks, draft=draft)
    return replace(outcome, remarks=tuple(remarks))


@dataclass(frozen=True)
class _Run:
    """What a run was asked for: its engine, its folder and its outputs, and whom it tells."""

    engine: Engine
    folder: Path
    new: bool
    outputs: Outputs
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
            return replace(outcome, film=_write_film(run, job, wanted) if draft else None)
        if rendered and not schedule.whole:
            for about in (seam_remark(job), denoise_remark(job, _pause(run.folder, run.stop))):
                if about is not None:
                    run.tell(about)
        run.room.expect(len(schedule))
        film = _write_film(run, job)
        if schedule.whole:  # nobody views the sheet and the report of a part of a film
            return replace(outcome, film=film)
        sheet = write_sheet(job)
        page = write_job_report(job, run.outputs, film, remarks) if run.outputs.report else None
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

    def render_round(part: Schedule, place: Path) -> list[Path]:
        nonlocal before, rendered
        with open_job(
            place,
            part,
            run.engine.identity(part),
            new=True,
            donors=[folder, *donors],
            pause=_pause(folder, run.stop),
            tell=log.debug,
        ) as job:
            rendered += _render_missing(run, job, range(len(part)), pacing)
            before += len(part)
            return [frame_path(job.folder, index) for index in range(len(part))]

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


def _write_film(run: _Run, job: Job, shown: Sequence[int] | None = None) -> Path | None:
    """Writes the film of all frames, or of those `shown` and in-betweens for the others. Returns None for no film."""
    frames = range(len(job.schedule)) if shown is None else shown
    return None if run.outputs.film is None else write_film(job, run.outputs, frames, run.listen, run.stop)
