"""Opens a job folder: reads its contents, and decides which of its frames are kept for the recipe of this run."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from remix import __version__
from remix.digest import canonical
from remix.errors import JobError, OtherRecipe, RecipeError
from remix.job.adoption import Sources, Taking, Telling, adopt, adopted, finished, look_through, set_aside
from remix.job.files import write_text
from remix.job.identity import differing, finished_at, most_detailed, same_engine
from remix.job.inputs import copy_inputs, copy_song, copy_workflow, input_hashes
from remix.job.job import BETWEEN, FRAME, SETTINGS, Job, earlier_engines
from remix.job.journal import Journal
from remix.job.lock import REMOVABLE, locked
from remix.job.reading import (
    EARLIER,
    FRAMES,
    INPUTS,
    JOB,
    JOURNAL,
    LOCK,
    MAX_TEXT,
    OWN,
    PACING,
    RECIPE,
    SCHEDULE,
    is_job,
    read_about,
    refuse_foreign,
    says,
)
from remix.motion.atomic import contents, is_part
from remix.motion.regular import never
from remix.plan import Recipe, Schedule

log = logging.getLogger(__name__)


def warn(sentence: str) -> None:
    """Logs a sentence for the user."""
    log.warning("%s", sentence)


@contextmanager
def open_job(
    folder: Path | str,
    schedule: Schedule,
    engine: Mapping[str, str],
    *,
    new: bool = False,
    moving: bool = False,
    donors: Iterable[Path] = (),
    taking: Taking = lambda done, total: None,
    pause: Callable[[], None] = never,
    tell: Telling = warn,
) -> Iterator[Job]:
    """Opens the folder of a run, creates it if needed, and keeps it locked.

    `engine` identifies the engine: name, family, model, fingerprint. If the folder holds the job of another recipe,
    equal frames are kept, whatever their numbers. Raises `OtherRecipe` if finished frames would be lost, or if another
    model rendered them; `new` replaces such frames instead. With `moving`, a job that an engine of another name started
    is opened too; `begun_with` names that engine until `move` is called. Raises `JobError` if the folder holds
    something else.

    Equal frames are copied from other jobs, `donors`; the first that has a frame provides it. `taking` is called before
    each copy, `pause` between the blocks of files that are hashed (an error that it raises stops the hashing), and
    `tell` with a sentence about the frames that were kept.
    """
    folder = Path(os.path.realpath(folder))
    if folder.exists() and not folder.is_dir():
        raise JobError(f"{folder}: is a file; give a new or empty folder")
    refuse_foreign(folder)
    if folder.is_dir() and contents(folder) and not is_job(folder) and not _is_begun(folder):
        raise JobError(f"{folder}: is not empty and holds no job; give a new or empty folder")
    _refuse_unreadable(schedule.recipe)
    inputs = input_hashes(schedule.recipe)
    was_there, failed = folder.is_dir(), False
    try:
        with locked(folder):
            try:
                asked = Asked(schedule, dict(engine), inputs, new, moving, pause)
                job = _opened(folder, asked, list(donors), taking, tell)
            except BaseException:
                if failed := not is_job(folder):
                    _remove_begun(folder, was_there)
                raise
            yield job
    finally:
        if failed and not REMOVABLE:  # removing it fails as long as any run has it open
            _remove_lock(folder, was_there)


def _refuse_unreadable(recipe: Recipe) -> None:
    """Raises JobError for a recipe whose JSON is too long to be read back from the job."""
    if (size := len(recipe.to_json().encode())) > MAX_TEXT:
        raise JobError(
            f"{RECIPE}: the recipe has {size} bytes as JSON; a job reads {MAX_TEXT}, "
            "use fewer keyframes or shorter prompts"
        )


@dataclass(frozen=True)
class Asked:
    """The request of a run: the schedule, the engine, the hashes of its pictures, and whether it may replace frames."""

    schedule: Schedule
    engine: Mapping[str, str]
    inputs: Mapping[str, str]
    new: bool
    moving: bool
    pause: Callable[[], None]


@dataclass(frozen=True)
class Found:
    """The contents of a job folder.

    `about` is its job.json, None without a job. `is_other` is true if its recipe or one of its pictures differs.
    `is_moving` is true if frames must change places, for this run or since a run that stopped while doing so. `frames`
    maps files to the keys of finished frames; it is filled only if the job differs from the request.
    """

    about: Mapping[str, Any] | None = None
    is_other: bool = False
    is_moving: bool = False
    frames: Mapping[Path, str] = field(default_factory=dict)

    @property
    def engine(self) -> Mapping[str, Any] | None:
        """Returns the engine that started the job."""
        engine = self.about.get("engine") if self.about is not None else None
        return engine if isinstance(engine, dict) else None


def _opened(folder: Path, asked: Asked, donors: Sequence[Path], taking: Taking, tell: Telling) -> Job:
    """Returns the job, with all frames that it shares with the folder's job and with `donors` in place."""
    _remove_parts(folder)
    (folder / FRAMES).mkdir(exist_ok=True)
    found = _found(folder, asked)
    engine = found.engine
    if is_same := engine is not None and same_engine(engine, asked.engine, same_film=not found.is_other):
        asked = replace(asked, engine=most_detailed(engine or {}, asked.engine))
    job = Job(folder, asked.schedule, asked.engine, asked.inputs, asked.pause)
    if found.about is not None and not is_same:
        if found.is_other or not _may_move(found, asked):
            raise OtherRecipe(_other_engine(folder, asked, found))
        job.begun_with = found.engine
    if found.about is not None and not found.is_moving:
        donors = _newer(donors, folder)
    wanted = {job.frame_key(index) for index in range(len(asked.schedule))} if found.is_moving or donors else set()
    lost = {path: key for path, key in found.frames.items() if key not in wanted} if found.is_moving else {}
    rendered = [path for path, key in lost.items() if not key.startswith(BETWEEN)]
    if rendered and found.is_other and not asked.new:
        raise OtherRecipe(_other_recipe(folder, asked, found, len(rendered)))
    sources = Sources([asked.engine, *_engines(found)])
    if found.is_moving:
        sources.files.update(set_aside(job, found.frames, wanted))
    look_through(donors, job, wanted, sources)
    if found.about is not None:
        sources.remarks.clear()  # they only help to decide whether to start a new job
    if sources.donors:
        (folder / EARLIER).mkdir(exist_ok=True)  # kept until all frames are copied
    _write_down(job, asked, found)
    for path in lost:
        path.unlink()
    if found.is_moving:  # also after a run that was killed once job.json was replaced
        _remove_frames_past(folder, len(asked.schedule))
    _take_over(job, sources, taking, tell)
    return job


def _found(folder: Path, asked: Asked) -> Found:
    """Returns the contents of the folder.

    Frames of another engine are removed first, either with `new` or if that engine finished none.
    """
    if not is_job(folder):
        return Found(is_moving=(folder / EARLIER).is_dir())
    about = _about(folder, asked.new)
    is_other = _is_other(folder, asked, about)
    is_moving = is_other or (folder / EARLIER).is_dir()
    engines_differ = not same_engine(Found(about).engine or {}, asked.engine, same_film=not is_other)
    frames = finished(folder, Journal(folder / JOURNAL, asked.pause)) if is_moving or engines_differ else {}
    found = Found(about, is_other, is_moving, frames)
    if engines_differ and (asked.new or (not frames and (is_other or not _may_move(found, asked)))):
        _remove_frames(folder)
        return Found()
    return found


def _about(folder: Path, new: bool) -> dict[str, Any]:
    """Returns the contents of job.json. With `new`, a damaged file counts as empty, and no frames are trusted."""
    try:
        return read_about(folder)
    except RecipeError:
        if new:
            return {}
        raise


def _is_other(folder: Path, asked: Asked, about: Mapping[str, Any]) -> bool:
    return _has_other_schedule(folder, asked) or about.get("inputs") != asked.inputs


def _has_other_schedule(folder: Path, asked: Asked) -> bool:
    return not says(folder, SCHEDULE, asked.schedule.to_json().encode())


def _may_move(found: Found, asked: Asked) -> bool:
    """Returns whether another engine started the job, and this one may continue it if their pictures agree."""
    was = found.engine
    return asked.moving and was is not None and was.get("engine") != asked.engine.get("engine")


def _engines(found: Found) -> list[Mapping[str, Any]]:
    """Returns the engines that have rendered frames of the job."""
    earlier = [one.get("engine") for one in earlier_engines(found.about or {}) if isinstance(one, dict)]
    return [engine for engine in (found.engine, *earlier) if isinstance(engine, dict)]


def _other_engine(folder: Path, asked: Asked, found: Found) -> str:
    what = "holds the job of another recipe, begun" if found.is_other else "was begun"
    return (
        f"{folder}: {what} with another {differing(found.engine or {}, asked.engine)}, so none of its "
        f"{len(found.frames)} finished frames would stay; give another folder"
    )


def _other_recipe(folder: Path, asked: Asked, found: Found, lost: int) -> str:
    what, mend = "holds the job of another recipe", "give another folder"
    if not _has_other_schedule(folder, asked):
        was = (found.about or {}).get("inputs")
        names = [name for name in asked.inputs if not isinstance(was, dict) or was.get(name) != asked.inputs[name]]
        many = "are other pictures" if len(names) > 1 else "is another picture"
        what = f"{', '.join(names)} {many} than the job began with"
        mend = "put the first back, or give another folder"
    count = len(found.frames)
    return f"{folder}: {what}: {count - lost} of its {count} finished frames stay, {lost} would be replaced; {mend}"


def _newer(donors: Sequence[Path], folder: Path) -> list[Path]:
    """Returns the donors that finished a frame after the last frame of this job."""
    own = finished_at(folder)
    return [donor for donor in donors if finished_at(donor) > own]


def _write_down(job: Job, asked: Asked, found: Found) -> None:
    """Writes the recipe, schedule and job.json of the request into the folder."""
    copy_inputs(job.folder, asked.schedule.recipe, asked.inputs)
    copy_song(job.folder, asked.schedule.recipe)
    copy_workflow(job.folder, asked.schedule.recipe)
    write_text(job.folder / RECIPE, asked.schedule.recipe.to_json())
    write_text(job.folder / SCHEDULE, asked.schedule.to_json())
    if job.begun_with is None:
        kept = {name: found.about[name] for name in ("earlier", SETTINGS) if found.about and found.about.get(name)}
        about = {"engine": dict(asked.engine), "inputs": dict(asked.inputs), "toolkit": __version__}
        write_text(job.folder / JOB, canonical({**kept, **about}))


def _take_over(job: Job, sources: Sources, taking: Taking, tell: Telling) -> None:
    """Copies frames from elsewhere into the job, and reports them."""
    for remark in sources.remarks:
        tell(remark)
    if not (job.folder / EARLIER).is_dir():
        return
    missing, total = job.missing(), len(job.schedule)
    taken = adopt(job, sources, missing, taking)
    adopted(job.folder)
    others = [donor for donor in sources.donors if job.folder not in donor.parents]
    if (kept := total - len(missing) + taken) and (others or not sources.donors):
        names = ", ".join(sorted(donor.name for donor in others))
        took = f"took {kept} of {total} frames from {names}" if names else f"kept {kept} of {total} frames"
        tell(f"{job.folder}: {took}")


def _is_begun(folder: Path) -> bool:
    """Returns whether a run was killed here before it wrote job.json, leaving a lock or measured pictures."""
    entries = [entry.name for entry in contents(folder)]
    return (LOCK in entries or PACING in entries) and all(name in OWN or is_part(name) for name in entries)


def _remove_begun(folder: Path, was_there: bool) -> None:
    """Removes the files of a run that failed before it had a job, and the folder if the run created it.

    Frames are kept: they belong to a job whose job.json was lost.
    """
    with suppress(OSError):
        if (folder / FRAMES).is_dir() and contents(folder / FRAMES):
            return
        for name in (RECIPE, SCHEDULE, JOURNAL):
            (folder / name).unlink(missing_ok=True)
        for name in (FRAMES, INPUTS, EARLIER):
            shutil.rmtree(folder / name, ignore_errors=True)
    if REMOVABLE:
        _remove_lock(folder, was_there)


def _remove_lock(folder: Path, was_there: bool) -> None:
    with suppress(OSError):
        (folder / LOCK).unlink()
        if not was_there:
            folder.rmdir()


def _remove_parts(folder: Path) -> None:
    """Removes the temporary folders of interrupted runs. The lock is held, so no other run is writing."""
    parts = [part for place in ("", f"{FRAMES}/", f"{INPUTS}/**/") for part in folder.glob(f"{place}*.part")]
    for part in parts:
        if is_part(part.name):
            shutil.rmtree(part, ignore_errors=True)  # leaves links and files alone


def _remove_frames(folder: Path) -> None:
    """Removes the frames of another engine or model, which would count as finished because their keys match."""
    (folder / JOURNAL).unlink(missing_ok=True)  # first, because it also lists films as finished
    shutil.rmtree(folder / EARLIER, ignore_errors=True)
    _remove_frames_past(folder, 0)


def _remove_frames_past(folder: Path, count: int) -> None:
    """Removes the frames past the end of a shorter job, which would otherwise end up in films of the folder."""
    for path in (folder / FRAMES).iterdir():
        if FRAME.fullmatch(path.name) and int(path.stem) >= count:
            path.unlink()
