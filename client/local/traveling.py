"""LoRAs whose strength travels: added to what the layers give, row by row, in place of being merged.

Hu et al. 2021: W' x = W x + strength * (alpha / rank) * up(down(x)). Each row of a batch has its own strength, so
that frames of different strength are sampled together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from remix.client.local.loras import Change, changed_layers, lora_path
from remix.errors import Unsupported
from remix.plan import Frame, Model, Schedule

Strengths = tuple[float, ...]
"""The strength of each traveling LoRA, in the order of their names; () where they do not matter."""


def divided(schedule: Schedule) -> tuple[Model, tuple[str, ...]]:
    """Returns the model with the LoRAs of one strength throughout the film, and the names of those that travel.

    What keyframes name is theirs alone: the strength that `model.loras` gives that file does not count, however it
    is spelled there. Raises `Unsupported` for one that is not there, or that keyframes spell in two ways.
    """
    first = schedule[0].loras
    spelled: dict[Path, str] = {}
    for lora in first:
        other = spelled.setdefault(lora_path(lora.name).resolve(), lora.name)
        if other != lora.name:
            raise Unsupported(f"loras: {other!r} and {lora.name!r} are one file; call it alike in all keyframes")
    traveling = {
        lora.name for k, lora in enumerate(first) if any(frame.loras[k].strength != lora.strength for frame in schedule)
    }
    model = schedule.recipe.model
    merged = [lora for lora in model.loras if lora_path(lora.name).resolve() not in spelled]
    merged += [lora for lora in first if lora.name not in traveling]
    return replace(model, loras=tuple(merged)), tuple(sorted(traveling))


class TravelingLoras:
    """LoRAs attached to the layers of `parts`, the networks by the names of diffusers' folders.

    They do nothing but within `at`. Raises `Unsupported`, naming the LoRA and the layer, for one that does not fit.
    """

    def __init__(self, parts: Mapping[str, Any], names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._columns: list[Tensor | None] = [None] * len(names)
        self._in_text = False
        for number, name in enumerate(names):
            for part, layer, change in changed_layers(parts, name):
                self._in_text |= part.startswith("text_encoder")
                low_rank = LowRank(change, layer)
                # A part of the layer, so that it moves to other devices and precisions with it.
                layer.add_module(f"traveling_{number}", low_rank)
                layer.register_forward_hook(partial(self._add, number, low_rank))

    def strengths(self, frame: Frame) -> Strengths:
        """Returns the strength of each in a frame."""
        own = {lora.name: lora.strength for lora in frame.loras}
        return tuple(own[name] for name in self._names)

    def in_text(self, frame: Frame) -> Strengths:
        """Returns the strengths that a frame's prompts are encoded with: () where no text encoder is changed."""
        return self.strengths(frame) if self._in_text else ()

    @contextmanager
    def at(self, rows: Sequence[Strengths], device: torch.device) -> Iterator[None]:
        """Within it the networks run with these strengths, one row for each of the batch.

        A batch of n times as many has them n times over, one after another: prompt and negative, or the chunks of
        one prompt.
        """
        if self._names and rows and rows[0]:
            columns = torch.tensor(rows, dtype=torch.float32)
            self._columns = [column.to(device) if bool(column.any()) else None for column in columns.unbind(1)]
        try:
            yield
        finally:
            self._columns = [None] * len(self._names)

    def _add(self, number: int, low_rank: LowRank, layer: Any, inputs: tuple[Tensor, ...], out: Tensor) -> Tensor:
        column = self._columns[number]
        if column is None:
            return out
        strength = column.repeat(len(out) // len(column)).view(-1, *[1] * (out.ndim - 1))
        return out + strength.to(out.dtype) * low_rank(inputs[0])


class LowRank(torch.nn.Module):
    """What a LoRA adds to a layer's output at strength 1: two thin layers, one after the other."""

    down: Tensor
    up: Tensor

    def __init__(self, change: Change, layer: Any) -> None:
        super().__init__()
        down, up = change.factors(layer.weight.shape)
        self.register_buffer("down", down.to(layer.weight), persistent=False)
        self.register_buffer("up", up.to(layer.weight), persistent=False)
        self.step: dict[str, Any] | None = None
        if isinstance(layer, torch.nn.Conv2d):
            self.step = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation}

    def forward(self, x: Tensor) -> Tensor:
        """Returns the change of the output for the input x of the layer."""
        if self.step is None:
            return functional.linear(functional.linear(x, self.down), self.up)
        return functional.conv2d(functional.conv2d(x, self.down, **self.step), self.up)
