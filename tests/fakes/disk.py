"""A disk that does something at its n-th step: every write-like operation of this process is a step."""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from remix.motion.ffmpeg import Ffmpeg


class Disk:
    """Counts the steps in `steps`; before the one of number `at` (from 1) it calls `act` with its name.

    A write is two steps, the second in the middle of its bytes. Files that are only read, and `ignored` steps, do not
    count.
    """

    def __init__(self, at: int | None, act: Callable[[str], object], ignored: frozenset[str] = frozenset()) -> None:
        self.steps: list[str] = []
        self._at, self._act, self._ignored = at, act, ignored

    def step(self, name: str) -> None:
        """Counts one step."""
        if name in self._ignored:
            return
        self.steps.append(name)
        if len(self.steps) == self._at:
            self._act(name)

    def opened(self, path: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
        """Stands in for `open`."""
        if not set(mode) & set("wa+") or "b" not in mode:
            return _open(path, mode, *rest, **options)
        self.step("open")
        return _Torn(self, path, mode.replace("b", ""))

    @contextmanager
    def installed(self) -> Iterator[Disk]:
        """Within it all steps of this process are counted."""

        def write_bytes(path: Path, data: bytes) -> int:
            with self.opened(path, "wb") as file:
                return int(file.write(data))

        with ExitStack() as stack:
            for holder, names in (
                (os, ("replace", "fsync", "mkdir", "rmdir")),
                (Path, ("unlink", "write_text")),
                (Ffmpeg, ("__init__", "write", "finish")),
            ):
                for name in names:
                    stack.enter_context(mock.patch.object(holder, name, self._counted(holder, name)))
            stack.enter_context(mock.patch.object(Path, "write_bytes", write_bytes))
            stack.enter_context(mock.patch.object(builtins, "open", self.opened))
            yield self

    def _counted(self, holder: Any, name: str) -> Callable[..., Any]:
        real = getattr(holder, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            self.step(f"{holder.__name__}.{name}")
            return real(*arguments, **options)

        return counted


_open = builtins.open


class _Torn(io.FileIO):
    """An unbuffered file whose writes can end in the middle."""

    def __init__(self, disk: Disk, path: Any, mode: str) -> None:
        super().__init__(path, mode)
        self._disk = disk

    def write(self, data: Any) -> int:
        self._disk.step("write")
        half = len(data) // 2
        super().write(data[:half])
        self._disk.step("half-written")
        super().write(data[half:])
        return len(data)
