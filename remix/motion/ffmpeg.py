"""Runs ffmpeg, the only program that the toolkit starts. Stalls are limited, and the last messages are kept."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from remix.errors import MissingPackage, VideoError

STALL_SECONDS = 600.0
"""An encoder or decoder without progress for this long is stopped."""

_CREATE_NEW_PROCESS_GROUP = 0x200
"""The Windows flag of that name, which `subprocess` defines only there."""

LAST_LINES = 20
_LOG_BYTES = 64 * 2**10
_PIPE_BYTES = 2**20
"""The largest pipe that Linux allows every user; the default is 64 KiB."""

_FILMS = "mov,matroska,gif,apng,avi,mpegts,nut,flv,ogg"
_FILES_ONLY = ("-protocol_whitelist", "file", "-format_whitelist")

READ_STRICTLY = ("-xerror", *_FILES_ONLY, _FILMS)
"""Options of every input. A playlist or concat script named film.mp4 would make ffmpeg open other files or networks,
and without -xerror it ignores damage and exits with status 0."""

LISTEN_STRICTLY = ("-xerror", *_FILES_ONLY, f"{_FILMS},wav,w64,aiff,caf,au,flac,mp3,aac")
"""Options of an input whose sound is used."""

_LEVEL = re.compile(r"^((?:\[[^]\n]* @ [^]\n]*\] )*)\[(\w+)\] ", re.MULTILINE)
"""The beginning of a message of ffmpeg: its part and its level. The texts of a film, which may be anything and span
many lines, come at level info."""

_FULL = ("No space left on device", "Disk quota exceeded")
_GRAVE = {"warning", "error", "fatal", "panic"}
_DAMAGE = re.compile(r"ended prematurely|partial file|decode failed|truncated|corrupt", re.IGNORECASE)

BITEXACT = ("-fflags", "+bitexact", "-flags:v", "+bitexact")
"""No dates, versions or random identifiers in the file: equal frames make equal bytes."""


def ffmpeg_exe() -> str:
    """Returns the path of ffmpeg, from imageio-ffmpeg or else from PATH. Raises MissingPackage without either."""
    found: str | None = None
    with contextlib.suppress(ImportError, RuntimeError):  # RuntimeError: the wheel carries no program
        import imageio_ffmpeg

        found = shutil.which(imageio_ffmpeg.get_ffmpeg_exe())
    found = found or shutil.which("ffmpeg")
    if not found:
        raise MissingPackage.of("video", "ffmpeg", install="imageio-ffmpeg")
    return os.path.abspath(found)


@functools.lru_cache(maxsize=4)
def ffmpeg_version(exe: str) -> str:
    """Returns the version of the ffmpeg at `exe`, such as "7.1"; "unknown" if it prints none."""
    with Ffmpeg(["-version"], exe=exe) as process:
        output = process.read(4096)
    found = re.match(rb"ffmpeg version (\S+)", output)
    return found[1].decode(errors="replace") if found else "unknown"


@functools.lru_cache(maxsize=4)
def encoders(exe: str) -> frozenset[str]:
    """Returns the names of the encoders of the ffmpeg at `exe`, an empty set if it does not list them."""
    with Ffmpeg(["-encoders"], exe=exe) as process:
        table = process.read(2**20).decode(errors="replace")
    return frozenset(re.findall(r"^ [VA][A-Z.]{5} (\w\S*)", table, re.MULTILINE))


def refuse_lacking(what: str, needed: Iterable[str], exe: str) -> None:
    """Raises MissingPackage if the ffmpeg at `exe` lists its encoders and lacks one of `needed`."""
    known = encoders(exe)
    missing = [name for name in needed if name not in known]
    if known and missing:
        raise MissingPackage(
            f"{what}: the ffmpeg at {exe} ({ffmpeg_version(exe)}) has no encoder {' and no '.join(missing)}; "
            "choose another format, or install an ffmpeg that has it with: pip install -U imageio-ffmpeg"
        )


def every_frame(exe: str) -> tuple[str, str]:
    """Returns the option that keeps ffmpeg from duplicating or dropping frames to even out their times."""
    number = re.match(r"[nv]?(\d+)", ffmpeg_version(exe))
    # -fps_mode was added in 5.1; -vsync was removed after 7.
    return ("-vsync" if number and int(number[1]) < 7 else "-fps_mode", "passthrough")


def free_space(path: Path) -> str:
    """Returns the free space on the disk of `path`, as part of a sentence."""
    return f"{shutil.disk_usage(path.parent).free} bytes are free on its disk"


if sys.platform == "linux":
    import fcntl

    def _widen(pipe: IO[bytes] | None) -> None:
        # Frames are larger than pipes. With a larger pipe, the two programs wake each other less often.
        if pipe is not None:
            with contextlib.suppress(OSError):  # the system, or this user's other pipes, may not allow it
                fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

else:

    def _widen(pipe: IO[bytes] | None) -> None:
        """Does nothing: systems other than Linux choose the size of a pipe themselves."""


def own_group(platform: str = sys.platform) -> dict[str, Any]:
    """Returns the options that keep Ctrl-C from reaching a child process, so that the encoder can finish its file."""
    if platform == "win32":
        return {"creationflags": _CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


class Ffmpeg:
    """A running ffmpeg: its messages are collected, it is stopped if it stalls, and it ends with its context."""

    def __init__(
        self,
        arguments: Iterable[str],
        *,
        exe: str | None = None,
        feed: bool = False,
        level: str = "warning",
    ) -> None:
        command = [exe or ffmpeg_exe(), "-hide_banner", "-nostdin", "-nostats", "-loglevel", f"level+{level}"]
        try:
            self._process = subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                **own_group(),
            )
        except OSError as error:
            raise MissingPackage(
                f"video: {command[0]} cannot be started ({error}); install another with: pip install imageio-ffmpeg"
            ) from error
        self._output = cast(io.FileIO, self._process.stdout)  # unbuffered, so it is the raw pipe
        for pipe in (self._process.stdin, self._process.stdout):
            _widen(pipe)
        self._words = b""
        self._busy_since: float | None = None
        self.stalled = False
        self._over = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._listen, self._watch)]
        for thread in self._threads:
            thread.start()

    def _listen(self) -> None:
        # Read continuously, because a full pipe would block ffmpeg.
        assert self._process.stderr is not None
        while words := self._process.stderr.read(65536):
            self._words = (self._words + words)[-_LOG_BYTES:]

    def _watch(self) -> None:
        while not self._over.wait(min(1.0, STALL_SECONDS / 4)):
            since = self._busy_since
            if since is not None and time.monotonic() - since > STALL_SECONDS:
                self.stalled = True
                self._process.kill()
                return

    @contextlib.contextmanager
    def _working(self) -> Iterator[None]:
        self._busy_since = time.monotonic()
        try:
            yield
        finally:
            self._busy_since = None

    def write(self, data: Any) -> bool:
        """Writes `data`, any buffer of bytes, to ffmpeg; returns False if ffmpeg has ended."""
        assert self._process.stdin is not None
        rest = memoryview(data).cast("B")
        with self._working():
            try:
                while rest:
                    rest = rest[self._process.stdin.write(rest) :]
            except OSError:  # EPIPE, on Windows EINVAL: the exit status and messages are more specific
                return False
        return True

    def read(self, count: int) -> bytes:
        """Returns the next `count` bytes of ffmpeg's output, fewer at its end."""
        parts = bytearray()
        with self._working():
            while len(parts) < count and (part := self._output.read(min(count - len(parts), 2**20))):
                parts += part
        return bytes(parts)

    def read_into(self, buffer: Any) -> bool:
        """Fills `buffer` with ffmpeg's output, and returns whether there was enough."""
        rest = memoryview(buffer).cast("B")
        with self._working():
            while rest and (count := self._output.readinto(rest)):
                rest = rest[count:]
        return not rest

    def finish(self) -> int:
        """Closes ffmpeg's input, waits until it ends, and returns its exit status."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        with self._working():
            status = self._process.wait()
        self._threads[0].join(timeout=5)
        return status

    def saw_damage(self) -> bool:
        """Returns whether ffmpeg reported a damaged input. It does not always fail for one."""
        return any(_DAMAGE.search(line) for line in self.complaints())

    def complaints(self) -> list[str]:
        """Returns the warnings and errors of ffmpeg, without the texts of a film that it prints."""
        heads = [(_LEVEL.match(line), line) for line in self._output_text().split("\n")]
        return [line[head.end() :] for head, line in heads if head is not None and head[2] in _GRAVE]

    def words(self) -> str:
        """Returns the messages of ffmpeg."""
        return _LEVEL.sub(r"\1", self._output_text())

    def _output_text(self) -> str:
        return self._words.decode(errors="replace").replace("\r", "\n")

    def last_words(self) -> str:
        """Returns the last messages of ffmpeg, and whether it was stopped for stalling."""
        lines = [line.rstrip() for line in self.words().split("\n") if line.strip()]
        stalled = [f"stopped: it made no progress for {STALL_SECONDS:g} s"] if self.stalled else []
        return "\n".join([*lines[-LAST_LINES:], *stalled]) or "it said nothing"

    def failure(self, deed: str, path: Path, status: int) -> str:
        """Returns the sentence of an error: the failed action and file, a full disk, and the last messages."""
        full = f"; {free_space(path)}" if self._disk_is_full() else ""
        return f"{path}: {deed} failed, ffmpeg ended with status {status}{full}; its last words:\n{self.last_words()}"

    def error(self, deed: str, path: Path, status: int) -> VideoError:
        """Returns the error of `failure`."""
        return VideoError(self.failure(deed, path, status), disk_full=self._disk_is_full())

    def _disk_is_full(self) -> bool:
        return any(line.rstrip().endswith(_FULL) for line in self.complaints())

    def __enter__(self) -> Ffmpeg:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join(timeout=5)  # a child process of ffmpeg could still hold its pipe
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
