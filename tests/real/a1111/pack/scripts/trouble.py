"""An extension for the tests: prompts that say so fail as a full card does, or as any code of the host's may."""

from __future__ import annotations

from typing import Any

import torch
from modules import scripts

TROUBLES = {"a full memory": torch.OutOfMemoryError("CUDA out of memory"), "a wrong turn": ValueError("no such thing")}
SHY = "a shy extension"
MOST_GUIDANCE = 6
"""Frames with more of it fail."""


class Trouble(scripts.Script):
    """Always on; other prompts never notice."""

    def title(self) -> str:
        return "Trouble"

    def show(self, is_img2img: bool) -> Any:
        return scripts.AlwaysVisible

    def process(self, p: Any) -> None:
        if p.cfg_scale > MOST_GUIDANCE and any(SHY in prompt for prompt in p.all_prompts):
            raise ValueError("not today")  # the host reports it, and goes on
        for words, error in TROUBLES.items():
            if words in p.prompt and p.cfg_scale > MOST_GUIDANCE:
                p.sample = _raising(error)


def _raising(error: Exception) -> Any:
    def sample(*arguments: Any, **options: Any) -> None:
        raise error

    return sample
