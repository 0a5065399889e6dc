"""Deforum's settings file: prompts, frames, seed and its behavior, and the schedules of cfg and sampler."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from remix.catalog.samplers import sampler_of
from remix.plan.fields import show
from remix.plan.keyframe import MAX_SEED
from remix.plan.mix import Mix
from remix.plan.model import Model
from remix.plan.moments import MAX_FRAMES
from remix.syntax.deforum import prompt_tracks, with_negatives
from remix.syntax.text.boxes import scheduler_of
from remix.syntax.text.calls import note_unread
from remix.syntax.text.literal import Node, fields_of, number_of, read_all, text_of
from remix.syntax.text.pairs import Pair, by_frame, frame_of, read_pairs
from remix.syntax.text.parts import Options, Parts
from remix.syntax.text.source import Source
from remix.syntax.text.syntax import Shape, Syntax
from remix.syntax.text.tracks import Stop, held_stops, to_keyframes
from remix.syntax.text.values import TARGETS, number_track, random_seed, seed_track

PROMPTS = ("animation_prompts", "prompts")
NEGATIVES = ("animation_neg_prompts", "neg_prompts", "negative_prompts")
SEED_BEHAVIORS = ("iter", "fixed", "random", "ladder", "alternate")

_MOTION = (
    *("angle", "zoom", "translation_x", "translation_y", "translation_z", "transform_center_x", "transform_center_y"),
    *("rotation_3d_x", "rotation_3d_y", "rotation_3d_z", "strength_schedule", "noise_schedule", "steps_schedule"),
    *("checkpoint_schedule", "clipskip_schedule", "subseed_schedule", "subseed_strength_schedule", "init_images"),
    "fov_schedule",
)
_SET = (
    *("use_init", "init_image", "parseq_manifest", "subseed", "subseed_strength", "use_looper"),
    *("enable_subseed_scheduling", "hybrid_composite", "hybrid_motion", "hybrid_generate_inputframes"),
    *("hybrid_use_init_image", "use_mask", "use_mask_video", "use_noise_mask", "mask_file"),
    *("tiling", "restore_faces", "seed_resize_from_w", "seed_resize_from_h"),
)
"""Named in a note only if they are on: a settings file has a value for everything, most of them without effect."""
_SWITCHES = {"init_image": "use_init", "mask_file": "use_mask", "subseed": "subseed_strength"}
"""Settings that are ignored unless another one, if present, is on."""
_UNSET = {"", "0", "-1", "none", "false", "null", "{}"}
_READ = {
    *(*PROMPTS, *NEGATIVES, "animation_prompts_positive", "animation_prompts_negative", "positive_prompts"),
    "animation_mode",
    *("max_frames", "fps", "seed", "seed_behavior", "seed_iter_N", "seed_schedule", "W", "H", "width", "height"),
    *("steps", "scale", "cfg_scale", "cfg_scale_schedule", "distilled_cfg_scale_schedule", "sampler", "scheduler"),
    *("sd_model_name", "clip_skip", "clipskip", "sampler_schedule", "enable_sampler_scheduling", "diffusion_cadence"),
}
_KNOWN = re.compile(
    r"(?:(?:use|mask|overlay|invert|full|fill|seed|reroll|motion|enable|perspective|near|far|fov|aspect|contrast|amount"
    r"|kernel|sigma|threshold|color|legacy|optical|cadence|redo|noise|perlin|depth|midas|save|video|extract|overwrite"
    r"|resume|hybrid|parseq|cn|controlnet|skip|make|delete|add|soundtrack|r|render|store|frame|sd|deforum|pix2pix|ddim"
    r"|ancestral|image|blendFactor\w*|tweening|guided|max|output|steps|checkpoint|clipskip|show|strength|diffusion)_\w*"
    r"|strength|border|batch_name|n_batch|timestring|tiling|restore_faces|outdir|filename_format|init_\w+|padding_mode"
    r"|sampling_mode|eta|ddim_eta|precision|display_\w+|n_samples|grid_\w+|mean_scale|var_scale|\w+_guidance_\w+"
    r"|override_\w+|ddim_\w+|fov|legacy_colormatch|preview|realtime_preview|hires_\w+|upscale_\w+|version|guidance_\w+)"
)
"""Settings of Deforum that have no effect on single frames, or none unless they are in the lists above."""


def looks(shape: Shape) -> bool:
    return any(shape.has_keys(name) for name in PROMPTS)


def read(source: Source, options: Options) -> Parts:
    """Returns the parts of a settings file. Camera motion has no place in a recipe: a note names it."""
    data = fields_of(source, read_all(source), "this text")
    prompts = _prompt_set(data)
    if prompts is None:
        raise source.error(0, 'there are no "prompts"; write them: {"0": "a cat"}')
    frames = options.frames
    if frames is None and "max_frames" in data:
        frames = number_of(source, data["max_frames"], "max_frames", 1, MAX_FRAMES, whole=True)
    options = replace(options, frames=frames, seed=_main_seed(source, data, options), fps=_fps(source, data, options))
    options = _wrapping(source, data, prompts, options)
    tracks = {**_prompts(source, data, prompts, options), **_seeds(source, data, options)}
    fields = _fields(source, data)
    cfg = _cfg_schedule(source, data, options)
    if cfg is not None:
        tracks["cfg"] = number_track(source, cfg, options, TARGETS["cfg"])
    _note_rest(source, data)
    keyframes, ease = to_keyframes(source, tracks)
    return Parts(keyframes, frames=frames, fps=options.fps, ease=ease, **fields)


def _prompt_set(data: Mapping[str, Node]) -> str | None:
    """Returns the name of the first set of prompts that is not empty; a notebook's settings have an empty list too."""
    present = [name for name in PROMPTS if name in data]
    return next((name for name in present if data[name].value), present[0] if present else None)


def _prompts(source: Source, data: Mapping[str, Node], name: str, options: Options) -> dict[str, list[Stop]]:
    mode = text_of(source, data["animation_mode"], "animation_mode").text if "animation_mode" in data else ""
    # In its Interpolation mode alone, max_f of a key is the number of frames.
    travels = mode == "Interpolation"
    ease, clock = ("linear", options.clock(last=0)) if travels else ("hold", options.clock())
    found = prompt_tracks(source, _pairs_of(source, data, name), options, ease, clock)
    for negatives in (name for name in NEGATIVES if _is_set_of_prompts(data, name) and data[name].value):
        pairs = _pairs_of(source, data, negatives)
        # A run saves its negatives within the prompts, and the set of them once more.
        inside = " ".join(text for stop in found.get("negative", ()) for text in stop.value.values)
        if not all(pair.value.text.strip() in inside for pair in pairs):
            found = with_negatives(source, found, prompt_tracks(source, pairs, options, ease, clock))
    return found


def _main_seed(source: Source, data: Mapping[str, Node], options: Options) -> int | None:
    seed = options.seed
    if seed is None and "seed" in data:
        seed = number_of(source, data["seed"], "seed", -1, MAX_SEED, whole=True)
    if seed is not None and seed < 0:
        source.note("seed -1 means a random seed; here it is 0, so that the film is the same every time")
        return 0
    return seed


def _wrapping(source: Source, data: Mapping[str, Node], prompts: str, options: Options) -> Options:
    """Returns the options with the prompts that the settings put around all others.

    The file that a run saves has them in `positive_prompts` and `negative_prompts`, and within its prompts already.
    """

    def text(name: str) -> str:
        return text_of(source, data[name], name).text.strip() if name in data else ""

    written = data[prompts].plain()
    saved = [str(prompt).strip() for prompt in written.values()] if isinstance(written, dict) else []
    before = text("positive_prompts")
    texts = [text(name) for name in NEGATIVES if not _is_set_of_prompts(data, name)]
    after = next(filter(None, texts), "").replace("--neg", "").strip()
    if all(prompt.startswith(before) for prompt in saved):
        before = ""
    if all(prompt.endswith(after) for prompt in saved):
        after = ""
    before = text("animation_prompts_positive") or before
    after = text("animation_prompts_negative") or after
    after = f"--neg {after}" if after and "--neg" not in after else after
    return replace(options, before=f"{options.before} {before}".strip(), after=f"{options.after} {after}".strip())


def _is_set_of_prompts(data: Mapping[str, Node], name: str) -> bool:
    return name in data and isinstance(data[name].value, (dict, list))


def _fps(source: Source, data: Mapping[str, Node], options: Options) -> float | None:
    if options.fps is not None or "fps" not in data:
        return options.fps
    fps: float = number_of(source, data["fps"], "fps", 0.001, 240)
    return fps


def _pairs_of(source: Source, data: Mapping[str, Node], name: str) -> list[Pair]:
    node = data[name]
    pairs = [
        Pair(node.keys[key], text_of(source, value, "the prompt"), True)
        for key, value in fields_of(source, node, name).items()
    ]
    if not pairs:
        raise source.error(node.at, "there are no prompts; write one for a frame")
    return pairs


def _schedule(source: Source, node: Node, options: Options) -> list[tuple[int, Pair]]:
    """Returns the pairs of a schedule in quotes, sorted by frame, with positions in the whole text."""
    written = text_of(source, node, "the schedule")
    with source.errors_at(written):
        pairs = read_pairs(Source(written.text, nested=True))
    clock = options.clock()
    ordered = []
    for key, value, is_text in pairs:
        key, value = (replace(part, places=[written.places[at] for at in part.places]) for part in (key, value))
        ordered.append((frame_of(source, key, clock), key, Pair(key, value, is_text)))
    return by_frame(source, ordered)


def _cfg_schedule(source: Source, data: Mapping[str, Node], options: Options) -> list[tuple[int, Pair]] | None:
    """Returns the schedule of cfg; for Flux in Forge, whose cfg is 1, that of its distilled guidance."""
    cfg = _schedule(source, data["cfg_scale_schedule"], options) if "cfg_scale_schedule" in data else None
    if "distilled_cfg_scale_schedule" not in data:
        return cfg
    if cfg is not None and all(pair.value.text.strip("() ") in ("1", "1.0") for _, pair in cfg):
        source.note("cfg is 1 throughout, so the distilled guidance is read as the recipe's cfg, as Flux takes it")
        return _schedule(source, data["distilled_cfg_scale_schedule"], options)
    source.note("distilled_cfg_scale_schedule is left out; for a Flux model write its values as cfg")
    return cfg


def seeds_of_behavior(behavior: str, seed: int, frames: int, every: int = 1) -> list[int]:
    """Returns the seed of each frame by one of Deforum's behaviors.

    `iter` adds 1 after the first frame and then every so many frames, `ladder` adds 2 and subtracts 1 in turn,
    `alternate` adds 1 and subtracts 1.

    >>> seeds_of_behavior("ladder", 5, 6), seeds_of_behavior("alternate", 5, 4)
    ([5, 7, 6, 8, 7, 9], [5, 6, 5, 6])
    >>> seeds_of_behavior("iter", 5, 6, every=2)
    [5, 6, 6, 7, 7, 8]
    """
    if behavior == "random":
        return [seed, *(random_seed(seed, frame) for frame in range(1, frames))]
    steps: Callable[[int], int] = {
        "iter": lambda frame: -(-frame // every),
        "fixed": lambda frame: 0,
        "ladder": lambda frame: frame // 2 + 2 * (frame % 2),
        "alternate": lambda frame: frame % 2,
    }[behavior]
    return [min(seed + steps(frame), MAX_SEED) for frame in range(frames)]


def _seeds(source: Source, data: Mapping[str, Node], options: Options) -> dict[str, list[Stop]]:
    """Returns the track of the seeds, by the behavior that the settings name."""
    seed = options.seed or 0
    node = data.get("seed_behavior")
    behavior = text_of(source, node, "seed_behavior").text if node else "fixed"
    if behavior == "schedule" and "seed_schedule" in data:
        return {"seed": seed_track(source, _schedule(source, data["seed_schedule"], options), options)}
    if node and behavior not in SEED_BEHAVIORS:
        raise source.error(
            node.at, f"{show(behavior)} is not a seed behavior; use {', '.join(SEED_BEHAVIORS)}, schedule"
        )
    if behavior == "fixed":
        return {"seed": [Stop(0, Mix.one(seed))]} if options.seed is not None else {}
    if options.frames is None:
        raise source.error(node.at if node else 0, "the number of frames is not in the text; give frames (--frames 48)")
    every = 1
    if "seed_iter_N" in data:
        every = number_of(source, data["seed_iter_N"], "seed_iter_N", 1, MAX_FRAMES, whole=True)
    if behavior == "random":
        source.note("random seeds are drawn from the main seed and the frame, so that they are the same every time")
    if options.frames > 1:
        source.note(
            f"seed_behavior {behavior} gives each frame another seed. Deforum starts from the frame before; here each "
            'frame is rendered from noise, so the film flickers. For a steady film set "seed_behavior": "fixed"'
        )
    seeds = seeds_of_behavior(behavior, seed, options.frames, every)
    return {"seed": held_stops([Mix.one(found) for found in seeds])}


def _fields(source: Source, data: Mapping[str, Node]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if "steps" in data:
        fields["steps"] = number_of(source, data["steps"], "steps", 1, 1000, whole=True)
    for name, field in (("width", "width"), ("height", "height"), ("W", "width"), ("H", "height")):
        if name in data:
            side = number_of(source, data[name], name, 8, 8192, whole=True)
            fields[field] = side - side % 8  # as Deforum itself does
    for name in ("scale", "cfg_scale"):
        if name in data:
            fields["cfg"] = number_of(source, data[name], name, 0, 100)
    fields.update(_sampler(source, data))
    if model := _model(source, data):
        fields["model"] = model
    return fields


def _model(source: Source, data: Mapping[str, Node]) -> Model | None:
    """Returns the checkpoint and clip skip, None without them. Clip skip 1, as Deforum counts, skips nothing."""
    found: dict[str, Any] = {}
    for name in ("clip_skip", "clipskip"):
        if name in data and (skip := number_of(source, data[name], name, 0, 12, whole=True)) > 1:
            found["clip_skip"] = skip
    written = text_of(source, data["sd_model_name"], "sd_model_name") if "sd_model_name" in data else None
    if written is None or not written.text.strip():
        return Model(**found) if found else None
    with source.errors_at(written):
        return Model(checkpoint=written.text.strip(), **found)


def _sampler(source: Source, data: Mapping[str, Node]) -> dict[str, str]:
    """Returns the sampler and scheduler, with a note for a label that no recipe has a name for."""
    fields: dict[str, str] = {}
    if "sampler" in data:
        label = text_of(source, data["sampler"], "sampler").text
        known = sampler_of(label)
        if known is None:
            source.note(f"the sampler {show(label)} has no name here; the recipe keeps its default")
        else:
            fields.update({"sampler": known[0], **({"scheduler": known[1]} if known[1] else {})})
    if "scheduler" in data:
        label = text_of(source, data["scheduler"], "scheduler").text
        scheduler = scheduler_of(label, fields.get("sampler", ""))
        if scheduler is None:
            source.note(f"the scheduler {show(label)} has no name here; the recipe keeps its default")
        else:
            fields["scheduler"] = scheduler
    return fields


def _note_rest(source: Source, data: Mapping[str, Node]) -> None:
    """Adds notes on settings for camera motion and frame feedback, and on others that recipes do not have."""
    left = [name for name in _MOTION if name in data and data[name].value is not None]
    if left:
        source.note(f"every frame is rendered on its own here, so these are left out: {', '.join(left)}")
    rest = [name for name in _SET if _is_set(data, name) and (name not in _SWITCHES or _is_on(data, _SWITCHES[name]))]
    if "sampler_schedule" in data and _is_set(data, "enable_sampler_scheduling"):
        rest.append("sampler_schedule")
    cadence = data["diffusion_cadence"].plain() if "diffusion_cadence" in data else 1
    if str(cadence)[:20].strip() not in ("0", "1", "1.0", "None"):
        rest.append("diffusion_cadence")
    if rest:
        source.note(f"set, and without a place in a recipe, so these are left out: {', '.join(rest)}")
    note_unread(source, [n for n in data if n not in (*_READ, *_MOTION, *_SET) and not _KNOWN.fullmatch(n)])


def _is_set(data: Mapping[str, Node], name: str) -> bool:
    """Returns whether a setting is present and not off."""
    value = data[name].plain() if name in data else None
    return bool(value) and str(value)[:20].strip().lower() not in _UNSET


def _is_on(data: Mapping[str, Node], name: str) -> bool:
    return name not in data or _is_set(data, name)


SYNTAX = Syntax("deforum-settings", "Deforum's settings file", looks, read, emphasis="a1111")
