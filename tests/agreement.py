"""Measures how well ComfyUI, AUTOMATIC1111 and the local engine agree, and writes the table of the product.

    python -m tests.agreement --comfyui URL --a1111 URL --checkpoint tiny-sd15.safetensors

Each sampler and scheduler renders the same travel of prompts and seeds with each engine; kept is what is worst over
all frames: of a few for every pair, then of a whole film for those in `FIRST`. Both servers need Remix Toolkit, and all
three the same checkpoint by that name (the local engine looks for it in the folder at hand). Rows that are there
already are kept, unless --again measures them anew.

With `--lora grain.safetensors` it goes on with what recipes have beside prompts and seeds (`extras`): all three need
the LoRA of that name that `python -m tests.agreement --write-lora PATH` writes.
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
from remix.errors import Unsupported
from remix.job import Engine, Picture
from remix.job.agreement import ENGINES, TABLE
from remix.motion.difference import difference
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


class Extra(NamedTuple):
    """Something beside prompts and seeds: its name in the table, its sampler and scheduler, what keyframes have."""

    kind: str
    sampler: str
    scheduler: str
    keyframes: Sequence[Mapping[str, Any]]


def extras(lora: str) -> list[Extra]:
    """Returns what is measured beside the travel itself; `lora` is the name of the LoRA that the engines have."""
    begun: list[dict[str, Any]] = [{"image": "one.png", "denoise": 0.6}, {}, {"image": "other.png"}]
    masked = [begun[0] | {"mask": "mask.png"}, *begun[1:]]
    long = [{"prompt": f"{REEDS}{prompt}"} for prompt in PROMPTS]
    return [
        Extra("image", "euler", "normal", begun),
        Extra("image", "dpmpp_2m", "karras", begun),
        Extra("image", "euler_ancestral", "normal", begun),
        Extra("mask", "euler", "normal", masked),
        Extra("loras", "euler", "normal", [{"loras": {lora: 1.0}}, {}, {}]),
        Extra("travelling loras", "euler", "normal", [{"loras": {lora: 0.0}}, {}, {"loras": {lora: 1.0}}]),
        Extra("long", "euler", "normal", long),
        Extra("long", "dpmpp_2m", "karras", long),
    ]


def inputs() -> dict[str, Picture]:
    """Returns the pictures that `extras` name: two that are smooth and coloured, and a mask of the left half."""
    width, height = SETTINGS["size"]
    down, across = np.mgrid[0:height, 0:width] * (255 / (width - 1))
    one = np.stack([across, down, 255 - across], axis=2).astype(np.uint8)
    mask = np.zeros((height, width, 3), np.uint8)
    mask[:, : width // 2] = 255
    return {"one.png": one, "other.png": np.ascontiguousarray(one[::-1, :, ::-1]), "mask.png": mask}


def travel(frames: int, checkpoint: str, beside: Sequence[Mapping[str, Any]] = PLAIN, **changes: Any) -> Recipe:
    """Returns the travel that is measured: three prompts, three seeds, a negative, and what keyframes have beside."""
    keyframes = [
        {"at": round(place * (frames - 1) / 2), "prompt": prompt, "seed": seed, **more}
        for place, (prompt, seed, more) in enumerate(zip(PROMPTS, SEEDS, beside, strict=True))
    ]
    keyframes[0]["negative"] = "blurry"
    return Recipe.from_dict({"frames": frames, "model": checkpoint, "keyframes": keyframes, **SETTINGS, **changes})


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


class Measuring:
    """The table, written after each row; `left` is how many rows are still to be measured now."""

    def __init__(self, engines: Mapping[str, Engine], said: argparse.Namespace) -> None:
        self._engines, self._checkpoint, self.left = engines, said.checkpoint, said.rows
        self._table: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
        hosts = said.versions or self._table["measured"]["hosts"]
        about = {"toolkit": __version__, "hosts": hosts, **SETTINGS, "prompts": PROMPTS, "seeds": SEEDS}
        self._table["measured"] = about
        if said.again:
            self._table |= {"rows": [], "extras": []}

    def row(self, part: str, frames: int, extra: Extra) -> None:
        """Measures a row of a part of the table, unless it is there with so many frames."""
        about = {"kind": extra.kind} if part == "extras" else {}
        about |= {"sampler": extra.sampler, "scheduler": extra.scheduler}
        rows = self._table.setdefault(part, [])
        known = next((row for row in rows if about.items() <= row.items()), None)
        if self.left <= 0 or (known and known["frames"] >= frames):
            return
        self.left -= 1
        asked = travel(frames, self._checkpoint, extra.keyframes, sampler=extra.sampler, scheduler=extra.scheduler)
        found = {**about, **measure(self._engines, asked)}
        rows[:] = [*(row for row in rows if row is not known), found]
        sys.stdout.write(f"{json.dumps(found)}\n")
        sys.stdout.flush()
        self._write()

    def _write(self) -> None:
        """Writes the table, a row in a line, in the order of the samplers."""
        order = [(sampler, scheduler) for sampler in SAMPLERS for scheduler in SCHEDULERS]
        parts = []
        for part in ("rows", "extras"):
            rows = self._table.get(part, [])
            if part != "extras":
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
    parser.add_argument("--versions", help="what to write down of the hosts")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--rows", type=int, default=sys.maxsize, help="how many to measure now, at most")
    said = parser.parse_args()
    if said.write_lora:
        write_lora(said.write_lora)
        return
    if not (said.comfyui and said.a1111 and said.checkpoint):
        parser.error("--comfyui, --a1111 and --checkpoint are needed")
    engines = {
        "comfyui": open_engine("comfyui", url=said.comfyui),
        "a1111": open_engine("a1111", url=said.a1111),
        "local": open_engine("local", device="cpu"),
    }
    assert tuple(engines) == ENGINES
    order = [(sampler, scheduler) for sampler in SAMPLERS for scheduler in SCHEDULERS]
    measuring = Measuring(engines, said)
    early = [pair for pair in order if pair[1] in SCHEDULERS[:2]]
    for pair, frames in [*((pair, SHORT) for pair in early), *((pair, LONG) for pair in FIRST)]:
        measuring.row("rows", frames, Extra("", *pair, PLAIN))
    for extra in extras(said.lora) if said.lora else ():
        measuring.row("extras", SOME, extra)
    for pair in order:
        measuring.row("rows", SHORT, Extra("", *pair, PLAIN))


if __name__ == "__main__":
    main()
