"""Placeholders in the prefixes of file names, read as the front end and the server of the host read them together.

The front end fills them in for the host's own nodes alone, and a client of the API has none. This file has no nodes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from remix.errors import BadInput

PLACEHOLDERS = "As in Save Image, it may contain %date:yyyy-MM-dd%, %width%, or %Node.widget%."
"""The sentence of tooltips."""

PLACEHOLDER = re.compile(r"%([A-Za-z][^%]*)%")

DATE = re.compile(r"dd?|MM?|hh?|mm?|ss?|yyyy|yy")

UNSAFE = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')
"""Characters of a value that the host replaces in names of files."""

DAY, TIME = "yyyy-MM-dd", ("year", "month", "day", "hour", "minute", "second")


def filled(prefix: str, hidden: Any, size: tuple[int, int], now: time.struct_time | None = None) -> str:
    """Returns a prefix with the values of its placeholders. `hidden` has the workflow, `size` is width and height.

    Raises BadInput for a placeholder that stands for nothing.
    """
    now = now or time.localtime()
    values = {name: f"{part:02}" for name, part in zip(TIME, now[:6], strict=True)}
    values |= {"width": str(size[0]), "height": str(size[1]), "date": _date(DAY, now)}

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name in values:
            return values[name]
        if name.startswith("date:"):
            return _date(name[len("date:") :], now)
        node, dot, widget = name.partition(".")
        found = next(_values(hidden, node, widget), None) if dot else None
        if found is None:
            raise BadInput(
                f"filename_prefix: {match[0]} stands for nothing; write %date:{DAY}%, %width%, %height%, or the title "
                "of a node and its widget, such as %KSampler.seed%"
            )
        return UNSAFE.sub("_", found)

    return PLACEHOLDER.sub(value, prefix)


def _date(form: str, now: time.struct_time) -> str:
    """Returns a date in a form of the front end, such as yyyy-MM-dd_hh-mm-ss."""
    parts = {"d": now.tm_mday, "M": now.tm_mon, "h": now.tm_hour, "m": now.tm_min, "s": now.tm_sec}

    def part(match: re.Match[str]) -> str:
        if match[0][0] == "y":
            return str(now.tm_year)[-len(match[0]) :]
        return str(parts[match[0][0]]).zfill(len(match[0]))

    return DATE.sub(part, form)


def _values(hidden: Any, node: str, widget: str) -> Iterator[str]:
    """Yields the values of a widget in nodes of a name: their "name for S&R", title or type, in this order."""
    prompt: Mapping[str, Any] = hidden.prompt or {}
    workflow = (hidden.extra_pnginfo or {}).get("workflow") or {}
    for name in ("Node name for S&R", "title"):
        for each in workflow.get("nodes", ()):
            if (each.get("title") if name == "title" else (each.get("properties") or {}).get(name)) == node:
                yield from _value(prompt.get(str(each.get("id"))), widget)
    for each in prompt.values():
        if node in ((each.get("_meta") or {}).get("title"), each.get("class_type")):
            yield from _value(each, widget)


def _value(node: Mapping[str, Any] | None, widget: str) -> Iterator[str]:
    given = (node or {}).get("inputs", {}).get(widget)
    if given is not None and not isinstance(given, list | dict):
        yield str(given)
