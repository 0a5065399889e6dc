"""Every error that the toolkit raises on purpose.

    RemixError
    ├── BadInput                    the caller can mend it (exit code 2)
    │   ├── RecipeError             a recipe, keyframe, schedule or expression
    │   ├── MixError                tensors, weights or policies that do not go together
    │   ├── PictureError            a picture or film that cannot be read
    │   │   └── PictureSizeError    a picture of another size than expected
    │   ├── VideoFormatError        a film format or setting that does not exist or does not fit
    │   ├── JobError                a job folder that cannot be used for this run
    │   │   ├── JobLocked           another run is at work in it
    │   │   └── OtherRecipe         it holds the job of another recipe
    │   └── Unsupported             what an engine cannot do, told before the first frame
    ├── MissingPackage              an optional part is not installed; names the command
    ├── VideoError                  the encoder or decoder failed, with its last words
    ├── DiskFull                    no room to go on, with the bytes needed and free; what is finished is kept
    ├── EngineError                 a picture could not be made
    │   ├── BlankFrame              every pixel equal, or a latent that is not finite
    │   ├── OutOfMemory             not even a batch of one frame fits
    │   └── HostError               a server did not do what it was asked for
    │       ├── HostUnreachable     nothing was sent: no connection, or none in time
    │       ├── HostUntrusted       nothing was sent: the server's certificate is not accepted
    │       ├── HostSilent          it was sent, and no whole answer came: whether it was done is not known
    │       ├── BadReply            an answer that is damaged, too large, or not what was asked for
    │       ├── HostRefused         an answer that says no, with its status
    │       │   └── WorkflowRejected    what the server says is wrong, node by node
    │       ├── WrongModel          another model rendered than the one asked for
    │       ├── WrongSize           a picture of another size than asked for
    │       └── JobLost             a server forgot the same work again and again
    └── Interrupted                 stopped on request; what is finished is kept (exit code 130)

A message has three parts: where, the value, what to do.
"""

from __future__ import annotations

from typing import Any


class RemixError(Exception):
    """The root of all errors that the toolkit raises on purpose."""


class BadInput(RemixError):
    """Something that was given cannot be used; the message says where, what, and what to do."""


class RecipeError(BadInput):
    """A recipe, keyframe, schedule text or expression that cannot be used.

    `path` is the field (``"keyframes[2].at"``), `source` the file or text it came from, `line`
    and `column` are 1-based positions in it; each is None where it is not known. `excerpt` is that line
    with a caret below the column: two lines that follow the sentence.
    """

    def __init__(
        self,
        problem: str,
        *,
        path: str | None = None,
        source: str | None = None,
        line: int | None = None,
        column: int | None = None,
        excerpt: str = "",
    ) -> None:
        self.problem = problem
        self.path = path
        self.source = source
        self.line = line
        self.column = column
        self.excerpt = excerpt
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        position = ":".join(str(n) for n in (self.line, self.column) if n is not None)
        place = self.source or ""
        if position:
            place = f"{place}:{position}" if place else f"line {position}"
        sentence = ": ".join(part for part in (place, self.path, self.problem) if part)
        return f"{sentence}\n{self.excerpt}" if self.excerpt else sentence


class MixError(BadInput, ValueError):
    """Tensors, weights or policies that do not go together."""


class PictureError(BadInput):
    """A picture or film that cannot be read."""


class PictureSizeError(PictureError):
    """A picture whose width and height are not the expected ones, as its header says."""


class VideoFormatError(BadInput):
    """A film format or setting that does not exist, or does not fit the frames."""


class JobError(BadInput):
    """A job folder that cannot be used for this run."""


class JobLocked(JobError):
    """Another run is at work in the folder."""


class OtherRecipe(JobError):
    """The folder holds the job of another recipe."""


class Unsupported(BadInput):
    """What an engine cannot do, told by name before the first frame."""


class MissingPackage(RemixError):
    """An optional part is not installed; the message ends with the command that installs it."""


class VideoError(RemixError):
    """The encoder or decoder failed; the message ends with its last words. `disk_full` says whether that was why."""

    def __init__(self, message: str, *, disk_full: bool = False) -> None:
        self.disk_full = disk_full
        super().__init__(message)


class DiskFull(RemixError):
    """There is no room to go on; the message says how many bytes are needed and how many are free."""


class EngineError(RemixError):
    """An engine could not make a picture."""


class BlankFrame(EngineError):
    """A picture whose pixels are all equal, or a latent that is not finite."""


class OutOfMemory(EngineError):
    """Not even a batch of one frame fits into the device's memory."""


class HostError(EngineError):
    """A server did not do what it was asked for."""


class HostUnreachable(HostError):
    """No connection to a server: nothing was sent, so that trying again is safe."""


class HostUntrusted(HostError):
    """The server could not prove who it is: its certificate is not accepted, or it does not use TLS."""


class HostSilent(HostError):
    """A request was sent and no whole answer came: it may have been done, or not."""


class BadReply(HostError):
    """An answer that is damaged, too large, or not what was asked for."""


class HostRefused(HostError):
    """An answer that says no; `status` is that of HTTP, `body` what the server said, decoded if it was JSON.

    `after` is how many seconds the server asks to wait before the next try (Retry-After), 0 where it does not say.
    """

    def __init__(self, message: str, status: int = 0, body: Any = None, after: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.body = body
        self.after = after


class WorkflowRejected(HostRefused):
    """A server found something wrong in what it was to render; a line for each node and input."""


class WrongModel(HostError):
    """Another model rendered than the one asked for; the frame was not kept."""


class WrongSize(HostError):
    """A server made a picture of another size than asked for; the frame was not kept."""


class JobLost(HostError):
    """A server forgot the same work again and again."""


class Interrupted(RemixError):
    """The run was stopped on request; finished frames are kept and the same command continues."""
