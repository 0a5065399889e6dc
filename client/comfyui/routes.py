"""The two ways to a picture on a ComfyUI server: through our nodes, many frames in one prompt; through its own, one."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remix.catalog.samplers import SAMPLERS
from remix.client.comfyui.names import Names
from remix.client.comfyui.server import Server
from remix.errors import Unsupported
from remix.hosts.comfyui.graph import Graph, Link
from remix.plan import Mix, Schedule
from remix.plan.denoise import nearest_whole

PACK = {
    "RemixRecipe": ("recipe", "frames", "fps", "width", "height"),
    "RemixRender": ("model", "clip", "vae", "schedule", "filename_prefix", "batch_size", "first", "count"),
}
"""The nodes of ours that are used, and their inputs."""

INSTALL = (
    "install the Remix nodes on the server: clone this repository into its folder custom_nodes, and start it again"
)

FOLDER = "remix"
"""Where in the server's output folder all of it is put."""

AT_ONCE = 16
"""Frames that one prompt renders, rounded to whole batches."""

MOST_BATCH, PIXELS = 8, 8 * 512 * 512
"""The most frames, and pixels, that are sampled together where nobody says how many."""

MOST_LETTERS = 75
"""A prompt of so many bytes without its spaces has as many tokens at most: one chunk of CLIP's."""


@dataclass(frozen=True)
class Piece:
    """What one prompt renders: `frames` are wanted of those from `first` on; `graph` writes the prompt.

    `graph` takes the number of a try, so that a server that keeps results works again, and the frames in a batch; it
    gives the prompt and the node whose files are the frames.
    """

    frames: tuple[int, ...]
    first: int
    graph: Callable[[str, int], tuple[Graph, str]]


class Route(ABC):
    """One way of the two."""

    def __init__(self, server: Server, schedule: Schedule, names: Names) -> None:
        self.server, self.schedule, self.names = server, schedule, names

    @abstractmethod
    def check(self) -> list[str]:
        """Returns remarks; raises `Unsupported` for what cannot be rendered this way."""

    @abstractmethod
    def pieces(self, frames: Sequence[int], batch: int, uploaded: Mapping[str, str]) -> list[Piece]:
        """Returns the prompts that render these frames, in order; `uploaded` gives the server's names of pictures."""


class Through(Route):
    """Through *Remix Recipe* and *Remix Render*, which keep what they have made in a job folder of the server's."""

    def check(self) -> list[str]:
        for kind, wanted in PACK.items():
            have = self.server.inputs(kind)
            if not have:
                raise Unsupported(f"the server does not have the Remix nodes; {INSTALL}")
            if missing := [name for name in wanted if name not in have]:
                raise Unsupported(
                    f"the server's {kind} has no {missing[0]!r}: it is older; update the Remix nodes there"
                )
        if len({frame.loras for frame in self.schedule}) > 1:
            raise Unsupported("loras: their strengths travel, and one prompt loads them once for all of its frames")
        return []

    def pieces(self, frames: Sequence[int], batch: int, uploaded: Mapping[str, str]) -> list[Piece]:
        text = _recipe(self.schedule, uploaded)
        chunk = batch * max(1, AT_ONCE // batch)
        groups: list[list[int]] = []
        for index in frames:
            # A batch that none of these frames is in would be rendered for nothing.
            last = groups[-1][-1] if groups else None
            if last is not None and last // chunk == index // chunk and index // batch - last // batch <= 1:
                groups[-1].append(index)
            else:
                groups.append([index])
        return [self._piece(tuple(group), text) for group in groups]

    def _piece(self, frames: tuple[int, ...], text: str) -> Piece:
        first, count = frames[0], frames[-1] - frames[0] + 1

        def graph(attempt: str, batch: int) -> tuple[Graph, str]:
            made = Graph()
            model, clip, vae = self.names.loaded(made, self.schedule.recipe.model, self.schedule[first])
            schedule = made.one("RemixRecipe", recipe=text, frames=0, fps=0.0, width=0, height=0)
            wires = {"model": model, "clip": clip, "vae": vae, "schedule": schedule}
            part = {"batch_size": batch, "first": first, "count": count}
            return made, made.one("RemixRender", **wires, filename_prefix=f"{FOLDER}/client", **part).node

        return Piece(frames, first, graph)


class Bare(Route):
    """Through the nodes that every server has, frame by frame, where these give the same picture."""

    def check(self) -> list[str]:
        recipe, remarks = self.schedule.recipe, []
        if SAMPLERS[recipe.sampler].stochastic:
            raise Unsupported(
                f"sampler: {recipe.sampler!r} draws noise at its steps, and the server's own nodes draw it by another "
                f"rule than the other engines; {INSTALL}"
            )
        for frame in self.schedule:
            if frame.mask is not None:
                raise Unsupported(f"mask: the server's own nodes round it otherwise than the other engines; {INSTALL}")
            whole = None if frame.image is None else nearest_whole(recipe.steps, frame.denoise)
            if whole is not None:
                raise Unsupported(
                    f"denoise: frame {frame.index} has {frame.denoise:g}, which the server's own nodes round to whole "
                    f"steps; use {whole:.12g} throughout, or {INSTALL}"
                )
            for field, most in (("seed", 1), ("image", 1), ("prompt", 2), ("negative", 2)):
                mix = getattr(frame, field)
                if mix is not None and len(mix.values) > most:
                    raise Unsupported(
                        f"{field}: frame {frame.index} mixes {len(mix.values)}, which the server's own nodes cannot; "
                        f"{INSTALL}"
                    )
            for mix in (frame.prompt, frame.negative):
                if len(mix.values) > 1:
                    self._check_average(mix)
                    remarks = ["mixes of two prompts go through ConditioningAverage: right for SD 1, 2 and XL"]
        return remarks

    def _check_average(self, mix: Mix[str]) -> None:
        if self.schedule.recipe.mix != "lerp":
            raise Unsupported(f"mix: {self.schedule.recipe.mix!r} is nothing that the server's own nodes do; {INSTALL}")
        for prompt in mix.values:
            if len("".join(prompt.split()).encode()) > MOST_LETTERS:
                raise Unsupported(
                    f"prompt: {prompt[:40]!r}... may be longer than the one it is mixed with, and the server's own "
                    f"nodes fill the shorter one with zeros; {INSTALL}"
                )

    def pieces(self, frames: Sequence[int], batch: int, uploaded: Mapping[str, str]) -> list[Piece]:
        return [Piece((index,), index, self._writer(index, uploaded)) for index in frames]

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


def at_once(schedule: Schedule) -> int:
    """Returns how many frames are sampled together where nobody says: fewer of larger ones."""
    return max(1, min(MOST_BATCH, PIXELS // (schedule.recipe.width * schedule.recipe.height)))


def _encoded(graph: Graph, clip: Link, mix: Mix[str]) -> Link:
    """The conditioning of one prompt, or of two in their shares."""
    encoded = [graph.one("CLIPTextEncode", clip=clip, text=prompt) for prompt in mix.values]
    if len(encoded) == 1:
        return encoded[0]
    shares = {"conditioning_to_strength": mix.weights[0]}
    return graph.one("ConditioningAverage", conditioning_to=encoded[0], conditioning_from=encoded[1], **shares)


def _recipe(schedule: Schedule, uploaded: Mapping[str, str]) -> str:
    """The recipe as the node reads it: without its model, which is on the wires, pictures by the server's names."""
    plain = schedule.recipe.to_dict()
    plain.pop("model", None)
    for keyframe in plain["keyframes"]:
        keyframe.pop("loras", None)
        for field in {"image", "mask"} & keyframe.keys():
            keyframe[field] = _renamed(keyframe[field], uploaded)
    return json.dumps(plain, ensure_ascii=False)


def _renamed(image: Any, uploaded: Mapping[str, str]) -> Any:
    if isinstance(image, str):
        return uploaded[image]
    return [[uploaded[name], weight] for name, weight in image]
