"""What made a picture according to its ComfyUI graph, also as Civitai's generator stores one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from remix.hosts.comfyui.reading import ComfyGraph, Pass, read_prompt, read_workflow
from remix.hosts.record import Origin, Sampling, Texts, field_value, further, json_of, read_fields

_FIELDS = {
    "seed": ("noise_seed", "seed"),
    "steps": ("steps",),
    "cfg": ("cfg", "guidance"),
    "sampler": ("sampler_name",),
    "scheduler": ("scheduler",),
    "denoise": ("denoise",),
    "width": ("width",),
    "height": ("height",),
    "model": ("ckpt_name", "unet_name"),
    "vae": ("vae_name",),
}
_CIVITAI = {
    "prompts": ("prompt",),
    "negatives": ("negativePrompt",),
    **{name: (name,) for name in ("seed", "steps", "sampler", "width", "height")},
    "cfg": ("cfgScale",),
    "clip_skip": ("clipSkip",),
}


def graph_of(texts: Texts) -> ComfyGraph | None:
    """Returns the graph of a file: the prompt that ran, otherwise the workflow of the front end."""
    for name in ("prompt", "comment", "parameters"):
        if (graph := texts.parsed(name, _read_prompt)) is not None:
            return graph
    return texts.parsed("workflow", _read_workflow)


def _read_prompt(text: str) -> ComfyGraph | None:
    return read_prompt(json_of(text))


def _read_workflow(text: str) -> ComfyGraph | None:
    return read_workflow(json_of(text))


def read(texts: Texts) -> Origin | None:
    """Returns what the graph of a file says; None if there is none, or none that samples with an infotext."""
    graph = graph_of(texts)
    if graph is None:
        return None
    passes = tuple(map(_sampling, graph.passes))
    for _, data in texts.objects("comment", "prompt", "parameters"):
        extra = data.get("extraMetadata")
        if extra is not None or "resource-stack" in data:
            return Origin("civitai", "Civitai", passes=_with_extra(passes, extra), notes=graph.notes)
    if not passes and texts.get("parameters") and not texts.object("parameters"):
        return None
    if not passes and graph.prompts:
        passes = (Sampling("graph", prompts=graph.prompts),)
    return Origin("comfyui", "ComfyUI", passes=passes, notes=graph.notes)


def _sampling(one: Pass) -> Sampling:
    values: dict[str, Any] = {}
    found: dict[str, str] = {}
    for name, keys in _FIELDS.items():
        for key in keys:
            value = field_value(name, one.settings.get(key))
            if value is not None and name not in values:
                values[name], found[name] = value, f"node {one.found.get(key, '')}"
    taken = {key for keys in _FIELDS.values() for key in keys}
    return Sampling(
        f"node {one.node} ({one.kind})",
        one.prompts,
        one.negatives,
        **values,
        loras=one.loras,
        controlnets=one.controlnets,
        clip_skip=one.clip_skip,
        found=found,
        other=further({key: value for key, value in one.settings.items() if key not in taken or key == "guidance"}),
    )


def _with_extra(passes: tuple[Sampling, ...], extra: Any) -> tuple[Sampling, ...]:
    """Returns the passes, the first with what Civitai's own settings say; theirs are the words of its users."""
    data = json_of(extra) if isinstance(extra, str) else extra
    if not isinstance(data, Mapping):
        return passes
    own = read_fields(data, "extraMetadata", _CIVITAI)
    if not passes:
        return (own,)
    first, *rest = passes
    changes = {name: value for name in _CIVITAI if (value := getattr(own, name)) not in (None, ())}
    found = {**first.found, **own.found}
    return (replace(first, **changes, found=found, other={**own.other, **first.other}), *rest)
