"""Compares the settings of a recipe with the widgets of downstream samplers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import comfy.samplers

from remix.catalog.samplers import require_sampler
from remix.catalog.schedulers import require_scheduler
from remix.errors import BadInput
from remix.plan import Frame, Mix, Recipe, Schedule

from .workflow import Workflow, link_of, links

TRAVELLING = {
    "cfg": "connect Remix Value Travel (value: cfg) there instead, or use Remix Render",
    "denoise": "connect Remix Value Travel (value: denoise) there instead, or use Remix Render",
    "seed": "connect Remix Noise Travel between the model and the sampler instead, or use Remix Render",
}
"""Settings that can change over time -> what to connect in that case."""

OUTPUTS = {6: "cfg", 7: "seed", 8: "sampler", 9: "scheduler", 10: "denoise"}
"""Outputs of Remix Recipe that are settings, by index."""

WIDGETS = {
    "sampler_name": "sampler",
    "seed": "seed",
    "noise_seed": "seed",
    **{name: name for name in ("scheduler", "steps", "cfg", "denoise")},
}
"""Sampler widget -> setting of a recipe."""

GUIDER = "CFGGuider"
PARTS = ("BasicScheduler", GUIDER, "RandomNoise", "SamplerCustom")
"""Nodes that sample or feed a sampler but have no sampler widget."""

NOISE = "RemixNoiseTravel"

WIRED = ("RemixPromptTravel", NOISE)
"""Nodes that prepare a schedule for a sampler of the workflow, whose model has the LoRAs of the workflow."""


@dataclass(frozen=True)
class Downstream:
    """Nodes downstream of a Remix Recipe: its connected outputs, and the widgets of samplers.

    `widgets` holds (setting, name of the node, its value). `wired`: a node other than Remix Render takes the schedule,
    so links decide which LoRAs are loaded.
    """

    outputs: frozenset[str] = frozenset()
    widgets: tuple[tuple[str, str, Any], ...] = ()
    wired: bool = True

    def __repr__(self) -> str:
        """Returns the same text for the same workflow, in every process."""
        return repr((sorted(self.outputs), self.widgets, self.wired))


def downstream_of(workflow: Workflow, number: str) -> Downstream:
    """Returns the connected outputs and sampler widgets downstream of a Remix Recipe, by its node number."""
    consumers = workflow.consumers(number)
    outputs = frozenset(OUTPUTS[slot] for _, _, slot in consumers if slot in OUTPUTS)
    takers = {consumer for consumer, _, slot in consumers if slot == 0}
    noise = any(workflow.kind(taker) == NOISE for taker in takers)
    widgets = [
        (WIDGETS[name], workflow.name(sampler), value)
        for sampler in _samplers(workflow, takers)
        for name, value in workflow.nodes[sampler]["inputs"].items()
        # With Remix Noise Travel, the seed of a sampler has no effect.
        if name in WIDGETS and link_of(value) is None and not (noise and WIDGETS[name] == "seed")
    ]
    return Downstream(outputs, tuple(widgets), any(workflow.kind(taker) in WIRED for taker in takers))


def _samplers(workflow: Workflow, takers: set[str]) -> list[str]:
    """Returns the first samplers downstream of these nodes, and the nodes with their settings."""
    found: set[str] = set()
    seen = set(takers)
    waiting = list(takers)
    while waiting:
        for consumer, _, _ in workflow.consumers(waiting.pop()):
            if consumer in seen:
                continue
            seen.add(consumer)
            feeders = {source for source, _ in links(workflow.nodes[consumer])}
            holding = {node for node in feeders | {consumer} if _holds_settings(workflow, node)}
            found |= holding
            if not holding or workflow.kind(consumer) == GUIDER:
                waiting.append(consumer)
    return sorted(found)


def _holds_settings(workflow: Workflow, number: str) -> bool:
    node = workflow.nodes[number]
    return node["class_type"] in PARTS or "sampler_name" in node["inputs"]


def value_of(frame: Frame, name: str) -> Any:
    """Returns the cfg or denoise of a frame, or its seed with the largest weight."""
    return frame.seed.heaviest if name == "seed" else getattr(frame, name)


def travel_of(schedule: Schedule, name: str) -> str | None:
    """Returns a description of how a setting changes, or None if it is the same in every frame."""
    values = [getattr(frame, name) for frame in schedule]
    first = values[0]
    other = next((index for index, value in enumerate(values) if value != first), None)
    if other is None:
        # A constant mix of several seeds cannot be expressed as one number.
        return f"it is {_shown(first)} in every frame" if isinstance(first, Mix) and len(first.values) > 1 else None
    if not isinstance(first, Mix):
        other = max(range(len(values)), key=lambda index: abs(values[index] - first))
    elif whole := [i for i in range(other, len(values)) if len(values[i].values) == 1 and values[i] != first]:
        other = whole[0]
    return f"it travels from {_shown(first)} (frame 0) to {_shown(values[other])} (frame {other})"


def _shown(value: Any) -> str:
    if not isinstance(value, Mix):
        return f"{value:g}"
    return " + ".join(f"{share:.0%} of {seed}" if len(value.values) > 1 else str(seed) for seed, share in value.items)


def refuse_travelling(schedule: Schedule, outputs: frozenset[str]) -> None:
    """Raises BadInput for a connected output whose setting changes, Unsupported for a sampler that the host lacks."""
    for name in sorted(outputs & TRAVELLING.keys()):
        if (travel := travel_of(schedule, name)) is not None:
            raise BadInput(f'{name}: {travel}, and the output "{name}" gives one number; {TRAVELLING[name]}')
    recipe, host = schedule.recipe, comfy.samplers.KSampler
    if "sampler" in outputs:
        require_sampler(recipe.sampler, host.SAMPLERS, "this ComfyUI")
    if "scheduler" in outputs:
        require_scheduler(recipe.scheduler, host.SCHEDULERS, "this ComfyUI")


def _names(text: str, name: str, value: Any) -> bool:
    """Returns whether a recipe sets a value: its text contains the field, or the value is not the default."""
    unsaid = Recipe.__dataclass_fields__[name].default if hasattr(Recipe, name) else {"denoise": 1.0}.get(name, value)
    return value != unsaid or re.search(rf"\b{name}[\"']?\s*[=:]", text, re.IGNORECASE) is not None


def sampler_remarks(schedule: Schedule, text: str, downstream: Downstream) -> list[str]:
    """Returns a remark for each setting of the recipe that a downstream sampler sets differently."""
    remarks = []
    for name, node, value in downstream.widgets:
        travel = travel_of(schedule, name) if name in TRAVELLING else None
        if travel is not None:
            remarks.append(f"{name}: {travel}, but {node} has {value} for all frames; {TRAVELLING[name]}")
            continue
        ours = value_of(schedule[0], name) if name in TRAVELLING else getattr(schedule.recipe, name)
        if ours != value and _names(text, name, ours):
            shown = f"{ours:g}" if isinstance(ours, float) else ours
            remarks.append(f'{name}: the recipe says {shown}, but {node} has {value}; connect the output "{name}"')
    return remarks
