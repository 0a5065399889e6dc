"""Measures how well ComfyUI, AUTOMATIC1111 and the local engine agree, and writes the table of the product.

    python -m tests.agreement --comfyui URL --a1111 URL --checkpoint tiny-sd15.safetensors

Each engine renders the same travel of prompts and seeds with each sampler and scheduler. The largest difference of all
frames is stored: a few frames for every pair, then a whole film for those in `FIRST`. Both servers need Remix Toolkit,
and all three engines the same checkpoint by that name (the local engine looks for it in the current folder). Existing
rows are kept, unless --again measures them again.

With `--lora grain.safetensors` it then measures the other fields of recipes (`extras`). All three engines need the
LoRA of that name, which `python -m tests.agreement --write-lora PATH` writes.

With `--family sdxl` or `sd2` it measures another family alone, by a checkpoint that `python -m tests.real.families`
writes. With `--forge URL` instead of --a1111 it compares a Forge with the others that are given.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from remix import __version__
from remix.client import open_engine
from remix.engine import Engine, Picture
from remix.engine.agreement import TABLE
from remix.errors import Unsupported
from remix.motion.pictures import difference
from remix.plan import Recipe, plan
from tests.real.loras import write_lora

SAMPLERS = ("euler", "heun", "dpmpp_2m", "ddim", "euler_ancestral", "dpmpp_2m_sde", "lcm", "uni_pc")
SCHEDULERS = ("normal", "karras", "exponential", "sgm_uniform", "simple", "ddim_uniform")
FIRST = [
    *((sampler, scheduler) for sampler in SAMPLERS[:6] for scheduler in SCHEDULERS[:2]),
    ("uni_pc", "normal"),
]
"""What is measured over a whole film."""

LONG, SHORT, SOME = 24, 3, 6
PLAIN: Sequence[Mapping[str, Any]] = ({}, {}, {})
"""Three keyframes that have nothing but prompts and seeds."""

SETTINGS: dict[str, Any] = {"size": [64, 64], "steps": 8, "cfg": 7.0}
PROMPTS = ("a red apple on a wooden table, morning light", "a green house by the sea", "snow on a mountain at night")
SEEDS = (1, 5, 9)
REEDS = "tall reeds, a small wooden boat, low mist over the water, " * 9
"""More than 75 tokens by itself."""


WEIGHED: Sequence[Mapping[str, Any]] = (
    {"prompt": "a (red:1.4) apple on a [wooden] table, ((morning)) light", "negative": "(blurry:1.2)"},
    {"prompt": "a (red:0.5) apple on a [wooden] table, (morning:1.3) light"},
    {"prompt": r"a hill, (snow:1.5) \(night\), (a (cold:1.2) wind:0.8)"},
)
"""The first two differ in their weights alone."""
LONG_WEIGHED: Sequence[Mapping[str, Any]] = [
    {"prompt": f"{'tall (reeds:1.3), a small [wooden] boat, low mist over the (water), ' * 6}{end}"}
    for end in ("a red apple", "a (green:0.6) house BREAK by the (sea:1.2)", "snow BREAK at night")
]
PARTED: Sequence[Mapping[str, Any]] = [{"prompt": f"{prompt} AND fog :0.5"} for prompt in PROMPTS[:2]] + [
    {"prompt": f"{PROMPTS[2]} :0.8"}
]
EDITED: Sequence[Mapping[str, Any]] = (
    {"prompt": "a [red:(green:1.3):0.5] apple", "negative": "[blurry::3]"},
    {"prompt": "a [house|boat] by the sea [at night:5]"},
    {"prompt": "snow on a mountain"},
)
OWN_TEXTS: Sequence[Mapping[str, Any]] = [{"prompt": f"fog TE(l={prompt})"} for prompt in PROMPTS[:2]] + [{}]
UNSAID: Sequence[Mapping[str, Any]] = ({"negative": ""}, {}, {})
LENGTHY: Sequence[Mapping[str, Any]] = [{"prompt": f"{REEDS}{prompt}"} for prompt in PROMPTS]
BEGUN: Sequence[Mapping[str, Any]] = ({"image": "one.png", "denoise": 0.6}, {}, {"image": "other.png"})
MOVING: Sequence[Mapping[str, Any]] = ({"image": "one.png", "denoise": 0.2}, {}, {"image": "other.png", "denoise": 1})


WAYS_OF_DENOISE = (
    ("euler", "normal"),
    ("euler", "simple"),
    ("euler", "ddim_uniform"),
    ("dpmpp_2m", "karras"),
    ("dpmpp_2m", "sgm_uniform"),
    ("heun", "exponential"),
    ("euler_ancestral", "normal"),
    ("uni_pc", "normal"),
)


class Extra(NamedTuple):
    """Something in addition to prompts and seeds: its name in the table, sampler, scheduler and keyframes."""

    kind: str
    sampler: str
    scheduler: str
    keyframes: Sequence[Mapping[str, Any]] = PLAIN
    clip_skip: int = 1
    emphasis: str | None = None
    mix: str | None = None


PASSES = (
    Extra("output", "euler", "normal", mix="output"),
    Extra("AND", "euler", "normal", PARTED),
    Extra("editing", "euler", "normal", EDITED, emphasis="a1111"),
    Extra("editing", "heun", "normal", EDITED, emphasis="a1111"),
)
ENCODERS = Extra("TE", "euler", "normal", OWN_TEXTS)
EMPHASIS = (
    Extra("comfy emphasis", "euler", "normal", WEIGHED, emphasis="comfy"),
    Extra("long comfy emphasis", "euler", "normal", LONG_WEIGHED, emphasis="comfy"),
    Extra("a1111 emphasis", "euler", "normal", WEIGHED, emphasis="a1111"),
    Extra("long a1111 emphasis", "euler", "normal", LONG_WEIGHED, emphasis="a1111"),
)


def extras(lora: str) -> list[Extra]:
    """Returns what is measured in addition to the travel; `lora` is the name of the LoRA that the engines have."""
    masked = [{**BEGUN[0], "mask": "mask.png"}, *BEGUN[1:]]
    return [
        Extra("image", "euler", "normal", BEGUN),
        Extra("image", "dpmpp_2m", "karras", BEGUN),
        Extra("image", "euler_ancestral", "normal", BEGUN),
        Extra("image", "uni_pc", "normal", BEGUN),
        *(Extra("traveling denoise", *way, MOVING) for way in WAYS_OF_DENOISE),
        Extra("mask", "euler", "normal", masked),
        Extra("loras", "euler", "normal", [{"loras": {lora: 1.0}}, {}, {}]),
        Extra("traveling loras", "euler", "normal", [{"loras": {lora: 0.0}}, {}, {"loras": {lora: 1.0}}]),
        Extra("long", "euler", "normal", LENGTHY),
        Extra("long", "dpmpp_2m", "karras", LENGTHY),
        Extra("no negative", "euler", "normal", UNSAID),
        Extra("clip skip", "euler", "normal", clip_skip=2),
        *EMPHASIS,
        Extra("no-norm emphasis", "dpmpp_2m", "karras", WEIGHED, emphasis="a1111-no-norm"),
        *PASSES,
        ENCODERS,
    ]


def of_family(family: str) -> list[Extra]:
    """Returns what is measured of a family but SD 1.5."""
    return [
        Extra("", "euler", "normal"),
        Extra("", "dpmpp_2m", "karras"),
        Extra("no negative", "euler", "normal", UNSAID),
        Extra("clip skip", "euler", "normal", clip_skip=2 if family == "sd2" else 3),
        Extra("", "euler_ancestral", "normal"),
        Extra("long", "euler", "normal", LENGTHY),
        Extra("image", "euler", "normal", [{**BEGUN[0], "denoise": 8 / 13}, *BEGUN[1:]]),  # of 13 whole steps
        *([ENCODERS] if family == "sdxl" else []),
        *EMPHASIS,
        *PASSES,
    ]


def inputs() -> dict[str, Picture]:
    """Returns the pictures that `extras` name: two that are smooth and colored, and a mask of the left half."""
    width, height = SETTINGS["size"]
    down, across = np.mgrid[0:height, 0:width] * (255 / (width - 1))
    one = np.stack([across, down, 255 - across], axis=2).astype(np.uint8)
    mask = np.zeros((height, width, 3), np.uint8)
    mask[:, : width // 2] = 255
    return {"one.png": one, "other.png": np.ascontiguousarray(one[::-1, :, ::-1]), "mask.png": mask}


def travel(frames: int, checkpoint: str, asked: Extra) -> Recipe:
    """Returns the measured travel: three prompts, three seeds, a negative, and what keyframes have in addition."""
    keyframes = [
        {"at": round(place * (frames - 1) / 2), "prompt": prompt, "seed": seed, **more}
        for place, (prompt, seed, more) in enumerate(zip(PROMPTS, SEEDS, asked.keyframes, strict=True))
    ]
    keyframes[0].setdefault("negative", "blurry")
    model = {"checkpoint": checkpoint, "clip_skip": asked.clip_skip}
    way = {"sampler": asked.sampler, "scheduler": asked.scheduler}
    if asked.emphasis:
        way["emphasis"] = asked.emphasis
    if asked.mix:
        way["mix"] = asked.mix
    return Recipe.from_dict({"frames": frames, "model": model, "keyframes": keyframes, **SETTINGS, **way})


def measure(engines: Mapping[str, Engine], recipe: Recipe) -> dict[str, Any]:
    """Returns a row of the table: for each pair of engines the least PSNR (None: all is the same) and the most off."""
    pictures: dict[str, Sequence[Picture]] = {}
    schedule = plan(recipe)
    names = {name for frame in schedule for mix in (frame.image, frame.mask) if mix for name in mix.values}
    given = {name: picture for name, picture in inputs().items() if name in names}
    for name, engine in engines.items():
        try:
            engine.check(schedule)
        except Unsupported as error:
            sys.stderr.write(f"{name}: {error}\n")
            continue
        pictures[name] = list(engine.render(schedule, range(len(schedule)), given, lambda event: None))
    apart = {}
    for one, other in combinations(pictures, 2):
        found = [difference(*pair) for pair in zip(pictures[one], pictures[other], strict=True)]
        least = min(each.psnr for each in found)
        apart[f"{one}-{other}"] = [
            None if math.isinf(least) else round(least, 1),
            max(each.off for each in found),
        ]
    return {"sampler": recipe.sampler, "scheduler": recipe.scheduler, "frames": recipe.frames, "apart": apart}


PARTS: Mapping[str, tuple[str, ...]] = {
    "rows": (),
    "extras": ("kind",),
    "families": ("family", "kind"),
    "forge": ("kind",),
}
"""The parts of the table, and what identifies their rows in addition to sampler and scheduler."""


class Measuring:
    """The table, written after each row; `left` is how many rows are still to be measured now."""

    def __init__(self, engines: Mapping[str, Engine], options: argparse.Namespace) -> None:
        self._engines, self._said, self.left = engines, options, options.rows
        self._now: list[dict[str, Any]] = []
        self._table: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
        versions = {name: self._table["measured"].get(name) for name in ("hosts", "forge")}
        if options.versions:
            versions["forge" if options.forge else "hosts"] = options.versions
        about = {"toolkit": __version__, **versions, **SETTINGS, "prompts": PROMPTS, "seeds": SEEDS}
        self._table["measured"] = about

    def row(self, part: str, frames: int, extra: Extra) -> None:
        """Measures a row of a part of the table, unless it is there with so many frames."""
        kinds = {"kind": extra.kind, "family": self._said.family}
        about = {name: kinds[name] for name in PARTS[part]} | {"sampler": extra.sampler, "scheduler": extra.scheduler}
        rows = self._table.setdefault(part, [])
        known = next((row for row in rows if about.items() <= row.items()), None)
        counts = known and (not self._said.again or known in self._now)
        if self.left <= 0 or (known and counts and known["frames"] >= frames):
            return
        self.left -= 1
        found = {**about, **measure(self._engines, travel(frames, self._said.checkpoint, extra))}
        self._now.append(found)
        rows[:] = [*(row for row in rows if row is not known), found]
        sys.stdout.write(f"{json.dumps(found)}\n")
        sys.stdout.flush()
        self._write()

    def _write(self) -> None:
        """Writes the table, a row in a line, in the order of the samplers."""
        order = [(sampler, scheduler) for sampler in SAMPLERS for scheduler in SCHEDULERS]
        parts = []
        for part in PARTS:
            rows = self._table.get(part, [])
            if part == "rows":
                rows = sorted(rows, key=lambda row: order.index((row["sampler"], row["scheduler"])))
            lines = ",\n".join(f"    {json.dumps(row)}" for row in rows)
            parts.append(f'  "{part}": [\n{lines}\n  ]' if rows else f'  "{part}": []')
        inner = ",\n".join([f'  "measured": {json.dumps(self._table["measured"])}', *parts])
        TABLE.write_text(f"{{\n{inner}\n}}\n", encoding="utf-8", newline="\n")


def main() -> None:
    """Measures what is not measured yet, and writes after each row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write-lora", type=Path, metavar="PATH")
    parser.add_argument("--comfyui")
    parser.add_argument("--a1111")
    parser.add_argument("--checkpoint")
    parser.add_argument("--lora")
    parser.add_argument("--family", choices=("sd2", "sdxl"))
    parser.add_argument("--forge")
    parser.add_argument("--versions", help="what to write down of the hosts, or of the Forge")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--rows", type=int, default=sys.maxsize, help="how many to measure now, at most")
    options = parser.parse_args()
    if options.write_lora:
        write_lora(options.write_lora)
        return
    if not options.checkpoint or not (options.forge or (options.comfyui and options.a1111)):
        parser.error("--checkpoint is needed, and --comfyui with --a1111, or --forge")
    urls = {"comfyui": options.comfyui, "a1111": options.a1111, "forge": options.forge}
    engines = {
        name: open_engine("comfyui" if name == "comfyui" else "a1111", url=url) for name, url in urls.items() if url
    }
    measuring = Measuring({**engines, "local": open_engine("local", device="cpu")}, options)
    if options.forge:
        for sampler in ("euler", "heun", "dpmpp_2m", "euler_ancestral"):
            for scheduler in SCHEDULERS[:2]:
                measuring.row("forge", SOME, Extra("", sampler, scheduler))
        for extra in (*EMPHASIS, *PASSES):
            measuring.row("forge", SOME, extra)
    elif options.family:
        for extra in of_family(options.family):
            measuring.row("families", SOME, extra)
    else:
        _of_sd1(measuring, options.lora)


def _of_sd1(measuring: Measuring, lora: str | None) -> None:
    order = [(sampler, scheduler) for sampler in SAMPLERS for scheduler in SCHEDULERS]
    early = [pair for pair in order if pair[1] in SCHEDULERS[:2]]
    for pair, frames in [*((pair, SHORT) for pair in early), *((pair, LONG) for pair in FIRST)]:
        measuring.row("rows", frames, Extra("", *pair))
    for extra in extras(lora) if lora else ():
        measuring.row("extras", SOME, extra)
    for pair in order:
        measuring.row("rows", SHORT, Extra("", *pair))


if __name__ == "__main__":
    main()
