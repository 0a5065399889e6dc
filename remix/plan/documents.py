"""Reads JSON and TOML documents strictly, with limits and positions in every error, and writes them."""

from __future__ import annotations

import json
import math
import os
import re
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from remix.errors import MissingPackage, RecipeError
from remix.plan.locate import deepest_key, find_bare, line_and_column, repeated_key
from remix.plan.wording import printable

LIMIT = 4 * 1024 * 1024
"""The maximum number of characters, or bytes, that are read."""

MAX_DIGITS = 40
MAX_KEY_PARTS = 32


def read_file(path: Path, *, limit: int = LIMIT) -> bytes:
    """Returns the bytes of the file at `path`.

    Raises RecipeError if it is unreadable, longer than `limit`, or not a regular file.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise RecipeError("is a pipe or a device, not a regular file; give a file", source=str(path))
            raw = file.read(limit + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise RecipeError(f"cannot be read ({reason}); check the name", source=str(path)) from error
    _refuse_long(len(raw), limit, str(path))
    return raw


def _without_waiting(path: str, flags: int) -> int:
    """Opens a file, also a named pipe, which would otherwise wait for its other end."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_json(text: str | bytes, *, limit: int = LIMIT, source: str | None = None) -> Any:
    """Returns the value of a JSON text.

    Raises RecipeError, with line and column if known, for text that is not JSON or not UTF-8, for more than `limit`
    characters or bytes, for repeated keys, for NaN, Infinity and numbers too large for a float, for integers of more
    than 40 digits, and for nesting too deep for Python.
    """
    plain = decoded(text, limit=limit, source=source)

    def refuse_bare(token: str) -> NoReturn:
        _refuse(f"{token[:40]} is not a finite number; write one", plain, find_bare(plain, token), source)

    def whole(digits: str) -> int:
        if len(digits) > MAX_DIGITS:
            problem = f"an integer of {len(digits)} digits is too long; keep to {MAX_DIGITS}"
            _refuse(problem, plain, find_bare(plain, digits), source)
        return int(digits)

    def real(digits: str) -> float:
        value = float(digits)
        return value if math.isfinite(value) else refuse_bare(digits)

    def table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            key, offset = repeated_key(plain)
            _refuse(f"the field {key[:60]!r} is given twice; keep one", plain, offset, source)
        return found

    try:
        return json.loads(plain, parse_constant=refuse_bare, parse_int=whole, parse_float=real, object_pairs_hook=table)
    except json.JSONDecodeError as error:
        _refuse(f"this is not JSON: {json_advice(error.msg, plain, error.pos)}", plain, error.pos, source, error)
    except RecursionError:
        _refuse("this is nested too deeply; a recipe has a few levels", plain, None, source)


def read_toml(text: str | bytes, *, limit: int = LIMIT, source: str | None = None) -> dict[str, Any]:
    """Returns the table of a TOML text.

    Raises RecipeError in the same cases as `read_json`, and MissingPackage on Python 3.10 without tomli.
    """
    plain = decoded(text, limit=limit, source=source)
    toml = _toml_library()
    # Parsers need time proportional to the square of the length of a dotted key.
    if deepest_key(plain) > MAX_KEY_PARTS:
        _refuse(f"a key has more than {MAX_KEY_PARTS} parts; a recipe has a few levels", plain, None, source)

    def real(digits: str) -> float:
        value = float(digits)
        if not math.isfinite(value):
            _refuse(f"{digits[:40]} is not a finite number; write one", plain, find_bare(plain, digits), source)
        return value

    try:
        return dict(toml.loads(plain, parse_float=real))
    except toml.TOMLDecodeError as error:
        found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", str(error), re.DOTALL)
        message = found[1] if found else str(error)
        line, column = (int(found[2]), int(found[3])) if found and found[2] else (plain.count("\n") + 1, None)
        advice = toml_advice(message, plain, line, column)
        raise RecipeError(f"this is not TOML: {advice}", source=source, line=line, column=column) from error
    except RecursionError:
        _refuse("this is nested too deeply; a recipe has a few levels", plain, None, source)
    except ValueError as error:  # an integer with more digits than Python reads, or a date that does not exist
        _refuse(f"this is not TOML: {error}; correct it", plain, None, source, error)


def json_advice(message: str, text: str, at: int) -> str:
    """Returns a sentence that explains a parser's `message` about the offset `at` of a JSON text, and what to do."""
    here = text[at : at + 100].lstrip()
    if here.startswith(("//", "/*", "#")):
        return "JSON has no comments; leave it out, or write the recipe as TOML"
    if "trailing comma" in message or (text[:at].rstrip().endswith(",") and here[:1] in ("]", "}")):
        return "a comma stands after the last value; leave it out"
    if here[:1] in CURLY:
        return f'{here[0]} is a curly quote; write straight ones: "'
    return f"{message}; correct it here"


CURLY = tuple("“”„‟«»‘’‚‛")
"""Typographic quotes, as word processors insert them."""


_UNQUOTED = re.compile(r"""\s*([\w-]+)\s*=\s*([0-9][0-9.]*(?:ms|s|%|x[0-9]+))\s*(?:#.*)?$""", re.ASCII)
"""A time, share or size as a value without quotes: frames = 4s."""


def toml_advice(message: str, text: str, line: int, column: int | None) -> str:
    """Returns a sentence that explains a parser's `message` about a position in a TOML text, and what to do."""
    here = text.split("\n")[line - 1]
    rest = here[column - 1 :].split("#")[0].strip() if column else ""
    if message == "Cannot overwrite a value":
        return f"the field {here.partition('=')[0].strip()[:60]!r} is given twice; keep one"
    if unquoted := _UNQUOTED.match(here):
        return f'{unquoted[2][:60]} is text without quotes; write {unquoted[1][:60]} = "{unquoted[2][:60]}"'
    if message == "Invalid hex value" or message.startswith("Unescaped"):
        return 'a backslash begins an escape within "..."; write / between folders, or the text in single quotes'
    if message != "Invalid value" or not rest:
        return f"{message}; correct it here"
    if rest.startswith(CURLY):
        return f'{rest[0]} is a curly quote; write straight ones: "'
    if rest.lower() in ("true", "false"):
        return f"{rest} begins with a small letter; write {rest.lower()}"
    if re.fullmatch(r"[+-]?\.[0-9]+", rest):
        return f"{rest} needs a digit before its point; write {rest.replace('.', '0.')}"
    if re.fullmatch(r"[^\W\d][^\"'=\[\]{}]*", rest):
        return f"{rest[:60]} is text without quotes; write {json.dumps(rest[:60], ensure_ascii=False)}"
    return f"{message}; correct it here"


def decoded(text: str | bytes, *, limit: int = LIMIT, source: str | None = None) -> str:
    """Returns `text` as str, from UTF-8 with or without byte order mark. Raises RecipeError if invalid or too long."""
    _refuse_long(len(text), limit, source)
    if isinstance(text, str):
        return text.removeprefix("\ufeff")
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = text[: error.start].decode("utf-8-sig", errors="replace")
        _refuse("this is not UTF-8 text; save the file as UTF-8", before, len(before), source, error)


def _toml_library() -> Any:
    if sys.version_info >= (3, 11):
        import tomllib

        return tomllib
    try:
        import tomli
    except ImportError as error:
        raise MissingPackage.of("reading TOML on Python 3.10", "tomli", install="tomli") from error
    return tomli


def _refuse_long(length: int, limit: int, source: str | None) -> None:
    if length > limit:
        raise RecipeError(f"this is longer than {limit} characters; a recipe is a few pages", source=source)


def _refuse(
    problem: str, text: str, offset: int | None, source: str | None, cause: Exception | None = None
) -> NoReturn:
    line, column = (None, None) if offset is None else line_and_column(text, offset)
    raise RecipeError(problem, source=source, line=line, column=column) from cause


def write_toml(table: Mapping[str, Any]) -> str:
    """Returns the TOML text of a table of str, int, float, bool, lists and tables, in the given order.

    Tables in the table become ``[name]``, lists of tables ``[[name]]``. Both follow the plain fields, as TOML requires.
    Deeper tables are written inline.
    """
    plain = [f"{_key(name)} = {_value(value)}" for name, value in table.items() if not _is_section(value)]
    parts = ["\n".join(plain)] if plain else []
    for name, value in table.items():
        if isinstance(value, Mapping):
            parts.append("\n".join([f"[{_key(name)}]", *_lines(value)]))
        elif _is_section(value):
            parts += ["\n".join([f"[[{_key(name)}]]", *_lines(item)]) for item in value]
    return "\n\n".join(parts) + "\n"


def _is_section(value: Any) -> bool:
    """Returns whether `value` is written under a header of its own."""
    tables = isinstance(value, (list, tuple)) and value and all(isinstance(item, Mapping) for item in value)
    return isinstance(value, Mapping) or bool(tables)


def _lines(table: Mapping[str, Any]) -> list[str]:
    return [f"{_key(name)} = {_value(value)}" for name, value in table.items()]


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(_lines(value)) + " }" if value else "{}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return repr(value)


def _text(value: str) -> str:
    # A JSON string is a valid TOML string except for DEL, which TOML requires to be escaped. Users read it in a
    # terminal.
    return printable(json.dumps(value, ensure_ascii=False))
