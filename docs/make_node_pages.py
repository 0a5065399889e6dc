"""Writes the texts about ComfyUI nodes that come from their declarations, and the presets of Remix Recipe.

    python -m docs.make_node_pages

Writes the input and output lists in web/docs/NODE.md (the rest of a page is written by hand), locales/en/nodeDefs.json,
and web/presets.json from the examples.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from remix.hosts.examples import example_texts
from tests.fakes.comfyui import Slot, comfyui
from tests.hosts.comfyui.conftest import load

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "web" / "docs"
ENGLISH = ROOT / "locales" / "en" / "nodeDefs.json"
PRESETS = ROOT / "web" / "presets.json"

LINES = """\
0s: a red house on a green hill
2s: a white house in the snow
4s: a yellow boat at sunset
"""

KINDS = {"AUTOGROW": "two or more", "DYNAMICCOMBO": "choice", "COMBO": "choice", "BOOLEAN": "yes or no"}


def schemas(pack: Any) -> list[Any]:
    """Returns the schemas of all nodes of the loaded pack."""
    extension = asyncio.run(pack.comfy_entrypoint())
    return [node.define_schema() for node in asyncio.run(extension.get_node_list())]


def inputs_of(schema: Any) -> Iterator[tuple[str, Any]]:
    """Yields every input with its API name. The inputs that a choice adds follow it."""
    for slot in schema.inputs:
        yield slot.id, slot
        for option in slot.options.get("options", ()):
            if isinstance(option, Slot):
                yield from ((f"{slot.id}.{inner.id}", inner) for inner in option.args[1])


def lists(schema: Any) -> str:
    """Returns a node's inputs and outputs as lists, because ComfyUI shows pages in a column too narrow for tables."""
    inputs = [f"- `{name}` ({_kind(slot)}): {slot.tooltip}" for name, slot in inputs_of(schema)]
    outputs = [f"- `{_shown(output)}` ({_kind(output)}): {output.tooltip}" for output in schema.outputs]
    return "\n".join(["## Inputs", "", *(inputs or ["None."]), "", "## Outputs", "", *outputs])


def _kind(slot: Any) -> str:
    kind = KINDS.get(slot.kind, slot.kind)
    if slot.kind == "AUTOGROW":
        kind = f"{kind} {slot.options['template'].args[0].kind}"
    kind += " (a list)" if slot.options.get("is_output_list") else ""
    return f"{kind}, optional" if slot.options.get("optional") else kind


def _shown(output: Any) -> str:
    return str(output.options.get("display_name") or output.id)


def page(text: str, schema: Any) -> str:
    """Returns a page with new lists: from the heading "Inputs" to the end of the list below "Outputs"."""
    found = re.search(r"^## Inputs\n.*?^## Outputs\n\n?(- [^\n]*\n?)*(?=\n|\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ValueError(f'{schema.node_id}: write the headings "## Inputs" and "## Outputs" where the lists go')
    return text[: found.start()] + lists(schema) + "\n" + text[found.end() :]


def definitions(found: list[Any]) -> dict[str, Any]:
    """Returns the names and texts of all nodes, in the format of ComfyUI's translations."""
    return {
        schema.node_id: {
            "display_name": schema.display_name,
            "description": schema.description,
            "inputs": {
                # The front end writes dots in names as underscores.
                name.replace(".", "_"): {"name": name.rpartition(".")[2], "tooltip": slot.tooltip}
                for name, slot in inputs_of(schema)
            },
            "outputs": {
                str(index): {"name": _shown(output), "tooltip": output.tooltip}
                for index, output in enumerate(schema.outputs)
            },
        }
        for schema in found
    }


def presets() -> dict[str, Any]:
    """Returns the presets of Remix Recipe: by its name, the values of the widgets that a preset sets."""
    return {"lines with times": {"recipe": LINES, "frames": 49, "fps": 12}} | {
        name: {"recipe": text} for name, text in example_texts().items()
    }


def as_text(texts: dict[str, Any]) -> str:
    """Returns the text of a locale file."""
    return json.dumps(texts, ensure_ascii=False, indent=2) + "\n"


def make() -> None:
    """Writes the lists, the English locale and the presets."""
    with tempfile.TemporaryDirectory() as base, comfyui(Path(base)):
        found = schemas(load())
    for schema in found:
        path = PAGES / f"{schema.node_id}.md"
        path.write_text(page(path.read_text(encoding="utf-8"), schema), encoding="utf-8")
    ENGLISH.parent.mkdir(parents=True, exist_ok=True)
    ENGLISH.write_text(as_text(definitions(found)), encoding="utf-8")
    PRESETS.write_text(as_text(presets()), encoding="utf-8")


if __name__ == "__main__":
    make()
