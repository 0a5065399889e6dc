"""Mixes the host's conditionings of each prompt for every frame of a call.

The host stores a list of schedules. For each prompt, a schedule holds one conditioning up to some step and another up
to the next (`[cat:dog:0.5]`). A prompt with AND has several such lists with weights. A conditioning is a tensor
[tokens, width], or a dictionary of tensors (SDXL, Flux). The host caches conditionings, so they are never modified
here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from remix.catalog.families import TRAVEL, Family, family_of_shapes
from remix.engine.passes import OUTPUT
from remix.errors import Unsupported
from remix.mix import Conditioning, family_of, mix_conditioning, varied
from remix.mix.conditioning import policy_of
from remix.mix.lengths import tiled

Steps = list[Any]
"""The host's schedule of one prompt: objects with `end_at_step` and `cond`, in order."""


@dataclass(frozen=True)
class Way:
    """How conditionings are mixed: `how` and `lengths` as in `mix_conditioning`."""

    how: str = "lerp"
    lengths: str | None = None


def mix_steps(sources: Sequence[Steps], weights: Tensor, way: Way, empty: Steps | None = None) -> list[Steps]:
    """Returns the schedule of each frame, from those of S prompts and `weights` [frames, S].

    If schedules change at different steps, the mix changes at each of them.
    """
    used = [at for at in range(len(sources)) if bool((weights[:, at] > 0).any())]
    entry = type(sources[0][0])
    ends = sorted({step.end_at_step for at in used for step in sources[at]})
    frames: list[Steps] = [[] for _ in range(len(weights))]
    padding = None if empty is None else _conditioning(empty[0].cond)
    for end in ends:
        at_step = [_conditioning(_at(source, end).cond) for source in sources]
        family = family_of(at_step[0])
        # The frames of a call are one batch, so that all of them have one length.
        lengths = "empty" if policy_of(at_step, way.lengths, family) == TRAVEL else way.lengths
        mixed = mix_conditioning(at_step, weights, how=way.how, lengths=lengths, family=family, empty=padding)
        for frame, cond in zip(frames, _conds(mixed, sources[0][0].cond), strict=True):
            frame.append(entry(end, cond))
    return frames


def mix_prompts(sources: Sequence[Any], weights: Tensor, way: Way, empty: Steps | None = None) -> list[list[Any]]:
    """Returns the parts of each frame, as weighted schedules, from those of S prompts.

    Prompts with the same number of parts (AND) are mixed part by part, including their weights. Others are combined as
    additional parts, each with its share, and so are all with `how` "output".
    """
    part = type(sources[0][0])
    counts = {len(parts) for parts in sources}
    if counts == {1} and way.how != OUTPUT:
        mixed = mix_steps([parts[0].schedules for parts in sources], weights, way, empty)
        weight = weights.float() @ torch.tensor([parts[0].weight for parts in sources])
        return [[part(steps, _plain(weight[at]))] for at, steps in enumerate(mixed)]
    return [_frame_of_parts(sources, row, part, way, empty) for row in weights]


def _frame_of_parts(sources: Any, row: Tensor, part: Any, way: Way, empty: Steps | None) -> list[Any]:
    used = [(sources[at], float(row[at])) for at in range(len(sources)) if row[at] > 0]
    if way.how == OUTPUT or len({len(parts) for parts, _ in used}) > 1:
        return [part(one.schedules, one.weight * share) for parts, share in used for one in parts]
    table = torch.tensor([[share for _, share in used]], dtype=torch.float64)
    columns = [[parts[place] for parts, _ in used] for place in range(len(used[0][0]))]
    return [
        part(
            mix_steps([one.schedules for one in column], table, way, empty)[0],
            _plain(sum(one.weight * share for one, (_, share) in zip(column, used, strict=True))),
        )
        for column in columns
    ]


def varied_prompts(frames: Sequence[Sequence[Any]], seeds: Sequence[Any], amount: float) -> list[list[Any]]:
    """Returns the parts of each frame with the noise that a recipe's variety adds, from the frame's mix of seeds."""
    if not amount:
        return [list(parts) for parts in frames]

    def changed(cond: Any, mix: Any) -> Any:
        tokens = varied(_conditioning(cond), [mix], amount, family=_family(cond).name).tokens[0]
        return {**cond, "crossattn": tokens} if isinstance(cond, dict) else tokens

    return [
        [
            type(part)([type(step)(step.end_at_step, changed(step.cond, mix)) for step in part.schedules], part.weight)
            for part in parts
        ]
        for parts, mix in zip(frames, seeds, strict=True)
    ]


def mix_negatives(
    parts: Sequence[Sequence[Any]], sources: Sequence[Steps], weights: Tensor, cfg: float
) -> tuple[list[list[Any]], list[Steps]]:
    """Returns the parts and the negative schedule of each frame for predictions of negative prompts that are mixed.

    The host takes one negative prompt, u, and adds the parts as sum of cfg w (c - u). Each further negative prompt is a
    part, with the weight by which the sum becomes the one with the mixed prediction of all.
    """
    found, negatives = [], []
    for own, row in zip(parts, weights.tolist(), strict=True):
        used = [(source, share) for source, share in zip(sources, row, strict=True) if share > 0]
        if len(used) > 1 and not cfg:
            raise Unsupported(
                'negative: this host does not mix predictions of negative prompts at cfg 0; set mix = "lerp"'
            )
        others = [
            type(own[0])(source, (1 / cfg - sum(part.weight for part in own)) * share) for source, share in used[1:]
        ]
        found.append([*own, *others])
        negatives.append(used[0][0])
    return found, negatives


def _plain(weight: Any) -> float:
    """Returns a weight as a plain number. A weight within rounding of 1 becomes 1."""
    found = float(weight)
    return 1.0 if math.isclose(found, 1.0, rel_tol=1e-6) else found


def evened(groups: Sequence[Sequence[Steps]]) -> list[list[Steps]]:
    """Returns schedules whose conditionings all have the same number of tokens, by repeating each of them whole.

    In plain cross-attention, repeating changes nothing. The host needs it because it would only repeat the last token.
    Other families already have one length, or are left unchanged.
    """
    conds = [step.cond for group in groups for steps in group for step in steps]
    counts = {len(_tokens(cond)) for cond in conds}
    if len(counts) == 1 or not _family(conds[0]).tiles:
        return [list(group) for group in groups]
    length = math.lcm(*counts)
    return [
        [[type(step)(step.end_at_step, _tiled(step.cond, length)) for step in steps] for steps in group]
        for group in groups
    ]


def _family(cond: Any) -> Family:
    """Returns the family that one prompt's conditioning belongs to."""
    if not isinstance(cond, dict):
        return family_of_shapes(cond.shape[-1], None, len(cond))
    vector = cond["vector"].shape[-1] if "vector" in cond else None
    return family_of_shapes(_tokens(cond).shape[-1], vector, len(_tokens(cond)), cond.keys())


def _at(steps: Steps, end: int) -> Any:
    return next((step for step in steps if end <= step.end_at_step), steps[0])


def _tokens(cond: Any) -> Tensor:
    tokens: Tensor = cond["crossattn"] if isinstance(cond, dict) else cond
    return tokens


def _tiled(cond: Any, length: int) -> Any:
    if not isinstance(cond, dict):
        return tiled(cond, 0, length)
    return {**cond, "crossattn": tiled(cond["crossattn"], 0, length)}


def _conditioning(cond: Any) -> Conditioning:
    """Returns one prompt's conditioning in the core's form, a batch of 1."""
    if not isinstance(cond, dict):
        return Conditioning(cond[None])
    pooled, extra = None, {name: value[None] for name, value in cond.items() if name not in ("crossattn", "vector")}
    if "vector" in cond:
        pooled, family = cond["vector"][None], _family(cond)
        if family.sizes:  # these follow the numbers of the prompt
            pooled, extra["vector"] = pooled.split([family.pooled[0], pooled.shape[1] - family.pooled[0]], dim=1)
    return Conditioning(cond["crossattn"][None], pooled, extra)


def _conds(mixed: Conditioning, like: Any) -> list[Any]:
    """Returns the conditioning of each frame in the host's form."""
    if not isinstance(like, dict):
        return list(mixed.tokens)
    found = []
    for index in range(len(mixed)):
        frame = mixed.at(index)
        cond = {name: value[0] for name, value in frame.extra.items()}
        if frame.pooled is not None:
            sizes = [cond["vector"]] if "vector" in cond else []
            cond["vector"] = torch.cat([frame.pooled[0], *sizes])
        found.append({name: frame.tokens[0] if name == "crossattn" else cond[name] for name in like})
    return found
