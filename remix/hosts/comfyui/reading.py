"""Reads a picture's ComfyUI graph: nodes, prompts and sampler settings, if they are simple."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

SETTINGS = (
    *("seed", "noise_seed", "steps", "cfg", "guidance", "sampler_name", "scheduler", "denoise"),
    *("ckpt_name", "unet_name", "vae_name", "width", "height", "batch_size"),
)
TEXT_INPUTS = ("text", "text_g", "text_l", "t5xxl", "clip_l", "clip_g", "prompt", "string", "value")
_MOST_NODES = 10_000

Graph = Mapping[str, Mapping[str, Any]]
"""The inputs of each node."""


@dataclass(frozen=True)
class ComfyGraph:
    """The content of a graph: the number of nodes of each class, its prompts and the settings of its samplers.

    `prompts` and `negatives` are the texts that lead into a sampler's inputs of these names. A graph without such a
    sampler, or a front end's workflow, has all its texts as prompts.
    """

    nodes: Mapping[str, int]
    prompts: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


def read_prompt(prompt: Any) -> ComfyGraph | None:
    """Returns the content of an API graph (``{"3": {"class_type": ..., "inputs": ...}}``); None if it is not one."""
    if not isinstance(prompt, dict):
        return None
    nodes: dict[str, dict[str, Any]] = {
        key: node
        for key, node in list(prompt.items())[:_MOST_NODES]
        if isinstance(node, dict) and isinstance(node.get("class_type"), str)
    }
    if not nodes:
        return None
    graph = {key: node["inputs"] for key, node in nodes.items() if isinstance(node.get("inputs"), dict)}
    counts = Counter(node["class_type"] for node in nodes.values())
    positive, negative, settings = _of_samplers(graph)
    if not positive and not negative:
        positive = dict.fromkeys(text for inputs in graph.values() for text in _own_texts(inputs))
    return ComfyGraph(dict(sorted(counts.items())), tuple(positive), tuple(negative), settings)


def _of_samplers(graph: Graph) -> tuple[dict[str, None], dict[str, None], dict[str, Any]]:
    """Returns the prompts, negatives and settings that lead into samplers; those of an earlier sampler come first.

    Thousands of samplers may be chained, so each walk remembers visited nodes: a visited node has been read, and so
    have all nodes that lead into it.
    """
    positive: dict[str, None] = {}
    negative: dict[str, None] = {}
    settings: dict[str, Any] = {}
    met: dict[str | None, set[str]] = {"positive": set(), "negative": set(), None: set()}
    for key in [key for key, inputs in graph.items() if _is_sampler(inputs)]:
        guider: Any = graph[key].get("guider")
        holders = [key, guider[0]] if _is_link(guider) and guider[0] in graph else [key]
        for holder in holders:
            # A node such as a ControlNet passes both prompts on; only the requested one is followed.
            for found, name, other in (
                (positive, "positive", "negative"),
                (positive, "conditioning", "negative"),
                (negative, "negative", "positive"),
            ):
                for node in _upstream(graph, graph[holder].get(name), met[other], other):
                    found.update(dict.fromkeys(_own_texts(graph[node], name)))
        for node in _upstream(graph, [key, 0], met[None]):
            for name in SETTINGS:
                value = graph[node].get(name)
                if isinstance(value, (str, int, float)):
                    settings.setdefault(name, value)
    return positive, negative, settings


def _is_sampler(inputs: Mapping[str, Any]) -> bool:
    return _is_link(inputs.get("latent_image")) and any(_is_link(inputs.get(name)) for name in ("positive", "guider"))


def _is_link(value: Any) -> bool:
    # An output of another node: its number and the output's place.
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def _upstream(graph: Graph, link: Any, met: set[str], leave_out: str | None = None) -> Iterator[str]:
    """Yields the source node of a link and all nodes that lead into it, nearest first. Inputs `leave_out` are ignored.

    Nodes in `met` are skipped, and the others are added to it.
    """
    waiting: list[str] = []

    def meet(value: Any) -> None:
        if _is_link(value) and value[0] in graph and value[0] not in met:
            met.add(value[0])
            waiting.append(value[0])

    meet(link)
    for node in waiting:
        yield node
        for name, value in graph[node].items():
            if name != leave_out:
                meet(value)


def _own_texts(inputs: Mapping[str, Any], side: str = "") -> Iterator[str]:
    """Yields the texts of a node. Loaders that encode both prompts have one for the `side` that is followed."""
    for name in (*TEXT_INPUTS, *([side] if side else [])):
        value = inputs.get(name)
        if isinstance(value, str) and value.strip():
            yield value


def read_workflow(workflow: Any) -> ComfyGraph | None:
    """Returns the content of a front end's workflow (``{"nodes": [...]}``); None if it is not one."""
    if not isinstance(workflow, dict) or not isinstance(workflow.get("nodes"), list):
        return None
    nodes = [node for node in workflow["nodes"][:_MOST_NODES] if isinstance(node, dict)]
    counts = Counter(str(node["type"]) for node in nodes if isinstance(node.get("type"), str))
    texts: dict[str, None] = {}
    for node in nodes:
        widgets = node.get("widgets_values")
        if "TextEncode" in str(node.get("type")) and isinstance(widgets, list):
            texts.update(dict.fromkeys(text for text in widgets if isinstance(text, str) and text.strip()))
    return ComfyGraph(dict(sorted(counts.items())), tuple(texts)) if counts else None
