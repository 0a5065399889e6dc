"""ComfyUI workflows as the front end saves them, and their conversion to a prompt of the API.

    to_prompt(workflow, definitions)    the nodes that the front end would send, as `Prompt`

The front end saves nodes with their widgets as a list, links by number, and subgraphs as definitions (schema 0.4 and
1.0). The API takes a flat list of nodes whose inputs have names. `definitions` are the server's ``/object_info``,
which has the names of widgets. Without it they come from the inputs that newer workflows list, and from the table of
ComfyUI's own nodes (`remix.hosts.comfyui.definitions`).

Source: the front end's `graphToPrompt` and its `ExecutableNodeDTO` (ComfyUI_frontend 1.49).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from remix.hosts.comfyui.definitions import Definitions, own_definitions
from remix.hosts.comfyui.graph import Nodes, is_link

MUTED, BYPASSED = 2, 4
"""Modes of nodes that do not run."""

VIRTUAL = {"Note", "MarkdownNote", "PrimitiveNode", "Reroute", "GetNode", "SetNode", "Reroute (rgthree)"}
"""Nodes of the front end, which the server does not know."""

INPUTS, OUTPUTS = -10, -20
"""The numbers of the two ends of a subgraph."""

MOST_NODES = 10_000
DEEPEST = 100
"""Limits for nodes in all subgraphs together, and for nodes without effect in a row."""


@dataclass(frozen=True)
class Prompt:
    """A prompt of the API: `nodes` by number, and `notes` on what could not be known, as sentences."""

    nodes: Nodes
    notes: tuple[str, ...] = ()


class NotAWorkflow(ValueError):
    """A value is not a workflow of the front end."""


@dataclass
class _Scope:
    """The nodes and links of a workflow or of an instance of a subgraph."""

    path: str
    nodes: dict[int, Mapping[str, Any]]
    links: dict[int, tuple[int, int]]
    """Link -> the node and the output where it begins."""
    ends: dict[int, int]
    """Output of a subgraph -> the link that leads to it."""
    starts: dict[int, list[tuple[int, int]]]
    """Input of a subgraph -> the nodes and their inputs that it leads to."""
    outer: _Scope | None = None
    instance: Mapping[str, Any] = field(default_factory=dict)
    """The node of the subgraph in `outer`."""

    def number(self, node: int) -> str:
        return f"{self.path}{node}"


@dataclass(frozen=True)
class _Value:
    """The value of a widget of the front end in place of a link."""

    value: Any


def is_workflow(data: Any) -> bool:
    """Returns whether a value from JSON is a workflow of the front end."""
    return isinstance(data, dict) and isinstance(data.get("nodes"), list) and "links" in data


def is_node(data: Any) -> bool:
    """Returns whether a value is a node of a workflow: it has a type and a number."""
    return isinstance(data, dict) and isinstance(data.get("type"), str) and isinstance(data.get("id"), int | str)


def without_envelope(data: Any) -> Any:
    """Returns the prompt in the body of a request to /prompt; any other value unchanged."""
    inner = data.get("prompt") if isinstance(data, dict) else None
    return inner if isinstance(inner, dict) and "class_type" not in inner else data


def classes_in(data: Any) -> set[str]:
    """Returns the classes of the nodes in a workflow or a prompt, also in subgraphs; empty for other values."""
    if not is_workflow(data):
        nodes = data.values() if isinstance(data, Mapping) else ()
        kinds = (node.get("class_type") for node in nodes if isinstance(node, Mapping))
        return {kind for kind in kinds if isinstance(kind, str)}
    found = data.get("definitions")
    subgraphs = found.get("subgraphs") if isinstance(found, Mapping) else None
    graphs = [data, *(each for each in subgraphs or () if isinstance(each, Mapping))]
    own = {str(each.get("id")) for each in graphs[1:]}
    return {node["type"] for graph in graphs for node in _nodes_of(graph)} - own - VIRTUAL


def to_prompt(workflow: Mapping[str, Any], definitions: Definitions | None = None) -> Prompt:
    """Returns the prompt that the front end would send for a workflow.

    Raises `NotAWorkflow` if it is not one, or has more than `MOST_NODES` nodes.
    """
    if not is_workflow(workflow):
        raise NotAWorkflow("not a workflow of ComfyUI's front end: it has no nodes and links")
    return _Conversion(workflow, own_definitions() if definitions is None else definitions).prompt()


class _Conversion:
    """One conversion of a workflow."""

    def __init__(self, workflow: Mapping[str, Any], definitions: Definitions) -> None:
        self._definitions = definitions
        found = workflow.get("definitions")
        subgraphs = found.get("subgraphs") if isinstance(found, Mapping) else None
        self._subgraphs = {
            str(each["id"]): each for each in subgraphs or () if isinstance(each, Mapping) and "id" in each
        }
        self._workflow = workflow
        self._left = MOST_NODES
        self._notes: dict[str, None] = {}
        self._scopes: dict[str, _Scope] = {}

    def prompt(self) -> Prompt:
        outer = self._scope(self._workflow, "")
        nodes: Nodes = {}
        for scope, node in list(self._running(outer, ())):
            nodes[scope.number(node["id"])] = self._converted(scope, node)
        _drop_loose_links(nodes)
        return Prompt(nodes, tuple(self._notes))

    def _scope(
        self,
        graph: Mapping[str, Any],
        path: str,
        outer: _Scope | None = None,
        instance: Mapping[str, Any] | None = None,
    ) -> _Scope:
        nodes: dict[int, Mapping[str, Any]] = {node["id"]: node for node in _nodes_of(graph)}
        self._left -= len(nodes)
        if self._left < 0:
            raise NotAWorkflow(f"the workflow has more than {MOST_NODES} nodes, counting those of its subgraphs")
        scope = _Scope(path, nodes, {}, {}, {}, outer, instance or {})
        for number, source, output, target, slot in _links_of(graph):
            scope.links[number] = (source, output)
            if target == OUTPUTS:
                scope.ends[slot] = number
            if source == INPUTS:
                scope.starts.setdefault(output, []).append((target, slot))
        return scope

    def _running(self, scope: _Scope, above: tuple[str, ...]) -> Iterator[tuple[_Scope, Mapping[str, Any]]]:
        """Yields the nodes that the server gets, with those of subgraphs in place of their instances.

        The front end heeds the mode of a subgraph only outside of other subgraphs. Within them it also sends the inside
        of a muted or bypassed one, although nothing is connected to it.
        """
        for node in scope.nodes.values():
            kind = node["type"]
            nested = scope.outer is not None and kind in self._subgraphs
            if node.get("mode", 0) in (MUTED, BYPASSED) and not nested:
                continue
            if kind in self._subgraphs:
                if kind in above:
                    raise NotAWorkflow("a subgraph of the workflow contains itself")
                yield from self._running(self._inside(scope, node), (*above, kind))
            elif kind not in VIRTUAL:
                yield scope, node

    def _inside(self, scope: _Scope, node: Mapping[str, Any]) -> _Scope:
        path = f"{scope.number(node['id'])}:"
        if path not in self._scopes:
            self._scopes[path] = self._scope(self._subgraphs[node["type"]], path, scope, node)
        return self._scopes[path]

    def _converted(self, scope: _Scope, node: Mapping[str, Any]) -> dict[str, Any]:
        inputs = {name: _sent(value) for name, value in self._widgets(node)}
        for slot in _slots(node, "inputs"):
            if slot.get("link") is None:
                continue
            found = self._source(scope, slot["link"])
            if isinstance(found, _Value):
                inputs[slot["name"]] = _sent(found.value)
            elif found is not None:
                inputs[slot["name"]] = list(found)
        title = node.get("title") or self._definitions.title(node["type"]) or node["type"]
        return {"class_type": node["type"], "inputs": inputs, "_meta": {"title": title}}

    def _source(self, scope: _Scope, link: Any) -> tuple[str, int] | _Value | None:
        """Returns the output where a link really begins, or the value that it carries; None if it carries nothing."""
        for _ in range(DEEPEST):
            if not isinstance(link, int) or link not in scope.links:
                return None
            origin, output = scope.links[link]
            if origin == INPUTS:
                outer_link = self._outer_link(scope, output)
                if scope.outer is None or outer_link is None:
                    return self._promoted(scope, output)
                scope, link = scope.outer, outer_link
                continue
            node = scope.nodes.get(origin)
            if node is None or node.get("mode", 0) == MUTED:
                return None
            if node.get("mode", 0) == BYPASSED:
                link = _bypass(node, output)
            elif node["type"] in self._subgraphs:
                scope = self._inside(scope, node)
                link = scope.ends.get(output)
            elif node["type"] in VIRTUAL:
                if node["type"] == "PrimitiveNode":
                    values = node.get("widgets_values")
                    return _Value(values[0]) if isinstance(values, list) and values else None
                link = _through(scope, node)
            else:
                return scope.number(origin), output
            if link is None:
                return None
        return None

    def _declared(self, scope: _Scope) -> list[Mapping[str, Any]]:
        """Returns the inputs of a subgraph."""
        return _slots(self._subgraphs[scope.instance["type"]], "inputs") if scope.instance else []

    def _outer_link(self, scope: _Scope, index: int) -> Any:
        """Returns the link that leads from outside into an input of a subgraph, None if there is none."""
        declared = self._declared(scope)
        if not 0 <= index < len(declared):
            return None
        slots = _slots(scope.instance, "inputs")
        return next((slot.get("link") for slot in slots if slot["name"] == declared[index]["name"]), None)

    def _promoted(self, scope: _Scope, index: int) -> _Value | None:
        """Returns the value of a widget that a subgraph shows: its own, or that of the node inside."""
        declared = self._declared(scope)
        if not 0 <= index < len(declared) or self._shown(scope, index) is None:
            return None
        values = scope.instance.get("widgets_values")
        order = _order_of_widgets(scope.instance)
        at = sum(self._shown(scope, before) is not None for before in range(index))
        if order:
            at = order.index(declared[index]["name"]) if declared[index]["name"] in order else MOST_NODES
        if isinstance(values, list) and at < len(values) and values[at] is not None:
            return _Value(values[at])
        target, slot = self._shown(scope, index) or (None, "")
        node = scope.nodes.get(target) if target is not None else None
        if node is None:
            return None
        if node["type"] in self._subgraphs:
            inner = self._inside(scope, node)
            names = [each["name"] for each in self._declared(inner)]
            return self._promoted(inner, names.index(slot)) if slot in names else None
        own = dict(self._widgets(node))
        return _Value(own[slot]) if slot in own else None

    def _shown(self, scope: _Scope, index: int) -> tuple[int, str] | None:
        """Returns the node and the name of the widget that an input of a subgraph shows, None if it is a socket."""
        for target, slot in scope.starts.get(index, ()):
            slots = _slots(scope.nodes.get(target, {}), "inputs")
            if 0 <= slot < len(slots) and isinstance(slots[slot].get("widget"), Mapping):
                return target, slots[slot]["name"]
        return None

    def _widgets(self, node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Yields the names and values of a node's widgets."""
        values = node.get("widgets_values") or []
        if isinstance(values, Mapping):
            yield from values.items()
        elif isinstance(values, list):
            yield from self._definitions.named(node, values, self._note)

    def _note(self, sentence: str) -> None:
        self._notes[sentence] = None


def _sent(value: Any) -> Any:
    """Returns a widget's value as the API takes it: a list is wrapped, since it would be a link."""
    return {"__value__": value} if isinstance(value, list) else value


def _order_of_widgets(instance: Mapping[str, Any]) -> list[Any]:
    """Returns the names of a subgraph's own widgets in the order of its values, None for those of nodes inside.

    Empty if the workflow does not list them, as newer ones do; then they have the order of its inputs.
    """
    properties = instance.get("properties")
    shown = properties.get("proxyWidgets") if isinstance(properties, Mapping) else None
    pairs = [each for each in shown if isinstance(each, list) and len(each) == 2] if isinstance(shown, list) else []
    names = [name if str(node) == "-1" else None for node, name in pairs]
    return names if any(names) else []


def _nodes_of(graph: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    return filter(is_node, graph.get("nodes") or ())


def _links_of(graph: Mapping[str, Any]) -> Iterator[tuple[Any, Any, Any, Any, Any]]:
    links = graph.get("links")
    for link in links.values() if isinstance(links, Mapping) else links if isinstance(links, list) else ():
        if isinstance(link, Mapping):
            names = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
            found = tuple(link.get(name) for name in names)
        elif isinstance(link, list) and len(link) >= 5:
            found = tuple(link[:5])
        else:
            continue
        if all(isinstance(part, int | str) for part in found):
            yield found  # type: ignore[misc]


def _slots(node: Mapping[str, Any], side: str) -> list[Mapping[str, Any]]:
    slots = node.get(side)
    found = slots if isinstance(slots, list) else []
    return [slot for slot in found if isinstance(slot, Mapping) and isinstance(slot.get("name"), str)]


def _bypass(node: Mapping[str, Any], output: int) -> Any:
    """Returns the link that takes the place of a bypassed node's output: of the input of its type."""
    outputs, inputs = _slots(node, "outputs"), _slots(node, "inputs")
    if not 0 <= output < len(outputs):
        return None
    kind = outputs[output].get("type")
    opposite = inputs[output : output + 1]
    for slot in (*opposite, *inputs):
        if slot.get("type") == kind or kind == "*" or slot.get("type") == "*":
            return slot.get("link")
    return None


def _through(scope: _Scope, node: Mapping[str, Any]) -> Any:
    """Returns the link into a reroute, or into the node that set what this one gets."""
    if node["type"] == "GetNode":
        name = _first_value(node)
        setters = (each for each in scope.nodes.values() if each["type"] == "SetNode" and _first_value(each) == name)
        node = next(setters, {})
    slots = _slots(node, "inputs")
    return slots[0].get("link") if slots else None


def _first_value(node: Mapping[str, Any]) -> Any:
    values = node.get("widgets_values")
    return values[0] if isinstance(values, Sequence) and not isinstance(values, str) and values else None


def _drop_loose_links(nodes: Nodes) -> None:
    """Removes inputs that are links to nodes that are not in the prompt, as the front end does."""
    for node in nodes.values():
        inputs = node["inputs"]
        for name in [name for name, value in inputs.items() if is_link(value) and value[0] not in nodes]:
            del inputs[name]
