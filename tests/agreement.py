"""Measures how well ComfyUI, AUTOMATIC1111 and the local engine agree, and writes the table of the product.

    python -m tests.agreement --comfyui URL --a1111 URL --checkpoint tiny-sd15.safetensors

Each sampler and scheduler renders the same travel of prompts and seeds with each engine; kept is what is worst over
all frames: of a few for every pair, then of a whole film for those in `FIRST`. Both servers need Remix Toolkit, and all
three the same checkpoint by that name (the local engine looks for it in the folder at hand). Rows that are there
already are kept, unless --again measures them anew.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from remix import __version__
from remix.client import open_engine
from remix.errors import Unsupported
from remix.job import Engine, Picture
from remix.job.agreement import ENGINES, TABLE
from remix.motion.difference import difference
from remix.plan import Recipe, plan

SAMPLERS = ("euler", "heun", "dpmpp_2m", "ddim", "euler_ancestral", "dpmpp_2m_sde", "lcm", "uni_pc")
SCHEDULERS = ("normal", "karras", "exponential", "sgm_uniform", "simple", "ddim_uniform")
FIRST = [(sampler, scheduler) for sampler in SAMPLERS[:6] for scheduler in SCHEDULERS[:2]]
"""What is measured over a whole film."""

LONG, SHORT = 24, 3
SETTINGS: dict[str, Any] = {"size": [64, 64], "steps": 8, "cfg": 7.0}
PROMPTS = ("a red apple on a wooden table, morning light", "a green house by the sea", "snow on a mountain at night")
SEEDS = (1, 5, 9)


def travel(frames: int, checkpoint: str, **changes: Any) -> Recipe:
    """Returns the travel that is measured: three prompts, three seeds, a negative."""
    keyframes = [
        {"at": round(place * (frames - 1) / 2), "prompt": prompt, "seed": seed}
        for place, (prompt, seed) in enumerate(zip(PROMPTS, SEEDS, strict=True))
    ]
    keyframes[0]["negative"] = "blurry"
    return Recipe.from_dict({"frames": frames, "model": checkpoint, "keyframes": keyframes, **SETTINGS, **changes})


def measure(engines: dict[str, Engine], recipe: Recipe) -> dict[str, Any]:
    """Returns a row of the table: for each pair of engines the least PSNR (None: all is the same) and the most off."""
    pictures: dict[str, Sequence[Picture]] = {}
    schedule = plan(recipe)
    for name, engine in engines.items():
        try:
            engine.check(schedule)
        except Unsupported as error:
            sys.stderr.write(f"{name}: {error}\n")
            continue
        pictures[name] = list(engine.render(schedule, range(len(schedule)), {}, lambda event: None))
    apart = {}
    for one, other in combinations(pictures, 2):
        found = [difference(*pair) for pair in zip(pictures[one], pictures[other], strict=True)]
        least = min(each.psnr for each in found)
        apart[f"{one}-{other}"] = [
            None if math.isinf(least) else round(least, 1),
            max(each.off for each in found),
        ]
    return {"sampler": recipe.sampler, "scheduler": recipe.scheduler, "frames": recipe.frames, "apart": apart}


def main() -> None:
    """Measures what is not measured yet, and writes after each row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comfyui", required=True)
    parser.add_argument("--a1111", required=True)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--versions", default="", help="what to write down of the hosts")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--rows", type=int, default=sys.maxsize, help="how many to measure now, at most")
    said = parser.parse_args()
    engines = {
        "comfyui": open_engine("comfyui", url=said.comfyui),
        "a1111": open_engine("a1111", url=said.a1111),
        "local": open_engine("local", device="cpu"),
    }
    assert tuple(engines) == ENGINES
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    about = {"toolkit": __version__, "hosts": said.versions, **SETTINGS, "prompts": PROMPTS, "seeds": SEEDS}
    rows = {} if said.again else {(row["sampler"], row["scheduler"]): row for row in table["rows"]}
    order = [(sampler, scheduler) for sampler in SAMPLERS for scheduler in SCHEDULERS]
    early = [pair for pair in order if pair[1] in SCHEDULERS[:2]]
    wanted = [*((pair, SHORT) for pair in early), *((pair, LONG) for pair in FIRST), *((pair, SHORT) for pair in order)]
    for pair, frames in wanted:
        if rows.get(pair, {"frames": 0})["frames"] >= frames or said.rows <= 0:
            continue
        said.rows -= 1
        row = measure(engines, travel(frames, said.checkpoint, sampler=pair[0], scheduler=pair[1]))
        rows[pair] = row
        sys.stdout.write(f"{json.dumps(row)}\n")
        sys.stdout.flush()
        write(TABLE, about, [rows[pair] for pair in order if pair in rows])


def write(path: Path, about: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    """Writes the table, a row in a line."""
    lines = ",\n".join(f"    {json.dumps(row)}" for row in rows)
    path.write_text(
        f'{{\n  "measured": {json.dumps(about)},\n  "rows": [\n{lines}\n  ]\n}}\n', encoding="utf-8", newline="\n"
    )


if __name__ == "__main__":
    main()
