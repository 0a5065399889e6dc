"""Writes the workflows of the course: each is the one before with one idea more, and runs with the bundled model.

python -m docs.make_course_workflows
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docs.make_workflows import written

FOLDER = Path(__file__).parent / "course" / "workflows"

INPUTS = {
    "RemixPlayground": (),
    "CLIPTextEncode": ("clip:CLIP",),
    "EmptyLatentImage": (),
    "KSampler": ("model:MODEL", "positive:CONDITIONING", "negative:CONDITIONING", "latent_image:LATENT"),
    "KSamplerAdvanced": ("model:MODEL", "positive:CONDITIONING", "negative:CONDITIONING", "latent_image:LATENT"),
    "VAEDecode": ("samples:LATENT", "vae:VAE"),
    "SaveImage": ("images:IMAGE",),
    "MarkdownNote": (),
}
OUTPUTS = {
    "RemixPlayground": ("MODEL", "CLIP", "VAE"),
    "CLIPTextEncode": ("CONDITIONING",),
    "EmptyLatentImage": ("LATENT",),
    "KSampler": ("LATENT",),
    "KSamplerAdvanced": ("LATENT",),
    "VAEDecode": ("IMAGE",),
    "SaveImage": (),
    "MarkdownNote": (),
}
SIZES = {"MarkdownNote": (380, 300), "CLIPTextEncode": (320, 130), "SaveImage": (260, 280)}
SIZE = (300, 260)

Source = tuple[int, int]
"""The number of a node, and that of its output."""


@dataclass
class Builder:
    """A workflow that grows node by node, in ComfyUI's own format."""

    nodes: list[dict[str, Any]] = field(default_factory=list)
    links: list[list[Any]] = field(default_factory=list)

    def add(self, kind: str, place: tuple[int, int], *values: object, title: str = "", **sources: Source) -> int:
        """Adds a node and returns its number. `sources` are the inputs that are connected."""
        number = len(self.nodes) + 1
        inputs = []
        for slot, text in enumerate(INPUTS[kind]):
            name, _, sort = text.partition(":")
            inputs.append({"name": name, "type": sort, "link": self._link(sources[name], number, slot, sort)})
        node: dict[str, Any] = {"id": number, "type": kind, "pos": list(place), "size": list(SIZES.get(kind, SIZE))}
        node |= {"flags": {}, "order": number - 1, "mode": 0, "inputs": inputs}
        node["outputs"] = [{"name": sort, "type": sort, "links": []} for sort in OUTPUTS[kind]]
        node |= {"properties": {"Node name for S&R": kind}, "widgets_values": list(values)}
        if title:
            node["title"] = title
        self.nodes.append(node)
        return number

    def _link(self, source: Source, target: int, slot: int, sort: str) -> int:
        number = len(self.links) + 1
        node, output = source
        self.links.append([number, node, output, target, slot, sort])
        self.nodes[node - 1]["outputs"][output]["links"].append(number)
        return number

    def workflow(self) -> dict[str, Any]:
        """Returns the workflow as ComfyUI saves it."""
        about = {"last_node_id": len(self.nodes), "last_link_id": len(self.links)}
        rest = {"groups": [], "config": {}, "extra": {}, "version": 0.4}
        return {**about, "nodes": self.nodes, "links": self.links, **rest}


def text_to_image(note: str) -> Builder:
    """Returns the first workflow: a prompt becomes a picture."""
    made = Builder()
    model = made.add("RemixPlayground", (0, 0))
    positive = made.add("CLIPTextEncode", (340, 0), "a red house on a green hill", title="prompt", clip=(model, 1))
    negative = made.add("CLIPTextEncode", (340, 180), "", title="negative prompt", clip=(model, 1))
    empty = made.add("EmptyLatentImage", (340, 360), 128, 128, 1)
    values = (3, "fixed", 12, 3, "dpmpp_2m", "sgm_uniform", 1)
    wires = {"model": (model, 0), "positive": (positive, 0), "negative": (negative, 0), "latent_image": (empty, 0)}
    sampled = made.add("KSampler", (700, 0), *values, **wires)
    _show(made, sampled, model, (1040, 0), "first")
    made.add("MarkdownNote", (0, 360), note)
    return made


def image_to_image() -> Builder:
    """Returns the second workflow: the picture becomes another one."""
    made = text_to_image(
        "**2 Image to image.** The latent of the first sampler goes into a second one, with another prompt and denoise "
        "0.2.\n\nTry denoise 0.05, 0.1, 0.4 and 1. How much of the first picture is left?\n\nThen connect the "
        "negative prompt of the second sampler to a text of its own."
    )
    other = made.add("CLIPTextEncode", (340, 520), "a blue house in the snow", title="second prompt", clip=(1, 1))
    values = (5, "fixed", 12, 3, "dpmpp_2m", "sgm_uniform", 0.2)
    wires = {"model": (1, 0), "positive": (other, 0), "negative": (3, 0), "latent_image": (5, 0)}
    second = made.add("KSampler", (700, 380), *values, title="second sampler", **wires)
    _show(made, second, 1, (1040, 380), "second")
    return made


def change_of_mind() -> Builder:
    """Returns the third workflow: the prompt changes in the middle of sampling."""
    made = Builder()
    model = made.add("RemixPlayground", (0, 0))
    first = made.add("CLIPTextEncode", (340, 0), "a yellow moon at night", title="first prompt", clip=(model, 1))
    second = made.add("CLIPTextEncode", (340, 180), "a red ring at night", title="second prompt", clip=(model, 1))
    negative = made.add("CLIPTextEncode", (340, 360), "", title="negative prompt", clip=(model, 1))
    empty = made.add("EmptyLatentImage", (340, 540), 128, 128, 1)
    shared = {"model": (model, 0), "negative": (negative, 0)}
    begin = ("enable", 3, "fixed", 12, 3, "euler", "sgm_uniform", 0, 5, "enable")
    half = made.add("KSamplerAdvanced", (700, 0), *begin, positive=(first, 0), latent_image=(empty, 0), **shared)
    end = ("disable", 3, "fixed", 12, 3, "euler", "sgm_uniform", 5, 12, "disable")
    whole = made.add("KSamplerAdvanced", (700, 400), *end, positive=(second, 0), latent_image=(half, 0), **shared)
    _show(made, half, model, (1040, 0), "half")
    _show(made, whole, model, (1040, 400), "whole")
    made.add(
        "MarkdownNote",
        (0, 360),
        "**3 A change of mind.** The first sampler stops after 5 of 12 steps and passes its noisy latent on. The "
        "second one finishes it with another prompt.\n\nMove the change: 2, 4, 6, 8, 10 (in both samplers). Until when "
        "does the second prompt still decide what is drawn? From when on does it only change details?\n\nCompare with "
        "`remix steps`.",
    )
    return made


def _show(made: Builder, latent: int, model: int, place: tuple[int, int], name: str) -> None:
    image = made.add("VAEDecode", place, samples=(latent, 0), vae=(model, 2))
    made.add("SaveImage", (place[0] + 340, place[1]), f"course/{name}", images=(image, 0))


FIRST_NOTE = (
    "**1 Text to image.** Follow the wires from left to right: the model, the prompt as vectors, an empty latent, the "
    "sampler, the decoder, the picture.\n\nChange one thing at a time and run again: the seed, the prompt, steps (1, "
    "2, 4, 12), cfg (1, 3, 8), the sampler.\n\n"
    "Which node runs again, and which ones are not needed? ComfyUI marks them."
)
WORKFLOWS = {
    "1 Text to image": lambda: text_to_image(FIRST_NOTE),
    "2 Image to image": image_to_image,
    "3 A change of mind": change_of_mind,
}


def make() -> None:
    """Writes docs/course/workflows."""
    for name, build in WORKFLOWS.items():
        (FOLDER / f"{name}.json").write_text(written(build().workflow()), encoding="utf-8")


if __name__ == "__main__":
    make()
