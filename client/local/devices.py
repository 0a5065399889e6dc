"""Devices on which models run, with their precision and memory."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch

from remix.client.local.offload import MODEL, check_offload
from remix.client.local.quantized import check_quantize, is_gguf, is_quantized
from remix.errors import Unsupported

PRECISIONS = ("auto", "full")


@dataclass(frozen=True)
class Place:
    """A device and the precision in which a model runs there.

    `offload` is how networks wait in main memory, "" if they stay on the device. `quantize` is the number of bits of
    the weights, except for the VAE's, "" for those of `dtype`.
    """

    device: torch.device
    dtype: torch.dtype
    offload: str = ""
    quantize: str = ""

    @classmethod
    def find(
        cls, device: str, precision: str = "auto", offload: str | None = None, quantize: str | None = None
    ) -> Place:
        """Returns the place for `device` ("auto", "cpu", "cuda", "cuda:1", "mps").

        `precision` "auto" is half on CUDA, where it is fast and safe, and float32 elsewhere. "full" is float32.
        `offload` is one of `OFFLOADS`, `quantize` one of `BITS`.
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
        if offload:
            check_offload(offload, found)
        if quantize:
            check_quantize(quantize, found)
        half = found.type == "cuda" and precision == "auto"
        return cls(found, torch.float16 if half else torch.float32, offload or "", quantize or "")

    def in_full(self) -> Place:
        """Returns the same device with float32."""
        return replace(self, dtype=torch.float32)

    def in_wide_half(self) -> Place:
        """Returns the same device with bfloat16 instead of float16, whose range some networks exceed."""
        return self if self.dtype is torch.float32 else replace(self, dtype=torch.bfloat16)

    def unquantized(self) -> Place:
        """Returns the same place for weights that are not quantized."""
        return replace(self, quantize="")

    def put(self, network: Any) -> Any:
        """Moves a network to this device and precision, and returns it in evaluation mode without gradients.

        Networks that are offloaded wait in main memory. Quantized ones keep their weights, which bitsandbytes has
        already put on a GPU.
        """
        waiting = torch.device("cpu") if self.offload else self.device
        if is_quantized(network):
            moved = network.to(waiting) if is_gguf(network) else network
            return moved.eval().requires_grad_(False)
        # Not .to(dtype), for which diffusers logs a warning that does not apply here.
        cast = {torch.float16: network.half, torch.bfloat16: network.bfloat16}.get(self.dtype, network.float)
        return cast().to(waiting).eval().requires_grad_(False)

    def memory(self) -> int:
        """Returns the device's total memory in bytes. Free memory would differ from run to run."""
        if self.device.type == "cuda":
            return int(torch.cuda.get_device_properties(self.device).total_memory)
        if self.device.type == "mps":
            return int(torch.mps.recommended_max_memory())
        try:
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (AttributeError, ValueError, OSError):  # Windows has no sysconf
            return 8 << 30

    def free(self) -> None:
        """Releases unused cached memory of the device."""
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
"""Largest number of latent positions in a batch, by device: 4 frames of 256x256. More were no faster when measured.

A stopped run finishes its batch, so batches on a slow device should not be larger than that.
"""
CELLS_ELSEWHERE = 8 * 64 * 64
LARGEST_BATCH = {"cpu": 16}
"""Beyond this a larger batch is no faster (measured at 8x8 and 16x16 latents)."""
LARGEST_ELSEWHERE = 32
VALUES_PER_CELL = 2 * 16384
"""Values that a U-Net of SD's width holds at once per latent position, for prompt and negative prompt together."""


def frames_at_once(place: Place, width: int, height: int, networks: Iterable[torch.nn.Module]) -> int:
    """Returns the number of frames of this size to render together: a power of two, so that halved batches nest.

    It depends only on the sizes of picture, `networks` and device, not on free memory, so a resumed run has the same
    batches. Of offloaded networks, one at a time is on the device, or almost nothing of them.
    """
    cells = (width // 8) * (height // 8)
    sizes = [sum(weight.numel() * weight.element_size() for weight in network.parameters()) for network in networks]
    resident = max(sizes, default=0) if place.offload == MODEL else 0 if place.offload else sum(sizes)
    left = int(0.9 * place.memory()) - resident
    fitting = left // (cells * VALUES_PER_CELL * place.dtype.itemsize)
    kind = place.device.type
    largest, together = LARGEST_BATCH.get(kind, LARGEST_ELSEWHERE), LATENT_CELLS.get(kind, CELLS_ELSEWHERE) // cells
    most = min(largest, together, fitting)
    return 1 << (max(1, most).bit_length() - 1)
