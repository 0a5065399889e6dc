"""Keeps the networks of a model in main memory, and moves them to the GPU only while they run, as diffusers does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from remix.client.local.quantized import is_quantized
from remix.errors import Unsupported

MODEL, GROUP, SEQUENTIAL = "model", "group", "sequential"

OFFLOADS = (MODEL, GROUP, SEQUENTIAL)
"""Whole networks, groups of layers, or single layers move. Each needs less GPU memory than the one before."""

PARTS = ("text_encoder", "text_encoder_2", "text_encoder_3", "unet", "transformer", "vae")
"""The networks in the order in which they run, with diffusers' folder names."""


def check_offload(offload: str, device: torch.device) -> None:
    """Raises `Unsupported` for another value than those of `OFFLOADS`, or a device that shares the main memory."""
    if offload not in OFFLOADS:
        raise Unsupported(f"offload: {offload!r} is not known; use one of {', '.join(OFFLOADS)}")
    if device.type in ("cpu", "mps"):
        raise Unsupported(
            f"offload: moves networks from main memory to a GPU with its own memory, and {device.type} has none; "
            "leave it out"
        )


class Offloading:
    """The networks of a model, keyed by diffusers' folder names, that a pipeline of diffusers offloads from `device`.

    Raises `Unsupported` for quantized networks, except for "model".
    """

    def __init__(self, networks: Mapping[str, Any], offload: str, device: torch.device) -> None:
        packed = [name for name, network in networks.items() if is_quantized(network)]
        if packed and offload != MODEL:
            raise Unsupported(
                f"offload: {offload!r} moves layers one by one, but the {packed[0]} has quantized weights, which stay "
                f'together; use "{MODEL}"'
            )
        self._pipeline = _pipeline({part: networks.get(part) for part in PARTS})
        if offload == MODEL:
            self._pipeline.enable_model_cpu_offload(device=device)
        elif offload == SEQUENTIAL:
            self._pipeline.enable_sequential_cpu_offload(device=device)
        else:
            # A stream copies the next layers while the present ones compute. Only CUDA has streams.
            streams = device.type == "cuda"
            self._pipeline.enable_group_offload(device, offload_type="leaf_level", use_stream=streams)

    def release(self) -> None:
        """Moves all networks to main memory, where "model" leaves the latest one on the GPU."""
        self._pipeline.maybe_free_model_hooks()


def _pipeline(networks: Mapping[str, Any]) -> Any:
    """Returns a pipeline of diffusers that only holds these networks, None for those that a model lacks."""
    from diffusers import DiffusionPipeline

    class Networks(DiffusionPipeline):
        model_cpu_offload_seq = "->".join(PARTS)

        def __init__(
            self,
            text_encoder: Any,
            text_encoder_2: Any,
            text_encoder_3: Any,
            unet: Any,
            transformer: Any,
            vae: Any,
        ) -> None:
            super().__init__()
            self.register_modules(
                text_encoder=text_encoder,
                text_encoder_2=text_encoder_2,
                text_encoder_3=text_encoder_3,
                unet=unet,
                transformer=transformer,
                vae=vae,
            )

    return Networks(**networks)
