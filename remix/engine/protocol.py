"""The interface of all engines: the base class, and the events that it reports while rendering."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar

from remix.catalog.families import FAMILIES
from remix.engine.capabilities import Capabilities, refuse_unsupported
from remix.motion import Picture
from remix.plan import Model, Recipe, Schedule

E = TypeVar("E", bound="Engine")


@dataclass(frozen=True)
class Event:
    """Progress: `done` of `total` units of a stage ("frames", "steps" or "film") are finished.

    `frame` is the frame that a step belongs to, the first of those that are sampled together; `preview` is a small
    picture of it so far. Both are None if the engine does not report them.
    """

    stage: str
    done: int
    total: int
    frame: int | None = None
    preview: Picture | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class WorkerEvent(Event):
    """Progress of one worker of several: `done` frames of this run are its own, of `total` that the run renders.

    `doing` says what it does in words, and `seconds` how long a frame takes, None before the first.
    """

    worker: str = ""
    doing: str = ""
    seconds: float | None = None


Listener = Callable[[Event], None]


class Engine(ABC):
    """Turns frames into pictures.

    An engine is a context manager: leaving the block closes it.

        with Local() as engine:
            render(recipe, engine, "hearts")

    A subclass declares what it can render as `Capabilities`. `check` refuses everything else, so a recipe field that
    an engine does not know is an error and never ignored.
    """

    name: str
    films_at_once = 1
    """The number of films to render at once, so that no worker of the engine has to wait."""

    @abstractmethod
    def capabilities(self, schedule: Schedule) -> Capabilities:
        """Returns what this engine can render. This may query a server, so it can depend on what runs there."""

    def check(self, schedule: Schedule) -> list[str]:
        """Returns remarks for the user.

        Raises `Unsupported`, naming the field, if this engine cannot render the schedule.
        """
        refuse_unsupported(schedule, self.capabilities(schedule))
        return self._check(schedule)

    def _check(self, schedule: Schedule) -> list[str]:
        """Returns remarks, and raises `Unsupported` for what `Capabilities` cannot express, such as a missing file."""
        return []

    def defaults(self, recipe: Recipe) -> Mapping[str, Any]:
        """Returns the recommended settings of a recipe's model, by the names of its fields. Empty if unknown."""
        return FAMILIES["playground"].defaults if recipe.model.checkpoint == Model().checkpoint else {}

    @abstractmethod
    def identity(self, schedule: Schedule) -> Mapping[str, str]:
        """Returns the identity of the engine: engine, family, model and the model's fingerprint."""

    @abstractmethod
    def render(
        self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
    ) -> Iterator[Picture]:
        """Yields the pictures of these frames, in this order.

        `inputs` maps the names of init pictures and masks to pictures of the recipe's size.
        """

    def render_unordered(
        self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
    ) -> Iterator[tuple[int, Picture]]:
        """Yields these frames and their pictures as they are finished: with one worker, in this order."""
        yield from zip(frames, self.render(schedule, frames, inputs, listen), strict=False)

    def batch_size(self, schedule: Schedule) -> int:
        """Returns the number of frames that this engine renders together, by which a film is cut into blocks."""
        return 1

    @abstractmethod
    def cancel(self) -> None:
        """Stops a running `render` after the frames in progress. Safe to call from a signal handler."""

    def close(self) -> None:  # noqa: B027 (an engine may have nothing to close)
        """Releases the engine's resources: models, connections, threads. It may be used again afterwards."""

    def texts(self, index: int) -> Mapping[str, str]:
        """Returns the metadata that the tool writes for a frame that `render` has just yielded, such as infotext."""
        return {}

    def setting(self, schedule: Schedule) -> Mapping[str, str]:
        """Returns options that barely change pictures, by name: device, precision, batch. Empty if there are none."""
        return {}

    def __enter__(self: E) -> E:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
