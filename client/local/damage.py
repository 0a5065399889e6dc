"""Raises one error for unreadable model files, whatever error a library raises."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from remix.engine.memory import is_out_of_memory
from remix.errors import EngineError, RemixError

LONGEST = 200
"""Largest quoted length of a library's message. Some print pages."""
SYSTEM = frozenset({errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.EIO})
"""Operating system errors that are unrelated to the content of a file."""


@contextmanager
def raising_damage(what: str, advice: str) -> Iterator[None]:
    """Converts errors of libraries in the block to `EngineError`: a file is truncated, corrupt or of another kind.

    Libraries parse without checks, so a wrong byte may raise any error. Errors of this package and out-of-memory errors
    pass unchanged. Causes outside the file have their own advice, see `_elsewhere`.
    """
    try:
        yield
    except RemixError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        words = " ".join(str(error).split()) or type(error).__name__
        shown = words if len(words) <= LONGEST else words[:LONGEST] + "..."
        raise EngineError(f"{what} ({shown}); {_elsewhere(error) or advice}") from error


def _elsewhere(error: BaseException | None) -> str:
    """Returns advice for a cause outside the file, or "" if the file itself may be the cause."""
    while error is not None:
        if isinstance(error, NotImplementedError) and "meta tensor" in str(error):
            return (
                "this is not about the files: another thread of this program loaded a model with diffusers or "
                "transformers at the same time, and these libraries load only one at a time; load again"
            )
        if isinstance(error, ImportError):
            return "this is not about the files: a Python package is missing or too old; install or update it"
        if isinstance(error, OSError) and error.errno in SYSTEM:
            return "the system refused to read it; check its permissions, the disk, and how many files are open"
        if isinstance(error, RuntimeError) and "start new thread" in str(error):
            return "this is not about the files: this process may start no more threads; end some and load again"
        error = error.__cause__
    return ""


def refuse_unknown_words(tokenizer: Any, encoder: Any) -> None:
    """Raises ValueError if a tokenizer has more words than its text encoder. Fewer are normal, as with T5."""
    words, known = len(tokenizer), encoder.config.get_text_config().vocab_size
    if words > known:
        raise ValueError(f"the tokenizer has {words} words, of which its text encoder knows {known}")
