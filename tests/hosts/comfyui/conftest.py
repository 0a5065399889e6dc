"""The pack as ComfyUI loads it, among fakes of ComfyUI's modules."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.fakes.comfyui import PACK, Graph, comfyui
from tests.hosts.comfyui.workflows import KINDS, Nodes

ROOT = Path(__file__).parents[3]

CHOICES = ("weights", "latents", "conditionings")
"""Inputs with inputs of their own."""


def load() -> ModuleType:
    """Returns the root module, loaded as ComfyUI does it."""
    spec = importlib.util.spec_from_file_location(PACK, ROOT / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACK] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pack(tmp_path: Path) -> Iterator[ModuleType]:
    """The loaded pack; its rooms are attributes of `pack.custom_nodes`."""
    base = tmp_path
    for name in ("input", "output", "models/checkpoints"):
        (base / name).mkdir(parents=True)
    with comfyui(base):
        loaded = load()
        loaded.base = base  # type: ignore[attr-defined]
        yield loaded


def room(pack: ModuleType, name: str) -> ModuleType:
    """Returns a file of the pack's nodes."""
    return importlib.import_module(f"{pack.__name__}.custom_nodes.{name}")


def listed(**inputs: Any) -> dict[str, Any]:
    """Returns inputs as the host gives them to a node that takes lists: each value a list of one, also in choices."""
    return {
        name: {part: [one] for part, one in value.items()} if name in CHOICES else [value]
        for name, value in inputs.items()
        if value is not None
    }


@pytest.fixture
def workflow(pack: ModuleType) -> Callable[[Nodes], Any]:
    """Makes these nodes the workflow that runs; returns it."""

    def run(nodes: Nodes) -> Any:
        graph = {
            number: {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}}
            for number, (kind, inputs) in nodes.items()
        }
        vars(sys.modules["comfy_execution.progress"])["graph"] = Graph(graph)
        sys.modules["nodes"].NODE_CLASS_MAPPINGS.update(KINDS)  # type: ignore[attr-defined]
        return room(pack, "workflow").Workflow.running()

    return run
