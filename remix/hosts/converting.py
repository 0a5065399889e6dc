"""Settings of one tool in the form of another: a ComfyUI prompt from any tool's settings, and A1111's infotext.

    graph_of_origin(origin)       the prompt that renders a picture's settings on ComfyUI's own nodes
    infotext_of_origin(origin)    the infotext that A1111 and Forge read

Both return what is lost or differs, as sentences.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from remix.catalog.rows import plain
from remix.catalog.samplers import SAMPLERS
from remix.errors import RecipeError, Unsupported
from remix.hosts.a1111.labels import a1111_labels
from remix.hosts.comfyui.graph import Graph, Link, Nodes
from remix.hosts.model_names import bare_name, match_name
from remix.hosts.record import Origin, Sampling, Strength
from remix.hosts.remaking import numbers_of, prompt_of, reads_as_a1111, samplers_of
from remix.prompt import Reading

PLAYGROUND = "playground"
"""The bundled model, which a node of the toolkit loads."""

SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".sft", ".gguf", ".bin")
METHODS = {
    "latent": "bilinear",
    "latent (nearest)": "nearest-exact",
    "latent (nearest-exact)": "nearest-exact",
    "latent (bicubic)": "bicubic",
}
"""A1111's upscalers of latents -> ComfyUI's methods."""

NO_LOSS = (
    "version",
    "app",
    "model hash",
    "vae hash",
    "lora hashes",
    "ti hashes",
    "hashes",
    "rng",
    "user",
    "hires upscaler",
)
"""Settings of infotext that change nothing in a picture, or are dealt with by themselves."""

OVER_STEPS = re.compile(r"\[[^\[\]:|]*[:|][^\[\]]*\]|\bAND\b|\bBREAK\b")
"""Prompt syntax of A1111 that ComfyUI takes for letters."""

_QUOTED = re.compile(r"[,:\n]")


@dataclass(frozen=True)
class Available:
    """The model files of a server by kind: checkpoint, vae, lora. Kinds that are left out are unknown."""

    files: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def file(self, kind: str, name: str, note: Callable[[str], None]) -> str:
        """Returns the server's file for a name, which may have no folder and no suffix."""
        if kind in self.files:
            found = match_name(name, self.files[kind])
            if len(found) == 1:
                return found[0]
            note(f"{kind}: the server has {'several' if found else 'no'} files called {name!r}; write its name")
        if name.lower().endswith(SUFFIXES):
            return name
        if kind not in self.files:
            note(f"{kind}: the file of {name!r} is not known; it is taken to be {name}.safetensors")
        return f"{name}.safetensors"


def graph_of_origin(origin: Origin, available: Available = Available()) -> tuple[Nodes, list[str]]:
    """Returns the prompt that renders a picture's settings on ComfyUI's own nodes, and what differs.

    Raises RecipeError if there is no pass to render.
    """
    one, notes = _first(origin), list[str]()
    settings = {**_DEFAULTS, **dict(samplers_of(origin, one, notes.append)), **dict(numbers_of(one, notes.append))}
    graph = Graph()
    model, clip, vae = _loaded(graph, one, available, notes.append)
    prompts = [prompt_of(origin, texts).strip() for texts in (one.prompts, one.negatives)]
    positive, negative = (graph.one("CLIPTextEncode", clip=clip, text=text) for text in prompts)
    latent = graph.one("EmptyLatentImage", width=settings["width"], height=settings["height"], batch_size=1)
    seed = 0 if one.seed is None else one.seed
    wires = {"model": model, "positive": positive, "negative": negative}
    how = {"seed": seed, "steps": settings["steps"], "cfg": settings["cfg"]}
    names = {"sampler_name": settings["sampler"], "scheduler": settings["scheduler"]}
    latent = graph.one("KSampler", **wires, latent_image=latent, **how, **names, denoise=1.0)
    if (second := _hires(origin)) is not None:
        latent = _second(graph, origin, second, {**wires, **names, **how}, latent, notes.append)
    image = graph.one("VAEDecode", samples=latent, vae=vae)
    graph.one("SaveImage", images=image, filename_prefix="remix")
    notes += _lost_in_graph(origin, one, prompts)
    return graph.nodes, notes


_DEFAULTS: Mapping[str, Any] = {
    **{"sampler": "euler", "scheduler": "normal", "steps": 20, "cfg": 7.0, "width": 512, "height": 512}
}


def _first(origin: Origin) -> Sampling:
    if not origin.passes:
        raise RecipeError(f"{origin.tool} made it, but its metadata has no sampling pass to convert")
    return origin.passes[0]


def _loaded(graph: Graph, one: Sampling, available: Available, note: Callable[[str], None]) -> tuple[Link, Link, Link]:
    if one.model is None:
        note("the model is unknown; write the checkpoint")
    if bare_name(one.model or "") == PLAYGROUND:
        model, clip, vae = graph.several("RemixPlayground", 3)
    else:
        name = available.file("checkpoint", one.model or "unknown", note)
        model, clip, vae = graph.several("CheckpointLoaderSimple", 3, ckpt_name=name)
    for lora in one.loras:
        text = lora.strength if lora.text is None else lora.text
        how = {"strength_model": lora.strength, "strength_clip": text}
        name = available.file("lora", lora.name, note)
        model, clip = graph.several("LoraLoader", 2, model=model, clip=clip, lora_name=name, **how)
    if one.clip_skip is not None and one.clip_skip > 1:
        clip = graph.one("CLIPSetLastLayer", clip=clip, stop_at_clip_layer=-one.clip_skip)
    if one.vae is not None and one.vae.lower() not in ("automatic", "none"):
        vae = graph.one("VAELoader", vae_name=available.file("vae", one.vae, note))
    return model, clip, vae


def _hires(origin: Origin) -> Sampling | None:
    """Returns the pass of the high-resolution fix, if there is one."""
    second = origin.passes[1] if len(origin.passes) > 1 else None
    known = second is not None and second.width and second.height and second.denoise is not None
    return second if known else None


def _second(
    graph: Graph,
    origin: Origin,
    second: Sampling,
    first: Mapping[str, Any],
    latent: Link,
    note: Callable[[str], None],
) -> Link:
    """Returns the latent of a second pass, which begins with the scaled latent of the first."""
    upscaler = second.other.get("Hires upscaler", "")
    if reads_as_a1111(origin) and plain(upscaler) not in METHODS:
        note(f"the upscaler {upscaler!r} is not in the graph; the latent is scaled in its place")
    method = METHODS.get(plain(upscaler), "bilinear")
    size = {"width": second.width, "height": second.height}
    scaled = graph.one("LatentUpscale", samples=latent, upscale_method=method, crop="disabled", **size)
    changed = {**first, **dict(samplers_of_second(origin, second, note))}
    steps, denoise = second.steps or first["steps"], second.denoise or 0.0
    changed |= {"steps": steps, "denoise": denoise, **({} if second.cfg is None else {"cfg": second.cfg})}
    return graph.one("KSampler", latent_image=scaled, **changed)


def samplers_of_second(origin: Origin, second: Sampling, note: Callable[[str], None]) -> Iterator[tuple[str, str]]:
    """Yields the sampler and scheduler of a second pass, by ComfyUI's names of inputs."""
    names = {"sampler": "sampler_name", "scheduler": "scheduler"}
    if second.sampler is not None:
        yield from ((names[name], value) for name, value in samplers_of(origin, second, note))


def _lost_in_graph(origin: Origin, one: Sampling, prompts: Sequence[str]) -> Iterator[str]:
    yield from _lost(origin, one, 2 if _hires(origin) is not None else 1)
    if one.denoise is not None and one.denoise < 1 and _hires(origin) is None:
        yield f"the picture that it began with (denoise {one.denoise:g}) is not in the file; noise takes its place"
    if not reads_as_a1111(origin):
        return
    if one.other.get("RNG", "GPU") == "GPU":
        yield "the noise was drawn on the GPU, if there was one; ComfyUI draws it on the CPU, for another picture"
    own, default = Reading.of("a1111", None), Reading.of(None, None)
    for prompt in prompts:
        if own.may_differ(default, prompt):
            yield f"weights in {prompt[:60]!r} are read by another rule"
        if found := OVER_STEPS.search(prompt):
            yield f"{found[0][:60]!r} has no effect in ComfyUI, which takes it for letters"
    for name, value in one.other.items():
        if name.lower() not in NO_LOSS:
            yield f"{name} {value[:60]!r} has no place in the graph"


def _lost(origin: Origin, one: Sampling, passes: int) -> Iterator[str]:
    """Yields what neither form has."""
    for name, texts in (("prompt", one.prompts), ("negative prompt", one.negatives)):
        if len(texts) > 1:
            yield f"there are {len(texts)} texts of the {name}; the first is taken"
    for control in one.controlnets:
        yield f"the ControlNet {control.name!r} ({control.strength:g}) is left out"
    for later in origin.passes[passes:]:
        yield f"a later pass is left out: {later.place}"


def infotext_of_origin(origin: Origin) -> tuple[str, list[str]]:
    """Returns the infotext of a picture's settings, and what differs. Raises RecipeError if there is no pass."""
    one, notes = _first(origin), list[str]()
    prompt = "".join([prompt_of(origin, one.prompts).strip(), *map(_tag, one.loras)])
    negative = prompt_of(origin, one.negatives)
    second = _hires(origin)
    lines = [prompt, *([f"Negative prompt: {negative}"] if negative else [])]
    rows = [*_rows(origin, one, notes.append)]
    if second is not None:
        rows += [*_hires_rows(one, second, notes.append)]
        if (second.sampler, second.scheduler) != (one.sampler, one.scheduler):
            names = {"Sampler": "Hires sampler", "Schedule type": "Hires schedule type"}
            rows += [(names[name], value) for name, value in _labels(origin, second, notes.append)]
    lines.append(", ".join(f"{name}: {_quoted(str(value))}" for name, value in rows))
    notes += _lost(origin, one, 2 if second is not None else 1)
    own, default = Reading.of("a1111", None), Reading.of(None, None)
    if not reads_as_a1111(origin):
        notes += [
            f"weights in {text[:60]!r} are read by another rule"
            for text in (prompt_of(origin, one.prompts), negative)
            if own.may_differ(default, text)
        ]
    return "\n".join(lines), notes


def _rows(origin: Origin, one: Sampling, note: Callable[[str], None]) -> Iterator[tuple[str, Any]]:
    settings = dict(numbers_of(one, note))
    if "steps" in settings:
        yield "Steps", settings["steps"]
    yield from _labels(origin, one, note)
    if "cfg" in settings:
        yield "CFG scale", f"{settings['cfg']:g}"
    if one.seed is not None:
        yield "Seed", one.seed
    if "width" in settings:
        yield "Size", f"{settings['width']}x{settings['height']}"
    for name, value in (("Model", one.model), ("VAE", one.vae)):
        if value is not None:
            yield name, bare_name(value)
    if one.clip_skip is not None and one.clip_skip > 1:
        yield "Clip skip", one.clip_skip
    if _hires(origin) is None and one.denoise is not None and one.denoise < 1:
        yield "Denoising strength", f"{one.denoise:g}"
        note(f"it began with a picture (denoise {one.denoise:g}), which an infotext does not have")
    yield "RNG", "CPU"


def _labels(origin: Origin, one: Sampling, note: Callable[[str], None]) -> Iterator[tuple[str, str]]:
    """Yields A1111's labels of a pass's sampler and scheduler."""
    names = dict(samplers_of(origin, one, note))
    if "sampler" not in names:
        return
    try:
        label, kind = a1111_labels(names["sampler"], names.get("scheduler", SAMPLERS[names["sampler"]].automatic))
    except Unsupported as error:
        note(str(error))
    else:
        yield from (("Sampler", label), ("Schedule type", kind))


def _hires_rows(one: Sampling, second: Sampling, note: Callable[[str], None]) -> Iterator[tuple[str, Any]]:
    yield "Denoising strength", f"{second.denoise:g}"
    yield "Hires resize", f"{second.width}x{second.height}"
    yield "Hires steps", second.steps or one.steps or 0
    yield "Hires upscaler", "Latent"
    note("the second pass is scaled as latent, which may not be what the graph does")


def _tag(lora: Strength) -> str:
    own = "" if lora.text in (None, lora.strength) else f"{lora.text:g}:"
    return f" <lora:{bare_name(lora.name)}:{own}{lora.strength:g}>"


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if _QUOTED.search(value) else value
