"""Two ways to render on ComfyUI: the Remix nodes (many frames per prompt) and built-in nodes (one frame)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from remix.catalog.samplers import SAMPLERS
from remix.client.comfyui.names import Names
from remix.client.comfyui.server import Server
from remix.digest import sha256
from remix.engine import Capabilities, refuse_unsupported
from remix.engine.blocks import covering, frames_at_once, per_request, requests
from remix.engine.pack import COMPOSITION, EMPHASIS, ENCODERS, FRACTIONAL_DENOISE, LATER_FIELDS, Pack
from remix.engine.parts import part_of, plain_part
from remix.engine.passes import OF_CONDITIONINGS
from remix.engine.prompts import COMPOSED, EVERY, unreported_embeddings
from remix.errors import Unsupported
from remix.hosts.comfyui.graph import Graph, Link
from remix.plan import Mix, Recipe, Schedule
from remix.prompt import Reading

NODE = "RemixRender"
INPUTS = ("model", "clip", "vae", "schedule", "filename_prefix", "batch_size", "first", "count")
"""The Remix node that renders, and its inputs."""

PARTS, LORAS = "parts", "loras"
"""Options of its input `schedule`: the node accepts part of a film, and loads the LoRAs of its keyframes."""

INSTALL = (
    "install the Remix nodes on the server: clone this repository into its folder custom_nodes, and start it again"
)

MAY_ROUND = "the server's Remix nodes may round to whole steps, because they are older (update them there)"

FOLDER = "remix"
"""Folder for all frames, in the server's output folder."""

PER_PROMPT = 16
"""Frames per prompt, rounded to whole batches."""

MOST_AT_ONCE = 8
"""Largest default batch: frames that are sampled together."""

AHEAD = 2
"""Prompts on the server at once: it renders the next while the client fetches pictures."""

MOST_LETTERS = 75
"""Largest size in bytes, without spaces, of a prompt that is certain to fit into one chunk of CLIP."""


@dataclass(frozen=True)
class PromptJob:
    """The work of one prompt: `frames`. The first output file is frame `first`.

    `graph` takes a key that changes with each attempt, so that a server with cached results renders again, and the
    batch size. It returns the prompt's graph and the node that outputs the frames. `counts` are the numbers of files
    that it may output, () for any. A picture must have the size of the recipe, if not `exact` up to a side that is no
    multiple of 8, and more than one color, if not `blank`.
    """

    frames: tuple[int, ...]
    first: int
    graph: Callable[[str, int], tuple[Graph, str]]
    counts: tuple[int, ...] = ()
    exact: bool = True
    blank: bool = False


OWN_READING = Reading("comfy", "comfy")
"""How ComfyUI itself reads prompts."""

RENDERED = "width height sampler scheduler steps cfg mix lengths emphasis chunks restore"

MAY_NOT = "the server's Remix nodes are older and cannot do that: update them there, or leave it out"

MODEL = "checkpoint vae loras clip_skip"
KEYFRAME = "prompt negative seed cfg denoise image loras"


class Route(ABC):
    """Base class of the routes."""

    def __init__(self, server: Server, schedule: Schedule) -> None:
        self.server, self.schedule = server, schedule

    def check(self) -> list[str]:
        """Returns remarks. Raises `Unsupported` if this route cannot render the schedule."""
        refuse_unsupported(self.schedule, self.capabilities())
        return []

    @abstractmethod
    def identity(self) -> dict[str, str]:
        """Returns the identity of the model files, and of what else the frames of this route depend on."""

    @abstractmethod
    def capabilities(self) -> Capabilities:
        """Returns the capabilities of this route. Raises `Unsupported` if the server does not offer it."""

    def defaults(self) -> dict[str, Any]:
        """Returns values for fields of the recipe that depend on the server's nodes."""
        return {}

    def texts(self, index: int, uploaded: Mapping[str, str]) -> Mapping[str, str]:
        """Returns the metadata of a frame that this route has rendered, in addition to the job's."""
        return {}

    def at_once(self, batch: int | None) -> tuple[int, int]:
        """Returns the number of frames that are sampled together, and of prompts that are on the server together.

        `batch` is the engine's, None if it leaves the choice to the route.
        """
        return per_call(self.schedule.recipe, batch), AHEAD

    @abstractmethod
    def jobs(self, frames: Sequence[int], batch: int, uploaded: Mapping[str, str]) -> Iterator[PromptJob]:
        """Yields the prompts for these frames, in order. `uploaded` maps pictures to their names on the server."""


class ModelRoute(Route):
    """Base class of the routes that build a graph for the model of the recipe."""

    def __init__(self, server: Server, schedule: Schedule, names: Names) -> None:
        super().__init__(server, schedule)
        self.names = names

    def identity(self) -> dict[str, str]:
        return self.names.identity(self.server)

    def _samplers(self) -> list[str]:
        return self.server.choices("KSampler", "sampler_name")

    def _schedulers(self) -> list[str]:
        return self.server.choices("KSampler", "scheduler")


class RemixNodes(ModelRoute):
    """Route through *Remix Render*, which keeps finished frames in a job folder on the server."""

    def capabilities(self) -> Capabilities:
        if lacking := lack_of_nodes(self.server):
            raise Unsupported("; ".join(lacking))
        composes = COMPOSITION in self._pack.supports
        return Capabilities(
            who="the server",
            recipe=f"{RENDERED} {self._pack.fields()}",
            model=MODEL,
            keyframe=f"{KEYFRAME} mask",
            samplers=self._samplers(),
            schedulers=self._schedulers(),
            traveling_loras=_has_option(self.server.inputs(NODE)["schedule"], LORAS),
            fractional_denoise=FRACTIONAL_DENOISE in self._pack.supports,
            mixings=None if composes else OF_CONDITIONINGS,
            prompts=frozenset() if not composes else EVERY if ENCODERS in self._pack.supports else COMPOSED,
            readings=None if EMPHASIS in self._pack.supports else [OWN_READING],
            instead="",
            reasons={
                "mix": "the server's Remix nodes are older and cannot do that: update them there",
                "loras": "the server's Remix nodes load them once for all frames: update the Remix nodes there",
                "denoise": MAY_ROUND,
                **dict.fromkeys(LATER_FIELDS, MAY_NOT),
            },
        )

    def check(self) -> list[str]:
        return [*super().check(), *self._pack.remarks(self.schedule, "the server's Remix node pack")]

    def identity(self) -> dict[str, str]:
        pack = self._pack
        return {**super().identity(), **pack.depends_on(self.schedule), **pack.embeddings_of(self.schedule)}

    @property
    def _pack(self) -> Pack:
        if self.names.checkpoint is None:  # the bundled model, which has no checkpoint there
            return replace(self.server.pack(), plain_attention=True)
        return self.server.pack(self.names.checkpoint)

    def jobs(self, frames: Sequence[int], batch: int, uploaded: Mapping[str, str]) -> Iterator[PromptJob]:
        film = sha256(self.schedule.to_json().encode())[:10]
        chunk = per_request(batch, PER_PROMPT)
        for group in requests(frames, batch, PER_PROMPT):
            # Always request the same part, even if some of its frames exist, so that the server finds frames it has
            # kept.
            yield self._job(group, covering(group, len(self.schedule), chunk), film, uploaded)

    def _job(self, frames: tuple[int, ...], span: range, film: str, uploaded: Mapping[str, str]) -> PromptJob:
        first, count = frames[0] - span.start, frames[-1] - frames[0] + 1
        travel = len({frame.loras for frame in self.schedule}) > 1
        part = _part(part_of(self.schedule, span), uploaded, self.names.loras if travel else {})

        def graph(attempt: str, batch: int) -> tuple[Graph, str]:
            made = Graph()
            model, clip, vae = self.names.loaded(
                made, self.schedule.recipe.model, self.schedule[frames[0]], travel=travel
            )
            wires = {"model": model, "clip": clip, "vae": vae}
            how = {"batch_size": batch, "first": first, "count": count}
            # One folder per film, so that frames of other films there cost nothing.
            prefix = f"{FOLDER}/client_{film}/{span.start:06d}"
            return made, made.one(NODE, **wires, schedule=part, filename_prefix=prefix, **how).node

        return PromptJob(frames, frames[0], graph)


class StockNodes(ModelRoute):
    """Route through built-in nodes, frame by frame, for recipes with the same result there."""

    def capabilities(self) -> Capabilities:
        rounds = "the server's own nodes round it in another way than the other engines"
        draws = "it draws noise at its steps, by another rule on the server's own nodes than in the other engines"
        stochastic = {name for name, sampler in SAMPLERS.items() if sampler.stochastic}
        drawn = {"sampler": draws} if self.schedule.recipe.sampler in stochastic else {}
        return Capabilities(
            who="the server without the Remix nodes",
            recipe="width height sampler scheduler steps cfg mix emphasis chunks restore",
            model=MODEL,
            keyframe=KEYFRAME,
            samplers=[name for name in self._samplers() if name not in stochastic],
            schedulers=self._schedulers(),
            most_mixed={"seed": 1, "image": 1, "prompt": 2, "negative": 2},
            fractional_denoise=False,
            readings=[OWN_READING],
            instead=INSTALL,
            reasons={"mask": rounds, **drawn},
        )

    def check(self) -> list[str]:
        super().check()
        mixes = [mix for frame in self.schedule for mix in (frame.prompt, frame.negative) if len(mix.values) > 1]
        for mix in mixes:
            self._check_average(mix)
        averaged = (
            f"prompt: ConditioningAverage mixes them, which is right for SD 1, 2 and XL; for another model, {INSTALL}"
        )
        return [*([averaged] if mixes else []), *unreported_embeddings(self.schedule)]

    def _check_average(self, mix: Mix[str]) -> None:
        if self.schedule.recipe.mix != "lerp":
            raise Unsupported(f"mix: the server's own nodes cannot do {self.schedule.recipe.mix!r}; {INSTALL}")
        for prompt in mix.values:
            if len("".join(prompt.split()).encode()) > MOST_LETTERS:
                raise Unsupported(
                    f"prompt: {prompt[:40]!r}... may be longer than the one it is mixed with, and the server's own "
                    f"nodes fill the shorter one with zeros; {INSTALL}"
                )

    def jobs(self, frames: Sequence[int], batch: int, uploaded: Mapping[str, str]) -> Iterator[PromptJob]:
        return (PromptJob((index,), index, self._writer(index, uploaded)) for index in frames)

    def _writer(self, index: int, uploaded: Mapping[str, str]) -> Callable[[str, int], tuple[Graph, str]]:
        def graph(attempt: str, batch: int) -> tuple[Graph, str]:
            made = Graph()
            images = self._picture(made, index, uploaded)
            prefix = f"{FOLDER}/{attempt or 'frame'}/{index:06d}"
            return made, made.one("SaveImage", images=images, filename_prefix=prefix).node

        return graph

    def _picture(self, graph: Graph, index: int, uploaded: Mapping[str, str]) -> Link:
        recipe, frame = self.schedule.recipe, self.schedule[index]
        model, clip, vae = self.names.loaded(graph, recipe.model, frame)
        positive, negative = (_encoded(graph, clip, mix) for mix in (frame.prompt, frame.negative))
        if frame.image is None:
            latent = graph.one("EmptyLatentImage", width=recipe.width, height=recipe.height, batch_size=1)
        else:
            pixels = graph.one("LoadImage", image=uploaded[frame.image.values[0]])
            latent = graph.one("VAEEncode", pixels=pixels, vae=vae)
        wires = {"model": model, "positive": positive, "negative": negative, "latent_image": latent}
        how = {"sampler_name": recipe.sampler, "scheduler": recipe.scheduler, "steps": recipe.steps}
        numbers = {"seed": frame.seed.values[0], "cfg": frame.cfg, "denoise": frame.denoise}
        return graph.one("VAEDecode", samples=graph.one("KSampler", **wires, **how, **numbers), vae=vae)


def per_call(recipe: Recipe, batch: int | None) -> int:
    """Returns the number of frames that are sampled together: `batch`, or one that suits their size."""
    return batch or frames_at_once(recipe.width, recipe.height, MOST_AT_ONCE)


def lack_of_nodes(server: Server) -> tuple[str, str] | None:
    """Returns what a server lacks for the Remix nodes, with advice, or None if it has them."""
    have = server.inputs(NODE)
    if not have:
        return "the server does not have the Remix nodes", INSTALL
    missing = next((f"has no {name!r}" for name in INPUTS if name not in have), None)
    if missing is None and not _has_option(have["schedule"], PARTS):
        missing = "takes no part of a film"
    return None if missing is None else (f"the server's {NODE} {missing}: it is older", "update the Remix nodes there")


def _has_option(about: Any, option: str) -> bool:
    """Returns whether an input has an option, according to the server's description."""
    options = about[1] if isinstance(about, list) and len(about) > 1 else None
    return isinstance(options, dict) and bool(options.get(option))


def _encoded(graph: Graph, clip: Link, mix: Mix[str]) -> Link:
    """Returns the conditioning of one prompt, or of a weighted pair."""
    encoded = [graph.one("CLIPTextEncode", clip=clip, text=prompt) for prompt in mix.values]
    if len(encoded) == 1:
        return encoded[0]
    shares = {"conditioning_to_strength": mix.weights[0]}
    return graph.one("ConditioningAverage", conditioning_to=encoded[0], conditioning_from=encoded[1], **shares)


def _part(part: Schedule, uploaded: Mapping[str, str], loras: Mapping[str, str]) -> dict[str, Any]:
    """Returns part of a film as the node reads it: no model, since links provide it, and files by server name.

    `loras` maps the LoRAs that the node applies to their names on the server; if it is empty, links provide them too.
    """
    plain = plain_part(part)
    plain["recipe"].pop("model", None)
    for keyframe in plain["recipe"]["keyframes"]:
        strengths = keyframe.pop("loras", {})
        if loras:
            keyframe["loras"] = {loras[name]: strength for name, strength in strengths.items()}
        for field in {"image", "mask"} & keyframe.keys():
            keyframe[field] = _renamed(keyframe[field], uploaded)
    return plain


def _renamed(image: Any, uploaded: Mapping[str, str]) -> Any:
    if isinstance(image, str):
        return uploaded[image]
    return [[uploaded[name], weight] for name, weight in image]
