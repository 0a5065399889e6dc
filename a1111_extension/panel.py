"""The fields of the script, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from .settings import Settings

NAMES = ("text", "frames", "fps", "batch", "film", "new", "portable")
"""The fields of Settings in the order of the panel's components."""


def build(is_img2img: bool, elem_id: Callable[[str], str]) -> list[Any]:
    """Returns the components, the recipe first."""
    return [
        gr.Textbox(label="Recipe", lines=12, value="", elem_id=elem_id("recipe")),
        gr.Textbox(label="Frames", value="", elem_id=elem_id("frames")),
        gr.Number(label="Frames per second", value=0, elem_id=elem_id("fps")),
        gr.Slider(label="Frames at once", minimum=1, maximum=64, step=1, value=8, elem_id=elem_id("batch")),
        gr.Dropdown(label="Film", choices=["mp4", "webm", "gif", ""], value="mp4", elem_id=elem_id("film")),
        gr.Checkbox(label="Begin anew", value=False, elem_id=elem_id("new")),
        gr.Checkbox(label="The same noise in every tool", value=True, elem_id=elem_id("portable")),
    ]


def settings(args: Sequence[Any]) -> Settings:
    """Returns what the values of the components say; those that are missing at the end hold their default."""
    said = dict(zip(NAMES, args, strict=False))
    return Settings(**{**said, "batch": int(said.get("batch", 8))})
