"""What runs in a worker's process: one engine, opened on first use, and the schedule that it renders."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from remix import __version__, errors
from remix.client import open_engine
from remix.client.cluster.members import Facts, Shot, Worker, facts_of
from remix.client.cluster.members import WorkerDied as WorkerDied
from remix.engine import Capabilities, Engine, Picture
from remix.plan import Recipe, Schedule

T = TypeVar("T")

PICTURES = 8
"""Number of init pictures that stay in memory."""


class Failure:
    """An error on its way to another process: its class by name, its message and its attributes."""

    def __init__(self, error: Exception) -> None:
        self.kind = type(error).__name__
        self.message = str(error)
        plain = (str, int, float)
        self.more = {name: value if isinstance(value, plain) else None for name, value in vars(error).items()}

    def error(self) -> Exception:
        """Returns the error again. One of no class in `remix.errors` becomes an `EngineError`."""
        kind = getattr(errors, self.kind, None)
        if not (isinstance(kind, type) and issubclass(kind, errors.RemixError)):
            return errors.EngineError(f"{self.kind}: {self.message}")
        made = kind.__new__(kind, self.message)
        made.args = (self.message,)
        vars(made).update(self.more)
        return made


def fetch(reference: Any) -> Any:
    """Returns what Ray's store holds for a reference."""
    import ray

    return ray.get(reference)


class References(Mapping[str, Picture]):
    """Init pictures and masks in Ray's store, which holds them once for each machine. The last few stay loaded."""

    def __init__(self, references: Mapping[str, Any]) -> None:
        self._references = references
        self._loaded: dict[str, Picture] = {}

    def __getitem__(self, name: str) -> Picture:
        if name not in self._loaded:
            if len(self._loaded) >= PICTURES:
                del self._loaded[next(iter(self._loaded))]
            self._loaded[name] = fetch(self._references[name])
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._references)

    def __len__(self) -> int:
        return len(self._references)


class Driven:
    """Drives an engine in a process of its own. Ray calls its methods, `cancel` while another one runs.

    Every call brings the `Worker`, since a process that Ray has started again knows nothing. Errors are returned, since
    Ray would wrap them. `name` is what Ray's dashboard and logs call it.
    """

    def __init__(self, name: str = "") -> None:
        self._name = name
        self._engine: Engine | None = None
        self._schedule: tuple[str, Schedule] | None = None
        self._turn = threading.Lock()

    def __repr__(self) -> str:
        return f"Driven({self._name})"

    def about(self) -> dict[str, Any]:
        """Returns the process and its version of the toolkit."""
        return {"pid": os.getpid(), "version": __version__}

    def facts(self, worker: Worker, key: str, reference: Sequence[Any]) -> Facts | Failure:
        """Returns what the engine reports for a schedule."""
        return self._try(lambda: facts_of(self._opened(worker), self._known(key, reference)))

    def capabilities(self, worker: Worker, key: str, reference: Sequence[Any]) -> Capabilities | Failure:
        """Returns what the engine can render."""
        return self._try(lambda: self._opened(worker).capabilities(self._known(key, reference)))

    def defaults(self, worker: Worker, recipe: Recipe) -> Mapping[str, Any] | Failure:
        """Returns the recommended settings of a recipe's model."""
        return self._try(lambda: dict(self._opened(worker).defaults(recipe)))

    def render(
        self, worker: Worker, key: str, reference: Sequence[Any], frames: Sequence[int], inputs: Mapping[str, Any]
    ) -> Iterator[Shot | Failure]:
        """Yields these frames in order, or an error at the end."""
        try:
            engine, schedule = self._opened(worker), self._known(key, reference)
            pictures = engine.render(schedule, frames, References(inputs), lambda event: None)
            for index, picture in zip(frames, pictures, strict=False):
                yield Shot(index, picture, dict(engine.texts(index)))
        except Exception as error:  # noqa: BLE001 - it is raised in the pool's process
            yield Failure(error)

    def cancel(self) -> None:
        """Stops a running `render` after the frames in progress."""
        if self._engine is not None:
            self._engine.cancel()

    def _try(self, call: Callable[[], T]) -> T | Failure:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - it is raised in the pool's process
            return Failure(error)

    def _opened(self, worker: Worker) -> Engine:
        with self._turn:
            if self._engine is None:
                os.environ.update(worker.environment)
                self._engine = open_engine(worker.engine, **worker.options)
            return self._engine

    def _known(self, key: str, reference: Sequence[Any]) -> Schedule:
        with self._turn:
            if self._schedule is None or self._schedule[0] != key:
                self._schedule = (key, fetch(reference[0]))
            return self._schedule[1]
