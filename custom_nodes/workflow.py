"""The running workflow: its links, and the nodes where lists of values and batches of frames are combined.

ComfyUI runs a node once for each item of its longest input list, and repeats the last item of shorter ones. A list of
numbers from Remix Value Travel therefore requires lists of single frames, and two Remix nodes whose lists are combined
require lists of equal length.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import nodes
from comfy_execution.progress import get_progress_state

from remix.errors import BadInput, RemixError

from .inputs import read_recipe

VALUES = "RemixValueTravel"
TRAVELS = ("RemixPromptTravel", "RemixNoiseTravel", "RemixConditioningMix", "RemixLatentBlend")
"""Nodes that output a list of batches and join the lists of their inputs."""

RECIPE_WIDGETS = ("recipe", "frames", "fps", "width", "height", "syntax")

Link = tuple[str, int]
Node = Mapping[str, Any]


@dataclass(frozen=True)
class Partner:
    """A node whose list is combined with that of another node.

    `frames` is its number of frames, the link of its schedule, or None if unknown before it runs. `batch` is its
    batch_size, or None if a link sets it.
    """

    name: str
    meets_at: str
    frames: int | Link | None
    batch: int | None


@dataclass(frozen=True)
class Surroundings:
    """Constraints on a node's list. `by_frame`: each run of a downstream node takes a single frame."""

    by_frame: bool = False
    schedule: Link | None = None
    partners: tuple[Partner, ...] = ()

    def batch_size(self, asked: int) -> int:
        """Returns the frames per batch: `asked` (0: all), or 1 if a list of values is combined with them."""
        return 1 if self.by_frame else asked

    def refuse_unequal(self, frames: int, asked: int) -> None:
        """Raises BadInput if a partner has another number of frames or another batch size."""
        if frames == 1:
            return
        for partner in self.partners:
            if isinstance(partner.frames, int) and partner.frames not in (1, frames):
                raise BadInput(
                    f"frames: there are {frames}, and {partner.name} has {partner.frames}, which meet at "
                    f"{partner.meets_at}; give both the same number, or connect one Remix Recipe to both"
                )
            size, other = (min(count or frames, frames) for count in (asked, partner.batch or 0))
            if size != other and partner.frames is not None and partner.batch is not None and not self.by_frame:
                raise BadInput(
                    f"batch_size: {asked}, and {partner.name} has {partner.batch}, which meet at {partner.meets_at}; "
                    "give both the same"
                )


class Workflow:
    """The nodes of a prompt that an output needs, by number."""

    def __init__(self, graph: Mapping[str, Node]) -> None:
        self._all = graph
        needed = [number for number, node in graph.items() if getattr(_class_of(node), "OUTPUT_NODE", False)]
        alive: set[str] = set()
        while needed:
            number = needed.pop()
            if number not in alive and number in graph:
                alive.add(number)
                needed.extend(source for source, _ in links(graph[number]))
        self.nodes = {number: node for number, node in graph.items() if number in alive}

    @classmethod
    def running(cls) -> Workflow:
        """Returns the workflow that the host is executing or preparing."""
        graph = get_progress_state().dynprompt
        return cls({number: graph.get_node(number) for number in graph.all_node_ids()})

    def name(self, number: str) -> str:
        """Returns the display name of a node: title and number."""
        node = self._all[number]
        return f"{(node.get('_meta') or {}).get('title') or node['class_type']} (node {number})"

    def kind(self, number: str) -> str:
        """Returns the class of a node."""
        return str(self._all[number]["class_type"])

    def consumers(self, number: str) -> list[tuple[str, str, int]]:
        """Returns the consumers of a node's outputs: node number, input, and output index."""
        return self._consumers.get(number, [])

    @cached_property
    def _consumers(self) -> dict[str, list[tuple[str, str, int]]]:
        found: dict[str, list[tuple[str, str, int]]] = {}
        for number, node in self.nodes.items():
            for name, value in node["inputs"].items():
                if (link := link_of(value)) is not None:
                    found.setdefault(link[0], []).append((number, name, link[1]))
        return found

    def mapped(self, number: str) -> set[str]:
        """Returns the nodes that the host runs once per item of a node's lists.

        A node with list inputs ends the mapping.
        """
        found: set[str] = set()
        waiting = [number]
        while waiting:
            for consumer, _, _ in self.consumers(waiting.pop()):
                if consumer not in found and not _takes_lists(self.nodes[consumer]):
                    found.add(consumer)
                    waiting.append(consumer)
        return found

    @cached_property
    def by_frame(self) -> set[str]:
        """Nodes that output a list with an item for each number of a Remix Value Travel."""
        found = {number for number in self.nodes if self.kind(number) == VALUES}
        while found:
            more = {number for number in self.nodes.keys() - found if self._is_by_frame(number, found)}
            if not more:
                break
            found |= more
        return found

    def _is_by_frame(self, number: str, found: set[str]) -> bool:
        fed = any(source in found for source, _ in links(self.nodes[number]))
        if self.kind(number) in TRAVELS:
            return fed or not found.isdisjoint(self.mapped(number))
        return fed and not _takes_lists(self.nodes[number])

    def around(self, number: str) -> Surroundings:
        """Returns the constraints on a node's list."""
        if number not in self.nodes:  # no queued output needs it
            return Surroundings()
        schedule = _schedule_of(self.nodes[number])
        return Surroundings(number in self.by_frame, schedule, tuple(self._partners(number, schedule)))

    def _partners(self, number: str, schedule: Link | None) -> Iterator[Partner]:
        mine = self.mapped(number)
        for other in sorted(self.nodes.keys() - {number}):
            if self.kind(other) not in (VALUES, *TRAVELS):
                continue
            theirs = self.mapped(other)
            shared = mine & theirs
            # The node itself joins and combines lists that arrive through other nodes.
            if VALUES in (self.kind(number), self.kind(other)):
                shared |= self._entered(number, other, theirs) | self._entered(other, number, mine)
            if shared:
                yield self._partner(other, self._first(shared), schedule)

    def _first(self, places: set[str]) -> str:
        """Returns the most upstream of these nodes."""
        first = {place for place in places if places.isdisjoint(source for source, _ in links(self.nodes[place]))}
        return min(first or places)

    def _entered(self, into: str, other: str, way: set[str]) -> set[str]:
        sources = {source for source, _ in links(self.nodes[into])}
        entered = self.kind(into) in TRAVELS and self.kind(other) == VALUES and sources & (way | {other})
        return {into} if entered else set()

    def _partner(self, number: str, place: str, schedule: Link | None) -> Partner:
        node = self.nodes[number]
        batch = node["inputs"].get("batch_size", 0)
        return Partner(
            self.name(number),
            self.name(place),
            self._frames(node, schedule),
            batch if isinstance(batch, int) and self.kind(number) != VALUES else None,
        )

    def _frames(self, node: Node, schedule: Link | None) -> int | Link | None:
        """Returns a node's number of frames from its widgets and recipe, the link of its schedule, or None."""
        inputs = node["inputs"]
        theirs = _schedule_of(node)
        if theirs is not None:
            return theirs if theirs == schedule else self._length(theirs)
        frames = inputs.get("weights.frames")
        return frames if inputs.get("weights") == "travel" and isinstance(frames, int) else None

    def _length(self, schedule: Link) -> int | Link:
        node = self._all.get(schedule[0], {})
        inputs = node.get("inputs", {})
        widgets = {name: inputs.get(name) for name in RECIPE_WIDGETS}
        if node.get("class_type") != "RemixRecipe" or any(link_of(value) for value in widgets.values()):
            return schedule
        try:
            return read_recipe(**widgets)[0].frames
        except RemixError:  # Remix Recipe reports it with the position
            return schedule


def surroundings_of(node: type[Any]) -> Surroundings:
    """Returns the constraints on the list of the node that the host is calling, in the running workflow."""
    number = getattr(node.hidden, "unique_id", None)
    return Surroundings() if number is None else Workflow.running().around(number)


def links(node: Node) -> Iterator[Link]:
    """Yields the outputs connected to a node's inputs."""
    for value in node["inputs"].values():
        if (link := link_of(value)) is not None:
            yield link


def link_of(value: Any) -> Link | None:
    """Returns the output that an input is connected to, or None for a widget value."""
    linked = isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)
    return (value[0], value[1]) if linked else None


def _schedule_of(node: Node) -> Link | None:
    return link_of(node["inputs"].get("schedule")) or link_of(node["inputs"].get("weights.schedule"))


def _class_of(node: Node) -> Any:
    return nodes.NODE_CLASS_MAPPINGS.get(node["class_type"])


def _takes_lists(node: Node) -> bool:
    return bool(getattr(_class_of(node), "INPUT_IS_LIST", False))
