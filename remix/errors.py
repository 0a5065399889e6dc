"""The exceptions of the toolkit. docs/errors.md says when each is raised.

    RemixError
    ├── BadInput                    the caller can correct it (exit code 2)
    │   ├── RecipeError             a recipe, keyframe, schedule or expression is invalid
    │   ├── MixError                tensors, weights or policies do not fit together
    │   ├── PictureError            a picture or film cannot be read
    │   │   └── PictureSizeError    a picture has another size than expected
    │   ├── VideoFormatError        a film format or setting does not exist or does not fit
    │   ├── JobError                a job folder cannot be used for this run
    │   │   ├── JobLocked           another run uses it
    │   │   └── OtherRecipe         it holds the job of another recipe
    │   └── Unsupported             the engine cannot do what the recipe asks for
    ├── MissingPackage              an optional package is not installed
    ├── VideoError                  the video encoder or decoder failed
    ├── DiskFull                    there is no space left
    ├── EngineError                 a picture could not be rendered
    │   ├── BlankFrame              all pixels are equal, or a latent is not finite
    │   ├── OutOfMemory             not even one frame fits into memory
    │   └── HostError               a server failed
    │       ├── HostUnreachable     no connection; nothing was sent
    │       ├── HostUntrusted       the certificate was not accepted; nothing was sent
    │       ├── HostSilent          no complete answer; the request may have been carried out
    │       ├── BadReply            the answer is damaged, too large, or of another kind
    │       ├── HostRefused         the answer is an HTTP error
    │       │   └── WorkflowRejected    the server found errors in a workflow
    │       ├── WrongModel          another model rendered than the recipe names
    │       ├── WrongSize           a picture has another size than the recipe asks for
    │       └── JobLost             a server lost the same work again and again
    └── Interrupted                 the run was stopped (exit code 130)

A message says where, which value, and what to do.
"""

from __future__ import annotations

from typing import Any


class RemixError(Exception):
    """The base class of all exceptions of the toolkit."""


class BadInput(RemixError):
    """An input cannot be used; the message says where, which value, and what to do."""


class RecipeError(BadInput):
    """A recipe, keyframe, schedule text or expression is invalid.

    `path` is the field (``"keyframes[2].at"``), `source` the file or text, `line` and `column` the position in it,
    counted from 1. Each is None if unknown. `excerpt` is that line with a caret below the column.
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
    """Tensors, weights or policies do not fit together."""


class PictureError(BadInput):
    """A picture or film cannot be read."""


class PictureSizeError(PictureError):
    """The header of a picture says another width or height than expected."""


class VideoFormatError(BadInput):
    """A film format or setting does not exist, or does not fit the frames."""


class JobError(BadInput):
    """A job folder cannot be used for this run."""


class JobLocked(JobError):
    """Another run uses the folder."""


class OtherRecipe(JobError):
    """The folder holds the job of another recipe."""


class Unsupported(BadInput):
    """An engine cannot do what the recipe asks for; raised before the first frame, with the name of the field."""


class MissingPackage(RemixError):
    """An optional package is not installed; the message ends with the command that installs it."""

    @classmethod
    def of(
        cls, what: str, *needs: str, install: str = "", extra: str | None = None, error: ImportError | None = None
    ) -> MissingPackage:
        """Returns the error of `what`, which needs these packages: `install` for pip, or an `extra` of this toolkit.

        `error` is that of the import. A package that is there and cannot be imported is reported with its reason.

        >>> print(MissingPackage.of("the local engine", "torch", extra="local"))
        the local engine needs torch, which is not installed; run: pip install -c constraints.txt ".[local]" in the \
repository
        >>> print(MissingPackage.of("a page", "jinja2", "pygal", install="jinja2 pygal"))
        a page needs jinja2 and pygal, which are not installed; run: pip install jinja2 pygal
        """
        commands = [f"pip install {install}"] if install else []
        if extra is not None:
            commands.append(f"{install_command(extra)} in the repository")
        problem = f"{'is' if len(needs) == 1 else 'are'} not installed"
        if error is not None and not isinstance(error, ModuleNotFoundError):
            problem = f"cannot be imported ({error})"
        return cls(f"{what} needs {' and '.join(needs)}, which {problem}; run: {', or '.join(commands)}")


def install_command(extra: str = "") -> str:
    """Returns the command that installs this toolkit, with an extra of its packaging.

    >>> install_command("local")
    'pip install -c constraints.txt ".[local]"'
    """
    return f'pip install -c constraints.txt ".{f"[{extra}]" if extra else ""}"'


class VideoError(RemixError):
    """The video encoder or decoder failed; the message ends with its output. `disk_full`: there was no space left."""

    def __init__(self, message: str, *, disk_full: bool = False) -> None:
        self.disk_full = disk_full
        super().__init__(message)


class DiskFull(RemixError):
    """There is no space left; the message says how many bytes are needed and how many are free."""


class EngineError(RemixError):
    """An engine could not render a picture."""


class BlankFrame(EngineError):
    """All pixels of a picture are equal, or a latent is not finite."""


class OutOfMemory(EngineError):
    """Not even one frame fits into the memory of the device."""


class HostError(EngineError):
    """A server failed."""


class HostUnreachable(HostError):
    """There is no connection to a server. Nothing was sent, so it is safe to try again."""


class HostUntrusted(HostError):
    """The certificate of a server was not accepted, or it does not use TLS. Nothing was sent."""


class HostSilent(HostError):
    """A request was sent and no complete answer came. The server may or may not have executed it."""


class BadReply(HostError):
    """An answer is damaged, too large, or of another kind than requested."""


class HostRefused(HostError):
    """The answer is an HTTP error; `status` is its number, `body` its content, decoded if it is JSON.

    `after` is how many seconds to wait before the next try (Retry-After), 0 if the server does not say.
    """

    def __init__(self, message: str, status: int = 0, body: Any = None, after: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.body = body
        self.after = after


class WorkflowRejected(HostRefused):
    """A server found errors in a workflow; the message has a line for each node and input."""


class WrongModel(HostError):
    """Another model rendered than the recipe names; the frame was not kept."""


class WrongSize(HostError):
    """A picture has another size than the recipe asks for; the frame was not kept."""


class JobLost(HostError):
    """A server lost the same work again and again."""


class Interrupted(RemixError):
    """The run was stopped. Finished frames are kept, and the same command continues it."""
