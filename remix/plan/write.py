"""TOML text of plain values: as much of TOML as a recipe needs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from remix.plan.printable import printable


def write_toml(table: Mapping[str, Any]) -> str:
    """The TOML text of a table of str, int, float, bool, lists and tables, in the given order.

    Tables in the table become ``[name]``, lists of tables ``[[name]]``; both are written after the plain
    fields, as TOML needs it. Tables further in are written in one line.
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
    """Whether `value` is written under a header of its own."""
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
    # A JSON string is a TOML string but for DEL, which TOML wants escaped; and people read it in a terminal.
    return printable(json.dumps(value, ensure_ascii=False))
