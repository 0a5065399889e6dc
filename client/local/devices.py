"""Where models run: the device, its precision and its memory."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch

from remix.errors import Unsupported

PRECISIONS = ("auto", "full")


@dataclass(frozen=True)
class Place:
    """Where a model runs, and in what precision."""

    device: torch.device
    dtype: torch.dtype

    @classmethod
    def find(cls, device: str, precision: str = "auto") -> Place:
        """Returns the place called `device` ("auto", "cpu", "cuda", "cuda:1", "mps").

        `precision` "auto" is half on CUDA, where it is fast and safe, and float32 elsewhere; "full" is float32.
        """
        if precision not in PRECISIONS:
            raise Unsupported(f"precision: {precision!r} is not known; use one of {', '.join(PRECISIONS)}")
        if device == "auto":
            device = _best()
        try:
            found = torch.device(device)
        except RuntimeError as error:
            raise Unsupported(f"device: {device!r} is not known; use auto, cpu, cuda, cuda:1 or mps") from error
        try:
            torch.zeros(1, device=found).cpu()
        except (RuntimeError, AssertionError, ImportError) as error:
            raise Unsupported(
                f"device: {device!r} is not in this machine, not built into this torch, or full; "
                f"use one of {', '.join(_here())}"
            ) from error
        half = found.type == "cuda" and precision == "auto"
        return cls(found, torch.float16 if half else torch.float32)

    def in_full(self) -> Place:
        """Returns the same device with float32."""
        return replace(self, dtype=torch.float32)

    def in_wide_half(self) -> Place:
        """Returns the same with bfloat16 for half: as wide as float32, for networks whose values leave float16."""
        return self if self.dtype is torch.float32 else replace(self, dtype=torch.bfloat16)

    def put(self, network: Any) -> Any:
        """Returns a network moved here, in this precision, in evaluation mode and without gradients."""
        # Not .to(dtype): diffusers answers that with a warning that means nothing here.
        cast = {torch.float16: network.half, torch.bfloat16: network.bfloat16}.get(self.dtype, network.float)
        return cast().to(self.device).eval().requires_grad_(False)

    def memory(self) -> int:
        """Returns how many bytes the device has in all: what is free at the moment would differ from run to run."""
        if self.device.type == "cuda":
            return int(torch.cuda.get_device_properties(self.device).total_memory)
        if self.device.type == "mps":
            return int(torch.mps.recommended_max_memory())
        try:
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (AttributeError, ValueError, OSError):  # Windows has no sysconf
            return 8 << 30

    def free(self) -> None:
        """Gives memory that nothing uses any more back to the device."""
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _here() -> list[str]:
    gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return ["auto", "cpu", *gpus, *(["mps"] if torch.backends.mps.is_available() else [])]


LATENT_CELLS = {"cpu": 4 * 32 * 32}
"""How many latent positions a batch has at most, by device: 4 frames of 256x256; more were no faster when measured.

A run that is stopped finishes its batch, so that on a slow device it should have no more than that.
"""
CELLS_ELSEWHERE = 8 * 64 * 64
LARGEST_BATCH = {"cpu": 16}
"""Beyond this a larger batch is no faster (measured at 8x8 and 16x16 latents)."""
LARGEST_ELSEWHERE = 32
VALUES_PER_CELL = 2 * 16384
"""How many values a U-Net of SD's width holds at once for each latent position, prompt and negative together."""


def frames_at_once(place: Place, width: int, height: int, networks: Iterable[torch.nn.Module]) -> int:
    """Returns how many frames of this size to render together: a power of two, so that halves of it nest.

    It follows from the sizes of picture, `networks` and device alone, and not from what is free at the moment, so
    that a run that goes on later has the same batches.
    """
    cells = (width // 8) * (height // 8)
    weights = sum(weight.numel() * weight.element_size() for network in networks for weight in network.parameters())
    left = int(0.9 * place.memory()) - weights
    fitting = left // (cells * VALUES_PER_CELL * place.dtype.itemsize)
    kind = place.device.type
    largest, together = LARGEST_BATCH.get(kind, LARGEST_ELSEWHERE), LATENT_CELLS.get(kind, CELLS_ELSEWHERE) // cells
    most = min(largest, together, fitting)
    return 1 << (max(1, most).bit_length() - 1)
