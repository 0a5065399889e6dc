"""Model files that cannot be read: one error, whatever the libraries say of them."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from remix.engine.blocks import is_out_of_memory
from remix.errors import EngineError, RemixError

LONGEST = 200
"""How much of a library's own words is repeated: some print pages."""
SYSTEM = frozenset({errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.EIO})
"""Errors of the operating system that say nothing of what is in a file."""


@contextmanager
def raising_damage(what: str, advice: str) -> Iterator[None]:
    """Raises `EngineError` in place of what a library raises inside, over a file that is cut, garbled or another.

    They parse without checks, so that a wrong byte ends in any error at all. What is ours passes, and so does memory
    that is full. Of the causes that are not in the file, those of `_elsewhere` get advice of their own.
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
    """Returns what to do about a cause that is not in the file, empty where the file may be it."""
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
    """Raises ValueError for a tokenizer with more words than its text encoder knows; fewer are usual, as with T5."""
    words, known = len(tokenizer), encoder.config.vocab_size
    if words > known:
        raise ValueError(f"the tokenizer has {words} words, of which its text encoder knows {known}")
