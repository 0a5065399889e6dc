"""Schedulers: their names in each host, and their particularities.

The vocabulary is the union of ComfyUI 0.33, AUTOMATIC1111 1.10.1 and Forge f2.0.1, with ComfyUI's names where it has
them. An engine that lacks a scheduler refuses it in its `check`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from remix.catalog.rows import COMFYUI, EVERY_HOST, FORGE, WEBUI, by_label, require

AUTOMATIC = "Automatic"
"""A1111's label for the scheduler that goes with the sampler."""


@dataclass(frozen=True)
class Scheduler:
    """A scheduler.

    `hosts` support it; `label` is its name in A1111 and Forge. `aliases` are further labels, in lower case. `like` is
    the closest relative, suggested if a host lacks this one.
    """

    name: str
    hosts: frozenset[str] = EVERY_HOST
    label: str = ""
    aliases: tuple[str, ...] = ()
    like: str = ""
    in_stages: bool = False
    """Takes every n-th level of the model with an integer n, so that many lengths give the same levels."""
    starts_below: bool = False
    """Starts below the highest noise level of the model."""


_FORGE_ONLY = frozenset({FORGE})

_ROWS = (
    # A1111's own "Normal" has the levels of its "Uniform".
    Scheduler("normal", label="Uniform", aliases=("automatic",)),
    Scheduler("karras", label="Karras", like="normal"),
    Scheduler("exponential", label="Exponential", like="karras"),
    Scheduler("simple", label="Simple", like="normal"),
    Scheduler("sgm_uniform", label="SGM Uniform", aliases=("sgmuniform",), like="normal"),
    Scheduler("ddim_uniform", label="DDIM", like="normal", in_stages=True, starts_below=True),
    Scheduler("beta", label="Beta", like="normal"),
    Scheduler("kl_optimal", label="KL Optimal", like="karras"),
    Scheduler("align_your_steps", WEBUI, "Align Your Steps", like="karras"),
    Scheduler("polyexponential", WEBUI, "Polyexponential", like="exponential"),
    Scheduler("linear_quadratic", frozenset({COMFYUI}), like="simple"),
    Scheduler("turbo", _FORGE_ONLY, "Turbo", like="sgm_uniform"),
    Scheduler("align_your_steps_gits", _FORGE_ONLY, "Align Your Steps GITS", like="align_your_steps"),
    Scheduler("align_your_steps_11", _FORGE_ONLY, "Align Your Steps 11", like="align_your_steps"),
    Scheduler("align_your_steps_32", _FORGE_ONLY, "Align Your Steps 32", like="align_your_steps"),
)

SCHEDULERS: Mapping[str, Scheduler] = MappingProxyType({row.name: row for row in _ROWS})
"""Every scheduler that a recipe can name, the widely available ones first."""

SCHEDULER_LABELS = by_label(_ROWS)
"""Labels of schedulers in A1111 and Forge, in lower case, if recipes use another name."""


def require_scheduler(name: str, available: Collection[str], engine: str) -> None:
    """Raises `Unsupported`, with the nearest scheduler, if an engine does not have this one."""
    require("scheduler", SCHEDULERS, name, available, engine)
