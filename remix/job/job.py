"""The job folder: a run that can stop at any time and be resumed.

    recipe.json     the recipe that was requested
    schedule.json   every number of every frame
    job.json        the toolkit's version, the engine and model, and their device and batch size
    journal.jsonl   one line for each finished frame and film: its key, and the hash of its file
    inputs/         copies of the recipe's init pictures, masks and song
    frames/         000000.png, 000001.png, ...
    film.mp4        the film
    sheet.png       a contact sheet
    report.html     the report, see `remix.show.report`
    job.lock        held by the run in progress
    earlier/        frames that wait for their new place, see `remix.job.adoption`; removed afterwards

Every file except the journal is written to a temporary path and renamed. The journal only grows, by one line for each
finished file. A frame is finished if its file has the hash in the journal. If the journal does not list it, it is
finished if it decodes and its own metadata has the right key.
"""

from __future__ import annotations

import math
import os
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from remix import __version__
from remix.digest import canonical, sha256
from remix.errors import JobError, OtherRecipe, RemixError
from remix.job.credits import short_sources, sources
from remix.job.files import inside, write_text
from remix.job.journal import Journal
from remix.job.metadata import TEXT_BYTES, Made, graph_texts, read_metadata, size_of, write_frame
from remix.job.reading import (
    FRAMES,
    INPUTS,
    JOB,
    JOURNAL,
    MAX_PICTURE,
    OWN,
    RECIPE,
    SCHEDULE,
    open_part,
    read_about,
    read_part,
    refuse_foreign,
    says,
)
from remix.motion.images import load_picture
from remix.motion.inbetween import METHOD
from remix.motion.pictures import Picture
from remix.motion.regular import never
from remix.motion.retiming import AROUND
from remix.plan import Recipe, Schedule, plan

SETTINGS = "settings"
"""The field of job.json with each combination of device, precision and batch size."""

RECIPE_IN_METADATA = 48 * 1024
"""The longest recipe, in bytes, that every frame carries. Of a longer recipe, a frame carries the hash."""

FILM = "film.mp4"
"""The default name of a film."""

BETWEEN = "between"
"""The start of an in-between's key, and the name of its sources in its metadata."""

FRAME = re.compile(r"\d{6,}\.png", re.ASCII)
"""File names of frames: their numbers."""


class Job:
    """An open, locked job folder, from `open_job`."""

    begun_with: Mapping[str, str] | None = None
    """The other engine that rendered this job so far, until `move` is called."""

    def __init__(
        self,
        folder: Path,
        schedule: Schedule,
        engine: Mapping[str, str],
        inputs: Mapping[str, str],
        pause: Callable[[], None] = never,
    ) -> None:
        self.folder = folder
        self.schedule = schedule
        self.engine = dict(engine)
        self._inputs = dict(inputs)
        self._keys: dict[int, str] = {}
        self.journal = Journal(folder / JOURNAL, pause)

    @cached_property
    def _about(self) -> dict[str, Any]:
        return {**_about(self.schedule.recipe, self.engine), **short_sources(self.schedule.recipe, self.folder)}

    def frame_path(self, index: int) -> Path:
        """Returns the path of frame `index`, whether or not it exists."""
        return frame_path(self.folder, index)

    def frame_paths(self) -> list[Path]:
        """Returns the paths of all frames, in order."""
        return [self.frame_path(index) for index in range(len(self.schedule))]

    def frame_key(self, index: int) -> str:
        """Returns the hash of everything that affects a frame's picture: numbers, settings, init pictures and masks."""
        if index not in self._keys:
            self._keys[index] = frame_key(self.schedule, index, self._inputs)
        return self._keys[index]

    def input_path(self, name: str) -> Path:
        """Returns the path of the job's copy of the init picture that the recipe calls `name`."""
        return inside(self.folder / INPUTS, name)

    def missing(self, wanted: Sequence[int] | None = None) -> list[int]:
        """Returns the `wanted` frames (None: all) that must be rendered. A damaged file counts as missing."""
        every = range(len(self.schedule))
        return [index for index in (every if wanted is None else wanted) if not self._is_finished(index)]

    def is_whole(self) -> bool:
        """Returns whether all frames are finished. No file is read if one of them does not exist."""
        return all(path.is_file() for path in self.frame_paths()) and not self.missing()

    def _is_finished(self, index: int) -> bool:
        path, key = self.frame_path(index), self.frame_key(index)
        if self.journal.holds(path, key):
            return True
        if not self._says_so(index):
            return False
        self.journal.note(path, key)
        return True

    def lacks(self) -> list[int]:
        """Returns the same frames as `missing` but writes nothing, for callers that have not locked the folder."""
        return [
            index
            for index in range(len(self.schedule))
            if not self.journal.holds(self.frame_path(index), self.frame_key(index)) and not self._says_so(index)
        ]

    def _says_so(self, index: int) -> bool:
        """Returns whether a frame's file decodes and its own metadata has the right key."""
        made = made_of(self.frame_path(index), (self.schedule.recipe.width, self.schedule.recipe.height))
        frame = made.get("frame")
        return isinstance(frame, dict) and made.get("key") == self.frame_key(index) and frame.get("index") == index

    def keep(
        self,
        index: int,
        picture: Picture,
        texts: Mapping[str, str] | None = None,
        engine: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> Path:
        """Writes a finished frame, flushed to disk, and returns its path.

        `picture` is uint8 [height, width, 3]. `texts` are added to its metadata as far as they fit, the first ones
        first. `engine` is the engine that rendered it, if it is not the job's. `seconds` is its rendering time, None if
        it was not rendered now.
        """
        recipe = self.schedule.recipe
        if picture.shape != (recipe.height, recipe.width, 3) or picture.dtype != np.uint8:
            raise JobError(
                f"frame {index}: the engine gave {picture.dtype} {picture.shape}; "
                f"the recipe asks for uint8 {(recipe.height, recipe.width, 3)}"
            )
        path, key = self.frame_path(index), self.frame_key(index)
        write_frame(path, picture, self._frame_texts(index, key, texts or {}, engine or self.engine))
        self.journal.note(path, key, seconds)
        return path

    def move(self, frames: Sequence[int]) -> None:
        """Records that another engine continues this job, after the previous engines rendered `frames`."""
        before = read_about(self.folder)
        earlier = [*earlier_engines(before), {"engine": before["engine"], "frames": spans(frames)}]
        about = {"engine": self.engine, "inputs": self._inputs, "toolkit": __version__, "earlier": earlier}
        write_text(self.folder / JOB, canonical(about))
        self.begun_with = None

    def note_setting(self, setting: Mapping[str, str]) -> Mapping[str, str] | None:
        """Records engine settings that barely change pictures, such as device and batch size.

        Returns the settings of earlier frames if they are known and none of them equals these.
        """
        about = read_about(self.folder)
        written, now = about.get(SETTINGS), dict(setting)
        known = [one for one in written if isinstance(one, dict)] if isinstance(written, list) else []
        if now in known:
            return None
        others = known if any(path.is_file() for path in self.frame_paths()) else []
        write_text(self.folder / JOB, canonical({**about, SETTINGS: [*others, now]}))
        return others[-1] if others else None

    def input_names(self) -> Sequence[str]:
        """Returns the names of the recipe's init pictures and masks."""
        return tuple(self._inputs)

    def film_texts(self) -> dict[str, str]:
        """Returns the metadata of the film and the contact sheet."""
        return _film_texts(self.folder, self.schedule.recipe, self.engine)

    def _frame_texts(
        self, index: int, key: str, others: Mapping[str, str], engine: Mapping[str, str]
    ) -> dict[str, str]:
        about = {**self._about, "engine": dict(engine), "frame": self.schedule[index].to_dict(), "key": key}
        if key.startswith(BETWEEN):
            about["between"] = sources_of(self.schedule.recipe, index)
        if size_of({**others, "remix": canonical(about)}) > TEXT_BYTES:
            about["frame"] = {"index": index}  # the key identifies the rest
        ours, others = {"remix": canonical(about)}, dict(others)
        while others and size_of({**others, **ours}) > TEXT_BYTES:
            others.popitem()
        return {**others, **ours}

    def is_finished(self, path: Path, key: str) -> bool:
        """Returns whether the film, sheet or report at `path` is intact and has the key `key`."""
        return self.journal.holds(path, key, largest_film(self.schedule.recipe))

    def note_measuring(self, rounds: Iterable[Path]) -> None:
        """Records how many pictures were rendered to measure the pace, in the job folders `rounds`, and how long."""
        times = [seconds for folder in rounds for seconds in Journal(folder / JOURNAL).seconds().values()]
        if times:
            self.journal.note_measuring(len(times), math.fsum(times))

    def note(self, path: Path, key: str) -> None:
        """Records that the film, sheet or report at `path` is finished and has the key `key`."""
        self.journal.note(path, key)


def largest_film(recipe: Recipe) -> int:
    """Returns the maximum size of a recipe's film, in bytes: twice its raw pixels, raw sound, and some overhead."""
    pixels = 6 * recipe.frames * (recipe.between + 1) * recipe.width * recipe.height
    return pixels + round(2**21 * recipe.frames / recipe.fps) + MAX_PICTURE


def frame_path(folder: Path, index: int) -> Path:
    """Returns the path of a frame in a job folder, whether or not it exists."""
    return folder / FRAMES / f"{index:06d}.png"


def made_of(path: Path, size: tuple[int, int] | None = None) -> Mapping[str, Any]:
    """Returns a frame's own metadata, {} if the file is missing or does not decode.

    With `size`, a picture whose header has another size is not decoded.
    """
    if not os.path.lexists(path):
        return {}
    try:
        with open_part(path, MAX_PICTURE) as file:
            load_picture(file, size=size)
        return read_metadata(path).remix or {}
    except RemixError:
        return {}


def frame_key(schedule: Schedule, index: int, inputs: Mapping[str, str]) -> str:
    """Returns the hash of everything that affects a frame's picture. `inputs` maps names of pictures to hashes.

    That of an in-between begins with `BETWEEN`.
    """
    if (sources := sources_of(schedule.recipe, index)) != [index]:
        end = schedule.recipe.loop and schedule.recipe.frames  # the moment of frame 0 after the last one
        place = f"{BETWEEN} {METHOD} {index} {end} {sources}"
        keys = [frame_key(schedule, source, inputs) for source in sources]
        return f"{BETWEEN}-{sha256(chr(10).join([place, *keys]).encode())}"
    frame = schedule[index]
    names = sorted({name for mix in (frame.image, frame.mask) if mix for name in mix.values})
    used = [inputs[name] for name in names]
    used += [inputs[name] for name in schedule.input_pictures(index) if name in inputs]
    return sha256("\n".join([schedule.frame_hash(index), *used]).encode())


def sources_of(recipe: Recipe, index: int) -> list[int]:
    """Returns the rendered frames that a frame depends on, ascending: itself, or the six around an in-between.

    >>> from remix.plan import Keyframe
    >>> sources_of(Recipe(9, [Keyframe(prompt="a cat")], budget=0.5, rendered=[0, 2, 4, 6, 8]), 1)
    [0, 2, 4, 6]
    """
    rendered = recipe.rendered
    if rendered is None or rendered[place := bisect_right(rendered, index) - 1] == index:
        return [index]
    around = range(place - AROUND, place + AROUND + 2)
    if recipe.loop:
        return sorted({rendered[each % len(rendered)] for each in around})
    return [rendered[each] for each in around if 0 <= each < len(rendered)]


def recipe_of(folder: Path | str) -> Recipe:
    """Returns the recipe of a job folder, with its picture paths resolved to the job's copies."""
    text = read_part(Path(folder), RECIPE)
    recipe = Recipe.from_json(text, source=str(Path(folder) / RECIPE), folder=str(Path(folder) / INPUTS))
    return recipe.settled()  # fields left out of the file keep the general defaults that they were planned with


def read_frames(folder: Path | str) -> tuple[list[Path], list[int]]:
    """Returns the paths of a job's frames, in order, and the numbers of missing or damaged ones. Writes nothing.

    Raises JobError if there is no job, or if another version of the toolkit planned it.
    """
    folder = Path(folder)
    refuse_foreign(folder)
    recipe = recipe_of(folder)
    schedule = plan(recipe)
    if not says(folder, SCHEDULE, schedule.to_json().encode()):
        raise OtherRecipe(
            f"{folder}: its {SCHEDULE} is not that of its {RECIPE}, so its frames cannot be identified; "
            f"give {folder / FRAMES} to use the pictures that are there"
        )
    inputs = read_about(folder).get("inputs")
    named = inputs if isinstance(inputs, dict) else {}
    if lacking := [name for name in recipe.pictures() if not isinstance(named.get(name), str)]:
        raise JobError(f"{folder / JOB}: says nothing of the picture {lacking[0]!r}; render it again")
    job = Job(folder, schedule, {}, named)
    return job.frame_paths(), job.lacks()


def film_files(folder: Path) -> list[Path]:
    """Returns the finished films of a job folder: ``film.mp4`` first, then the newest."""
    keys = Journal(folder / JOURNAL).keys()
    names = [name for name in keys if not FRAME.fullmatch(name) and name not in OWN]
    films = [path for name in reversed(names) if (path := inside(folder, name)).is_file()]
    return sorted(films, key=lambda path: path.name != FILM)


def job_texts(folder: Path | str) -> dict[str, str]:
    """Returns the metadata of a job's film: its recipe and engine, even if some frames come from another recipe."""
    engine = read_about(Path(folder)).get("engine")
    return _film_texts(Path(folder), recipe_of(folder), engine if isinstance(engine, dict) else {})


def _film_texts(folder: Path, recipe: Recipe, engine: Mapping[str, str]) -> dict[str, str]:
    ours = canonical({**_about(recipe, engine), **sources(recipe, folder)})
    return {**graph_texts(frame_path(folder, 0)), "remix": ours}


def read_job(folder: Path | str) -> Made:
    """Returns the recipe and engine of a job folder. Raises JobError if there is no job."""
    about = read_about(Path(folder))
    recipe = recipe_of(folder)
    engine, toolkit = (about.get(name, "") for name in ("engine", "toolkit"))
    made = {"recipe": recipe.to_dict(), "engine": engine, "toolkit": toolkit}
    return Made("remix", remix={**made, **sources(recipe, Path(folder))})


def _about(recipe: Recipe, engine: Mapping[str, str]) -> dict[str, Any]:
    """Returns a job's recipe and engine for the metadata of its frames and film."""
    plain = recipe.to_dict()
    text = canonical(plain).encode()
    named = {"recipe": plain} if len(text) <= RECIPE_IN_METADATA else {"recipe_sha256": sha256(text)}
    return {**named, "engine": engine, "toolkit": __version__}


def earlier_engines(before: Mapping[str, Any]) -> list[Any]:
    """Returns the entries of job.json for the engines before the current one."""
    earlier = before.get("earlier", [])
    return earlier if isinstance(earlier, list) else []


def spans(numbers: Sequence[int]) -> str:
    """Returns ascending numbers as a short text.

    >>> spans([0, 1, 2, 5, 7, 8]), spans([])
    ('0-2, 5, 7-8', '')
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] + 1 == number:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    return ", ".join("-".join(map(str, run)) for run in runs)
