"""Mixes ComfyUI's CONDITIONING and LATENT values, with batches, entries and all keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from remix.catalog.families import NUMBERS, TRAVEL
from remix.errors import MixError
from remix.mix.channels import matched_to_mix
from remix.mix.checks import size
from remix.mix.conditioning import POOLED, Conditioning, batch_policy, family_of, mix_conditioning
from remix.mix.latents import mix_comfy_latents
from remix.mix.masks import is_by_item, masked
from remix.mix.modes import LATENT_MODES, blend_layers
from remix.mix.sources import weight_table
from remix.mix.weights import batch_weights

# Limits how far an empty latent may be resized for another model. A mix is not empty.
_EMPTY_LATENTS_KEY = "downscale_ratio_spacial"


def mix_conditionings(
    sources: Sequence[Sequence[Any]],
    weights: Tensor | Sequence[Sequence[float]],
    *,
    how: str = "lerp",
    lengths: str | None = None,
    empty: Sequence[Any] | None = None,
    batch: int = 0,
    family: str | None = None,
) -> list[list[Any]]:
    """Returns several CONDITIONINGs, in total F frames, from S of them and `weights` [F or 1, S].

    Sources with several entries (combined prompts) are mixed entry by entry, and sources with a batch frame by frame
    (see `batch_weights`). Keys, `how` and `lengths` work as in `mix_conditioning`; without `family`, it is detected by
    the tensors. `empty` is the CONDITIONING of "". Each CONDITIONING of the result holds `batch` frames (0: all).
    Raises MixError if a number such as guidance differs within a batch, because ComfyUI holds one number for it.
    """
    return mix_conditioning_lists(
        [[source] for source in sources], weights, how=how, lengths=lengths, empty=empty, batch=batch, family=family
    )


def mix_conditioning_lists(
    sources: Sequence[Sequence[Sequence[Any]]],
    weights: Tensor | Sequence[Sequence[float]],
    *,
    how: str = "lerp",
    lengths: str | None = None,
    empty: Sequence[Any] | None = None,
    batch: int = 0,
    family: str | None = None,
) -> list[list[Any]]:
    """Returns the same as `mix_conditionings` for sources that are lists of CONDITIONINGs, batches in sequence."""
    entries = _entries(sources)
    table = _table([[len(source) for source in entry] for entry in entries], weights)
    padding = None if empty is None else _entry(empty[0], "empty").at(0)
    columns = []
    for entry in entries:
        rows = batch_weights([len(source) for source in entry], table)
        items = [frame for source in entry for frame in source]
        row = family or family_of(items[0])
        # One policy for all batches, so that no frame depends on the others of its batch.
        policy = lengths if batch == 1 else _named(batch_policy(items, rows, lengths, row))
        columns.append(
            [
                mix_conditioning(items, part, how=how, lengths=policy, family=row, empty=padding)
                for part in rows.split(batch or len(rows))
            ]
        )
    return [[_comfy(entry) for entry in entries] for entries in zip(*columns, strict=True)]


def _named(policy: str) -> str | None:
    """Returns a policy as it is given by name. "travel" is only that of families."""
    return None if policy == TRAVEL else policy


def _entries(sources: Sequence[Sequence[Sequence[Any]]]) -> list[list[list[Conditioning]]]:
    """Returns the frames of the sources' first entries, those of their second entries, and so on."""
    if not len(sources):
        raise MixError("sources: there are none; give at least one conditioning.")
    combined = 0
    for index, parts in enumerate(sources):
        for part in parts:
            if not isinstance(part, list) or not part:
                raise MixError(f"sources[{index}]: it is empty; give a conditioning that a text encoder made.")
            combined = combined or len(part)
            if len(part) != combined:
                raise MixError(
                    f"sources[{index}]: {len(part)} combined prompts, and sources[0] has {combined}; combine them"
                    " after the mix, or give as many in each."
                )
    return [
        [
            [frame for part in parts for frame in _frames_of(_entry(part[place], f"sources[{index}]"))]
            for index, parts in enumerate(sources)
        ]
        for place in range(combined)
    ]


def _frames_of(entry: Conditioning) -> list[Conditioning]:
    return [entry.at(frame) for frame in range(len(entry))]


def _entry(entry: Sequence[Any], where: str) -> Conditioning:
    tokens, options = entry
    pooled = options.get(POOLED)
    if isinstance(pooled, Tensor) and len(pooled) == 1 < len(tokens):
        options = {**options, POOLED: pooled.expand(len(tokens), *pooled.shape[1:])}
    try:
        return Conditioning.from_comfy((tokens, options))
    except MixError as error:
        raise MixError(f"{where}: {error}") from error


def _table(counts: Sequence[Sequence[int]], weights: Tensor | Sequence[Sequence[float]]) -> Tensor:
    """Returns the weights, with one row for each frame of the entry that has the most."""
    table = weight_table(weights, len(counts[0]))
    frames = max(len(batch_weights(row, table)) for row in counts)
    return table.expand(frames, -1) if len(table) == 1 else table


def _comfy(entry: Conditioning) -> list[Any]:
    """Returns one entry of a CONDITIONING. Raises MixError if its frames differ in a number."""
    for key, value in entry.extra.items():
        if key in NUMBERS and isinstance(value, Tensor) and value.ndim == 1 and len(value) > 1:
            raise MixError(
                f"{key}: it differs between frames, and ComfyUI holds one number for a batch; make batches of 1"
                " (batch_size 1 in every Remix node)."
            )
    return entry.to_comfy()


def blend_latents(
    sources: Sequence[Mapping[str, Any]],
    weights: Tensor | Sequence[Sequence[float]],
    *,
    how: str = "lerp",
    adain: bool = False,
    mask: Tensor | None = None,
    batch: int = 0,
) -> list[dict[str, Any]]:
    """Returns LATENTs of `batch` frames each (0: all), in total F frames, from S of them and `weights` [F or 1, S].

    Sources with a batch are used frame by frame (see `batch_weights`). `how` is that of `mix`, or a mode of
    `blend_layers`. Keys are handled as in `mix_comfy_latents`; a batch keeps its own `batch_index`. `mask` [F or 1, H,
    W], from 0 to 1, keeps the first source where it is 0 and uses the blend where it is 1.
    """
    counts = [latent_count(source, index) for index, source in enumerate(sources)]
    table = weight_table(weights, len(counts))
    _refuse_unlike(sources)
    rows = batch_weights(counts, table)
    if mask is not None and (mask.ndim != 3 or len(mask) not in (1, len(rows))):
        raise MixError(f"mask: {size(mask.shape)} for {len(rows)} frame(s); give one mask, or one for each.")
    plain, places = _without_places(sources, counts, len(rows))
    step = batch or len(rows)
    blended = []
    for first in range(0, len(rows), step):
        frames = range(first, min(first + step, len(rows)))
        part = _blended(plain, counts, table if len(table) == 1 else table[first : frames.stop], frames, how, adain)
        if mask is not None:
            cut = mask if len(mask) == 1 else mask[first : frames.stop]
            part["samples"] = _inside(_taken(plain[0], frames, counts[0])["samples"], part["samples"], cut)
        if places is not None:
            part["batch_index"] = places[first : frames.stop]
        blended.append(part)
    return blended


def join_latents(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns several LATENTs as one batch: the frames of the first, then those of the second, and so on, bit for bit.

    Their `batch_index` is left out. Noise masks are joined too; a latent without one counts as noised everywhere.
    """
    for index, part in enumerate(parts):
        latent_count(part, index)
    _refuse_unlike(parts)
    plain = [{key: value for key, value in part.items() if key != "batch_index"} for part in parts]
    items = [_item(part, frame) for part in plain for frame in range(_length(part["samples"]))]
    return mix_comfy_latents(items, torch.eye(len(items), dtype=torch.float64))


def _blended(
    sources: Sequence[Mapping[str, Any]], counts: Sequence[int], table: Tensor, frames: range, how: str, adain: bool
) -> dict[str, Any]:
    taken = [_taken(source, frames, count) for source, count in zip(sources, counts, strict=True)]
    items = [_item(source, index) for source in taken for index in range(_length(source["samples"]))]
    rows = batch_weights([_length(source["samples"]) for source in taken], table)
    rows = rows.expand(len(frames), -1)
    if how not in LATENT_MODES:
        return mix_comfy_latents(items, rows, how=how, adain=adain)
    # Other keys are mixed as usual; the samples are blended as layers.
    mixed = mix_comfy_latents(items, rows)
    weights = table.expand(len(frames), -1)
    mixed["samples"] = _layered([source["samples"] for source in taken], weights, how, adain)
    return mixed


def _layered(layers: Sequence[Any], weights: Tensor, mode: str, adain: bool) -> Any:
    if all(isinstance(layer, Tensor) for layer in layers):
        blended = blend_layers(layers, weights, mode)
        if not adain:
            return blended
        rows = batch_weights([len(layer) for layer in layers], weights)
        return matched_to_mix(blended, torch.cat(list(layers)), rows.expand(len(blended), -1), out=blended)
    parts = zip(*(layer.unbind() for layer in layers), strict=True)
    return type(layers[0])([_layered(part, weights, mode, adain) for part in parts])


def _inside(first: Any, blended: Any, mask: Tensor) -> Any:
    if not isinstance(blended, Tensor):
        raise MixError("mask: nested latents have no common plane to mask; leave the mask out.")
    return masked(first, blended, mask.unsqueeze(1))


def _without_places(
    sources: Sequence[Mapping[str, Any]], counts: Sequence[int], frames: int
) -> tuple[list[dict[str, Any]], list[int] | None]:
    """Returns the sources without `batch_index` and keys of empty latents, and the frames' own `batch_index`."""
    plain = [{key: value for key, value in source.items() if key != "batch_index"} for source in sources]
    if len({source.get(_EMPTY_LATENTS_KEY) for source in plain}) > 1:
        for keys in plain:
            keys.pop(_EMPTY_LATENTS_KEY, None)
    found: list[int] | None = None
    for index, (source, count) in enumerate(zip(sources, counts, strict=True)):
        given = source.get("batch_index")
        if given is None:
            continue
        places = list(given) * frames if count == 1 else list(given)
        if len(places) != frames or (found is not None and places != found):
            raise MixError(
                f'sources[{index}]: its "batch_index", which says what noise a frame gets, is not that of the others;'
                " give all of them the same, or remove it."
            )
        found = places
    return plain, found


def latent_count(source: Mapping[str, Any], index: int) -> int:
    """Returns the number of frames of a LATENT, the source with this index. Raises MixError if it is not a LATENT."""
    if not isinstance(source, Mapping) or "samples" not in source:
        raise MixError(f'sources[{index}]: "samples" is missing; give ComfyUI latents, {{"samples": tensor}}.')
    return _length(source["samples"])


def _refuse_unlike(sources: Sequence[Mapping[str, Any]]) -> None:
    """Raises MixError for latents of different kinds, sizes or numbers of parts, and for inf and NaN.

    Functions called later would find these too, but would name an item instead of a source.
    """
    parts = [_parts(source["samples"]) for source in sources]
    for index, found in enumerate(parts):
        if isinstance(sources[index]["samples"], Tensor) != isinstance(sources[0]["samples"], Tensor):
            raise MixError(f"sources[{index}]: nested and plain latents cannot be mixed; give all of one kind.")
        if [part.shape[1:] for part in found] != [part.shape[1:] for part in parts[0]]:
            theirs, first = (" and ".join(size(part.shape) for part in one) for one in (found, parts[0]))
            raise MixError(f"sources[{index}]: {theirs} does not match sources[0], {first}; resize one of them first.")
        if not all(bool(torch.isfinite(part).all()) for part in found):
            raise MixError(
                f"sources[{index}]: it holds inf or NaN, which no mix survives; make it again, in float32 if it"
                " overflowed."
            )


def _parts(samples: Any) -> list[Tensor]:
    return [samples] if isinstance(samples, Tensor) else list(samples.unbind())


def _length(samples: Any) -> int:
    return len(_parts(samples)[0])


def _taken(source: Mapping[str, Any], frames: range, count: int) -> dict[str, Any]:
    """Returns a latent's part for these frames; a latent with a single item is returned unchanged."""
    return dict(source) if count == 1 else _cut(source, frames.start, frames.stop)


def _item(source: Mapping[str, Any], index: int) -> dict[str, Any]:
    return _cut(source, index, index + 1)


def _cut(source: Mapping[str, Any], start: int, stop: int) -> dict[str, Any]:
    cut = dict(source)
    samples, mask = source["samples"], source.get("noise_mask")
    cut["samples"] = (
        samples[start:stop]
        if isinstance(samples, Tensor)
        else type(samples)([part[start:stop] for part in _parts(samples)])
    )
    if isinstance(mask, Tensor) and is_by_item(mask, _parts(samples)[0].ndim) and len(mask) > 1:
        cut["noise_mask"] = mask[start:stop]
    return cut
