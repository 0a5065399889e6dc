"""Prompts of ComfyUI's API, written as nodes and links: nodes as calls, links as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from remix.digest import canonical, sha256

Nodes = dict[str, dict[str, Any]]
"""A prompt as ComfyUI takes it: nodes by their numbers."""


def is_link(value: Any) -> bool:
    """Returns whether an input of a prompt is an output of another node: its number and the place of the output."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)


@dataclass(frozen=True)
class Link:
    """One output of a node."""

    node: str
    output: int = 0

    @property
    def plain(self) -> list[Any]:
        """Returns the link in the form of the API."""
        return [self.node, self.output]


class Graph:
    """A graph that grows node by node; equal nodes are merged.

    >>> graph = Graph()
    >>> model, clip, vae = graph.several("CheckpointLoaderSimple", 3, ckpt_name="a.safetensors")
    >>> graph.one("CLIPTextEncode", clip=clip, text="a cat")
    Link(node='2', output=0)
    """

    def __init__(self) -> None:
        self.nodes: Nodes = {}
        self._numbers: dict[str, str] = {}

    def several(self, kind: str, outputs: int, **inputs: Any) -> tuple[Link, ...]:
        """Returns the links to the outputs of a node of this kind."""
        plain = {name: value.plain if isinstance(value, Link) else value for name, value in inputs.items()}
        key = canonical([kind, plain])
        if key not in self._numbers:
            number = self._numbers[key] = str(len(self.nodes) + 1)
            # A server that rewrites replaced nodes asks for the title of each.
            self.nodes[number] = {"class_type": kind, "inputs": plain, "_meta": {"title": kind}}
        return tuple(Link(self._numbers[key], output) for output in range(outputs))

    def one(self, kind: str, **inputs: Any) -> Link:
        """Returns the link to the first output of a node of this kind."""
        return self.several(kind, 1, **inputs)[0]

    def digest(self) -> str:
        """Returns the SHA-256 (hex) of the whole graph."""
        return sha256(canonical(self.nodes).encode())
