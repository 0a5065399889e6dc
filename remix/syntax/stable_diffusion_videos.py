"""stable-diffusion-videos: ``walk(prompts=["a", "b"], seeds=[42, 1337], num_interpolation_steps=60)``, or its JSON."""

from __future__ import annotations

from collections.abc import Mapping

from remix.plan.keyframe import MAX_SEED
from remix.plan.mix import Mix
from remix.plan.moments import MAX_FRAMES
from remix.syntax.freenoise import settings
from remix.syntax.literal import Node, assignments, items_of, number_of, text_of
from remix.syntax.parts import Given, Parts
from remix.syntax.prompts import prompt_of
from remix.syntax.scan import Source
from remix.syntax.stages import staged

READ = {
    *("prompts", "seeds", "num_interpolation_steps", "fps", "num_inference_steps", "guidance_scale", "width", "height"),
    *("negative_prompt",),
}


def read(source: Source, given: Given) -> Parts:
    """The parts that the arguments of a walk say: stages of prompt and seed together, evenly in time."""
    data = assignments(source, alone="prompts")
    if "prompts" not in data:
        raise source.refuse(0, 'there are no prompts; write prompts=["a", "b"]')
    prompts = [text_of(source, node, "the prompt") for node in items_of(source, data["prompts"], "prompts")]
    if not prompts:
        raise source.refuse(data["prompts"].at, "there are no prompts; write two or more")
    tracks = {"prompt": [prompt_of(source, prompt) for prompt in prompts]}
    if "seeds" in data:
        seeds = items_of(source, data["seeds"], "seeds")
        if len(seeds) != len(prompts):
            raise source.refuse(data["seeds"].at, f"{len(seeds)} seeds for {len(prompts)} prompts; give one for each")
        tracks["seed"] = [Mix.one(number_of(source, node, "the seed", 0, MAX_SEED, whole=True)) for node in seeds]
    if "negative_prompt" in data and data["negative_prompt"].value is not None:
        tracks["negative"] = [prompt_of(source, text_of(source, data["negative_prompt"], "negative_prompt"))]
    left = [name for name in data if name not in READ]
    if left:
        source.note(f"not in a recipe, and left out: {', '.join(name[:40] for name in left[:20])}")
    fields = settings(source, data, {})
    if "fps" in data and given.fps is None:
        fields["fps"] = number_of(source, data["fps"], "fps", 0.001, 240)
    fields.setdefault("fps", given.fps)
    return staged(source, tracks, given, _ways(source, data, len(prompts)), fields)


def _ways(source: Source, data: Mapping[str, Node], stages: int) -> list[int] | None:
    """How many frames lie from each stage to the next: a clip of n pictures has both of its ends among them."""
    if "num_interpolation_steps" not in data:
        return None
    node = data["num_interpolation_steps"]
    nodes = items_of(source, node, "num_interpolation_steps") if isinstance(node.value, list) else [node] * (stages - 1)
    if len(nodes) != stages - 1:
        raise source.refuse(node.at, f"{len(nodes)} numbers for {stages - 1} ways between prompts; give one for each")
    counts = [number_of(source, n, "num_interpolation_steps", 2, MAX_FRAMES, whole=True) for n in nodes]
    if stages > 2:
        source.note("a clip repeats the picture that ended the one before; here it is there once")
    return [count - 1 for count in counts]
