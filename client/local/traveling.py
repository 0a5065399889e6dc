"""LoRAs whose strength travels. They are added to the outputs of layers, row by row, instead of being merged.

Hu et al. 2021: W' x = W x + strength * (alpha / rank) * up(down(x)). Each row of a batch has its own strength, so
frames of different strengths are sampled together.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from remix.client.local.loras import LowRank, changed_layers, is_text, lora_path
from remix.errors import Unsupported
from remix.plan import Frame, Model, Schedule

Strengths = tuple[float, ...]
"""The strengths of each traveling LoRA in the model, in the order of names, and then those in the text encoders.

() if they do not apply.
"""


def divided(schedule: Schedule) -> tuple[Model, tuple[str, ...]]:
    """Returns the model with the LoRAs of constant strength, and the names of the LoRAs that travel.

    For a LoRA that keyframes name, the strength in `model.loras` is ignored, however the file is spelled there. Raises
    `Unsupported` for a LoRA that does not exist, or that keyframes spell in two ways.
    """
    first = schedule[0].loras
    spelled: dict[str, str] = {}
    for lora in first:
        other = spelled.setdefault(os.path.realpath(lora_path(lora.name)), lora.name)
        if other != lora.name:
            raise Unsupported(f"loras: {other!r} and {lora.name!r} are one file; call it alike in all keyframes")
    traveling = {lora.name for k, lora in enumerate(first) if any(frame.loras[k] != lora for frame in schedule)}
    model = schedule.recipe.model
    merged = [lora for lora in model.loras if os.path.realpath(lora_path(lora.name)) not in spelled]
    merged += [lora for lora in first if lora.name not in traveling]
    return replace(model, loras=tuple(merged)), tuple(sorted(traveling))


class TravelingLoras:
    """LoRAs attached to the layers of `parts`, the networks keyed by diffusers' folder names.

    They are active only within `at`. Raises `Unsupported`, naming the LoRA and the layer, for a LoRA that does not fit,
    and for one that changes a layer of `across_frames`, whose input does not tell pictures apart.
    """

    def __init__(self, parts: Mapping[str, Any], names: Sequence[str], across_frames: Sequence[Any] = ()) -> None:
        self._names = tuple(names)
        self._columns: list[Tensor | None] = [None] * (2 * len(names))
        self._in_text = False
        for number, name in enumerate(names):
            for part, layer, change in changed_layers(parts, name):
                if any(layer is other for other in across_frames):
                    raise Unsupported(
                        f"loras: {name!r} changes how the {part} takes in pictures and prompts, which it does for all "
                        "frames together; give it one strength in all keyframes"
                    )
                self._in_text |= is_text(part)
                low_rank = LowRank(change, layer)
                # A submodule of the layer, so that it follows the layer to other devices and precisions.
                layer.add_module(f"traveling_{number}", low_rank)
                column = number + (len(names) if is_text(part) else 0)
                layer.register_forward_hook(partial(self._add, column, low_rank))

    def strengths(self, frame: Frame) -> Strengths:
        """Returns the strengths of all LoRAs in a frame."""
        own = {lora.name: lora for lora in frame.loras}
        return (*(own[name].strength for name in self._names), *(own[name].in_text for name in self._names))

    def in_text(self, frame: Frame) -> Strengths:
        """Returns the strengths for encoding a frame's prompts, or () if no LoRA changes a text encoder."""
        if not self._in_text:
            return ()
        own = {lora.name: lora.in_text for lora in frame.loras}
        return (*[0.0] * len(self._names), *(own[name] for name in self._names))

    @contextmanager
    def at(self, rows: Sequence[Strengths], device: torch.device) -> Iterator[None]:
        """Runs the networks in the block with these strengths, one entry per row of the batch.

        For a batch n times as large (prompt and negative prompt, or the chunks of one prompt), they are repeated n
        times. Afterwards the strengths are those of before, since prompts are encoded while frames are sampled.
        """
        before, self._columns = self._columns, [None] * (2 * len(self._names))
        if self._names and rows and rows[0]:
            columns = torch.tensor(rows, dtype=torch.float32)
            self._columns = [column.to(device) if bool(column.any()) else None for column in columns.unbind(1)]
        try:
            yield
        finally:
            self._columns = before

    def _add(self, place: int, low_rank: LowRank, layer: Any, inputs: tuple[Tensor, ...], out: Tensor) -> Tensor:
        column = self._columns[place]
        if column is None:
            return out
        strength = column.repeat(len(out) // len(column)).view(-1, *[1] * (out.ndim - 1))
        return out + strength.to(out.dtype) * low_rank(inputs[0])
