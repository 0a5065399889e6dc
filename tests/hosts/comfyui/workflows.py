"""Workflows that the fake host runs: the parts of a film, which tests change and add to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from remix.plan import Schedule, plan
from tests.core.plan.recipes import recipe_of_text

TEXT = """
frames = 3
sampler = "euler_ancestral"
scheduler = "karras"
steps = 12
[[keyframes]]
prompt = "a"
seed = 5
cfg = 3
[[keyframes]]
prompt = "b"
seed = 6
cfg = 9
"""

Nodes = dict[str, tuple[str, dict[str, Any]]]

OUTPUT = type("Output", (), {"OUTPUT_NODE": True})
LISTS = type("Lists", (), {"INPUT_IS_LIST": True})
KINDS = {
    "Save": OUTPUT,
    "RemixRecipe": OUTPUT,
    "RemixRender": OUTPUT,
    "Rebatch": LISTS,
    "RemixFilm": LISTS,
    **dict.fromkeys(("RemixPromptTravel", "RemixNoiseTravel", "RemixConditioningMix", "RemixLatentBlend"), LISTS),
}


def schedule(text: str = TEXT) -> Schedule:
    return plan(recipe_of_text(text))


def film(**changed: Any) -> Nodes:
    """A film of a recipe: 1 recipe, 2 prompts, 3 noise, 4 sampler, 5 decoder, 6 saver; more nodes and links changed."""
    nodes: Nodes = {
        "1": ("RemixRecipe", {"recipe": TEXT, "frames": 0, "fps": 0.0, "width": 0, "height": 0}),
        "2": ("RemixPromptTravel", {"schedule": ["1", 0], "clip": ["0", 1], "batch_size": 0}),
        "3": ("RemixNoiseTravel", {"schedule": ["1", 0], "model": ["0", 0], "batch_size": 0}),
        "4": ("KSampler", {"positive": ["2", 0], "latent_image": ["3", 1], "model": ["3", 2], "cfg": 7.0}),
        "5": ("VAEDecode", {"samples": ["4", 0]}),
        "6": ("Save", {"images": ["5", 0]}),
        "0": ("Checkpoint", {}),
    }
    for number, (kind, inputs) in changed.pop("more", {}).items():
        nodes[number] = (kind, inputs)
    for number, inputs in changed.items():
        kind, old = nodes[number.removeprefix("n")]
        nodes[number.removeprefix("n")] = kind, {**old, **inputs}
    return nodes


VALUE = {"7": ("RemixValueTravel", {"schedule": ["1", 0], "value": "cfg"})}


def hidden(monkeypatch: pytest.MonkeyPatch, node: Any, number: str) -> Any:
    monkeypatch.setattr(node, "hidden", SimpleNamespace(unique_id=number))
    return node
