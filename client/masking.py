"""Texts from a server as they are shown: without secrets, on one line, and cut to a readable length."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from remix.plan.wording import printable

Mask = Callable[[str], str]
"""Returns a text with *** in place of secrets."""

MOST_NAMES = 20
"""Names of a list that an error shows."""

LONGEST_NAME = 200
"""Characters of each."""

LONGEST_MESSAGE = 4_000
"""Characters of an error message."""


class MaskedText(str):
    """A text from a server that contains a secret: it equals what the server sent, and is shown with *** instead.

    The text itself must not change, since it may name a file that is requested later. `str`, `repr` and formatting
    give the masked text.

    >>> name = MaskedText("film-hunter2.png", lambda text: text.replace("hunter2", "***"))
    >>> name == "film-hunter2.png", f"{name}", [name]
    (True, 'film-***.png', ['film-***.png'])
    """

    mask: Mask

    def __new__(cls, original: str, mask: Mask) -> MaskedText:
        text = super().__new__(cls, original)
        text.mask = mask
        return text

    def __str__(self) -> str:
        return self.mask(self.original)

    def __repr__(self) -> str:
        return repr(str(self))

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    @property
    def original(self) -> str:
        """The text that the server sent, with the secret in it."""
        return "".join(self)


def shielded(value: Any, mask: Mask) -> Any:
    """Returns a JSON value in which every text, keys included, that contains a secret is a `MaskedText`.

    Raises RecursionError if it is nested too deeply.
    """
    return each_text(value, lambda text: text if mask(text) == text else MaskedText(text, mask))


def each_text(value: Any, change: Callable[[str], str]) -> Any:
    """Returns a JSON value with every text changed, keys included; RecursionError as in `shielded`."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(name): each_text(part, change) for name, part in value.items()}
    return [each_text(part, change) for part in value] if isinstance(value, list) else value


def parse_shielded(text: Any, parse: Callable[[str], Any]) -> Any:
    """Returns what `parse` makes of a text from a reply, shielded if the text was."""
    if isinstance(text, MaskedText):
        return shielded(parse(text.original), text.mask)
    return parse(str(text))


def as_text(value: Any) -> str:
    """Returns a value from a reply as a text; a `MaskedText` stays one."""
    return value if isinstance(value, str) else str(value)


@contextmanager
def presentable_errors(mask: Mask) -> Iterator[None]:
    """Masks secrets in every error that leaves the block, and in its causes, and cuts messages that are too long.

    A text that was cut or joined from replies is no `MaskedText` any more, so what leaves an engine is masked again.
    """
    try:
        yield
    except Exception as error:
        each: BaseException | None = error
        while each is not None:
            each.args = tuple(cut(mask(part), LONGEST_MESSAGE) if isinstance(part, str) else part for part in each.args)
            each = each.__cause__ or each.__context__
        raise


def one_line(value: Any, mask: Mask, most: int = 500) -> str:
    """Returns what a server sent, a text or a JSON value, on one line of at most `most` characters.

    Secrets are masked, and control characters escaped.
    """
    try:
        masked = each_text(value, mask)
        text = masked if isinstance(masked, str) else json.dumps(masked, ensure_ascii=False)
    except RecursionError:
        return "something that is nested too deeply"
    return cut(" ".join(printable(text).split()), most)


def cut(text: str, most: int) -> str:
    """Returns at most `most` characters of a text.

    >>> cut("abcdefgh", 6)
    'abc...'
    """
    return text if len(text) <= most else f"{text[: most - 3]}..."


def listed(names: Iterable[Any], most: int = MOST_NAMES) -> str:
    """Returns names from a server as a list for an error message, without secrets, and only the first few.

    >>> listed(["euler", "heun"]), listed("abcd", 2)
    ('euler, heun', 'a, b and 2 more')
    """
    every = list(names)
    shown = ", ".join(cut(f"{name}", LONGEST_NAME) for name in every[:most])
    return shown + (f" and {len(every) - most} more" if len(every) > most else "")
