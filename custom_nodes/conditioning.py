"""Remix Prompt Travel: the conditioning of every frame of a schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comfy_api.latest import io

from remix.mix import Conditioning, weights_of
from remix.mix.comfy_types import mix_conditionings
from remix.mix.conditioning import needs_empty
from remix.plan import Schedule

from .encoding import Encode, Entries, encoder
from .inputs import (
    MIX,
    batch_input,
    batches,
    how_input,
    lengths_input,
    one_or_each,
    only,
    refuse_unwired,
    schedule_input,
    schedule_of,
    schema,
    unlike,
)
from .workflow import surroundings_of


class RemixPromptTravel(io.ComfyNode):
    """Node that encodes each prompt of a schedule once and mixes them for every frame."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RemixPromptTravel",
            display_name="Remix Prompt Travel",
            category=MIX,
            description="Encodes each prompt of a schedule once and mixes them for every frame. With deterministic "
            "samplers, each frame equals a single run. The sampler needs one latent per frame.",
            search_aliases=["prompt travel", "prompt schedule", "interpolate prompts", "batch prompt schedule"],
            inputs=[
                io.Clip.Input("clip", tooltip="The text encoder, from a checkpoint or LoRA loader."),
                schedule_input(),
                batch_input(),
                how_input(),
                lengths_input(),
            ],
            outputs=[
                io.Conditioning.Output(
                    "positive", is_output_list=True, tooltip="The prompts of all frames, as a list of batches."
                ),
                io.Conditioning.Output(
                    "negative",
                    is_output_list=True,
                    tooltip="The negative prompts of all frames, as a list of batches.",
                ),
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
        clip: list[Any],
        schedule: list[Any],
        batch_size: list[int],
        how: list[str],
        lengths: list[str],
    ) -> io.NodeOutput:
        """Returns the prompts and negative prompts of all frames, in batches."""
        planned = schedule_of(only("schedule", schedule))
        refuse_unwired(planned)
        size, around = only("batch_size", batch_size), surroundings_of(cls)
        around.refuse_unequal(len(planned), size)
        choices = {"how": unlike(only("how", how)), "lengths": unlike(only("lengths", lengths))}
        reading = planned.recipe.reading
        travels = [
            PromptTravel(planned, encoder(one, reading), **choices) for one in one_or_each("clip", clip, len(planned))
        ]
        if len(travels) == 1:
            parts = [(travels[0], part) for part in batches(planned, around.batch_size(size))]
        else:  # one text encoder per frame, such as one with a LoRA that fades in
            parts = [(travel, range(frame, frame + 1)) for frame, travel in enumerate(travels)]
        return io.NodeOutput(
            *([travel.conditionings(field, part)[0] for travel, part in parts] for field in ("prompt", "negative"))
        )


class PromptTravel:
    """The prompts of a schedule. Each is encoded once, on first use."""

    def __init__(
        self,
        schedule: Schedule,
        encode: Encode,
        *,
        how: str | None = None,
        lengths: str | None = None,
    ) -> None:
        self._schedule = schedule
        self._encode = encode
        self._how = how or schedule.recipe.mix
        self._lengths = lengths or schedule.recipe.lengths
        self._sources: dict[str, tuple[list[str], list[Entries]]] = {}

    def conditionings(
        self, field: str, frames: Sequence[int], batch: int = 0, encode: Encode | None = None
    ) -> list[Entries]:
        """Returns the conditionings of these frames, `batch` frames in each (0: all).

        `field` is "prompt" or "negative". `encode` replaces the encoder for these frames, such as by one with a LoRA.

        Prompts of different lengths are aligned to the length that all frames of the schedule need, so that no frame
        depends on its batch.
        """
        prompts, sources = self._encoded(field)
        mixes = [getattr(self._schedule[index], field) for index in frames]
        _, weights = weights_of(mixes, prompts)
        if encode is not None:  # prompts of other frames only set the length, which is the same for both encoders
            used = {prompt for mix in mixes for prompt in mix.values}
            sources = [
                encode(prompt) if prompt in used else source for prompt, source in zip(prompts, sources, strict=True)
            ]
        first = [Conditioning.from_comfy(source[0]) for source in sources]
        empty = (encode or self._encode)("") if needs_empty(first, self._lengths) else None
        return mix_conditionings(sources, weights, how=self._how, lengths=self._lengths, empty=empty, batch=batch)

    def _encoded(self, field: str) -> tuple[list[str], list[Entries]]:
        if field not in self._sources:
            # Prompts of the whole film, even for a part of it, since all are aligned to one length.
            prompts = list(self._schedule.prompts if field == "prompt" else self._schedule.negatives)
            self._sources[field] = prompts, [self._encode(prompt) for prompt in prompts]
        return self._sources[field]


NODES = [RemixPromptTravel]
