"""Conditioning of any model family, and how it is mixed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from remix.catalog.families import FAMILIES, MASK, NUMBERS, TOKEN_AXES, TOKEN_IDS, TRAVEL, Family, family_of_shapes
from remix.errors import MixError
from remix.mix.checks import floating, known, sequence, shown, size
from remix.mix.interpolate import mix
from remix.mix.lengths import POLICIES, aligned, resized, rows_of_frame
from remix.mix.sources import weight_table

POOLED = "pooled_output"


@dataclass(frozen=True, eq=False)
class Conditioning:
    """The output of a text encoder for a batch of B pictures.

    `tokens` is [B, n, d], one row for each token. `pooled` is [B, p], or None if the family has none. `extra` holds
    every other key under ComfyUI's name: tensors [B or 1, ...], numbers, or any Python objects. `shared` names the keys
    of `extra` with one value for all pictures, so that such a tensor whose first axis happens to have length B is not
    taken for one item per picture.
    """

    tokens: Tensor
    pooled: Tensor | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    shared: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        floating("tokens", self.tokens)
        if self.pooled is not None:
            floating("pooled", self.pooled)
        if not isinstance(self.extra, Mapping):
            raise MixError(f"extra: {shown(self.extra)}; give a mapping from keys to values.")
        if isinstance(self.shared, str) or not isinstance(self.shared, Collection):
            raise MixError(f"shared: {shown(self.shared)}; give a set of keys.")
        if self.tokens.ndim != 3:
            raise MixError(f"tokens: {size(self.tokens.shape)}; give [batch, rows, width].")
        if self.pooled is not None and (self.pooled.ndim != 2 or len(self.pooled) != len(self)):
            raise MixError(
                f"pooled: {size(self.pooled.shape)} does not match tokens, {size(self.tokens.shape)}; give"
                " [batch, width]."
            )
        object.__setattr__(self, "extra", dict(self.extra))
        object.__setattr__(self, "shared", frozenset(self.shared))

    def __len__(self) -> int:
        return len(self.tokens)

    def at(self, frame: int) -> Conditioning:
        """Returns the conditioning of one frame, a batch of 1; numbers that vary by frame become plain numbers."""
        if isinstance(frame, bool) or not isinstance(frame, int):
            raise MixError(f"frame: {shown(frame)} is not a frame; give a whole number.")
        if not -len(self) <= frame < len(self):
            raise MixError(f"frame {frame}: there are {len(self)}; give 0 to {len(self) - 1}.")
        frame %= len(self)
        pooled = None if self.pooled is None else self.pooled[frame : frame + 1]
        extra = {
            key: value if key in self.shared else _of_frame(key, value, frame, len(self))
            for key, value in self.extra.items()
        }
        return Conditioning(self.tokens[frame : frame + 1], pooled, extra, self.shared)

    @classmethod
    def from_comfy(cls, entry: Sequence[Any]) -> Conditioning:
        """Returns the conditioning in one entry `[cond, dict]` of a ComfyUI CONDITIONING."""
        if not (isinstance(entry, list | tuple) and len(entry) == 2 and isinstance(entry[1], Mapping)):
            raise MixError(f"entry: {shown(entry)}; give one entry of a CONDITIONING, [tensor, dictionary].")
        tokens, options = entry
        extra = {key: value for key, value in options.items() if key != POOLED}
        return cls(tokens, options.get(POOLED), extra)

    def to_comfy(self) -> list[Any]:
        """Returns one entry `[cond, dict]` of a ComfyUI CONDITIONING, always with the key `pooled_output`.

        A ComfyUI entry holds one number for all its pictures. Raises MixError if `guidance` and similar numbers differ
        between the frames; use `at` to make one entry for each frame.
        """
        for key, value in self.extra.items():
            differs = isinstance(value, Tensor) and value.ndim == 1 and len(value) > 1
            if key in NUMBERS and key not in self.shared and differs:
                raise MixError(
                    f"{key}: it differs between the frames, and a ComfyUI entry holds one number; make one"
                    " entry for each frame by .at(frame)."
                )
        return [self.tokens, {POOLED: self.pooled, **self.extra}]


def mix_conditioning(
    sources: Sequence[Conditioning],
    weights: Tensor | Sequence[Sequence[float]],
    *,
    how: str = "lerp",
    lengths: str | None = None,
    family: str = "sd1",
    empty: Conditioning | Tensor | None = None,
) -> Conditioning:
    """Returns the conditioning of F frames, a batch of F, from S `sources` (a batch of 1 each) and `weights` [F, S].

    Every tensor is mixed in float32 and keeps its dtype. A frame with one source is that source, bit for bit. Tokens,
    pooled and everything else with token rows are mixed by `how` ("lerp" or "slerp", see `mix`), other floating-point
    tensors by lerp. Numbers on a scale (guidance, sizes...; NUMBERS) are weighted sums: one number if all frames agree,
    else float32 [F]. A frame attends to a position if any of its sources does. Every other key must be equal in all
    sources; otherwise MixError names it.

    Different numbers of rows are brought to one length by the policy `lengths`, one of "tile", "empty", "zero",
    "front", "equal", "trim"; None uses that of `family` (remix.catalog.families). "empty" needs `empty`, the encoder's
    conditioning of "". A family whose policy is "travel" pads nothing: the number of rows is a weighted mean too, and
    must be the same for all frames of the call.
    """
    row = FAMILIES[known(family, FAMILIES, "family")]
    policy = row.lengths if lengths is None else known(lengths, POLICIES, "lengths")
    known(how, ("lerp", "slerp"), "how")
    sources = _alike(sources)
    table = weight_table(weights, len(sources))
    _refuse_token_ids(sources, table, row)
    padding = _padding(empty)
    tokens = _mixed_rows(
        "tokens",
        [source.tokens for source in sources],
        1,
        table,
        how,
        policy,
        None if padding is None else padding.tokens,
        fewest=row.rows,
    )
    pooled = [source.pooled for source in sources if source.pooled is not None]
    extra, shared = _mixed_extra(sources, table, how, policy, padding)
    masks = _masks(sources, table, policy, row, padding)
    if masks is not None:
        extra[MASK] = _union(masks, table)
    return Conditioning(
        tokens,
        _mix_named("pooled", pooled, table, how) if pooled else None,
        extra,
        shared,
    )


def family_of(conditioning: Conditioning) -> str:
    """Returns the name of the family whose conditioning has this form, "unknown" if there is none."""
    pooled = None if conditioning.pooled is None else conditioning.pooled.shape[1]
    return family_of_shapes(
        conditioning.tokens.shape[2], pooled, conditioning.tokens.shape[1], conditioning.extra.keys()
    ).name


def policy_of(sources: Sequence[Conditioning], lengths: str | None = None, family: str | None = None) -> str:
    """Returns the policy `lengths`, or that of `family`. Without either, the family is found by the first source."""
    return lengths or FAMILIES[family or family_of(sources[0])].lengths


def needs_empty(sources: Sequence[Conditioning], lengths: str | None = None, family: str | None = None) -> bool:
    """Returns whether a mix of `sources` needs the conditioning of "" for padding, which takes time to encode.

    This is the case if their numbers of token rows differ and the policy (`policy_of`) is "empty".
    """
    policy = policy_of(sources, lengths, family)
    return policy == "empty" and len({_rows(source) for source in sources}) > 1


def frame_rows(sources: Sequence[Conditioning], shares: Sequence[float], policy: str) -> tuple[int, ...]:
    """Returns the number of token rows, in each part of a conditioning, of a frame that mixes `sources` by `shares`.

    Frames with equal numbers fit into one batch without padding that only other frames need.
    """
    parts = zip(*(_rows(source) for source in sources), strict=True)
    return tuple(rows_of_frame(counts, shares, policy) for counts in parts)


def batch_policy(
    sources: Sequence[Conditioning], table: Tensor, lengths: str | None = None, family: str | None = None
) -> str:
    """Returns the policy (`policy_of`) for a batch of frames with weights `table` [F, S].

    "travel" gives each frame its own number of rows. Frames with different numbers need "empty" in one batch.
    """
    policy = policy_of(sources, lengths, family)
    if policy == TRAVEL and len({frame_rows(sources, row, policy) for row in table.tolist()}) > 1:
        return "empty"
    return policy


def _rows(conditioning: Conditioning) -> tuple[int, ...]:
    """Returns the number of token rows in each part of a conditioning."""
    more = [(conditioning.extra.get(key), axis) for key, axis in TOKEN_AXES.items()]
    return (conditioning.tokens.shape[1], *(part.shape[axis] for part, axis in more if isinstance(part, Tensor)))


def _padding(empty: Any) -> Conditioning | None:
    if isinstance(empty, Tensor):
        empty = Conditioning(empty)
    if empty is not None and not isinstance(empty, Conditioning):
        raise MixError(f'empty: {shown(empty)}; give the conditioning of "", or its tokens.')
    if empty is not None and len(empty) != 1:
        raise MixError(f'empty: a batch of {len(empty)}; give the conditioning of one "", a batch of 1.')
    return empty


def _alike(given: Any) -> list[Conditioning]:
    """Returns `given` as a list. Raises MixError for sources that are not a batch of 1, or lack keys of the first."""
    sources = sequence("sources", given, "a sequence of Conditioning")
    for index, source in enumerate(sources):
        if not isinstance(source, Conditioning):
            raise MixError(f"sources[{index}]: {shown(source)}; give a Conditioning.")
    first = sources[0]
    for index, source in enumerate(sources):
        where = f"sources[{index}]"
        if len(source) != 1:
            raise MixError(f"{where}: a batch of {len(source)}; give each prompt by itself, a batch of 1.")
        if source.tokens.shape[2] != first.tokens.shape[2]:
            raise MixError(
                f"{where}: tokens are {size(source.tokens.shape)}, those of sources[0]"
                f" {size(first.tokens.shape)}; prompts of two encoders cannot be mixed."
            )
        if (source.pooled is None) != (first.pooled is None):
            raise MixError(f"{where}: pooled is given in some sources and None in others; give it in all or none.")
        odd = sorted((source.extra.keys() ^ first.extra.keys()) - {MASK})
        if odd:
            raise MixError(f'{where}: extra["{odd[0]}"] is in one of this and sources[0] only; give it in all or none.')
    return sources


def _mixed_extra(
    sources: list[Conditioning], table: Tensor, how: str, policy: str, empty: Conditioning | None
) -> tuple[dict[str, Any], frozenset[str]]:
    """Returns the mix of every key but the mask, and the keys of values that all sources share."""
    extra: dict[str, Any] = {}
    shared = set()
    for key in (key for key in sources[0].extra if key != MASK):
        values = [source.extra[key] for source in sources]
        if all(same(values[0], value) for value in values[1:]):
            shared.add(key)
            extra[key] = values[0]
        else:
            extra[key] = _mixed_key(key, values, table, how, policy, empty)
    return extra, frozenset(shared)


def _mixed_key(key: str, values: list[Any], table: Tensor, how: str, policy: str, empty: Conditioning | None) -> Any:
    """Returns the mix of one key of `extra`, with one value from each source."""
    what = f'extra["{key}"]'
    if key in TOKEN_AXES and all(isinstance(value, Tensor) for value in values):
        return _mixed_rows(what, values, TOKEN_AXES[key], table, how, policy, empty.extra.get(key) if empty else None)
    if key in NUMBERS and all(_is_number(value) for value in values):
        return _numbers(values, table)
    if all(_is_batch(value) for value in values):
        return _mix_named(what, values, table, "lerp")
    if all(isinstance(value, list | tuple) and all(map(_is_batch, value)) for value in values) and (
        len({len(value) for value in values}) == 1
    ):
        return [_mix_named(what, list(parts), table, "lerp") for parts in zip(*values, strict=True)]
    odd = next(at for at, value in enumerate(values) if not same(values[0], value))
    raise MixError(
        f"{what}: it differs between sources[0] and sources[{odd}], and this key cannot be mixed; give all"
        " sources the same, or leave it out."
    )


def _refuse_token_ids(sources: Sequence[Conditioning], table: Tensor, family: Family) -> None:
    """Raises MixError if frames would mix, or share a batch with, different token ids."""
    used = [source for source, share in zip(sources, table.amax(dim=0).tolist(), strict=True) if share > 0]
    for key in TOKEN_IDS:
        if any(not same(used[0].extra.get(key), source.extra.get(key)) for source in used[1:]):
            raise MixError(
                f'extra["{key}"]: {family.title} reads the ids of words, which cannot be mixed; set mix = "output" in'
                " the recipe, or give each frame one prompt."
            )


def _mixed_rows(
    what: str,
    parts: Sequence[Tensor],
    axis: int,
    table: Tensor,
    how: str,
    policy: str,
    empty: Tensor | None,
    fewest: int = 1,
) -> Tensor:
    """Returns the mix of parts with one row for each token on `axis`, of any numbers of rows."""
    if policy != TRAVEL:
        return _mix_named(what, aligned(parts, axis, policy, what, empty=empty, fewest=fewest), table, how)
    length, counts = _travel_length(what, parts, axis, table), [part.shape[axis] for part in parts]
    ends = sorted({min(count, length) for count in counts if count} | {length})
    pieces = []
    for start, end in pairwise([0, *ends]):
        longer = [at for at, count in enumerate(counts) if count >= end]
        # The prompts that have these rows share them, so that no prompt needs padding.
        shares = table[:, longer] / table[:, longer].sum(dim=1, keepdim=True)
        pieces.append(_mix_named(what, [parts[at].narrow(axis, start, end - start) for at in longer], shares, how))
    return torch.cat(pieces, dim=axis)


def _travel_length(what: str, parts: Sequence[Tensor], axis: int, table: Tensor) -> int:
    """Returns the number of rows of all frames. Raises MixError if it differs."""
    counts = [part.shape[axis] for part in parts]
    found = {rows_of_frame(counts, row, TRAVEL) for row in table.tolist()}
    if len(found) > 1:
        raise MixError(
            f"{what}: the frames have {min(found)} to {max(found)} rows, which do not fit into one batch; mix them one"
            ' by one, or set lengths = "empty".'
        )
    return found.pop()


def _mix_named(what: str, values: list[Tensor], table: Tensor, how: str) -> Tensor:
    try:
        return mix(values, table, how=how)
    except MixError as error:
        raise MixError(f"{what}: {error}") from error


def _numbers(values: list[float], table: Tensor) -> float | Tensor:
    """Returns the weighted sums of `values`: one number if all frames agree, else float32 [F]."""
    mixed = table @ torch.tensor(values, dtype=torch.float64)
    # A frame with one source has exactly its number, even if the weight is only nearly 1.
    alone = (table > 0).sum(dim=1) == 1
    mixed = torch.where(alone, torch.tensor(values, dtype=torch.float64)[table.argmax(dim=1)], mixed)
    if (mixed == mixed[0]).all():
        return float(mixed[0])
    return mixed.float()


def _masks(
    sources: Sequence[Conditioning], table: Tensor, policy: str, row: Family, empty: Conditioning | None
) -> list[Tensor] | None:
    """Returns the attention masks of all sources, as long as the padded tokens; None if none is needed.

    A source without a mask attends to all of its tokens. If no source has one, masks are created only when zeros were
    added and the family's model reads masks.
    """
    counts = [source.tokens.shape[1] for source in sources]
    given = [source.extra[MASK] for source in sources if source.extra.get(MASK) is not None]
    added_zeros = policy == "zero" and len(set(counts)) > 1 and MASK in row.keys
    if not given and not added_zeros:
        return None
    device = sources[0].tokens.device
    like = next((mask for mask in given if isinstance(mask, Tensor)), torch.ones(1, 1, dtype=torch.long, device=device))
    masks = []
    for index, (source, count) in enumerate(zip(sources, counts, strict=True)):
        mask = source.extra.get(MASK)
        mask = like.new_ones(1, count) if mask is None else mask
        if not isinstance(mask, Tensor) or mask.shape != (1, count) or mask.dtype != like.dtype:
            found = f"{mask.dtype} {size(mask.shape)}" if isinstance(mask, Tensor) else shown(mask)
            raise MixError(
                f'sources[{index}]: extra["{MASK}"] is {found}; give {like.dtype} {size((1, count))}, one value'
                " for each token."
            )
        masks.append(mask)
    if policy == TRAVEL:
        length = _travel_length("tokens", [source.tokens for source in sources], 1, table)
        return [resized(mask, 1, length) for mask in masks]
    padding = None
    if policy == "empty" and empty is not None:
        padding = empty.extra.get(MASK)
        padding = like.new_ones(1, empty.tokens.shape[1]) if padding is None else padding
    return aligned(masks, 1, policy, f'extra["{MASK}"]', empty=padding)


def _union(masks: list[Tensor], table: Tensor) -> Tensor:
    """Returns [F, n]: at each position the largest mask value among the sources that a frame uses.

    Hosts read a mask as yes or no. A value in between would count as no, and hide a prompt.
    """
    stacked = torch.cat(masks)
    used = (table > 0).to(stacked.device).unsqueeze(2)
    return torch.where(used, stacked, stacked.amin()).amax(dim=1)


def _of_frame(key: str, value: Any, frame: int, frames: int) -> Any:
    if isinstance(value, list):
        return [_of_frame("", part, frame, frames) for part in value]
    if not isinstance(value, Tensor) or not value.ndim or len(value) != frames:
        return value
    if key in NUMBERS and value.ndim == 1:
        return float(value[frame])
    return value[frame : frame + 1]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_batch(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.ndim > 0 and len(value) == 1


def same(a: Any, b: Any) -> bool:
    """Returns whether two values of a key are identical, comparing the contents of tensors and containers."""
    if a is b:
        return True
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and a.dtype == b.dtype and a.device == b.device and torch.equal(a, b)
    if type(a) is not type(b):
        return _is_number(a) and _is_number(b) and bool(a == b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    try:
        return bool(a == b)
    except (TypeError, ValueError, RuntimeError):  # arrays and similar values have no single answer
        return False
