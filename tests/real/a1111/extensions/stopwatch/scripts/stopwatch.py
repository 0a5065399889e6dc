"""Measures what the model itself takes: its text encoder, its U-Net and its decoder, of every request since the last.

GET /stopwatch gives for each the seconds of processor time and how many rows went through it.
"""

from __future__ import annotations

import time
from typing import Any

from modules import script_callbacks, shared

taken: dict[str, list[float]] = {}
begun: dict[str, float] = {}


def watch(name: str, module: Any) -> None:
    """Counts the time and the rows of every call of a part of the model."""

    def before(module: Any, args: Any, kwargs: Any) -> None:
        begun[name] = time.thread_time()

    def after(module: Any, args: Any, kwargs: Any, result: Any) -> None:
        held = taken.setdefault(name, [0.0, 0])
        held[0] += time.thread_time() - begun[name]
        held[1] += len(args[0] if args else kwargs["input_ids"])

    module.register_forward_pre_hook(before, with_kwargs=True)
    module.register_forward_hook(after, with_kwargs=True)


def started(page: Any, app: Any) -> None:
    model = shared.sd_model
    watch("text", model.cond_stage_model.wrapped.transformer)
    watch("unet", model.model.diffusion_model)
    watch("decoder", model.first_stage_model.decoder)

    @app.get("/stopwatch")
    def stopwatch() -> dict[str, list[float]]:
        report = dict(taken)
        taken.clear()
        return report


script_callbacks.on_app_started(started)
