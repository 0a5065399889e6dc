"""Remix Conditioning Mix: mixes conditionings of any model family."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from remix.mix.comfy_types import mix_conditioning_lists

from .inputs import MIX, batch_input, how_input, lengths_input, only, schema, unlike
from .weights import chosen, cut_as, frames_of, in_order, naming_sockets, several, weight_rows, weights_input
from .workflow import surroundings_of


class RemixConditioningMix(io.ComfyNode):
    """Node that mixes two or more conditionings into one, or into one per frame."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Returns the inputs, outputs and texts of the node."""
        return schema(
            node_id="RemixConditioningMix",
            display_name="Remix Conditioning Mix",
            category=MIX,
            description="Mixes two or more conditionings by weights, for any model family: tokens, pooled output, "
            "masks, guidance and all other keys. For one picture, or with different weights in each frame.",
            search_aliases=[
                "conditioning average",
                "prompt interpolation",
                "blend prompts",
                "mix prompts",
                "lerp",
                "slerp",
            ],
            inputs=[
                several(
                    "conditioning",
                    io.Conditioning.Input(
                        "conditioning", tooltip="A conditioning to mix. Batches are mixed frame by frame."
                    ),
                    "Two or more conditionings to mix. A new socket appears when you connect one.",
                ),
                weights_input(),
                how_input(recipe=False),
                lengths_input(recipe=False),
                batch_input(),
                io.Conditioning.Input(
                    "empty",
                    optional=True,
                    tooltip="The encoded empty prompt. SD3, Flux, Qwen and similar models need it to pad shorter "
                    "prompts if prompts have different lengths.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(
                    "mixed",
                    display_name="conditioning",
                    tooltip="The mixed conditionings of all frames, as a list of batches.",
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
        conditionings: dict[str, list[Any]],
        weights: dict[str, list[Any]],
        how: list[str],
        lengths: list[str],
        batch_size: list[int],
        empty: list[Any] | None = None,
    ) -> io.NodeOutput:
        """Returns the mixed conditioning, in batches."""
        sources = in_order(conditionings, "conditioning")
        rows = weight_rows(chosen(weights), len(sources))
        size, around = only("batch_size", batch_size), surroundings_of(cls)
        frames = frames_of(rows, [sum(len(part[0][0]) for part in source if part) for source in sources])
        around.refuse_unequal(frames, size)
        with naming_sockets(conditionings, "conditioning"):
            mixed = mix_conditioning_lists(
                sources,
                rows,
                how=only("how", how),
                lengths=unlike(only("lengths", lengths), "auto"),
                empty=only("empty", empty),
                batch=around.batch_size(size or cut_as(sources)),
            )
        return io.NodeOutput(mixed)


NODES = [RemixConditioningMix]
