"""A job's copies of the init pictures, masks, song and workflow of its recipe."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from remix.digest import sha256
from remix.errors import JobError, RecipeError
from remix.job.files import inside, write_bytes
from remix.job.reading import INPUTS, MAX_PICTURE, REMEDY, hash_of
from remix.motion.atomic import atomic_write
from remix.motion.images import load_picture
from remix.motion.pictures import Picture, fit
from remix.motion.regular import BLOCK, fingerprint, open_file
from remix.motion.song import MAX_SONG
from remix.plan import Recipe
from remix.plan.wording import close

if TYPE_CHECKING:
    from remix.job.job import Job

MAX_WORKFLOW = 16 * 2**20
"""The largest file of a workflow, in bytes."""


def input_hashes(recipe: Recipe) -> dict[str, str]:
    """Returns the SHA-256 of each init picture and mask by name. Raises RecipeError if one is missing.

    Pictures that inputs of a workflow or payload name are included if they are next to the recipe.
    """
    mixes = [(field, getattr(keyframe, field)) for keyframe in recipe.keyframes for field in ("image", "mask")]
    names = {name: field for field, mix in reversed(mixes) if mix for name in mix.values}
    hashes: dict[str, str] = {}
    for name, field in names.items():
        source = _input(recipe, name)
        if not source.is_file():
            raise RecipeError(_missing(recipe, name), path=field)
        load_picture(source)
        hashes[name] = fingerprint(source)
    for name in recipe.input_pictures():
        if name not in hashes and _input(recipe, name).is_file():  # otherwise the server has it
            load_picture(_input(recipe, name))
            hashes[name] = fingerprint(_input(recipe, name))
    return hashes


def load_inputs(recipe: Recipe) -> dict[str, Picture]:
    """Returns the pictures of `input_hashes` by name. Raises RecipeError if one is missing."""
    return {name: load_picture(_input(recipe, name)) for name in input_hashes(recipe)}


def missing_pictures(recipe: Recipe) -> list[str]:
    """Returns a sentence for each init picture and mask that is missing at the recipe's path."""
    return [_missing(recipe, name) for name in recipe.pictures() if not _input(recipe, name).is_file()]


def _missing(recipe: Recipe, name: str, what: str = "picture") -> str:
    place = _input(recipe, name).parent
    neighbors = [path.name for path in place.iterdir()] if place.is_dir() else []
    near = close(Path(name).name, neighbors)
    mend = f"did you mean {near!r}?" if near else f"put the {what} there, or correct its name"
    return f"{name!r} is not a file in {Path(recipe.folder or '.').resolve()}; {mend}"


def copy_inputs(folder: Path, recipe: Recipe, hashes: Mapping[str, str]) -> None:
    """Copies the recipe's init pictures and masks into the job. Raises JobError if one no longer has its hash."""
    for name, expected in hashes.items():
        copy = inside(folder / INPUTS, name)
        if not copy.is_file() or hash_of(copy) != expected:
            with open_file(_input(recipe, name), limit=MAX_PICTURE) as file:
                data = file.read()
            if sha256(data) != expected:
                raise JobError(f"{name}: the picture was changed while the run began; run it again")
            _make_folder(copy.parent)
            write_bytes(copy, data)


def copy_song(folder: Path, recipe: Recipe) -> None:
    """Copies the recipe's song into the job, so that its film can be made again anywhere.

    Nothing is copied for numbers whose song is not there. Raises RecipeError if it is not the measured song.
    """
    if recipe.music is None or not (source := _input(recipe, recipe.music.file)).is_file():
        return
    digest = fingerprint(source, limit=MAX_SONG)
    if recipe.music.sha256 not in ("", digest):
        raise RecipeError(
            f"{recipe.music.file!r} is not the song of these numbers; put that one back, or leave the numbers out to "
            "have this one measured",
            path="music.file",
        )
    copy = inside(folder / INPUTS, recipe.music.file)
    if not copy.is_file() or hash_of(copy, MAX_SONG) != digest:
        _make_folder(copy.parent)
        with open_file(source, limit=MAX_SONG) as song, atomic_write(copy) as part, part.open("wb") as target:
            shutil.copyfileobj(song, target, BLOCK)


def copy_workflow(folder: Path, recipe: Recipe) -> None:
    """Copies the recipe's workflow into the job, so that it can be resumed from its folder alone."""
    if recipe.workflow is None:
        return
    source, copy = workflow_path(recipe), inside(folder / INPUTS, recipe.workflow.file)
    if source == copy or (copy.is_file() and hash_of(copy, MAX_WORKFLOW) == fingerprint(source, limit=MAX_WORKFLOW)):
        return
    _make_folder(copy.parent)
    with open_file(source, limit=MAX_WORKFLOW) as file:
        write_bytes(copy, file.read())


def workflow_path(recipe: Recipe) -> Path:
    """Returns the path of a recipe's workflow. Raises RecipeError if there is no such file."""
    assert recipe.workflow is not None
    source = _input(recipe, recipe.workflow.file)
    if not source.is_file():
        raise RecipeError(_missing(recipe, recipe.workflow.file, "workflow"), path="workflow.file")
    return source


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise JobError(f"{error.filename}: is not a folder; {REMEDY}") from error


def _input(recipe: Recipe, name: str) -> Path:
    return inside(Path(recipe.folder or "."), name)


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
