"""ComfyUI workflows, in API or UI format: the text in their schedule node, and the settings of their sampler.

The nodes of FizzNodes, AnimateDiff-Evolved, WanVideoWrapper, Prompt Relay, Comfyroll, deforum-comfy and this toolkit
are read. Any other workflow is refused with the nodes that have a text to copy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from remix.catalog.samplers import SAMPLERS
from remix.catalog.schedulers import SCHEDULERS
from remix.errors import RecipeError
from remix.hosts.comfyui.reading import ComfyGraph, read_prompt, read_workflow
from remix.hosts.comfyui.workflow import BYPASSED, MUTED
from remix.plan.fields import show
from remix.plan.keyframe import MAX_CFG, MAX_SEED
from remix.plan.mix import Mix
from remix.plan.model import Model
from remix.plan.moments import MAX_FRAMES
from remix.syntax.prompt_relay import read_segments
from remix.syntax.text.literal import Node, fields_of, read_all
from remix.syntax.text.parts import Options, Parts
from remix.syntax.text.prompts import prompt_of
from remix.syntax.text.source import Source, Span
from remix.syntax.text.syntax import Shape, Syntax

ReadText = Callable[[Source, Options, "str | None"], Parts]
"""Reads a text in the syntax of a name, detected if that is None."""

_API = re.compile(r'"class_type"\s*:\s*"')
_WORTH = re.compile(r"[0-9][\"']?\s{0,9}:|.{21}", re.DOTALL)
"""A text that may be a schedule: with a key, or long."""
_MOST_NODES = 10_000
_DEEPEST = 20
"""The maximum number of nodes through which a text is traced."""


@dataclass(frozen=True)
class ScheduleNode:
    """The location of a node's schedule: the inputs for text, frames and the text around prompts, and its syntax.

    `widgets` are its inputs in the order of a UI workflow, up to the last that is read.
    """

    text: str
    syntax: str | None
    widgets: tuple[str, ...]
    frames: str = ""
    before: str = ""
    after: str = ""


_FIZZNODES = ScheduleNode("text", "fizznodes", ("text", "max_frames"), "max_frames", "pre_text", "app_text")
_SDXL = replace(
    _FIZZNODES,
    text="text_g",
    widgets=("width", "height", "crop_w", "crop_h", "target_width", "target_height", "text_g", "text_l", "max_frames"),
    before="pre_text_G",
    after="app_text_G",
)
_EVOLVED = ScheduleNode(
    "prompts",
    "animatediff-evolved",
    ("prompts", "print_schedule", "max_length"),
    "max_length",
    "prepend_text",
    "append_text",
)
_WAN = ScheduleNode("positive_prompt", "wan", ("positive_prompt", "negative_prompt"))
_RELAY = ScheduleNode("local_prompts", "prompt-relay", ("global_prompt", "local_prompts", "segment_lengths"))

NODES: Mapping[str, ScheduleNode] = {
    "PromptSchedule": _FIZZNODES,
    "BatchPromptSchedule": _FIZZNODES,
    "BatchPromptScheduleLatentInput": ScheduleNode("text", "fizznodes", ("text",), "", "pre_text", "app_text"),
    "PromptScheduleEncodeSDXL": _SDXL,
    "BatchPromptScheduleEncodeSDXL": _SDXL,
    "StringSchedule": _FIZZNODES,
    "BatchStringSchedule": _FIZZNODES,
    "ADE_PromptScheduling": _EVOLVED,
    "ADE_PromptSchedulingLatents": replace(_EVOLVED, widgets=("prompts",), frames=""),
    "WanVideoTextEncode": _WAN,
    "WanVideoTextEncodeCached": replace(_WAN, widgets=("model_name", "precision", *_WAN.widgets)),
    "PromptRelayEncode": _RELAY,
    "PromptRelayEncodeTimeline": replace(
        _RELAY, widgets=("global_prompt", "max_frames", "timeline_data", "local_prompts", "segment_lengths")
    ),
    "CR Simple Prompt Scheduler": ScheduleNode("keyframe_list", None, ("keyframe_list",)),
    "CR Prompt Scheduler": ScheduleNode(
        "keyframe_list",
        None,
        (
            *("mode", "current_frame", "default_prompt", "schedule_format", "interpolate_prompt", "schedule_alias"),
            *("keyframe_list", "prepend_text", "append_text"),
        ),
        before="prepend_text",
        after="append_text",
    ),
    "DeforumPromptNode": ScheduleNode("prompts", "fizznodes", ("prompts",)),
    "RemixRecipe": ScheduleNode("recipe", None, ("recipe", "frames", "fps", "width", "height", "syntax"), "frames"),
}
"""The nodes with schedules, by their class."""


@dataclass(frozen=True)
class Placed:
    """A node of a workflow: its number, class, and inputs with positions."""

    number: str
    kind: str
    inputs: Mapping[str, Node]


def looks(shape: Shape) -> bool:
    return shape.braced and bool(_API.search(shape.text) or shape.has_keys("nodes", "links"))


def syntax(read_text: ReadText) -> Syntax:
    """Returns the row; `read_text` reads the texts of nodes."""

    def read(source: Source, options: Options) -> Parts:
        return _read(source, options, read_text)

    return Syntax("comfyui", "a ComfyUI workflow", looks, read)


def _read(source: Source, options: Options, read_text: ReadText) -> Parts:
    data = fields_of(source, read_all(source), "this text")
    if "prompt" in data and isinstance(data["prompt"].value, dict):
        data = data["prompt"].value  # the body of a request to /prompt
    is_api = "nodes" not in data
    nodes = _api_nodes(data) if is_api else _ui_nodes(data)
    found = [node for node in nodes.values() if node.kind in NODES and _text(nodes, node, NODES[node.kind].text)]
    if len(found) != 1:
        raise source.error(0, _no_single_schedule(nodes, found))
    node = found[0]
    source.note(f"read from node {node.number} ({node.kind})")
    parts = _schedule(source, nodes, node, options, read_text)
    if node.kind == "RemixRecipe":
        return parts
    read_graph = read_prompt if is_api else read_workflow
    graph = read_graph({name: each.plain() for name, each in data.items()})
    if graph is None:
        return parts
    return _with_graph(source, parts, graph, _text(nodes, node, NODES[node.kind].text), options)


def _with_graph(source: Source, parts: Parts, graph: ComfyGraph, schedule: Span | None, options: Options) -> Parts:
    """Returns the parts with settings from the rest of the graph: seed, negative prompt, sampler settings."""
    settings = _settings(source, graph.settings)
    first: dict[str, Any] = {}
    seed = settings.pop("seed", None)
    if seed is not None and options.seed is None and all(key.seed is None for key in parts.keyframes):
        first["seed"] = Mix.one(seed)
    negatives = [text for text in graph.negatives if schedule is None or text != schedule.text]
    if len(negatives) == 1 and all(key.negative is None for key in parts.keyframes):
        first["negative"] = prompt_of(source, Span(negatives[0], [0] * (len(negatives[0]) + 1)))
    elif negatives and first.get("negative") is None and len(negatives) > 1:
        source.note(f"{len(negatives)} negative prompts lead into samplers; write one into the recipe")
    start, *rest = parts.keyframes
    parts = replace(parts, keyframes=(replace(start, **first), *rest))
    batch = settings.pop("batch_size", None)
    settings |= {"frames": batch} if batch and batch > 1 else {}
    return replace(parts, **{name: value for name, value in settings.items() if getattr(parts, name) is None})


def _no_single_schedule(nodes: Mapping[str, Placed], found: Sequence[Placed]) -> str:
    """Returns the error for a workflow with no schedule or several, naming the nodes that have a text to copy."""
    if found:
        names = ", ".join(f"node {node.number} ({node.kind[:40]})" for node in found[:6])
        return f"there are schedules in {names}; copy the text of one of them"
    texts = [
        f"node {node.number} ({node.kind[:40]})"
        for node in nodes.values()
        if any(isinstance(value.value, Span) and _WORTH.search(value.value.text) for value in node.inputs.values())
    ]
    where = f"; copy the text of {', '.join(texts[:6])}" if texts else ""
    known = ", ".join(dict.fromkeys(kind for kind in NODES))
    return f"there is no schedule in this workflow{where} (nodes that are read: {known})"


def _schedule(
    source: Source, nodes: Mapping[str, Placed], node: Placed, options: Options, read_text: ReadText
) -> Parts:
    row = NODES[node.kind]
    frames = _number(nodes, node, row.frames) if row.frames else None
    before, after = (_text(nodes, node, name) for name in (row.before, row.after))
    numbers = {n: v for n in ("pw_a", "pw_b", "pw_c", "pw_d") if (v := _number(nodes, node, n)) is not None}
    fps = _number(nodes, node, "fps") if node.kind == "RemixRecipe" else None
    inner = replace(
        options,
        frames=options.frames or _length(frames),
        fps=options.fps or fps or None,
        before=" ".join(text for text in (options.before, before.text if before else "") if text),
        after=" ".join(text for text in (after.text if after else "", options.after) if text),
        numbers={**numbers, **options.numbers},
    )
    if row is _RELAY or node.kind.startswith("PromptRelay"):
        names = ("global_prompt", "local_prompts", "segment_lengths")
        return read_segments(source, {name: t for name in names if (t := _text(nodes, node, name))}, inner)
    text = _text(nodes, node, row.text)
    assert text is not None
    kind = "a1111" if row.syntax == "wan" and "|" not in text.text else row.syntax
    if node.kind == "RemixRecipe" and (chosen := _text(nodes, node, "syntax")) and chosen.text != "auto":
        kind = chosen.text
    parts = _nested(source, text, inner, kind, read_text)
    if row is _SDXL and (other := _text(nodes, node, "text_l")) and other.text.strip() != text.text.strip():
        source.note("text_l is left out; the prompts of text_g are for both text encoders")
    if row is _WAN or row.syntax == "wan":
        parts = _with_negative(source, parts, _text(nodes, node, "negative_prompt"))
    if node.kind == "RemixRecipe":
        width, height = (_length(_number(nodes, node, name)) for name in ("width", "height"))
        parts = replace(parts, width=width or parts.width, height=height or parts.height)
    return parts


def _nested(source: Source, text: Span, options: Options, name: str | None, read_text: ReadText) -> Parts:
    """Returns the parts of a text in the workflow; its notes, and the positions of its errors, are the workflow's."""
    nested = Source(text.text, nested=True)
    with source.errors_at(text):
        parts = read_text(nested, options, name)
    for sentence in nested.notes:
        source.note(sentence)
    return parts


def _with_negative(source: Source, parts: Parts, negative: Span | None) -> Parts:
    if negative is None or not negative.text.strip():
        return parts
    first, *rest = parts.keyframes
    return replace(parts, keyframes=(replace(first, negative=prompt_of(source, negative)), *rest))


def _length(value: float | None) -> int | None:
    """Returns a number of frames or pixels; 0 leaves it open."""
    return int(value) if value and 1 <= value <= MAX_FRAMES and value == int(value) else None


def _api_nodes(data: Mapping[str, Node]) -> dict[str, Placed]:
    nodes = {}
    for number, node in list(data.items())[:_MOST_NODES]:
        fields = node.value if isinstance(node.value, dict) else {}
        kind = fields["class_type"].value if "class_type" in fields else None
        inputs = fields["inputs"].value if "inputs" in fields else None
        if isinstance(kind, Span):
            nodes[number] = Placed(number, kind.text, inputs if isinstance(inputs, dict) else {})
    return nodes


def _ui_nodes(data: Mapping[str, Node]) -> dict[str, Placed]:
    """Returns the nodes of a UI workflow, their widgets by name, and inputs with links as in API format."""
    links = {}
    items = data["links"].value if "links" in data and isinstance(data["links"].value, list) else []
    for link in items[: 10 * _MOST_NODES]:
        plain = link.plain()
        if isinstance(plain, list) and len(plain) >= 3:
            links[str(plain[0])] = Node([Node(_span(str(plain[1])), link.at, {}), Node(0, link.at, {})], link.at, {})
    nodes = {}
    for group, node in _ui_items(data):
        fields = node.value if isinstance(node.value, dict) else {}
        off = "mode" in fields and fields["mode"].value in (MUTED, BYPASSED)
        if off or "type" not in fields or "id" not in fields or not isinstance(fields["type"].value, Span):
            continue
        number, kind = f"{group}{fields['id'].plain()}", fields["type"].value.text
        inputs = _widgets(fields, kind)
        sockets = fields["inputs"].value if "inputs" in fields and isinstance(fields["inputs"].value, list) else []
        for socket in sockets:
            plain = socket.plain()
            if isinstance(plain, dict) and isinstance(plain.get("name"), str) and str(plain.get("link")) in links:
                inputs[plain["name"]] = links[str(plain["link"])]
        nodes[number] = Placed(number, kind, inputs)
    return nodes


def _ui_items(data: Mapping[str, Node]) -> Iterator[tuple[str, Node]]:
    """Yields the nodes of a UI workflow and of its subgraphs, those with the number of their subgraph."""
    groups = [("", data)]
    definitions = data["definitions"].value if "definitions" in data else None
    if isinstance(definitions, dict) and "subgraphs" in definitions:
        subgraphs = definitions["subgraphs"].value
        for i, graph in enumerate(subgraphs if isinstance(subgraphs, list) else []):
            if isinstance(graph.value, dict) and "nodes" in graph.value:
                groups.append((f"{i + 1}:", graph.value))
    for group, fields in groups:
        items = fields["nodes"].value
        for node in items[:_MOST_NODES] if isinstance(items, list) else ():
            yield group, node


def _widgets(fields: Mapping[str, Node], kind: str) -> dict[str, Node]:
    values = fields["widgets_values"].value if "widgets_values" in fields else None
    if isinstance(values, dict):
        return dict(values)
    if not isinstance(values, list):
        return {}
    if kind == "PrimitiveNode":
        return {"value": values[0]} if values else {}  # what follows says how the front end changes it
    names = NODES[kind].widgets if kind in NODES else tuple(f"widget {i}" for i in range(len(values)))
    return dict(zip(names, values, strict=False))


def _span(text: str) -> Span:
    return Span(text, range(len(text) + 1))


def _followed(nodes: Mapping[str, Placed], node: Placed, name: str) -> Node | None:
    """Returns the value of an input. Links are followed to simple nodes with a single text or number."""
    value = node.inputs.get(name)
    for _ in range(_DEEPEST):
        if value is None or not isinstance(value.value, list):
            return value
        plain = value.plain()
        if len(plain) != 2 or str(plain[0]) not in nodes:
            return None
        inputs = nodes[str(plain[0])].inputs
        simple = [item for item in inputs.values() if isinstance(item.value, (Span, int, float, list))]
        value = simple[0] if len(simple) == 1 else None
    return None


def _text(nodes: Mapping[str, Placed], node: Placed, name: str) -> Span | None:
    value = _followed(nodes, node, name) if name else None
    return value.value if value is not None and isinstance(value.value, Span) and value.value.text.strip() else None


def _number(nodes: Mapping[str, Placed], node: Placed, name: str) -> float | None:
    value = _followed(nodes, node, name)
    if value is None or isinstance(value.value, bool) or not isinstance(value.value, (int, float)):
        return None
    number: float = value.value
    return number


def _settings(source: Source, graph_settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields of a recipe that samplers, latents and loaders set. A note names unsupported settings."""
    settings = dict(graph_settings)
    found: dict[str, Any] = {}
    for name, low, high in (("steps", 1, 1000), ("batch_size", 1, MAX_FRAMES)):
        if isinstance(value := settings.pop(name, None), int) and low <= value <= high:
            found[name] = value
    cfg = settings.pop("cfg", settings.pop("guidance", None))
    if isinstance(cfg, (int, float)) and 0 <= cfg <= MAX_CFG:
        found["cfg"] = float(cfg)
    for name in ("noise_seed", "seed"):
        if isinstance(value := settings.pop(name, None), int) and 0 <= value <= MAX_SEED:
            found["seed"] = value
    for name, field, known in (("sampler_name", "sampler", SAMPLERS), ("scheduler", "scheduler", SCHEDULERS)):
        if settings.get(name) in known:
            found[field] = settings.pop(name)
    sides = [settings.get("width"), settings.get("height")]
    if all(isinstance(side, int) and 8 <= side <= 8192 and side % 8 == 0 for side in sides):
        found.update(width=settings.pop("width"), height=settings.pop("height"))
    name = settings.pop("ckpt_name", None)
    if isinstance(name, str) and name.strip():
        try:
            found["model"] = Model(checkpoint=name)
        except RecipeError:
            settings["ckpt_name"] = name
    if settings.get("denoise") == 1:
        del settings["denoise"]
    if settings:
        source.note(
            f"not in a recipe, and left out: {', '.join(f'{n} {show(v)}' for n, v in list(settings.items())[:8])}"
        )
    return found
