"""What a newer host may have: another field of requests, another setting, and another script that is always on."""

from __future__ import annotations

import dataclasses
from typing import Any

import gradio as gr
from modules import processing, scripts, shared

LATER = dataclasses.make_dataclass("Later", [("later", float, 0.5)]).__dataclass_fields__["later"]

for kind in (
    processing.StableDiffusionProcessing,
    processing.StableDiffusionProcessingTxt2Img,
    processing.StableDiffusionProcessingImg2Img,
):
    kind.later = LATER.default
    kind.__dataclass_fields__["later"] = LATER

shared.opts.add_option("later", shared.OptionInfo(True, "Later", section=("later", "Later")))


class Newer(scripts.Script):
    """Does nothing."""

    def title(self) -> str:
        return "Newer"

    def show(self, is_img2img: bool) -> Any:
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list[Any]:
        return [gr.Slider(0, 1, 0.5, label="Later")]
