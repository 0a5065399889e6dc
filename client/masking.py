"""Prepares texts from a server for display: without secrets, on one line, and cut to a readable length."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from remix.plan.wording import cut, printable

Mask = Callable[[str], str]
"""A function that returns a text with secrets replaced by ***."""

LONGEST_MESSAGE = 4_000
"""Largest length of an error message."""


class MaskedText(str):
    """A text from a server that contains a secret. It compares equal to the original, but is displayed with ***.

    The text itself must not change, since it may name a file that is requested later. `str`, `repr` and formatting
    return the masked text.

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
        """The original text, including the secret."""
        return "".join(self)


def shielded(value: Any, mask: Mask) -> Any:
    """Returns a JSON value in which every string that contains a secret, including keys, is a `MaskedText`.

    Raises RecursionError if the value is nested too deeply.
    """
    return each_text(value, lambda text: text if mask(text) == text else MaskedText(text, mask))


def each_text(value: Any, change: Callable[[str], str]) -> Any:
    """Returns a JSON value with `change` applied to every string, including keys.

    Raises RecursionError like `shielded`.
    """
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(name): each_text(part, change) for name, part in value.items()}
    return [each_text(part, change) for part in value] if isinstance(value, list) else value


def parse_shielded(text: Any, parse: Callable[[str], Any]) -> Any:
    """Returns the result of `parse` for a text from a reply, shielded if the text was."""
    if isinstance(text, MaskedText):
        return shielded(parse(text.original), text.mask)
    return parse(str(text))


def as_text(value: Any) -> str:
    """Returns a value from a reply as a string. A `MaskedText` stays a `MaskedText`."""
    return value if isinstance(value, str) else str(value)


@contextmanager
def presentable_errors(mask: Mask) -> Iterator[None]:
    """Masks secrets in errors that leave the block and in their causes, and shortens long messages.

    Slicing or joining a `MaskedText` returns a plain string, so errors are masked again when they leave an engine.
    """
    try:
        yield
    except Exception as error:
        each: BaseException | None = error
        done = set[int]()
        while each is not None and id(each) not in done:  # causes may form a circle
            done.add(id(each))
            each.args = tuple(cut(mask(part), LONGEST_MESSAGE) if isinstance(part, str) else part for part in each.args)
            each = each.__cause__ or each.__context__
        raise


def one_line(value: Any, mask: Mask, most: int = 500) -> str:
    """Returns a text or JSON value from a server on one line of at most `most` characters.

    Secrets are masked, and control characters escaped.
    """
    try:
        masked = each_text(value, mask)
        text = masked if isinstance(masked, str) else json.dumps(masked, ensure_ascii=False)
    except RecursionError:
        return "something that is nested too deeply"
    return cut(" ".join(printable(text).split()), most)
