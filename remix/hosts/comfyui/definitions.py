"""The widgets of ComfyUI's nodes, in the order in which the front end saves their values.

`Definitions.read(info)` takes them from a server's ``/object_info``. `own_definitions()` has those of ComfyUI's own
nodes from a table, `core_nodes.json`, which ``python -m tests.real.comfyui.record_nodes`` writes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

AFTER_GENERATE = ("fixed", "increment", "decrement", "increment-wrap", "randomize")
"""Values of the widget that follows a seed."""

SEEDS = ("seed", "noise_seed")
UPLOADS = ("image_upload", "video_upload", "audio_upload", "animated_image_upload", "file_upload", "upload")
PLAIN = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COLOR", "CURVE"}
CHOICE = "COMFY_DYNAMICCOMBO_V3"

COMPARISON = "IMAGECOMPARE"
COMPARED = ["", ""]
"""The type of a widget that shows two pictures, and its value before a run."""

CUSTOM_COMBO = "CustomCombo"
"""A node to which the front end adds a widget for each option that the user writes."""

Note = Callable[[str], None]


@dataclass(frozen=True)
class Widget:
    """A widget: its name, its default, and what the front end saves after its value.

    `controlled`: perhaps what happens to it after each run. `upload`: the value of a button. `options` are the widgets
    that a choice adds, by its value; their names follow the choice's and a dot.
    """

    name: str
    default: Any = None
    controlled: bool = False
    upload: bool = False
    options: Mapping[str, tuple[Widget, ...]] | None = None


@dataclass(frozen=True)
class Definitions:
    """The widgets and the shown names of nodes, by class."""

    widgets: Mapping[str, tuple[Widget, ...]]
    titles: Mapping[str, str]

    @classmethod
    def read(cls, info: Mapping[str, Any]) -> Definitions:
        """Returns the definitions in a server's ``/object_info``. What is malformed is left out."""
        nodes = {kind: about for kind, about in info.items() if isinstance(about, Mapping)}
        titles = {kind: str(about["display_name"]) for kind, about in nodes.items() if about.get("display_name")}
        return cls({kind: tuple(_widgets(about)) for kind, about in nodes.items()}, titles)

    def title(self, kind: str) -> str | None:
        """Returns the name of a class in the menu, None if it is unknown."""
        return self.titles.get(kind)

    def named(self, node: Mapping[str, Any], values: Sequence[Any], note: Note) -> Iterator[tuple[str, Any]]:
        """Yields the names and values of a saved node's widgets. `note` gets a sentence about what is unknown."""
        kind = node["type"]
        if kind == CUSTOM_COMBO:
            yield from zip(
                ("choice", "index", *(f"option{number}" for number in range(1, len(values)))), values, strict=False
            )
            return
        known = self.widgets.get(kind)
        if known is None:
            known = tuple(_listed(node))
            if values and not known:
                note(f"{kind}: its inputs are not known, so {len(values)} values of its widgets are left out")
        yield from _assigned(known, list(values))

    def plain(self) -> dict[str, Any]:
        """Returns the definitions as JSON, the inverse of `own_definitions`."""
        return {
            kind: [self.titles.get(kind, kind), [_plain(widget) for widget in widgets]]
            for kind, widgets in sorted(self.widgets.items())
        }


@cache
def own_definitions() -> Definitions:
    """Returns the definitions of ComfyUI's own nodes."""
    text = (files(__package__) / "core_nodes.json").read_text(encoding="utf-8")
    table = json.loads(text)
    return Definitions(
        {kind: tuple(map(_from_plain, widgets)) for kind, (_, widgets) in table.items()},
        {kind: title for kind, (title, _) in table.items()},
    )


def _assigned(widgets: Sequence[Widget], values: list[Any]) -> Iterator[tuple[str, Any]]:
    """Yields names and values, and removes the values from the list."""
    for widget in widgets:
        if _is_number(widget.default) and any(map(_is_number, values)):
            # The front end also saves buttons and pictures of the page, such as those of a 3D view.
            while isinstance(values[0], str | Mapping) and not _is_number(values[0]):
                del values[0]
        value = values.pop(0) if values else widget.default
        if value is None and not values and widget.default is None:
            continue
        yield widget.name, value
        if widget.controlled and values and values[0] in AFTER_GENERATE:
            del values[0]
        if widget.upload and values and not _is_number(values[0]):  # the button
            del values[0]
        if widget.options is not None:
            yield from _assigned(widget.options.get(str(value), ()), values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _listed(node: Mapping[str, Any]) -> Iterator[Widget]:
    """Yields the widgets that a saved node itself lists, with those that follow seeds."""
    slots = node.get("inputs")
    for slot in slots if isinstance(slots, list) else ():
        if isinstance(slot, Mapping) and isinstance(slot.get("widget"), Mapping) and isinstance(slot.get("name"), str):
            name = slot["name"]
            yield Widget(name, controlled=name.rpartition(".")[2] in SEEDS)


def _widgets(about: Mapping[str, Any], prefix: str = "") -> Iterator[Widget]:
    inputs = about.get("input", about)
    if not isinstance(inputs, Mapping):
        return
    for part in ("required", "optional"):
        found = inputs.get(part)
        for name, declared in found.items() if isinstance(found, Mapping) else ():
            widget = _widget(f"{prefix}{name}", declared)
            if widget is not None:
                yield widget


def _widget(name: str, declared: Any) -> Widget | None:
    """Returns the widget of an input from ``/object_info``, None if it has only a socket."""
    if not isinstance(declared, list) or not declared:
        return None
    kind, options = declared[0], declared[1] if len(declared) > 1 and isinstance(declared[1], Mapping) else {}
    if options.get("forceInput"):
        return None
    default = options.get("default", COMPARED if kind == COMPARISON else None)
    if kind == CHOICE:
        rows = [row for row in options.get("options") or () if isinstance(row, Mapping) and "key" in row]
        inner = {str(row["key"]): tuple(_widgets(row.get("inputs") or {}, f"{name}.")) for row in rows}
        return Widget(name, default if default is not None else next(iter(inner), None), options=inner)
    # An input of several types is a socket, unless it names the type of its widget. Of other types, such as a list of
    # colors, those are widgets that say whether they have a socket as well.
    plain = bool({str(kind), str(options.get("widgetType"))} & PLAIN)
    if not isinstance(kind, list) and not plain and "socketless" not in options:
        return None
    control = options.get("control_after_generate")
    controlled = name.rpartition(".")[2] in SEEDS if control is None else bool(control)
    return Widget(name, default, controlled, any(options.get(upload) for upload in UPLOADS))


def _plain(widget: Widget) -> Any:
    """Returns a widget as JSON: its name, and what is not as usual."""
    row = {"default": widget.default} if widget.default is not None else {}
    row |= {flag: True for flag in ("controlled", "upload") if getattr(widget, flag)}
    if widget.options is not None:
        row["options"] = {key: [_plain(each) for each in widgets] for key, widgets in widget.options.items()}
    return [widget.name, row] if row else widget.name


def _from_plain(plain: Any) -> Widget:
    name, row = (plain, {}) if isinstance(plain, str) else plain
    options = row.get("options")
    inner = None if options is None else {key: tuple(map(_from_plain, each)) for key, each in options.items()}
    return Widget(name, **{**row, "options": inner})
