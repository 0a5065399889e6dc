"""The members of a pool: engines of this process, and workers that Ray starts from a description."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from remix.client import ENGINES
from remix.client.address import parse_address
from remix.engine import Capabilities, Engine, Picture
from remix.errors import BadInput, EngineError
from remix.plan import Recipe, Schedule


class WorkerDied(EngineError):
    """The process of a worker ended, or its machine is gone. What it had finished is kept."""


@dataclass(frozen=True)
class Facts:
    """What a member reports before a film: remarks, identity, setting and batch size."""

    remarks: tuple[str, ...]
    identity: Mapping[str, str]
    setting: Mapping[str, str]
    batch: int


@dataclass(frozen=True)
class Shot:
    """A finished frame: its number, its picture and its metadata."""

    index: int
    picture: Picture = field(repr=False, compare=False)
    texts: Mapping[str, str] = field(default_factory=dict)


class Inputs(Mapping[str, Picture]):
    """A job's init pictures and masks, read by one thread at a time.

    `references` are those that Ray's store has already, by name.
    """

    def __init__(self, inputs: Mapping[str, Picture]) -> None:
        self._inputs, self.lock = inputs, threading.RLock()
        self.references: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Picture:
        with self.lock:
            return self._inputs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._inputs)

    def __len__(self) -> int:
        return len(self._inputs)


class Worker:
    """Describes an engine that a worker process opens: its name and its options, as for `open_engine`.

        Pool([Worker("comfyui", url="http://127.0.0.1:8188"), Worker("a1111", url="http://127.0.0.1:7860")])

    Variables with secrets (``env:NAME``) are read here, since a process on a cluster may have others. Of the options,
    the representation shows only the address, since others may be secret.
    """

    def __init__(self, engine: str, **options: Any) -> None:
        if engine not in ENGINES:
            raise BadInput(f"engine: there is no {engine!r}; use one of {', '.join(ENGINES)}")
        self.engine = engine
        self.options = {name: value for name, value in options.items() if value is not None}
        sources = [self.options.get("auth"), *(self.options.get("headers") or {}).values()]
        names = [source[4:] for source in sources if isinstance(source, str) and source.startswith("env:")]
        self.environment = {name: os.environ[name] for name in names if name in os.environ}

    @property
    def is_server(self) -> bool:
        """Whether the engine only sends requests to a server."""
        return "url" in ENGINES[self.engine].options

    def __repr__(self) -> str:
        url = self.options.get("url")
        return self.engine if url is None else f"{self.engine}={parse_address(str(url))[0]}"


class Member(ABC):
    """An engine of a pool. Its methods run in a thread of its own, except `cancel` and `close`."""

    name: str

    @abstractmethod
    def facts(self, schedule: Schedule) -> Facts:
        """Returns what it reports for a schedule. Raises `Unsupported` if it cannot render that."""

    @abstractmethod
    def capabilities(self, schedule: Schedule) -> Capabilities:
        """Returns what its engine can render."""

    @abstractmethod
    def defaults(self, recipe: Recipe) -> Mapping[str, Any]:
        """Returns the recommended settings of a recipe's model."""

    @abstractmethod
    def render(self, schedule: Schedule, frames: Sequence[int], inputs: Inputs) -> Iterator[Shot]:
        """Yields these frames in order."""

    @abstractmethod
    def cancel(self) -> None:
        """Stops a running `render` after the frames in progress. Safe to call from a signal handler."""

    @abstractmethod
    def close(self) -> None:
        """Releases what it has opened itself."""


def facts_of(engine: Engine, schedule: Schedule) -> Facts:
    """Returns what an engine reports for a schedule."""
    remarks = tuple(engine.check(schedule))
    identity, setting = engine.identity(schedule), engine.setting(schedule)
    return Facts(remarks, dict(identity), dict(setting), engine.batch_size(schedule))


class EngineMember(Member):
    """An open engine of this process."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine, self.name = engine, name

    def facts(self, schedule: Schedule) -> Facts:
        return facts_of(self._engine, schedule)

    def capabilities(self, schedule: Schedule) -> Capabilities:
        return self._engine.capabilities(schedule)

    def defaults(self, recipe: Recipe) -> Mapping[str, Any]:
        return self._engine.defaults(recipe)

    def render(self, schedule: Schedule, frames: Sequence[int], inputs: Inputs) -> Iterator[Shot]:
        pictures = self._engine.render(schedule, frames, inputs, lambda event: None)
        for index, picture in zip(frames, pictures, strict=False):
            yield Shot(index, picture, self._engine.texts(index))

    def cancel(self) -> None:
        self._engine.cancel()

    def close(self) -> None:
        self._engine.close()
