"""Model files that cannot be read: one error, whatever the libraries say of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from remix.client.local.devices import is_out_of_memory
from remix.errors import EngineError, RemixError

LONGEST = 200
"""How much of a library's own words is repeated: some print pages."""


@contextmanager
def told_of_damage(what: str, advice: str) -> Iterator[None]:
    """Raises `EngineError` in place of what a library raises inside, over a file that is cut, garbled or another.

    They parse without checks, so that a wrong byte ends in any error at all. What is ours passes, and so does memory
    that is full, which is nothing of the file's.
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
        raise EngineError(f"{what} ({shown}); {advice}") from error


def refuse_unknown_words(tokenizer: Any, encoder: Any) -> None:
    """Raises ValueError for a tokenizer with more words than its text encoder knows; fewer are usual, as with T5."""
    words, known = len(tokenizer), encoder.config.vocab_size
    if words > known:
        raise ValueError(f"the tokenizer has {words} words, of which its text encoder knows {known}")
