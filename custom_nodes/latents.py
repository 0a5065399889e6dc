"""Remix Latent Blend: blends latents of any kind."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from remix.mix.comfy_types import blend_latents, join_latents, latent_count
from remix.mix.modes import LATENT_MODES

from .inputs import MIX, batch_input, only, schema
from .weights import chosen, cut_as, frames_of, in_order, naming_sockets, several, weight_rows, weights_input
from .workflow import surroundings_of


class RemixLatentBlend(io.ComfyNode):
    """Node that blends two or more latents into one, or into one per frame."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Returns the inputs, outputs and texts of the node."""
        return schema(
            node_id="RemixLatentBlend",
            display_name="Remix Latent Blend",
            category=MIX,
            description="Blends two or more latents by weights: in a straight line, along an arc, or in layers with a "
            "blend mode. Works with pictures, video, audio and nested latents. Batches are blended frame by frame.",
            search_aliases=["latent interpolate", "latent lerp", "latent slerp", "morph", "adain", "blend mode"],
            inputs=[
                several(
                    "latent",
                    io.Latent.Input("latent", tooltip="A latent to blend. Batches are blended frame by frame."),
                    "Two or more latents of the same size to blend. A new socket appears when you connect one.",
                ),
                weights_input(),
                io.Combo.Input(
                    "how",
                    options=["lerp", "slerp", "noise", *LATENT_MODES],
                    default="slerp",
                    tooltip="lerp: in a straight line. slerp: along an arc that keeps the length. noise: for noise, "
                    "keeps the variance. The others place each latent over the previous ones, with its weight as "
                    "opacity.",
                ),
                io.Boolean.Input(
                    "adain",
                    default=False,
                    tooltip="Match the mean and deviation of each channel to the inputs, so colors "
                    "do not fade between them.",
                ),
                batch_input(),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Black keeps the first latent, white uses the blend. One mask for all frames, or one for "
                    "each frame.",
                ),
            ],
            outputs=[
                io.Latent.Output(
                    "blended",
                    display_name="latent",
                    tooltip="One latent per frame, as a list of batches.",
                    is_output_list=True,
                )
            ],
            hidden=[io.Hidden.unique_id],
            is_input_list=True,
        )

    @classmethod
    def fingerprint_inputs(cls, **inputs: Any) -> str:
        """Returns the part of the workflow that the node depends on: lists that are combined with its own."""
        return repr(surroundings_of(cls))

    @classmethod
    def execute(
        cls,
        latents: dict[str, list[Any]],
        weights: dict[str, list[Any]],
        how: list[str],
        adain: list[bool],
        batch_size: list[int],
        mask: list[torch.Tensor] | None = None,
    ) -> io.NodeOutput:
        """Returns the blended latents, in batches."""
        lists = in_order(latents, "latent")
        rows = weight_rows(chosen(weights), len(lists))
        sources = [parts[0] if len(parts) == 1 else join_latents(parts) for parts in lists]
        size, around = only("batch_size", batch_size), surroundings_of(cls)
        masks = [mask] if mask else []
        with naming_sockets(latents, "latent"):
            counts = [latent_count(source, index) for index, source in enumerate(sources)]
            frames = frames_of(rows, counts + [sum(map(len, one)) for one in masks])
            around.refuse_unequal(frames, size)
            blended = blend_latents(
                sources,
                rows * frames if frames > frames_of(rows, counts) else rows,  # one mask per frame: its count
                how=only("how", how),
                adain=only("adain", adain),
                mask=torch.cat(mask) if mask else None,
                batch=around.batch_size(size or cut_as([*lists, *masks])),
            )
        if len(rows) > 1:  # a travel: a sampler with its own noise uses the same for every frame
            blended = [{"batch_index": [0] * latent_count(part, 0), **part} for part in blended]
        return io.NodeOutput(blended)


NODES = [RemixLatentBlend]
