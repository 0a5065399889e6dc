"""Writes the example workflows that use the bundled model, from those that use a checkpoint.

    python -m docs.make_workflows

"N Title (your checkpoint).json" is made by hand, in ComfyUI. "N Title.json" is the same with the node Remix Playground,
with the size, the settings and the words of the bundled model. Examples of photos and videos have only a checkpoint.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

WORKFLOWS = Path(__file__).parents[1] / "example_workflows"
COPY = " (your checkpoint)"
LOADER, PLAYGROUND = "CheckpointLoaderSimple", "RemixPlayground"

TEXTS = (
    (r"size = \[512, 512\]", "size = [128, 128]"),
    (r'scheduler = "karras"', 'scheduler = "sgm_uniform"'),
    (r"steps = 20", "steps = 12"),
    (r"cfg = [67]", "cfg = 3"),
    (r'negative = "blurry, text"\n', ""),
    (r"^blurry, text$", ""),
    # The bundled model knows things in surroundings, and no styles.
    (r" in (?:spring|summer|autumn)\b", ""),
    (r",? (?:summer, |winter night, )?(?:oil painting|gouache|watercolor|ink and wash)", ""),
    (r"a bare tree in the snow, winter", "a white tree in the snow"),
    (r"a full moon over a dark forest, night, soft light", "a white moon at night"),
    (r"the sun over a meadow, noon, soft light", "a yellow sun on a green meadow"),
    (r"a boat on the sea at noon", "a white boat on the sea"),
    (r"a boat on the sea at sunset", "an orange boat at sunset"),
    (r"a boat on the sea at night", "a blue boat at night"),
    (r"on a calm sea at sunset", "at sunset"),
    (r"6 \+ 3\*sin", "2 + 2*sin"),
)
"""What changes in every text."""

NUMBERS = {
    "EmptyLatentImage": {512: 128},
    "KSampler": {20: 12, 7: 3, 8: 3, "karras": "sgm_uniform"},
    "CFGGuider": {8: 3},
    "BasicScheduler": {20: 12},
}
"""What changes in the other widgets of a node."""

NOTE = (
    "\n\nThis workflow runs with the bundled model, which knows simple words at 128x128. For a checkpoint of your own, "
    f'open the one called "…{COPY}".'
)
OWN_NOTE = ("Any checkpoint works. ", "")


def with_playground(workflow: dict[str, Any]) -> dict[str, Any]:
    """Returns a workflow with the bundled model in place of a checkpoint."""
    changed = json.loads(json.dumps(workflow))
    for node in changed["nodes"]:
        node["widgets_values"] = [_changed(node["type"], value) for value in node.get("widgets_values") or []]
        if "widgets_values_named" in node:
            named = node["widgets_values_named"]
            node["widgets_values_named"] = {name: _changed(node["type"], value) for name, value in named.items()}
        if node["type"] == LOADER:
            node |= {"type": PLAYGROUND, "inputs": [], "widgets_values": []}
            node["properties"] = {"Node name for S&R": PLAYGROUND}
            node.pop("widgets_values_named", None)
        if node["type"] == "MarkdownNote":
            node["widgets_values"] = [node["widgets_values"][0].replace(*OWN_NOTE) + NOTE]
            node.pop("widgets_values_named", None)
    return dict(changed)


def _changed(kind: str, value: Any) -> Any:
    if isinstance(value, str) and kind != "MarkdownNote":
        for pattern, text in TEXTS:
            value = re.sub(pattern, text, value)
    return NUMBERS.get(kind, {}).get(value, value) if isinstance(value, int | str) else value


def make() -> None:
    """Writes the workflows with the bundled model."""
    for path in sorted(WORKFLOWS.glob(f"*{COPY}.json")):
        text = written(with_playground(json.loads(path.read_text(encoding="utf-8"))))
        path.with_name(path.name.replace(COPY, "")).write_text(text, encoding="utf-8")


def written(workflow: dict[str, Any]) -> str:
    """Returns a workflow as the text of its file."""
    return json.dumps(workflow, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    make()
