"""Renders a film in one call: `render`, or `arender` for asyncio. See `remix.client.film_queue` for many films."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from remix.client import open_engine
from remix.client.recipes import RecipeLike, read_any
from remix.engine import Engine, Event, Outcome
from remix.engine import render as fill_job
from remix.engine.draft import scaled
from remix.errors import BadInput, RemixError
from remix.job import is_job, recipe_of
from remix.plan import Recipe, Schedule

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from remix.client.auth import Auth

log = logging.getLogger(__name__)

Folder = str | os.PathLike[str]


class EngineOptions(TypedDict, total=False):
    """Options of an engine that is opened by name. Each engine rejects options that it does not support."""

    url: str | None
    auth: Auth | str | None
    headers: Mapping[str, str] | None
    ca: str | os.PathLike[str] | None
    insecure: bool | None
    batch: int | None
    device: str | None
    precision: str | None
    previews: bool | None


class RenderOptions(EngineOptions, total=False):
    """The keyword arguments of `render`, except `engine`."""

    new: bool
    film: str | None
    audio: Path | str | None
    frames: Sequence[int] | None
    every: int
    scale: float
    report: bool | None
    donors: Sequence[Path]
    listen: Callable[[Event], None]
    stop: Callable[[], bool]
    tell: Callable[[str], None] | None


def render(
    recipe: RecipeLike,
    folder: Folder,
    *,
    engine: str | Engine = "local",
    new: bool = False,
    film: str | None = "film.mp4",
    audio: Path | str | None = None,
    frames: Sequence[int] | None = None,
    every: int = 1,
    scale: float = 1,
    report: bool | None = None,
    donors: Sequence[Path] = (),
    listen: Callable[[Event], None] = lambda event: None,
    stop: Callable[[], bool] = lambda: False,
    tell: Callable[[str], None] | None = None,
    **options: Unpack[EngineOptions],
) -> Outcome:
    """Renders a recipe into a job folder and returns the outcome: frames, film, contact sheet and report.

    After an interruption or error, call it again: only missing frames are rendered.

        render("morph.toml", "morph", engine="comfyui", url="http://127.0.0.1:8188")

    Args:
        recipe: A `Recipe`, a `Schedule`, the path of a recipe or job folder, or a text. See `read_any`.
        folder: The job folder. Created if needed.
        engine: "local", "comfyui" or "a1111", with its options (`url`, `auth`, `headers`, `ca`, `insecure`,
            `batch`; `device`, `precision`), or an open engine, which stays open.
        new: Replaces a job of another recipe in this folder.
        film: File name of the film in the folder. Its suffix selects the format; None writes frames only.
        audio: A file with the sound of the film, cut to the film's length.
        frames: Renders only these frames.
        every: Renders a draft: only every few frames, such as 4, with in-betweens for the others in its film.
        scale: Renders a draft at this share of the recipe's size, such as 0.5. It needs a folder of its own.
        report: False writes no report. True raises MissingPackage if the packages for reports are missing.
        donors: Job folders from which identical frames are copied.
        listen: Called with each `Event`.
        stop: Called between frames. Once it returns True, the run ends with `Interrupted`.
        tell: Called with each remark. By default, remarks are logged with the folder. `Outcome.remarks` lists them too.

    Raises:
        BadInput: The recipe or an argument is invalid. Raised before the first frame.
        EngineError: A frame could not be rendered.
        Interrupted: The run was stopped. Finished frames are kept.
        DiskFull, MissingPackage, VideoError: See `remix.errors`.
    """
    if not isinstance(folder, (str, os.PathLike)):
        raise BadInput(f'folder: {type(folder).__name__} is not a path; write render(recipe, "folder", engine=...)')
    say = partial(log_remark, folder) if tell is None else tell
    read = read_any(recipe)
    for note in read.notes:
        say(note)
    with opened(engine, options) as renderer:
        outcome = fill_job(
            _scaled(read.recipe if isinstance(read.recipe, Schedule) else fitted(read.recipe, renderer, folder), scale),
            renderer,
            Path(folder),
            new=new,
            film=film,
            audio=audio,
            frames=frames,
            every=every,
            report=report,
            donors=donors,
            listen=listen,
            stop=stop,
            tell=say,
        )
    return replace(outcome, remarks=(*read.notes, *outcome.remarks))


async def arender(
    recipe: RecipeLike, folder: Folder, *, engine: str | Engine = "local", **options: Unpack[RenderOptions]
) -> Outcome:
    """Runs `render` in a thread and returns its outcome. `listen`, `stop` and `tell` are called in that thread.

    If the task is cancelled, the run finishes and keeps the current frames, and releases the job folder. Only then is
    `CancelledError` raised.
    """
    given: dict[str, Any] = dict(options)
    asked: Callable[[], bool] = given.pop("stop", lambda: False)
    own = {name: given.pop(name) for name in EngineOptions.__annotations__ if name in given}
    cancelled, running = threading.Event(), list[Engine]()

    def run() -> Outcome:
        with opened(engine, own) as renderer:
            running.append(renderer)
            return render(recipe, folder, engine=renderer, stop=lambda: cancelled.is_set() or asked(), **given)

    work = asyncio.ensure_future(asyncio.to_thread(run))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        cancelled.set()
        for renderer in running:
            renderer.cancel()
        while not work.done():
            with suppress(asyncio.CancelledError):  # cancelled again: the thread still locks the folder
                await asyncio.wait([work])
        raise


def fitted(recipe: Recipe, engine: Engine, folder: Folder) -> Recipe:
    """Returns a recipe whose unset fields have the model's defaults.

    A recipe whose job was started without these defaults is returned unchanged.
    """
    if not recipe.defaulted:
        return recipe
    if is_job(Path(folder)):
        with suppress(RemixError):  # opening the folder reports its errors
            if recipe_of(Path(folder)) == recipe:
                return recipe
    return recipe.fitted_to(engine.defaults(recipe))


def _scaled(recipe: Recipe | Schedule, scale: float) -> Recipe | Schedule:
    if scale == 1:
        return recipe
    if isinstance(recipe, Schedule):
        raise BadInput(f"scale: {scale:g} belongs to a recipe, and this is a schedule; pass its recipe")
    return scaled(recipe, scale)


@contextmanager
def opened(engine: str | Engine, options: Mapping[str, Any]) -> Iterator[Engine]:
    """Yields the engine called `engine`, opened with `options` and closed afterwards.

    An open engine is yielded unchanged.
    """
    if isinstance(engine, str):
        with open_engine(engine, **options) as made:
            yield made
        return
    if named := [name for name, value in options.items() if value is not None]:
        raise BadInput(
            f"{named[0]}: goes with the name of an engine; pass it to {type(engine).__name__}(...), or write "
            'engine="local", "comfyui" or "a1111"'
        )
    yield engine


def log_remark(folder: Folder, sentence: str) -> None:
    """Logs a remark with its job folder."""
    named = sentence.startswith((os.fspath(folder), os.path.realpath(folder)))
    log.warning("%s", sentence if named else f"{os.fspath(folder)}: {sentence}")
