"""A script that fills in wildcards as the most used one does: all pictures' prompts, from the first one alone."""

from __future__ import annotations

import random
import re
from typing import Any

import gradio as gr
import modules.scripts as scripts

WORDS = {"colour": ("red", "green", "blue", "yellow"), "thing": ("lamp", "boat", "tree", "house")}


class FillsIn(scripts.Script):
    """Ignores pictures that have other prompts, counts them again, and needs one seed."""

    def title(self) -> str:
        return "Fills in"

    def show(self, is_img2img: bool) -> Any:
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list[Any]:
        return [gr.Checkbox(label="Fill in", value=False)]

    def process(self, p: Any, wanted: bool) -> None:
        if not wanted:
            return
        count, seed, template = p.n_iter * p.batch_size, int(p.seed), p.all_prompts[0]
        p.all_prompts = [self._filled(template, random.Random(seed + at)) for at in range(count)]
        p.all_negative_prompts = [p.all_negative_prompts[0]] * count
        p.all_seeds = [seed + at for at in range(count)]
        p.n_iter, p.prompt = -(-count // p.batch_size), template

    @staticmethod
    def _filled(template: str, draw: random.Random) -> str:
        return re.sub(r"__(\w+?)__", lambda found: draw.choice(WORDS[found[1]]), template)
