"""Renders many films.

`render_all` assigns each film to the next free engine; a failed film does not stop the others.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from remix.client.films import EngineOptions, Folder, log_remark, opened, render
from remix.client.recipes import RecipeLike, default_folder
from remix.engine import Engine, Event, Outcome, Picture, WorkerEvent
from remix.errors import (
    BadInput,
    HostError,
    HostRefused,
    HostUnreachable,
    HostUntrusted,
    Interrupted,
    WorkflowRejected,
    WrongModel,
    WrongSize,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

log = logging.getLogger(__name__)

NAP = 0.2
"""Seconds between checks for a stop request while a run waits for a retry."""

LASTING = (WorkflowRejected, WrongModel, WrongSize, HostUntrusted)
"""Server errors that a retry cannot fix."""

Events = TextIO | Callable[[dict[str, Any]], object]
"""Receiver of events: a text stream gets one JSON object per line, a function gets the object."""


Recipes = Sequence[RecipeLike] | Mapping[Any, RecipeLike]
"""The recipes of many films, or a mapping of job folders (str or Path) to recipes."""


class Film(NamedTuple):
    """A film to render and its index in the results."""

    number: int
    recipe: RecipeLike
    folder: Path


def render_all(
    recipes: Recipes,
    folder: Folder | None = None,
    *,
    engines: Sequence[str | Engine] = ("local",),
    retries: int = 2,
    pause: float = 5.0,
    new: bool = False,
    film: str | None = "film.mp4",
    audio: Path | str | None = None,
    report: bool | None = None,
    every: int = 1,
    scale: float = 1,
    events: Events | None = None,
    stop: Callable[[], bool] = lambda: False,
    **options: Unpack[EngineOptions],
) -> list[Outcome]:
    """Renders many films and returns an `Outcome` for each, in order. The `error` of a failed film is set.

    Each engine renders one film at a time, and several engines run in parallel. A `Pool` renders two films at once,
    so that its members do not wait while a film is written. Consecutive films on an engine share
    the loaded model if they use the same one. A second run renders only missing frames.

        outcomes = render_all(["a.toml", "b.toml"], "films", events=open("log.jsonl", "a"))
        failed = [outcome for outcome in outcomes if outcome.error]

    Args:
        recipes: A list of anything that `render` accepts, or a mapping of job folders to recipes.
        folder: Parent of the job folders, each named after its recipe file, or ``film-1``, ``film-2`` ...
            A job folder that is passed as a recipe continues in place.
        engines: Names of engines, which are opened with `options`, or open engines, which stay open.
        retries: Number of retries for a film after a server error. A retry resumes where the film stopped.
            An unreachable server gets no more films while another engine works.
        pause: Seconds before the first retry. Doubles for each further one.
        new, film, audio, report, every, scale: As for `render`.
        events: A text stream or function that receives an object for each event, with the film's number and folder:
            ``{"film": 0, "folder": "films/a", "event": "frames", "done": 3, "total": 48}``. Events are `start`,
            `remark`, `steps`, `frames`, `film`, `retry`, and at the end `done` or `error`; and `worker` for each
            member of a `Pool`, with its name, what it is doing, and its seconds per frame. With `previews`, a function
            also gets the `preview` of a step, a picture; a stream does not.
        stop: Called between frames. Once it returns True, unfinished films end with `Interrupted`.

    Raises `BadInput` or `MissingPackage` if the arguments are invalid or an engine cannot be opened.
    """
    films = _films(recipes, folder)
    if not engines:
        raise BadInput('engines: is empty; give at least one, such as ["local"]')
    with ExitStack() as stack:
        renderers = [
            stack.enter_context(opened(engine, options if isinstance(engine, str) else {})) for engine in engines
        ]
        settings = _Settings(retries, pause, new, film, audio, report, every, scale, stop)
        queue = _Queue(films, renderers, settings, _Sink(events))
        renderers = [each for each in renderers for _ in range(min(each.films_at_once, len(films)))]
        if len(renderers) == 1:  # in this thread, which receives signals
            queue.work(renderers[0])
        else:
            _work_together(queue, renderers)
    return queue.outcomes()


def _films(recipes: Recipes, folder: Folder | None) -> list[Film]:
    """Returns the films. Each has its own folder."""
    if isinstance(recipes, Mapping):
        pairs = [(Path(folder or "", each), recipe) for each, recipe in recipes.items()]
    elif isinstance(recipes, (str, bytes)):
        raise BadInput("recipes: is one text; give a list, or use render for a single film")
    else:
        names, pairs = Counter[str](), []
        for number, recipe in enumerate(recipes, 1):
            name = default_folder(recipe, number)
            if isinstance(name, Path):
                pairs.append((name, recipe))
                continue
            if folder is None:
                raise BadInput("folder: is missing; give the folder for the job folders, or {job folder: recipe}")
            names[name] += 1
            pairs.append((Path(folder, name if names[name] == 1 else f"{name}-{names[name]}"), recipe))
    taken: dict[str, Path] = {}
    for each, _ in pairs:
        if (other := taken.setdefault(os.path.abspath(each), each)) is not each:
            raise BadInput(f"recipes: {each} and {other} are one folder; give each film its own")
    return [Film(number, recipe, each) for number, (each, recipe) in enumerate(pairs)]


@dataclass(frozen=True)
class _Settings:
    """Settings shared by every film of a queue."""

    retries: int
    pause: float
    new: bool
    film: str | None
    audio: Path | str | None
    report: bool | None
    every: int
    scale: float
    stop: Callable[[], bool]


class _Sink:
    """Receiver of the events of all films, one at a time."""

    def __init__(self, events: Events | None) -> None:
        self._events, self._lock = events, threading.Lock()

    def send(self, film: Film, event: str, preview: Picture | None = None, **more: Any) -> None:
        if self._events is None:
            return
        line = {"film": film.number, "folder": str(film.folder), "event": event, **more}
        with self._lock:
            if callable(self._events):
                self._events(line if preview is None else {**line, "preview": preview})
            else:
                self._events.write(json.dumps(line, ensure_ascii=False) + "\n")
                self._events.flush()


class _Queue:
    """The waiting films and the outcomes of finished ones. Each engine works on the queue in its own thread."""

    def __init__(self, films: Sequence[Film], engines: Sequence[Engine], settings: _Settings, sink: _Sink) -> None:
        self._waiting, self._settings, self._sink = deque(films), settings, sink
        self._outcomes: dict[int, Outcome] = {}
        self._working = 0
        self._engines = len(engines)
        self._changed = threading.Condition()
        self._ended = False

    def outcomes(self) -> list[Outcome]:
        """Returns the outcomes in the order of the films."""
        return [self._outcomes[number] for number in sorted(self._outcomes)]

    def end(self) -> None:
        """Stops starting films."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def work(self, engine: Engine) -> None:
        """Renders films with `engine` until none is left, or until this engine is unreachable while others work."""
        while (film := self._next()) is not None:
            outcome = self._rendered(film, engine)
            with self._changed:
                self._working -= 1
                self._changed.notify_all()
                if isinstance(outcome.error, HostUnreachable) and self._engines > 1:
                    self._engines -= 1
                    self._waiting.append(film)
                    log.warning("%s: %s; its films go to the other engines", film.folder, outcome.error)
                    return
                self._outcomes[film.number] = outcome
            if outcome.error is None:
                self._sink.send(film, "done", rendered=outcome.rendered, frames=outcome.frames)
            else:
                self._sink.send(film, "error", error=type(outcome.error).__name__, message=str(outcome.error))

    def _next(self) -> Film | None:
        """Returns the next film. Waits while other engines work, since one of them may return its film."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or not self._working or self._ended)
            if not self._waiting:
                return None
            self._working += 1
            return self._waiting.popleft()

    def _rendered(self, film: Film, engine: Engine) -> Outcome:
        """Returns the outcome of a film on an engine, after retries if needed."""
        remarks, tries = dict[str, None](), 0

        def tell(sentence: str) -> None:
            if sentence not in remarks:
                log_remark(film.folder, sentence)
                self._sink.send(film, "remark", message=sentence)
            remarks[sentence] = None

        while True:
            try:
                if self._stopped():
                    raise Interrupted(f"{film.folder}: stopped before it; run it again to continue")
                self._sink.send(film, "start")
                return self._once(film, engine, tell)
            except Exception as error:  # noqa: BLE001 - an error of one film must not end the others
                pause = self._settings.pause * 2**tries
                if tries == self._settings.retries or not is_passing(error):
                    return Outcome(film.folder, None, None, 0, 0, tuple(remarks), error)
                tries += 1
                wait = max(pause, error.after) if isinstance(error, HostRefused) else pause
                self._sink.send(film, "retry", error=type(error).__name__, message=str(error), seconds=wait)
                self._rest(wait)

    def _once(self, film: Film, engine: Engine, tell: Callable[[str], None]) -> Outcome:
        def listen(event: Event) -> None:
            of: dict[str, Any] = {} if event.frame is None else {"frame": event.frame}
            if isinstance(event, WorkerEvent):
                of = {"worker": event.worker, "doing": event.doing, "seconds": event.seconds}
            self._sink.send(film, event.stage, event.preview, done=event.done, total=event.total, **of)

        return render(
            film.recipe,
            film.folder,
            engine=engine,
            new=self._settings.new,
            film=self._settings.film,
            audio=self._settings.audio,
            report=self._settings.report,
            every=self._settings.every,
            scale=self._settings.scale,
            listen=listen,
            stop=self._stopped,
            tell=tell,
        )

    def _stopped(self) -> bool:
        return self._ended or self._settings.stop()

    def _rest(self, seconds: float) -> None:
        """Waits before a retry, or until the run is stopped."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._stopped():
            time.sleep(min(left, NAP))


def is_passing(error: BaseException) -> bool:
    """Returns whether a server error may be temporary, so that a retry can succeed.

    >>> from remix.errors import WrongModel
    >>> is_passing(HostUnreachable("no connection")), is_passing(WrongModel("sd15 in place of sdxl"))
    (True, False)
    """
    if isinstance(error, HostRefused) and not isinstance(error, LASTING):
        return error.status == 429 or error.status >= 500
    return isinstance(error, HostError) and not isinstance(error, LASTING)


def _work_together(queue: _Queue, engines: Sequence[Engine]) -> None:
    """Runs each engine in a thread. An interrupt ends them all after their current frames."""
    failed = list[BaseException]()

    def work(engine: Engine) -> None:
        try:
            queue.work(engine)
        except BaseException as error:  # noqa: BLE001 - from `events` or `stop`; the waiting thread re-raises it
            failed.append(error)
            queue.end()

    threads = [threading.Thread(target=work, args=(engine,), daemon=True) for engine in engines]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(NAP)
    except BaseException:
        queue.end()
        for engine in engines:
            engine.cancel()
        for thread in threads:
            thread.join()
        raise
    if failed:
        raise failed[0]
