"""A workflow whose inputs are set frame by frame: finds the inputs and the output, and builds the graph of a frame.

    keyframed(nodes, info, names, output)   the workflow with the inputs called `names`, checked against a server
    Keyframed.problems(values)              what the server does not accept, as sentences
    Keyframed.graph(values, prefix)         the prompt of one frame, and the node that saves its pictures

A text that travels is a mix. The node that it belongs to is repeated for each of its texts, and the results are mixed
by ComfyUI's own nodes: conditionings by ConditioningAverage, pictures by ImageBlend.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remix.digest import canonical, sha256
from remix.errors import BadInput
from remix.hosts.comfyui.editing import all_inputs, find_input, find_node, inputs_of, spelled, title_of
from remix.hosts.comfyui.graph import Nodes, is_link
from remix.hosts.model_names import suggestion
from remix.plan import Mix
from remix.plan.fields import show
from remix.plan.wording import listed

MIXABLE = ("CONDITIONING", "IMAGE")
"""Types of outputs that can be mixed."""

FRAMES = ("IMAGE", "VIDEO")
"""Types of outputs that hold the frames."""

PREVIEWS = ("PreviewImage", "PreviewAny", "MaskPreview", "ImageCompare")
"""Output nodes that are taken only if there is no other."""

DYNAMIC = "COMFY_DYNAMICCOMBO_V3"

Info = Mapping[str, Any]
"""A server's ``/object_info``: the description of each class."""

Values = Mapping[str, Any]
"""The values of a frame by name: numbers, switches, and mixes of texts."""


@dataclass(frozen=True)
class Track:
    """An input that keyframes set: its node and name there, its type, its choices if it has a list, and its limits."""

    node: str
    slot: str
    kind: str
    choices: tuple[str, ...] | None = None
    low: float = -math.inf
    high: float = math.inf

    def sent(self, value: Any) -> Any:
        """Returns a value as the server takes it. Numbers are rounded for whole inputs, and written out for texts."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return spelled(value, self.choices)
        if self.kind == "INT":
            return value if isinstance(value, int) else math.floor(value + 0.5)
        if self.kind == "STRING" or self.choices is not None:
            return str(value) if isinstance(value, int) else f"{value:.9g}"
        return value

    def problem(self, value: Any, uploaded: Collection[str]) -> str | None:
        """Returns why the server does not accept a value, None if it does. It gets the `uploaded` pictures."""
        given = [each for each in (value.values if isinstance(value, Mix) else (value,)) if each not in uploaded]
        wanted = {"INT": "a number", "FLOAT": "a number", "BOOLEAN": "true or false"}.get(self.kind)
        for each in given:
            text, switch = isinstance(each, str), isinstance(each, bool)
            if wanted is not None and (text or switch != (self.kind == "BOOLEAN")):
                return f"{show(each)} is not {wanted}, which the input takes; write one"
            if self.kind == "STRING" and switch:
                return f"{show(each)} is not a text, which the input takes; put it in quotes"
            if not text and not switch and not self.low <= each <= self.high:
                return f"{each:g} is outside of {self.low:g} to {self.high:g}; choose a number inside"
            if self.choices is not None and str(self.sent(each)) not in self.choices:
                return f"the server has no {show(each)}; {suggestion(str(each)[:100], self.choices)}"
        return None


@dataclass(frozen=True)
class Keyframed:
    """A workflow with the inputs that keyframes set. `frames` is the output that holds the frames, `kind` its type."""

    nodes: Nodes
    outputs: Mapping[str, Sequence[str]]
    """The types of the outputs of each class."""
    tracks: Mapping[str, Track]
    frames: tuple[str, int]
    kind: str
    files: frozenset[tuple[str, str]] = frozenset()
    """The inputs that name a file which users upload: their nodes and names there."""

    def problems(self, values: Values, uploaded: Collection[str]) -> Iterator[str]:
        """Yields what the server does not accept of the values of a frame. It gets the `uploaded` pictures."""
        for name, value in values.items():
            problem = self.tracks[name].problem(value, uploaded)
            if problem is not None:
                yield f"{name}: {problem}"
        for key in self._mixed(values):
            yield from self._cannot_mix(key, values)

    def _mixed(self, values: Values) -> list[str]:
        """Returns the nodes with texts that are mixed."""
        names = [name for name, value in values.items() if isinstance(value, Mix) and len(value.values) > 1]
        return list(dict.fromkeys(self.tracks[name].node for name in names))

    def _cannot_mix(self, key: str, values: Values) -> Iterator[str]:
        names = [name for name, value in values.items() if self.tracks[name].node == key and _is_mixed(value)]
        if len({values[name].weights for name in names}) > 1:
            yield f"{names[1]}: is mixed with other weights than {names[0]}, which is an input of the same node"
        kinds = {self._type_of(node, output) for node, output in self._links() if node == key}
        if not kinds or (not kinds <= {MIXABLE[0]} and not kinds <= {MIXABLE[1]}):
            gives = listed(sorted(kinds)) if kinds else "nothing"
            yield (
                f"{names[0]}: travels from one text to another, and its node gives {gives}, which cannot be mixed; add "
                f'it to the list: hold = ["{names[0]}"], or set the text of the node that encodes it'
            )

    def _links(self) -> set[tuple[str, int]]:
        """Returns all outputs that are used."""
        used = {
            (link[0], link[1]) for node in self.nodes.values() for link in inputs_of(node).values() if is_link(link)
        }
        return used | {self.frames}

    def _type_of(self, node: str, output: int) -> str:
        kinds = self.outputs.get(str(self.nodes[node]["class_type"]), ()) if node in self.nodes else ()
        return kinds[output] if 0 <= output < len(kinds) else "an unknown type"

    def graph(self, values: Values, prefix: str, uploaded: Mapping[str, str]) -> tuple[Nodes, str]:
        """Returns the prompt of a frame with these values, and the number of the node that saves its pictures.

        The pictures are saved under `prefix`. Only nodes that they depend on are included.
        """
        nodes: Nodes = {key: {**node, "inputs": dict(inputs_of(node))} for key, node in self.nodes.items()}
        for name, value in values.items():
            track = self.tracks[name]
            first = value.values[0] if isinstance(value, Mix) else value
            nodes[track.node]["inputs"][track.slot] = self._sent(track, first, uploaded)
        frames = list(self.frames)
        for key in self._mixed(values):
            used = [(output, _takers(nodes, key, output)) for node, output in sorted(self._links()) if node == key]
            weighted = self._copies(nodes, key, values, uploaded)
            for output, takers in used:
                mixed = _mix(nodes, weighted, output, self._type_of(key, output))
                for inputs, slot in takers:
                    inputs[slot] = mixed
                frames = mixed if frames == [key, output] else frames
        if self.kind == "VIDEO":
            frames = _added(nodes, "GetVideoComponents", {"video": frames})
        saved = _added(nodes, "SaveImage", {"images": frames, "filename_prefix": prefix})[0]
        return _needed(nodes, saved), saved

    def _sent(self, track: Track, value: Any, uploaded: Mapping[str, str]) -> Any:
        sent = track.sent(value)
        return uploaded.get(sent, sent) if track.choices is not None else sent

    def _copies(self, nodes: Nodes, key: str, values: Values, uploaded: Mapping[str, str]) -> list[tuple[str, float]]:
        """Adds a copy of a node for each further text of its mix. Returns the numbers of all, with their weights."""
        mixes = [(self.tracks[name], value) for name, value in values.items() if _is_mixed(value)]
        mixes = [(track, value) for track, value in mixes if track.node == key]
        weights: Sequence[float] = mixes[0][1].weights
        found = [(key, weights[0])]
        for place, weight in enumerate(weights[1:], 1):
            texts = {track.slot: self._sent(track, value.values[place], uploaded) for track, value in mixes}
            other = _added(nodes, nodes[key]["class_type"], {**nodes[key]["inputs"], **texts})
            found.append((other[0], weight))
        return found

    def mixes_conditionings(self, name: str) -> bool:
        """Returns whether the texts of an input are mixed as conditionings."""
        node = self.tracks[name].node
        return any(self._type_of(key, output) == "CONDITIONING" for key, output in self._links() if key == node)

    def digest(self) -> str:
        """Returns the SHA-256 (hex) of what all frames share: the nodes without the inputs that keyframes set."""
        nodes = {key: {**node, "inputs": dict(inputs_of(node))} for key, node in self.nodes.items()}
        for track in self.tracks.values():
            nodes[track.node]["inputs"].pop(track.slot, None)
        kept = _needed(nodes, self.frames[0])
        plain = {key: [node["class_type"], node["inputs"]] for key, node in kept.items()}
        return sha256(canonical([plain, *self.frames]).encode())

    def uploads(self, frames: Iterable[Values]) -> set[str]:
        """Returns the names of uploaded files that any of these frames takes."""
        found = {track: name for name, track in self.tracks.items() if (track.node, track.slot) in self.files}
        given = [values[name] for values in frames for name in found.values() if name in values]
        names = [each for value in given for each in (value.values if isinstance(value, Mix) else (value,))]
        tracked = {(track.node, track.slot) for track in self.tracks.values()}
        needed = _needed(self.nodes, self.frames[0])
        names += [inputs_of(needed[key]).get(slot) for key, slot in self.files - tracked if key in needed]
        return {name for name in names if isinstance(name, str)}

    def fixed(self) -> Iterator[tuple[str, Any]]:
        """Yields the names and values of all inputs that keyframes do not set."""
        tracked = {(track.node, track.slot) for track in self.tracks.values()}
        for key, node in self.nodes.items():
            for slot, value in inputs_of(node).items():
                if (key, slot) not in tracked:
                    yield slot, value


def keyframed(nodes: Nodes, info: Info, names: Sequence[str], output: str | None = None) -> Keyframed:
    """Returns a workflow with the inputs called `names`, such as ``KSampler.cfg``, whose frames are those of `output`.

    `info` describes all classes of `nodes`. Raises BadInput, with the nearest name, for an input or a node that does
    not exist.
    """
    tracks: dict[str, Track] = {}
    for name in names:
        key, slot = _input_of(nodes, info, name)
        if other := next((each for each, track in tracks.items() if (track.node, track.slot) == (key, slot)), None):
            raise BadInput(f"{name}: is the same input as {other}; use one of the names in all keyframes")
        tracks[name] = _track(name, key, slot, _declared(info, nodes[key], slot))
    key, place, kind = _frames_of(nodes, info, output)
    described = {kind: about for kind, about in info.items() if isinstance(about, Mapping)}
    outputs = {kind: tuple(map(str, _list(about.get("output")))) for kind, about in described.items()}
    files = {(node, slot) for node in nodes for slot, row in all_inputs(info, nodes[node]).items() if _is_uploaded(row)}
    return Keyframed(nodes, outputs, tracks, (key, place), kind, frozenset(files))


def _input_of(nodes: Nodes, info: Info, name: str) -> tuple[str, str]:
    """Returns the node and the input of a name. An optional input need not be in the workflow."""
    try:
        return find_input(nodes, name)
    except BadInput:
        node, _, slot = name.rpartition(".")
        if node:
            key = find_node(nodes, node)
            if slot in all_inputs(info, nodes[key]):
                return key, slot
        raise


def _is_uploaded(declared: Any) -> bool:
    """Returns whether an input names a file that users upload, such as a picture."""
    options = declared[1] if isinstance(declared, list) and len(declared) > 1 else None
    return isinstance(options, Mapping) and any(name.endswith("_upload") and each for name, each in options.items())


def _declared(info: Info, node: Mapping[str, Any], slot: str) -> Any:
    return all_inputs(info, node).get(slot)


def _track(name: str, key: str, slot: str, declared: Any) -> Track:
    """Returns the track of an input as a server describes it: ``[type, options]``. Without a description, of any."""
    if not isinstance(declared, list) or not declared:
        return Track(key, slot, "*")
    kind, options = declared[0], declared[1] if len(declared) > 1 and isinstance(declared[1], Mapping) else {}
    if isinstance(kind, list):
        return Track(key, slot, "COMBO", tuple(map(str, kind)))
    if kind == "COMBO":
        return Track(key, slot, kind, tuple(map(str, _list(options.get("options")))))
    if kind == DYNAMIC:
        rows = [row for row in _list(options.get("options")) if isinstance(row, Mapping) and "key" in row]
        return Track(key, slot, kind, tuple(str(row["key"]) for row in rows))
    first = str(kind).split(",")[0]
    if first not in ("INT", "FLOAT", "STRING", "BOOLEAN", "COLOR", "*"):
        raise BadInput(f"{name}: takes a {kind} from another node, and no value; set an input of that node")
    low, high = (options.get(side) for side in ("min", "max"))
    return Track(
        key,
        slot,
        str(kind),
        None,
        low if isinstance(low, int | float) else -math.inf,
        high if isinstance(high, int | float) else math.inf,
    )


def _frames_of(nodes: Nodes, info: Info, wanted: str | None) -> tuple[str, int, str]:
    """Returns the output with the frames and its type: that of the node called `wanted`, or of the only one that saves.

    Raises BadInput if there is none, or several.
    """
    if wanted is not None:
        key = find_node(nodes, wanted)
        about = info.get(str(nodes[key]["class_type"]))
        kinds = about.get("output") if isinstance(about, Mapping) else None
        given = [(key, place, kind) for kind in FRAMES for place, each in enumerate(_list(kinds)) if each == kind]
        taken = _taken(nodes, info, key)
        # A node that saves may pass its pictures on as well, but would save them once more.
        if found := ([*taken, *given] if _is_output(info, nodes[key]) else [*given, *taken]):
            return found[0]
        raise BadInput(f"workflow.output: node {key} ({title_of(nodes[key])}) neither gives nor saves pictures")
    saving = [key for key in nodes if _is_output(info, nodes[key]) and _taken(nodes, info, key)]
    shown = [key for key in saving if nodes[key]["class_type"] not in PREVIEWS] or saving
    outputs = {_taken(nodes, info, key)[0]: key for key in reversed(shown)}
    if not outputs:
        raise BadInput(
            'workflow: no node of it saves pictures; add "Save Image", or name a node: output = "VAE Decode"'
        )
    if len(outputs) > 1:
        names = [f'"{title_of(nodes[key])}" (node {key})' for key in sorted(outputs.values())]
        raise BadInput(f"workflow: {listed(names)} save pictures; write the one with the frames: output = ...")
    return next(iter(outputs))


def _taken(nodes: Nodes, info: Info, key: str) -> list[tuple[str, int, str]]:
    """Returns the outputs with pictures that lead to a node, those of type IMAGE first."""
    found = []
    for link in inputs_of(nodes[key]).values():
        if not is_link(link) or link[0] not in nodes:
            continue
        about = info.get(str(nodes[link[0]]["class_type"]))
        kinds = _list(about.get("output")) if isinstance(about, Mapping) else []
        if 0 <= link[1] < len(kinds) and kinds[link[1]] in FRAMES:
            found.append((link[0], link[1], str(kinds[link[1]])))
    return sorted(found, key=lambda each: FRAMES.index(each[2]))


def _is_output(info: Info, node: Mapping[str, Any]) -> bool:
    about = info.get(str(node.get("class_type")))
    return isinstance(about, Mapping) and bool(about.get("output_node"))


def _takers(nodes: Nodes, key: str, output: int) -> list[tuple[dict[str, Any], str]]:
    """Returns the inputs that are links to an output of the node `key`: those of a node, and the name of one."""
    return [
        (node["inputs"], slot)
        for node in nodes.values()
        for slot, link in inputs_of(node).items()
        if is_link(link) and link == [key, output]
    ]


def _mix(nodes: Nodes, weighted: Sequence[tuple[str, float]], output: int, kind: str) -> list[Any]:
    """Adds the nodes that mix one output of nodes with weights. Returns their output."""
    (first, total), *others = weighted
    link: list[Any] = [first, output]
    for key, weight in others:
        total += weight
        if kind == "CONDITIONING":
            how: dict[str, Any] = {"conditioning_to": link, "conditioning_from": [key, output]}
            link = _added(nodes, "ConditioningAverage", {**how, "conditioning_to_strength": 1 - weight / total})
        else:
            how = {"image1": link, "image2": [key, output], "blend_mode": "normal"}
            link = _added(nodes, "ImageBlend", {**how, "blend_factor": weight / total})
    return link


def _is_mixed(value: Any) -> bool:
    return isinstance(value, Mix) and len(value.values) > 1


def _list(value: Any) -> list[Any]:
    """Returns a list unchanged, and [] for anything else."""
    return value if isinstance(value, list) else []


def _added(nodes: Nodes, kind: str, inputs: Mapping[str, Any]) -> list[Any]:
    """Adds a node, and returns the link to its first output."""
    number = next(name for name in (f"remix{count}" for count in range(1, len(nodes) + 2)) if name not in nodes)
    nodes[number] = {"class_type": kind, "inputs": dict(inputs), "_meta": {"title": kind}}
    return [number, 0]


def _needed(nodes: Nodes, key: str) -> Nodes:
    """Returns a node and those that it depends on, in the order of `nodes`."""
    wanted, left = set[str](), [key]
    while left:
        one = left.pop()
        if one not in wanted and one in nodes:
            wanted.add(one)
            left += [link[0] for link in inputs_of(nodes[one]).values() if is_link(link)]
    return {one: node for one, node in nodes.items() if one in wanted}
