"""Finished frames that another recipe of a job, or another job, has too: they are taken over and not rendered again.

A frame is known by its key, which names all that makes its picture, and by the engine that rendered it; neither its
number nor its folder counts. Frames that are to have another number are first moved to `earlier/`, by a rename, under
their keys. From there, and from other jobs, each is read and checked, and written in its new place with metadata of
its own. `earlier/` goes when all is done: where it is still there, the next run goes on with it.
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
from remix.job.identity import differing
from remix.job.job import FRAME, Job, made_of, recipe_of
from remix.job.journal import Journal
from remix.job.metadata import KEY, read_metadata
from remix.job.reading import EARLIER, FRAMES, JOURNAL, MAX_PICTURE, is_job, open_part, read_about, refuse_foreign
from remix.motion.atomic import replace
from remix.motion.images import load_picture

log = logging.getLogger(__name__)

MOST_DONORS = 32
"""How many other jobs are looked through, the newest first."""

Taking = Callable[[int, int], None]
"""Is called with how many frames of how many are there, before each that is taken over; an error of it ends that."""


Telling = Callable[[str], None]
"""Is called with a sentence for the person who began the run."""


@dataclass
class Sources:
    """Where finished frames lie, by their keys, and the engines that may have rendered them."""

    engines: list[Mapping[str, Any]]
    files: dict[str, Path] = field(default_factory=dict)
    donors: set[Path] = field(default_factory=set)
    remarks: list[str] = field(default_factory=list)


def finished(folder: Path, journal: Journal) -> dict[Path, str]:
    """Returns the keys of all whole frames in a job folder, of whatever recipe, and of those in its `earlier/`.

    Those in `earlier/` bear their keys as names, and are checked when they are taken over.
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
    """The key that a frame's own metadata names, None for a file that does not decode."""
    key = made_of(path).get("key")
    return key if isinstance(key, str) else None


def set_aside(job: Job, held: Mapping[Path, str], wanted: Collection[str]) -> dict[str, Path]:
    """Moves frames that are to have another number to `earlier/`; returns where each of the `wanted` frames is."""
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
    """Adds what other jobs have of the `wanted` frames, as their journals say, if the same engine rendered it.

    An unfinished job that has some of them from an engine that is almost the same is named in a remark.
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
        if engine == job.engine:
            for key in shared - sources.files.keys():
                sources.files[key] = donor / FRAMES / keys[key]
                sources.donors.add(donor)
        elif shared and not sources.remarks and (remark := _almost_equal(donor, job, engine, len(shared))):
            sources.remarks.append(remark)


def _almost_equal(donor: Path, job: Job, engine: Mapping[str, Any], shared: int) -> str | None:
    """A sentence about a job that was begun with almost the same engine and lacks frames; None where it does not."""
    try:
        count = recipe_of(donor).frames
    except RemixError:
        return None
    if engine.get("engine") != job.engine.get("engine") or len(list((donor / FRAMES).glob("*.png"))) >= count:
        return None
    return (
        f"{job.folder}: is a new job, although {donor} is unfinished and has {shared} of these frames: "
        f"it was begun with another {differing(engine, job.engine)}; to go on with it, set that back"
    )


def adopt(job: Job, sources: Sources, missing: Sequence[int], taking: Taking) -> int:
    """Writes those of the `missing` frames that lie elsewhere into their places; returns how many were taken over."""
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
            source.unlink()  # so that a long film does not lie on the disk twice
    return taken


def _take(job: Job, index: int, source: Path, engines: Collection[Mapping[str, Any]]) -> bool:
    """Writes one frame, if its file is whole and its own metadata names what should have made it."""
    recipe = job.schedule.recipe
    try:
        with open_part(source, MAX_PICTURE) as file:
            picture = load_picture(file, size=(recipe.width, recipe.height))
            made = read_metadata(source)
    except RemixError as error:
        log.info("%s: not taken over (%s)", source, error)
        return False
    about = made.remix or {}
    engine = about.get("engine")
    if about.get("key") != job.frame_key(index) or engine not in engines:
        return False
    if picture.shape != (recipe.height, recipe.width, 3):
        return False
    others = {name: text for name, text in made.texts.items() if name != KEY}
    job.keep(index, picture, others, engine)
    return True


def adopted(folder: Path) -> None:
    """Removes `earlier/` and what nobody needs of it: all is taken over."""
    shutil.rmtree(folder / EARLIER)
