"""Many films: `render_all` gives the next film to the next free engine, and one that fails ends no other."""

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
from remix.engine import Engine, Event, Outcome
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
"""Seconds between two looks at whether a run is to stop, while it waits to try again."""

LASTING = (WorkflowRejected, WrongModel, WrongSize, HostUntrusted)
"""Errors of servers that a second try gives again."""

Events = TextIO | Callable[[dict[str, Any]], object]
"""Where events go: a text stream gets one JSON object in a line for each, a function gets the object."""


Recipes = Sequence[RecipeLike] | Mapping[Any, RecipeLike]
"""The recipes of many films, or job folder (str or Path) -> recipe."""


class Film(NamedTuple):
    """A film to render, and its place in the list of results."""

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
    events: Events | None = None,
    stop: Callable[[], bool] = lambda: False,
    **options: Unpack[EngineOptions],
) -> list[Outcome]:
    """Renders many films and returns an `Outcome` for each, in order; those that failed have their `error`.

    Each engine renders one film after another, and several engines work at the same time. Films of one engine share
    its model as long as they name the same one. Run it again, and only what is missing is rendered.

        outcomes = render_all(["a.toml", "b.toml"], "films", events=open("log.jsonl", "a"))
        failed = [outcome for outcome in outcomes if outcome.error]

    Args:
        recipes: What `render` takes, each; or a mapping of job folder to recipe.
        folder: Where the job folders are created, each named after its recipe file, or ``film-1``, ``film-2`` ...
            Job folders that are given as recipes go on where they are.
        engines: Names, opened with `options`, or engines, which stay open.
        retries: How often a film is tried again when a server fails; it goes on where it stopped. A server that
            cannot be reached at all gets no more films while another engine works.
        pause: Seconds before the first retry; twice as many before each further one.
        new, film, audio: As for `render`.
        events: A text stream or function that gets an object for each event, with the film's number and folder:
            ``{"film": 0, "folder": "films/a", "event": "frames", "done": 3, "total": 48}``. Events are `start`,
            `remark`, `steps`, `frames`, `film`, `retry`, and at the end `done` or `error`.
        stop: Called between frames; once it returns True, films that are not finished end with `Interrupted`.

    Raises `BadInput` or `MissingPackage` where the arguments or an engine cannot be used at all.
    """
    films = _films(recipes, folder)
    if not engines:
        raise BadInput('engines: is empty; give at least one, such as ["local"]')
    with ExitStack() as stack:
        renderers = [
            stack.enter_context(opened(engine, options if isinstance(engine, str) else {})) for engine in engines
        ]
        queue = _Queue(films, renderers, _Settings(retries, pause, new, film, audio, stop), _Sink(events))
        if len(renderers) == 1:  # in this thread, where signals arrive
            queue.work(renderers[0])
        else:
            _work_together(queue, renderers)
    return queue.outcomes()


def _films(recipes: Recipes, folder: Folder | None) -> list[Film]:
    """The films with a folder each, which no two share."""
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
    """What holds for every film of a queue."""

    retries: int
    pause: float
    new: bool
    film: str | None
    audio: Path | str | None
    stop: Callable[[], bool]


class _Sink:
    """Takes the events of all films, one at a time."""

    def __init__(self, events: Events | None) -> None:
        self._events, self._lock = events, threading.Lock()

    def send(self, film: Film, event: str, **more: Any) -> None:
        if self._events is None:
            return
        line = {"film": film.number, "folder": str(film.folder), "event": event, **more}
        with self._lock:
            if callable(self._events):
                self._events(line)
            else:
                self._events.write(json.dumps(line, ensure_ascii=False) + "\n")
                self._events.flush()


class _Queue:
    """The films that wait, and the outcomes of those that are over; engines work on it in a thread each."""

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
        """Begins no more films."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def work(self, engine: Engine) -> None:
        """Renders films with `engine` until none is left, or the engine cannot be reached while others can."""
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
        """The next film; waits while other engines work, since one of them may give its film back."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or not self._working or self._ended)
            if not self._waiting:
                return None
            self._working += 1
            return self._waiting.popleft()

    def _rendered(self, film: Film, engine: Engine) -> Outcome:
        """The outcome of a film on an engine, after as many tries as it needs and may have."""
        remarks, tries = dict[str, None](), 0

        def tell(sentence: str) -> None:
            if sentence not in remarks:
                log_remark(film.folder, sentence)
                self._sink.send(film, "remark", message=sentence)
            remarks[sentence] = None

        while True:
            try:
                if self._stopped():
                    raise Interrupted(f"{film.folder}: stopped before it; run it again to go on")
                self._sink.send(film, "start")
                return self._once(film, engine, tell)
            except Exception as error:  # noqa: BLE001 - whatever ends one film belongs into its outcome alone
                pause = self._settings.pause * 2**tries
                if tries == self._settings.retries or not is_passing(error):
                    return Outcome(film.folder, None, None, 0, 0, tuple(remarks), error)
                tries += 1
                wait = max(pause, error.after) if isinstance(error, HostRefused) else pause
                self._sink.send(film, "retry", error=type(error).__name__, message=str(error), seconds=wait)
                self._rest(wait)

    def _once(self, film: Film, engine: Engine, tell: Callable[[str], None]) -> Outcome:
        def listen(event: Event) -> None:
            of = {} if event.frame is None else {"frame": event.frame}
            self._sink.send(film, event.stage, done=event.done, total=event.total, **of)

        return render(
            film.recipe,
            film.folder,
            engine=engine,
            new=self._settings.new,
            film=self._settings.film,
            audio=self._settings.audio,
            listen=listen,
            stop=self._stopped,
            tell=tell,
        )

    def _stopped(self) -> bool:
        return self._ended or self._settings.stop()

    def _rest(self, seconds: float) -> None:
        """Waits before a retry, and no longer than until the run is to stop."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._stopped():
            time.sleep(min(left, NAP))


def is_passing(error: BaseException) -> bool:
    """Returns whether an error of a server may be over when it is asked again.

    >>> from remix.errors import WrongModel
    >>> is_passing(HostUnreachable("no connection")), is_passing(WrongModel("sd15 in place of sdxl"))
    (True, False)
    """
    if isinstance(error, HostRefused) and not isinstance(error, LASTING):
        return error.status == 429 or error.status >= 500
    return isinstance(error, HostError) and not isinstance(error, LASTING)


def _work_together(queue: _Queue, engines: Sequence[Engine]) -> None:
    """Runs each engine in a thread; an interrupt ends them all after the frames at hand."""
    failed = list[BaseException]()

    def work(engine: Engine) -> None:
        try:
            queue.work(engine)
        except BaseException as error:  # noqa: BLE001 - of `events` or `stop`; raised again by the waiting thread
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
