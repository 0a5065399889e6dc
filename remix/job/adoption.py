"""Reuses finished frames from a job's previous recipe and from other jobs.

A frame is identified by its key, a hash of everything that affects its picture, and by the engine that rendered it; its
number and its folder do not matter. Frames that get another number are first renamed into `earlier/`, under their keys.
Each of them, and each frame of another job, is then read, checked, and written to its new place with its own metadata.
`earlier/` is removed at the end; if it still exists, the next run continues with it.
"""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remix.errors import RemixError
from remix.job.identity import differing, same_engine
from remix.job.job import FRAME, Job, made_of, recipe_of
from remix.job.journal import Journal
from remix.job.metadata import KEY, read_metadata
from remix.job.reading import EARLIER, FRAMES, JOURNAL, MAX_PICTURE, is_job, open_part, read_about, refuse_foreign
from remix.motion.atomic import replace
from remix.motion.images import load_picture

log = logging.getLogger(__name__)

MOST_DONORS = 32
"""The maximum number of other jobs that are searched, newest first."""

Taking = Callable[[int, int], None]
"""Called before each copy with the number of existing frames and the total. An error that it raises stops copying."""


Telling = Callable[[str], None]
"""Called with a sentence for the user."""


@dataclass
class Sources:
    """Files of finished frames by key, and the engines that may have rendered them."""

    engines: list[Mapping[str, Any]]
    files: dict[str, Path] = field(default_factory=dict)
    donors: set[Path] = field(default_factory=set)
    remarks: list[str] = field(default_factory=list)


def finished(folder: Path, journal: Journal) -> dict[Path, str]:
    """Returns the keys of all intact frames in a job folder, of any recipe, and of those in its `earlier/`.

    Files in `earlier/` are named by their keys; they are checked when they are copied.
    """
    found: dict[Path, str] = {}
    for path in sorted((folder / FRAMES).iterdir()):
        if FRAME.fullmatch(path.name) and (key := journal.key_of(path) or _own_key(path)):
            found[path] = key
    earlier = folder / EARLIER
    for path in sorted(earlier.glob("*.png")) if earlier.is_dir() else ():
        if not path.is_symlink():
            found[path] = path.stem
    return found


def _own_key(path: Path) -> str | None:
    """Returns the key in a frame's own metadata, None for a file that does not decode."""
    key = made_of(path).get("key")
    return key if isinstance(key, str) else None


def set_aside(job: Job, held: Mapping[Path, str], wanted: Collection[str]) -> dict[str, Path]:
    """Moves frames that get another number to `earlier/`, and returns the file of each of the `wanted` frames."""
    (job.folder / EARLIER).mkdir(exist_ok=True)
    found: dict[str, Path] = {}
    for path, key in held.items():
        if key not in wanted:
            continue
        if path.parent.name == FRAMES and not _is_in_place(job, path, key):
            target = job.folder / EARLIER / f"{key}.png"
            replace(path, target)
            path = target
        found.setdefault(key, path)
    return found


def _is_in_place(job: Job, path: Path, key: str) -> bool:
    index = int(path.stem)
    return index < len(job.schedule) and job.frame_key(index) == key


def look_through(donors: Iterable[Path], job: Job, wanted: Collection[str], sources: Sources) -> None:
    """Adds the `wanted` frames that the journals of other jobs list, if the same engine rendered them.

    Adds a remark for an unfinished job that has some of them from a slightly different engine.
    """
    for donor in list(donors)[:MOST_DONORS]:
        try:
            refuse_foreign(donor)
            about = read_about(donor) if is_job(donor) else {}
            noted = Journal(donor / JOURNAL).keys()
        except (RemixError, OSError) as error:
            log.info("%s: skipped (%s)", donor, error)
            continue
        engine = about.get("engine")
        if donor == job.folder or not isinstance(engine, dict):
            continue
        keys = {key: name for name, key in noted.items() if FRAME.fullmatch(name)}
        shared = keys.keys() & wanted
        if same_engine(engine, job.engine):
            for key in shared - sources.files.keys():
                sources.files[key] = donor / FRAMES / keys[key]
                sources.donors.add(donor)
        elif shared and not sources.remarks and (remark := _almost_equal(donor, job, engine, len(shared))):
            sources.remarks.append(remark)


def _almost_equal(donor: Path, job: Job, engine: Mapping[str, Any], shared: int) -> str | None:
    """Returns a remark on an unfinished job of a slightly different engine, None if there is nothing to report."""
    try:
        count = recipe_of(donor).frames
    except RemixError:
        return None
    if engine.get("engine") != job.engine.get("engine") or len(list((donor / FRAMES).glob("*.png"))) >= count:
        return None
    return (
        f"{job.folder}: is a new job, although {donor} is unfinished and has {shared} of these frames: "
        f"it was started with another {differing(engine, job.engine)}; to continue it, set that back"
    )


def adopt(job: Job, sources: Sources, missing: Sequence[int], taking: Taking) -> int:
    """Copies the `missing` frames that exist elsewhere into the job, and returns how many were copied."""
    taken, total = 0, len(job.schedule)
    uses = Counter(job.frame_key(index) for index in missing)
    for index in missing:
        key = job.frame_key(index)
        if (source := sources.files.get(key)) is None:
            continue
        taking(total - len(missing) + taken, total)
        taken += _take(job, index, source, sources.engines)
        uses[key] -= 1
        if not uses[key] and source.parent == job.folder / EARLIER:
            source.unlink()  # so that a long film never takes its space on disk twice
    return taken


def _take(job: Job, index: int, source: Path, engines: Collection[Mapping[str, Any]]) -> bool:
    """Copies one frame if its file is intact and its metadata has the right key."""
    recipe = job.schedule.recipe
    try:
        with open_part(source, MAX_PICTURE) as file:
            picture = load_picture(file, size=(recipe.width, recipe.height))
            made = read_metadata(source)
    except RemixError as error:
        log.info("%s: not copied (%s)", source, error)
        return False
    about = made.remix or {}
    engine = about.get("engine")
    if about.get("key") != job.frame_key(index) or not isinstance(engine, dict):
        return False
    if not any(same_engine(engine, known) for known in engines):
        return False
    if picture.shape != (recipe.height, recipe.width, 3):
        return False
    others = {name: text for name, text in made.texts.items() if name != KEY}
    job.keep(index, picture, others, engine)
    return True


def adopted(folder: Path) -> None:
    """Removes `earlier/` once all frames are in place."""
    shutil.rmtree(folder / EARLIER)
