"""Remix Prompt Travel: the conditioning of every frame of a schedule."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from comfy_api.latest import io
from torch import Tensor

from remix.catalog.families import FAMILIES, TOKEN_IDS, TRAVEL
from remix.engine.passes import OUTPUT, Pass, Passes, mix_at, negative_texts, prompt_texts
from remix.errors import Unsupported
from remix.mix import Conditioning, mix_conditioning, varied, weights_of
from remix.mix.comfy_types import mix_conditionings
from remix.mix.conditioning import family_of, frame_rows, needs_empty, policy_of
from remix.plan import Frame, Mix, Schedule

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
from .passes import during, for_samplers, is_timed, weighted
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
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="The model for the sampler. Only needed for prompts that change over the steps, such as "
                    "[cat:dog:0.5].",
                ),
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
                io.Model.Output(
                    "model",
                    is_output_list=True,
                    tooltip="The model for the sampler, which changes the prompts over its steps.",
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
        model: list[Any] | None = None,
    ) -> io.NodeOutput:
        """Returns the prompts and negative prompts of all frames, in batches, and the models for them."""
        planned = schedule_of(only("schedule", schedule))
        refuse_unwired(planned)
        size, around = only("batch_size", batch_size), surroundings_of(cls)
        around.refuse_unequal(len(planned), size)
        chosen, policy = unlike(only("how", how)), unlike(only("lengths", lengths))
        reading = planned.recipe.reading
        travels = [
            PromptTravel(planned, encoder(one, reading), how=chosen, lengths=policy)
            for one in one_or_each("clip", clip, len(planned))
        ]
        if len(travels) == 1:
            parts = [(travels[0], part) for part in batches(planned, around.batch_size(size))]
        else:  # one text encoder per frame, such as one with a LoRA that fades in
            parts = [(travel, range(frame, frame + 1)) for frame, travel in enumerate(travels)]
        found = [travel.conditionings(part) for travel, part in parts]
        models = model or [None]
        if any(is_timed(entries) for pair in found for entries in pair):
            if None in models:
                raise Unsupported(
                    "model: the prompts change over the steps of one picture, which the model has to count; connect it "
                    'here, and the model output to the sampler, or use "Remix Render"'
                )
            models = [for_samplers(one, planned.recipe) for one in models]
        return io.NodeOutput([positive for positive, _ in found], [negative for _, negative in found], models)


class Column(NamedTuple):
    """A pass of the model for all frames of a batch: what each of them sees, and its weight there."""

    prompts: tuple[Mix[str], ...]
    weights: tuple[float, ...]


FIELDS = {"prompt": "positive", "negative": "negative"}
"""The recipe's field for each conditioning of the sampler."""


class PromptTravel:
    """The prompts of a schedule. Each is encoded once, on first use.

    `dimensions` is the number of dimensions of a latent that are not channels. `family` is the name of the model's
    family; without it, it is detected by the conditionings.

    Prompts of different lengths are aligned to the length that all frames of the schedule need, so that no frame
    depends on its batch. With `alone`, they are aligned to what their own frame needs, so that a frame with one prompt
    equals a run with that prompt. A batch has frames of equal `rows` then.

    `connected` names those of "positive" and "negative" for which conditionings are connected. Their prompts are not
    encoded.
    """

    def __init__(
        self,
        schedule: Schedule,
        encode: Encode,
        *,
        how: str | None = None,
        lengths: str | None = None,
        dimensions: int = 2,
        family: str | None = None,
        alone: bool = False,
        connected: Collection[str] = (),
    ) -> None:
        self._schedule = schedule
        self._recipe = schedule.recipe if how is None else schedule.recipe.replace(mix=how)
        self._encode = encode
        self._lengths = lengths or schedule.recipe.lengths
        self._dimensions = dimensions
        self._family, self._alone = family, alone
        self._fields = [field for field, name in FIELDS.items() if name not in connected]
        self._sources: dict[str, tuple[list[str], list[Entries]]] = {}

    def conditionings(
        self, frames: Sequence[int], encode: Encode | None = None, connected: Mapping[str, Entries] | None = None
    ) -> tuple[Entries, Entries]:
        """Returns positive and negative conditionings of these frames, one row for each.

        `encode` replaces the encoder for these frames, such as by one with a LoRA. `connected` has the conditionings of
        these frames that replace those of prompts.
        """
        passes = [Passes.of(self._schedule[index], self._recipe) for index in frames]
        given = connected or {}
        negative = given["negative"] if "negative" in given else self._entries("negative", passes, frames, encode)
        if "positive" in given:
            return given["positive"], negative
        rests = [each.rest for each in passes]
        positive = self._entries("prompt", passes, frames, encode)
        return [*positive, *(weighted(negative, rests, self._dimensions) if any(rests) else [])], negative

    def _entries(self, field: str, passes: Sequence[Passes], frames: Sequence[int], encode: Encode | None) -> Entries:
        found: Entries = []
        seeds = [self._schedule[index].seed.items for index in frames] if field == "prompt" else []
        own = [each.positive if field == "prompt" else each.negative for each in passes]
        calls, lasts = passes[0].calls, sorted({last for each in passes for last in each.lasts()})
        for column in self._columns(own):
            first, entries = 0, []
            for last, after in zip(lasts, [*lasts[1:], None], strict=True):
                now = _at(column, last, calls)
                if after is not None and _at(column, after, calls) == now:
                    continue
                mixed = self._varied(self._mixed(field, now, encode), seeds)
                part = weighted(mixed, column.weights, self._dimensions)
                entries += part if (first, after) == (0, None) else during(part, first, last)
                first = last + 1
            found += entries
        return found

    def _varied(self, entries: Entries, seeds: Sequence[Any]) -> Entries:
        """Returns entries with the noise that the recipe's variety adds, for each frame that has `seeds`."""
        if not self._recipe.variety or not seeds:
            return entries
        found: Entries = []
        for entry in entries:
            each = Conditioning.from_comfy(entry)
            family = self._family or family_of(each)
            if FAMILIES[family].sign in TOKEN_IDS[-1:]:
                raise Unsupported(
                    f"variety: {FAMILIES[family].title} reads the ids of words, to which no noise can be added; "
                    "leave it out"
                )
            if len(each) == 1 < len(seeds):  # of a single prompt, which the host would repeat
                each = mix_conditioning([each], torch.ones(len(seeds), 1), family=family)
            found.append(varied(each, seeds, self._recipe.variety, family=family).to_comfy())
        return found

    def _columns(self, passes: Sequence[tuple[Pass, ...]]) -> list[Column]:
        """Returns the passes of a batch. A pass that a frame does not have has weight 0 there."""
        if self._recipe.mix == OUTPUT:  # one for each prompt, since prompts are not mixed
            weights = [{each.prompt: each.weight for each in own} for own in passes]
            prompts = dict.fromkeys(prompt for own in weights for prompt in own)
            return [
                Column((prompt,) * len(passes), tuple(own.get(prompt, 0.0) for own in weights)) for prompt in prompts
            ]
        absent = [Pass(own[0].prompt, 0.0) for own in passes]
        columns = [
            [own[number] if number < len(own) else none for own, none in zip(passes, absent, strict=True)]
            for number in range(max(map(len, passes)))
        ]
        return [Column(tuple(each.prompt for each in own), tuple(each.weight for each in own)) for own in columns]

    def _mixed(self, field: str, mixes: Sequence[Mix[str]], encode: Encode | None) -> Entries:
        prompts, sources = self._encoded(field)
        if self._recipe.mix == OUTPUT:
            text = mixes[0].heaviest
            return sources[prompts.index(text)] if encode is None else encode(text)
        if self._alone:
            return self._mixed_alone(mixes, encode or self._encode)
        _, weights = weights_of(mixes, prompts)
        if encode is not None:  # prompts of other frames only set the length, which is the same for both encoders
            used = {prompt for mix in mixes for prompt in mix.values}
            sources = [
                encode(prompt) if prompt in used else source for prompt, source in zip(prompts, sources, strict=True)
            ]
        first = _first(sources)
        travels = policy_of(first, self._lengths, self._family) == TRAVEL
        # The batches of a film have one length for all frames, which such a model would not need by itself.
        lengths = "empty" if travels and len({part.tokens.shape[1] for part in first}) > 1 else self._lengths
        return self._joined(sources, weights, lengths, encode or self._encode)

    def _mixed_alone(self, mixes: Sequence[Mix[str]], encode: Encode) -> Entries:
        prompts, weights = weights_of(mixes)
        sources = [encode(prompt) for prompt in prompts]
        if len(sources) == 1:  # the host repeats it for all frames
            return sources[0]
        return self._joined(sources, weights, self._lengths, encode)

    def _joined(self, sources: list[Entries], weights: Tensor, lengths: str | None, encode: Encode) -> Entries:
        empty = encode("") if needs_empty(_first(sources), lengths, self._family) else None
        (mixed,) = mix_conditionings(
            sources, weights, how=self._recipe.mix, lengths=lengths, empty=empty, family=self._family
        )
        return mixed

    def rows(self, frame: Frame) -> Hashable:
        """Returns what has to be equal for frames of one batch: the numbers of token rows, and any token ids."""
        if self._recipe.mix == OUTPUT:  # prompts are not mixed
            return None
        passes = Passes.of(frame, self._recipe)
        lasts = passes.lasts()
        found = [
            tuple(
                tuple(self._rows_of(field, mix) for mix in mixes)
                for field, mixes in zip(FIELDS, passes.at(last), strict=True)
                if field in self._fields
            )
            for last in lasts
        ]
        return (found[0], None) if len(set(found)) == 1 else (tuple(found), lasts)

    def _rows_of(self, field: str, mix: Mix[str]) -> Hashable:
        prompts, encoded = self._encoded(field)
        used, weights = weights_of([mix])
        sources = _first([encoded[prompts.index(prompt)] for prompt in used])
        ids = tuple(used) if any(key in sources[0].extra for key in TOKEN_IDS) else ()
        return frame_rows(sources, weights[0].tolist(), policy_of(sources, self._lengths, self._family)), ids

    def _encoded(self, field: str) -> tuple[list[str], list[Entries]]:
        if field not in self._sources:
            # Prompts of the whole film, even for a part of it, since all are aligned to one length.
            texts = (
                prompt_texts(self._schedule.prompts, self._recipe)
                if field == "prompt"
                else negative_texts(self._schedule.negatives, self._recipe)
            )
            self._sources[field] = list(texts), [self._encode(text) for text in texts]
        return self._sources[field]


def _first(sources: Sequence[Entries]) -> list[Conditioning]:
    """Returns the first entry of each conditioning."""
    return [Conditioning.from_comfy(source[0]) for source in sources]


def _at(column: Column, call: int, calls: int) -> tuple[Mix[str], ...]:
    return tuple(mix_at(prompt, call, calls) for prompt in column.prompts)


NODES = [RemixPromptTravel]
