"""Remix Render with a stand-in for the model."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.hosts.comfyui.conftest import room
from tests.hosts.comfyui.stand_ins import Pictures, graph, sample


def render_node(pack: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Returns Remix Render in a workflow."""
    host: Any = sys.modules["comfy.sample"]
    host.sample, host.fix_empty_latent_channels = sample, lambda model, latent: latent
    bar = SimpleNamespace(update_absolute=lambda at, total, preview=None: None)
    monkeypatch.setattr(sys.modules["comfy.utils"], "ProgressBar", lambda total: bar)
    (found,) = room(pack, "render").NODES
    monkeypatch.setattr(
        found,
        "hidden",
        SimpleNamespace(dynprompt=graph(), unique_id="render", extra_pnginfo=None, prompt={}),
        raising=False,
    )
    return found


class Model(Pictures):
    """A model of pictures with what a preview needs."""

    def __init__(self) -> None:
        super().__init__()
        self.load_device = "cpu"
        self.model.latent_format = None
