"""Reads what made a picture from its ComfyUI graph: the sampling passes, with prompts, settings, models and LoRAs.

    read_prompt(prompt)        a prompt of the API, or a request that holds one
    read_workflow(workflow)    a workflow as the front end saves it

A *pass* is a node that samples. Its settings are searched from its inputs upwards: through links to values, switches
and nodes that pass things on, but not through the latent of an earlier pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from remix.hosts.comfyui.graph import is_link
from remix.hosts.comfyui.workflow import NotAWorkflow, is_workflow, to_prompt, without_envelope
from remix.hosts.record import Strength

SETTINGS = (
    *("seed", "noise_seed", "steps", "cfg", "guidance", "sampler_name", "scheduler", "denoise"),
    *("ckpt_name", "unet_name", "vae_name", "width", "height", "batch_size"),
)
"""The inputs that are settings, by ComfyUI's names."""

ALIASES: Mapping[str, tuple[str, ...]] = {
    **{name: (f"empty_latent_{name}",) for name in ("width", "height")},
    "ckpt_name": ("base_ckpt_name",),
    "unet_name": ("model", "model_name"),
}
"""Other names of settings in popular nodes. Of those of the network, only texts count, since others are links."""

SIZES = ("width", "height", "batch_size")
"""Those that only the nodes of the latent have; conditioning nodes have inputs of these names for other sizes."""

TEXT_INPUTS = (
    *("text", "text_g", "text_l", "t5xxl", "clip_l", "clip_g", "llama", "prompt", "tags", "string", "value", "Text"),
    *("text_0", "text_a", "text_b", "text_c", "text_d", "string_a", "string_b"),
)
POPULATED = "populated_text"
"""The text of a wildcard node after its choices; its other texts are not the prompt."""

LATENTS = ("latent_image", "samples", "latent", "image", "images", "pixels", "optional_latent", "image_embeds")
CONDITIONINGS = ("positive", "negative", "conditioning", "guider", "text_embeds", "cond1", "cond2")
NOT_SETTINGS = (*LATENTS, *CONDITIONINGS[:3], *CONDITIONINGS[4:], "control_net", "clip_vision")
"""Inputs that lead away from a pass's settings. A guider holds some of them."""

SIDES: Mapping[str, tuple[str, ...]] = {
    "positive": ("positive", "conditioning", "cond1", "cond2", "text_embeds"),
    "negative": ("negative", "text_embeds"),
}
"""Prompt -> the inputs of a sampler or guider that lead to it."""

VALUES = ("value", "int", "float", "number", "Number", "Value", "seed", "noise_seed", "text", "string", "INT", "FLOAT")
"""Inputs that hold the value of a node with a single one."""

_MOST_NODES = 10_000
_DEEPEST = 50

Graph = Mapping[str, Mapping[str, Any]]
"""The inputs of each node."""


@dataclass(frozen=True)
class Pass:
    """A sampling pass, by the number and the class of its node.

    `settings` have ComfyUI's names. `found` has the node in which each setting, and each kind of the rest, was found.
    """

    node: str
    kind: str
    prompts: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    loras: tuple[Strength, ...] = ()
    controlnets: tuple[Strength, ...] = ()
    clip_skip: int | None = None
    found: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ComfyGraph:
    """The content of a graph: the number of nodes of each class, and its passes, from the first to the last.

    `prompts`, `negatives` and `settings` are those of all passes; an earlier pass's settings come first. A graph
    without a pass has all its texts as prompts. `notes` say what of a workflow could not be known.
    """

    nodes: Mapping[str, int]
    prompts: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    passes: tuple[Pass, ...] = ()
    notes: tuple[str, ...] = ()


def read_prompt(prompt: Any, notes: Sequence[str] = ()) -> ComfyGraph | None:
    """Returns the content of an API graph (``{"3": {"class_type": ..., "inputs": ...}}``); None if it is not one."""
    prompt = without_envelope(prompt)
    if not isinstance(prompt, dict):
        return None
    nodes: dict[str, dict[str, Any]] = {
        key: node
        for key, node in list(prompt.items())[:_MOST_NODES]
        if isinstance(node, dict) and isinstance(node.get("class_type"), str)
    }
    if not nodes:
        return None
    reader = _Reader(
        {key: node["inputs"] for key, node in nodes.items() if isinstance(node.get("inputs"), dict)}, nodes
    )
    passes = tuple(reader.passes())
    prompts = dict.fromkeys(text for each in passes for text in each.prompts)
    negatives = dict.fromkeys(text for each in passes for text in each.negatives)
    if not prompts and not negatives:
        prompts = dict.fromkeys(text for key in reader.graph for text in reader.own_texts(key, ""))
    settings: dict[str, Any] = {}
    for each in passes:
        settings = {**each.settings, **settings}
    counts = dict(sorted(Counter(node["class_type"] for node in nodes.values()).items()))
    return ComfyGraph(counts, tuple(prompts), tuple(negatives), settings, passes, tuple(notes))


def read_workflow(workflow: Any) -> ComfyGraph | None:
    """Returns the content of a front end's workflow (``{"nodes": [...]}``); None if it is not one."""
    if not is_workflow(workflow):
        return None
    try:
        prompt = to_prompt(workflow)
    except NotAWorkflow:
        return None
    return read_prompt(prompt.nodes, prompt.notes)


class _Reader:
    """Reads one graph. All walks together visit a bounded number of nodes."""

    def __init__(self, graph: Graph, nodes: Mapping[str, Mapping[str, Any]]) -> None:
        self.graph = graph
        self._kinds = {key: str(nodes[key]["class_type"]) for key in graph}
        self._samplers = {key for key in graph if self._samples(key)}
        self._decoders: dict[str, list[str]] = {}
        for key, inputs in graph.items():
            if is_link(inputs.get("samples")) and is_link(inputs.get("vae")):
                self._decoders.setdefault(inputs["samples"][0], []).append(key)
        self._left = 50 * len(graph) + 1000

    def passes(self) -> Iterator[Pass]:
        """Yields the passes, each after those whose latents it takes."""
        begun: set[str] = set()
        done: set[str] = set()
        for last in self.graph:
            waiting = [last] if last in self._samplers else []
            while waiting:
                key = waiting[-1]
                before = [] if key in begun else [one for one in self._before(key) if one not in begun]
                begun.add(key)
                waiting.extend(before)
                if not before:
                    waiting.pop()
                    if key not in done:
                        done.add(key)
                        yield self._pass(key)

    def own_texts(self, key: str, side: str) -> Iterator[str]:
        """Yields the texts of a node. Loaders that encode both prompts have one for each side."""
        inputs = self.graph[key]
        sided = (side, f"{side}_prompt", f"text_{side}") if side else ()
        names = (POPULATED,) if POPULATED in inputs else (*TEXT_INPUTS, *sided)
        for name in names:
            value = self._value(inputs.get(name), name)
            if isinstance(value, str) and value.strip():
                yield value

    def _samples(self, key: str) -> bool:
        inputs = self.graph[key]
        conditioned = any(is_link(inputs.get(name)) for name in ("positive", "guider", "text_embeds"))
        seeded = any(name in inputs for name in ("seed", "noise_seed", "noise"))
        return conditioned and (is_link(inputs.get("latent_image")) or (seeded and self._has_latent(inputs)))

    def _has_latent(self, inputs: Mapping[str, Any]) -> bool:
        return any(is_link(inputs.get(name)) for name in (*LATENTS, "model"))

    def _before(self, key: str) -> list[str]:
        """Returns the passes whose latents or pictures a pass takes."""
        starts = [self.graph[key].get(name) for name in LATENTS]
        return [node for node in self._upstream(starts, {key}) if node in self._samplers and node != key]

    def _pass(self, key: str) -> Pass:
        inputs, kind, found = self.graph[key], self._kinds[key], dict[str, str]()
        guider = self._node(inputs.get("guider"))
        holders = [key, *([guider] if guider else [])]
        sides: dict[str, list[str]] = {}
        for side, names in SIDES.items():
            starts = [self.graph[holder].get(name) for holder in holders for name in names]
            sides[side] = self._conditioning(starts, side)
        texts = {
            side: tuple(dict.fromkeys(text for node in nodes for text in self.own_texts(node, side)))
            for side, nodes in sides.items()
        }
        settings = self._settings(key, found)
        models = self._upstream([self.graph[holder].get("model") for holder in holders], {key})
        clips = self._upstream([self.graph[node].get("clip") for node in sides["positive"]], {key})
        return Pass(
            *(key, kind, texts["positive"], texts["negative"], settings),
            loras=tuple(lora for node in dict.fromkeys([*models, *clips]) for lora in self._loras(node)),
            controlnets=tuple(self._controlnets(sides["positive"])),
            clip_skip=self._clip_skip([*clips, *sides["positive"]]),
            found=found,
        )

    def _settings(self, key: str, found: dict[str, str]) -> dict[str, Any]:
        settings: dict[str, Any] = {}
        own = self._upstream([[key, 0]], set(), NOT_SETTINGS, into_passes=True)
        latent = self._upstream([self.graph[key].get(name) for name in LATENTS], {key}, ("positive", "negative"))
        decoders = self._decoders.get(key, [])
        vae = self._upstream(
            [self.graph[node].get("vae") for node in [key, *decoders]], {key}, NOT_SETTINGS, into_passes=True
        )
        # A loader may give the model and the latent.
        models = self._upstream([self.graph[key].get("model")], {key})
        for nodes, names in (
            (
                [node for node in own if node not in latent or node in models],
                [name for name in SETTINGS if name not in SIZES],
            ),
            ([node for node in latent if node not in self._samplers] or [key], SIZES),
            (vae, ["vae_name"]),
        ):
            for node in nodes:
                for name in names:
                    value = self._setting(node, name)
                    if name in SIZES and not (isinstance(value, int) and value > 0):
                        continue  # 0: another node has it
                    if isinstance(value, str | int | float) and name not in settings:
                        settings[name] = value
                        found[name] = f"{node} ({self._kinds[node]})"
        return settings

    def _setting(self, node: str, name: str) -> Any:
        """Returns the value of a setting in a node, None if it has none."""
        inputs = self.graph[node]
        if name in inputs:
            return self._value(inputs[name], name)
        found = next((inputs[other] for other in ALIASES.get(name, ()) if other in inputs), None)
        return None if is_link(found) else found

    def _conditioning(self, starts: Sequence[Any], side: str) -> list[str]:
        """Returns the nodes that lead into one side of a pass, nearest first, without those that a node empties."""
        other = "negative" if side == "positive" else "positive"
        return self._upstream(starts, set(), (other, "model", "vae", "clip"), emptied=True)

    def _loras(self, key: str) -> Iterator[Strength]:
        inputs = self.graph[key]
        name = self._value(inputs.get("lora_name"), "lora_name")
        if isinstance(name, str):
            given = [inputs.get(f"strength_{part}", inputs.get(f"lora_{part}_strength")) for part in ("model", "clip")]
            if name not in ("None", ""):
                yield _strength(name, *(self._value(each, "strength") for each in given))
        for slot, value in inputs.items():
            if isinstance(value, Mapping) and isinstance(value.get("lora"), str) and value.get("on", True):
                yield _strength(value["lora"], value.get("strength"), value.get("strengthTwo"))
            number = slot.rpartition("_")[2]
            if slot.startswith("lora_name_") and isinstance(value, str) and value not in ("None", ""):
                names = (f"lora_wt_{number}", f"model_str_{number}", f"model_weight_{number}", f"strength_{number}")
                yield _strength(value, next((inputs[each] for each in names if each in inputs), None), None)

    def _controlnets(self, conditioning: Sequence[str]) -> Iterator[Strength]:
        for key in conditioning:
            inputs = self.graph[key]
            for node in self._upstream([inputs.get("control_net")], set()):
                name = self._value(self.graph[node].get("control_net_name"), "control_net_name")
                if isinstance(name, str):
                    yield _strength(name, self._value(inputs.get("strength"), "strength"), None)
                    break

    def _clip_skip(self, clips: Sequence[str]) -> int | None:
        for node in clips:
            for name in ("stop_at_clip_layer", "clip_skip"):
                value = self._value(self.graph[node].get(name), name)
                if isinstance(value, int) and value < 0:
                    return -value
        return None

    def _node(self, link: Any) -> str | None:
        return link[0] if is_link(link) and link[0] in self.graph else None

    def _value(self, value: Any, name: str) -> Any:
        """Returns a value, or the value that a link leads to; None if it leads to none."""
        for _ in range(_DEEPEST):
            key = self._node(value)
            if key is None:
                return None if is_link(value) else value
            inputs = self.graph[key]
            branch = self._branch(key)
            if branch is not None:
                value = branch
                continue
            if {"string_a", "string_b"} <= inputs.keys():
                parts = [self._value(inputs[each], each) for each in ("string_a", "string_b")]
                return str(inputs.get("delimiter", "")).join(part for part in parts if isinstance(part, str))
            value = next((inputs[each] for each in (name, *VALUES, *TEXT_INPUTS) if each in inputs), None)
        return None

    def _branch(self, key: str) -> Any:
        """Returns the link that a switch selects, None for other nodes."""
        inputs = self.graph[key]
        if "switch" in inputs and ("on_true" in inputs or "on_false" in inputs):
            return inputs.get("on_true" if self._value(inputs["switch"], "switch") else "on_false")
        return None

    def _upstream(
        self,
        links: Sequence[Any],
        met: set[str],
        leave_out: Collection[str] = (),
        *,
        emptied: bool = False,
        into_passes: bool = False,
    ) -> list[str]:
        """Returns the source nodes of links and all nodes that lead into them, nearest first.

        Nodes upstream of a pass, inputs `leave_out` and branches that a switch does not select are left out. With
        `into_passes`, a pass at the end of one of the links is not such an end. With `emptied`, for prompts, nodes
        upstream of one that empties them are left out, and so are texts that `own_texts` reads.
        """
        waiting: list[str] = []
        met = set(met)

        def meet(value: Any) -> None:
            if is_link(value) and value[0] in self.graph and value[0] not in met and self._left > 0:
                met.add(value[0])
                waiting.append(value[0])
                self._left -= 1

        for link in links:
            meet(link)
        first = set(waiting) if into_passes else set()
        for node in waiting:
            if node in self._samplers and node not in first:
                continue
            if emptied and "ZeroOut" in self._kinds[node]:
                continue
            branch = self._branch(node)
            if branch is not None:
                meet(branch)
                continue
            for name, value in self.graph[node].items():
                is_read = emptied and name in TEXT_INPUTS and isinstance(self._value(value, name), str)
                if name not in leave_out and not is_read:
                    meet(value)
        return waiting


def _strength(name: str, model: Any, text: Any) -> Strength:
    numbers = [float(value) if isinstance(value, int | float) else None for value in (model, text)]
    return Strength(name, 1.0 if numbers[0] is None else numbers[0], numbers[1])
