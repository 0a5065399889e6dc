"""As much of gradio as a panel needs: components keep what they are made with, and events what is done on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import Any

COMPONENTS = ("Textbox", "Number", "Slider", "Dropdown", "Radio", "Checkbox", "Button", "HTML")
LAYOUTS = ("Row", "Column", "Accordion", "Group")


@dataclass
class Event:
    """What is done when a component changes or is clicked: Python, JavaScript, or both."""

    component: Component
    name: str
    fn: Callable[..., Any] | None
    inputs: Sequence[Component]
    outputs: Sequence[Component]
    js: str | None

    def then(self, fn: Any = None, inputs: Any = (), outputs: Any = (), _js: str | None = None, **_: Any) -> Event:
        return self.component.page.add(Event(self.component, "then", fn, inputs, outputs, _js))


class Page:
    """All components in the order in which they were made, and their events."""

    def __init__(self) -> None:
        self.components: list[Component] = []
        self.events: list[Event] = []

    def add(self, event: Event) -> Event:
        self.events.append(event)
        return event

    def __iter__(self) -> Iterator[Component]:
        return iter(self.components)


class Component:
    """One component; `value`, `label` and the rest are attributes as they were given."""

    page: Page

    def __init__(self, *given: Any, **options: Any) -> None:
        names = {"Dropdown": ("choices", "value"), "Radio": ("choices", "value"), "Slider": ("minimum", "maximum")}
        self.options = {**dict(zip(names.get(type(self).__name__, ("value",)), given, strict=False)), **options}
        for name in ("label", "elem_id", "value", "choices"):
            setattr(self, name, self.options.get(name))
        self.page.components.append(self)

    def __enter__(self) -> Component:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None

    def _on(self, name: str, fn: Any = None, inputs: Any = (), outputs: Any = (), _js: Any = None, **_: Any) -> Event:
        return self.page.add(Event(self, name, fn, inputs, outputs, _js))

    def change(self, *given: Any, **options: Any) -> Event:
        return self._on("change", *given, **options)

    def click(self, *given: Any, **options: Any) -> Event:
        return self._on("click", *given, **options)


def gradio() -> ModuleType:
    """Returns a fake of the module gradio; `page` collects the components."""
    module, page = ModuleType("gradio"), Page()
    base = type("Made", (Component,), {"page": page})
    for name in (*COMPONENTS, *LAYOUTS):
        setattr(module, name, type(name, (base,), {}))
    module.update = lambda **options: {"__type__": "update", **options}  # type: ignore[attr-defined]
    module.page = page  # type: ignore[attr-defined]
    return module
