"""Keeps a secret that a server repeats from being shown: replies are shielded once, where they are decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

SHOWN = 20
"""The most names of a list that an error shows."""
LONGEST_NAME = 200
"""The most letters of each."""


class Repeated(str):
    """A text from a server that repeats our secret: equal to what the server said, and shown with *** in its place.

    The text itself stays as it is, since it may name a file that is asked for again, and a short password may be part
    of any word. Formatting, `str` and `repr` give what may be shown.

    >>> name = Repeated("film-hunter2.png", lambda text: text.replace("hunter2", "***"))
    >>> name == "film-hunter2.png", f"{name}", [name]
    (True, 'film-***.png', ['film-***.png'])
    """

    masked: Callable[[str], str]

    def __new__(cls, said: str, masked: Callable[[str], str]) -> Repeated:
        text = super().__new__(cls, said)
        text.masked = masked
        return text

    def __str__(self) -> str:
        return self.masked(self.said)

    def __repr__(self) -> str:
        return repr(str(self))

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    @property
    def said(self) -> str:
        """What the server said, with the secret in it."""
        return "".join(self)


def shielded(said: Any, masked: Callable[[str], str]) -> Any:
    """Returns a JSON value in which each text that `masked` changes, keys included, is a `Repeated`.

    RecursionError for a value that is nested too deeply.
    """
    return each_text(said, lambda text: text if masked(text) == text else Repeated(text, masked))


def each_text(said: Any, change: Callable[[str], str]) -> Any:
    """Returns a JSON value with each of its texts changed, keys included; RecursionError as `shielded`."""
    if isinstance(said, str):
        return change(said)
    if isinstance(said, dict):
        return {change(name): each_text(value, change) for name, value in said.items()}
    return [each_text(value, change) for value in said] if isinstance(said, list) else said


def read_within(text: Any, read: Callable[[str], Any]) -> Any:
    """Returns what `read` makes of a text that holds JSON itself, shielded as the text is."""
    if isinstance(text, Repeated):
        return shielded(read(text.said), text.masked)
    return read(str(text))


def as_text(value: Any) -> str:
    """Returns a value from a reply as a text, one that repeats the secret as it is."""
    return value if isinstance(value, str) else str(value)


@contextmanager
def errors_masked(masked: Callable[[str], str]) -> Iterator[None]:
    """Within it no error carries the secret out: neither the error itself nor one that caused it.

    A text that was cut or joined from replies is no `Repeated` any more, so what leaves an engine is masked once more.
    """
    try:
        yield
    except Exception as error:
        each: BaseException | None = error
        while each is not None:
            each.args = tuple(masked(part) if isinstance(part, str) else part for part in each.args)
            each = each.__cause__ or each.__context__
        raise


def listed(names: Iterable[Any], most: int = SHOWN) -> str:
    """Returns names from a server as a list for an error message, without the secret, and cut to the first few.

    >>> listed(["euler", "heun"]), listed("abcd", 2)
    ('euler, heun', 'a, b and 2 more')
    """
    found = [f"{name}" for name in names]
    cut = [name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..." for name in found[:most]]
    return ", ".join(cut) + (f" and {len(found) - most} more" if len(found) > most else "")
