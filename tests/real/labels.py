"""What an A1111 or a Forge calls its samplers and schedulers."""

from __future__ import annotations

from typing import Any

STANDING_FOR_OTHERS = {"Automatic", "Normal"}
"""Labels of schedulers that stand for another one: the sampler's own, and "Uniform"."""


def listed(host: Any, what: str) -> set[str]:
    """Returns the labels of the host's "samplers" or "schedulers"."""
    return {each.get("label") or each["name"] for each in host.get(f"/sdapi/v1/{what}")} - STANDING_FOR_OTHERS
