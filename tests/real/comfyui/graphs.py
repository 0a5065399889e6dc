"""Prompts of the API, node by node."""

from __future__ import annotations

from itertools import count
from typing import Any

from tests.real.comfyui.host import CHECKPOINT, Graph

Link = list[Any]

_folders = count()


def new_folder() -> str:
    """Returns a name that no output of this server has had: it does not save again what it has saved already."""
    return str(next(_folders))


class Builder:
    """Grows a prompt; a node that is added gives the links to its outputs."""

    def __init__(self) -> None:
        self.graph: Graph = {}

    def add(self, kind: str, outputs: int = 1, **inputs: Any) -> list[Link]:
        """Returns the links to the outputs of a new node."""
        number = str(len(self.graph) + 1)
        self.graph[number] = {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}}
        return [[number, at] for at in range(outputs)]

    def checkpoint(self) -> list[Link]:
        """Returns model, clip and vae."""
        return self.add("CheckpointLoaderSimple", 3, ckpt_name=CHECKPOINT)

    def recipe(self, text: str, **changes: Any) -> Link:
        """Returns the schedule of a recipe."""
        widgets = {"frames": 0, "fps": 0.0, "width": 0, "height": 0, **changes}
        return self.add("RemixRecipe", recipe=text, **widgets)[0]

    def sampled(self, model: Link, positive: Link, negative: Link, latent: Link, **settings: Any) -> Link:
        """Returns the latent of a KSampler."""
        widgets = {"seed": 0, "steps": 3, "cfg": 7.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
        return self.add(
            "KSampler",
            model=model,
            positive=positive,
            negative=negative,
            latent_image=latent,
            **{**widgets, **settings},
        )[0]
