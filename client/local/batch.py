"""Renders a batch of frames in shared tensors. Each row is independent of the others."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from remix.catalog.families import FAMILIES, MASK, TOKEN_AXES, TRAVEL
from remix.client.local.init_pictures import InitPictures
from remix.client.local.models import LoadedModel
from remix.client.local.pictures import Kept, to_picture
from remix.client.local.samplers import Denoiser, sampler_for
from remix.client.local.sampling import sigmas_for
from remix.client.local.traveling import Strengths
from remix.engine import Event, Listener, Picture
from remix.engine.passes import OUTPUT, Passes
from remix.engine.pictures import masks_of, refuse_not_finite, verified
from remix.errors import BlankFrame, MixError
from remix.mix import Conditioning, StepNoise, mix_conditioning, mix_latents, varied, weights_of
from remix.mix.conditioning import same
from remix.mix.lengths import aligned, common_length, rows_of_frame
from remix.plan import Frame, Mix, Recipe, Schedule

Encode = Callable[[str, Strengths], Conditioning]

Lengths = tuple[tuple[int, tuple[frozenset[int], ...]], ...]
"""For each interval of calls of the model, its last call and the numbers of token rows in each pass."""

PIXELS_AT_ONCE = 512 * 512
"""Number of pixels that are decoded together."""


@dataclass(frozen=True)
class Call:
    """One call of the model while frames are sampled. Latents are [B, c, h, w], on the device of the model.

    The model saw `x` at noise level `sigma` [B]. `wanted` is its estimate of the clean latent with the prompt,
    `unwanted` that with the negative prompt, or None without guidance. `estimate` is what the sampler gets.
    """

    x: Tensor
    sigma: Tensor
    wanted: Tensor
    unwanted: Tensor | None
    estimate: Tensor


@dataclass(frozen=True)
class Watch:
    """What a caller learns while frames are sampled: events, and each `call` of the model.

    `preview` makes a picture of a latent. With it, the events of steps show the first frame so far.
    """

    listen: Listener
    preview: Callable[[Tensor], Picture] | None = None
    call: Callable[[Call], None] = lambda call: None


def render_batch(
    model: LoadedModel,
    schedule: Schedule,
    indices: Sequence[int],
    encode: Encode,
    images: InitPictures,
    inputs: Mapping[str, Picture],
    watch: Watch,
) -> list[Picture]:
    """Returns the pictures of these frames, in this order.

    `encode` returns the conditioning of a prompt for given strengths of traveling LoRAs. `inputs` maps names to masks.
    Raises `BlankFrame` with the frame's number if a latent is not finite or a sampled picture has a single color.
    """
    frames = [schedule[index] for index in indices]
    latents = _clean_start(model, schedule, frames, images)
    masks = masks_of(frames, inputs, latents.shape)
    for rows in _alike(model, schedule, frames):
        part = [frames[row] for row in rows]
        mask = None if masks is None else masks[rows]
        latents[rows] = _sample(model, schedule, part, latents[rows], mask, encode, images, watch)
    refuse_not_finite(latents, indices)
    pictures = _decoded(model, latents)
    return [verified(picture, schedule, index) for picture, index in zip(pictures, indices, strict=True)]


def _decoded(model: LoadedModel, latents: Tensor) -> list[Picture]:
    """Returns the decoded latents. The chunk size depends only on the picture size: larger chunks save no time."""
    height, width = latents.shape[2] * model.factor, latents.shape[3] * model.factor
    parts = latents.split(max(1, PIXELS_AT_ONCE // (height * width)))
    return [to_picture(picture) for part in parts for picture in model.to_pictures(part)]


def _clean_start(model: LoadedModel, schedule: Schedule, frames: Sequence[Frame], images: InitPictures) -> Tensor:
    """Returns the latents before noise is added: mixed init pictures, or zeros for frames without any."""
    recipe = schedule.recipe
    shape = (model.channels, recipe.height // model.factor, recipe.width // model.factor)
    latents = torch.zeros(len(frames), *shape)
    rows = [row for row, frame in enumerate(frames) if frame.image is not None]
    if rows:
        names, weights = weights_of([frame.image for frame in frames if frame.image is not None])
        latents[rows] = mix_latents([images.latent(name) for name in names], weights)
    return latents


def check_lengths(model: LoadedModel, schedule: Schedule) -> None:
    """Raises `MixError` with the frame's number if the recipe's policy cannot align prompts of different lengths."""
    policy = schedule.recipe.lengths or FAMILIES[model.family].lengths
    if policy not in ("tile", "equal"):  # other policies accept all lengths
        return
    seen: set[tuple[frozenset[int], ...]] = set()
    for index, frame in enumerate(schedule):
        for _, lengths in _lengths(model, schedule.recipe, frame):
            if lengths in seen:
                continue
            seen.add(lengths)
            met = [common_length(sorted(rows), policy, f"frame {index}: tokens") for rows in lengths]
            common_length(met, policy, f"frame {index}: prompt and negative")


def _alike(model: LoadedModel, schedule: Schedule, frames: Sequence[Frame]) -> Iterator[list[int]]:
    """Yields groups of rows with equal step counts, equal numbers of passes, and equal prompt lengths.

    Rows without steps are skipped.
    """
    groups: dict[tuple[int, int, bool, Lengths], list[int]] = {}
    for row, frame in enumerate(frames):
        if steps := len(_sigmas(model, schedule, frame)) - 1:
            passes = Passes.of(frame, schedule.recipe)
            shape = steps, len(passes.positive), _guides(model, frame, passes)
            groups.setdefault((*shape, _lengths(model, schedule.recipe, frame)), []).append(row)
    return iter(groups.values())


def _lengths(model: LoadedModel, recipe: Recipe, frame: Frame) -> Lengths:
    """Returns the number of token rows of a frame's prompts in each pass, and of its negative prompts, step by step.

    Frames with different numbers cannot share a batch, since one would be padded or cut to the other's length.
    """
    passes, found = Passes.of(frame, recipe), []
    for last in passes.lasts():
        positive, negative = passes.at(last)
        mixes = (*positive, *negative) if _guides(model, frame, passes) else positive
        found.append((last, tuple(_token_rows(model, recipe, mix) for mix in mixes)))
    return tuple(found)


def _token_rows(model: LoadedModel, recipe: Recipe, mix: Mix[str]) -> frozenset[int]:
    """Returns the numbers of token rows of the prompts in a mix, or that of the mix itself if it travels."""
    counts = [model.rows(text, recipe.reading) for text, _ in mix.items]
    if (recipe.lengths or FAMILIES[model.family].lengths) == TRAVEL:
        return frozenset({rows_of_frame(counts, [weight for _, weight in mix.items], TRAVEL)})
    return frozenset(counts)


def _guides(model: LoadedModel, frame: Frame, passes: Passes) -> bool:
    """Returns whether a frame needs passes for its negative prompt: for guidance, or for what AND leaves of 1."""
    return passes.rest != 0 or (frame.cfg != 1 and not model.distilled)


def _sigmas(model: LoadedModel, schedule: Schedule, frame: Frame) -> Tensor:
    recipe = schedule.recipe
    denoise = frame.denoise if frame.image is not None else 1.0
    return sigmas_for(
        model.levels_at(recipe.width, recipe.height, recipe.steps),
        recipe.scheduler,
        recipe.steps,
        denoise,
        recipe.sampler,
    )


def _sample(
    model: LoadedModel,
    schedule: Schedule,
    frames: Sequence[Frame],
    latents: Tensor,
    mask: Tensor | None,
    encode: Encode,
    images: InitPictures,
    watch: Watch,
) -> Tensor:
    recipe, device = schedule.recipe, model.place.device
    noise = StepNoise([frame.seed.items for frame in frames], tuple(latents.shape[1:]))
    sigmas = torch.stack([_sigmas(model, schedule, frame) for frame in frames]).to(device)
    denoise = _guided(model, schedule, frames, encode, watch)
    clean = latents.to(device)
    first = images.noise(frames, sigmas[:, 0], noise.next(), lambda: _empty(model, schedule, encode)).to(device)
    levels = model.levels_at(recipe.width, recipe.height, recipe.steps)
    kept = None if mask is None else Kept(clean, first, mask.to(device), levels)
    latest = _Latest(kept.denoiser(denoise) if kept else denoise)

    def report(done: int, total: int) -> None:
        preview = None if watch.preview is None else watch.preview(latest.estimate[0])
        watch.listen(Event("steps", done, total, frames[0].index, preview))

    with model.loras.at([model.loras.strengths(frame) for frame in frames], device):
        walked = sampler_for(recipe.sampler, levels)(
            latest,
            levels.begun(clean, first, sigmas[:, 0]),
            sigmas,
            lambda: noise.next().to(device),
            report,
        )
    return (kept.put_back(walked) if kept else walked).cpu()


class _Latest:
    """A denoiser that keeps its latest estimate."""

    estimate: Tensor

    def __init__(self, denoise: Denoiser) -> None:
        self._denoise = denoise

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        self.estimate = self._denoise(x, sigma)
        return self.estimate


def _guided(model: LoadedModel, schedule: Schedule, frames: Sequence[Frame], encode: Encode, watch: Watch) -> Denoiser:
    """Returns the denoiser of these frames, which have equal numbers of passes.

    It runs all passes in one batch, and combines them: classifier-free guidance (Ho & Salimans 2022), for every part of
    a prompt (Liu et al. 2022).
    """
    passes = [Passes.of(frame, schedule.recipe) for frame in frames]
    guides = _guides(model, frames[0], passes[0])
    guidance = [1.0 if model.distilled else frame.cfg for frame in frames]
    positive = _columns(
        [[cfg * each.weight for each in own.positive] for cfg, own in zip(guidance, passes, strict=True)]
    )
    plain = _columns([[each.weight for each in own.positive] for own in passes])
    negative = _columns([[each.weight for each in own.negative] for own in passes]) if guides else []
    conditionings: dict[tuple[tuple[Mix[str], ...], ...], Conditioning] = {}
    call = itertools.count()

    def conditioning() -> Conditioning:
        """Returns the conditionings of all passes at the next call, those of the positive ones first."""
        now = next(call)
        texts = [own.at(now) for own in passes]
        mixes = tuple(zip(*((*own[0], *own[1]) if guides else own[0] for own in texts), strict=True))
        if mixes not in conditionings:
            conditionings[mixes] = _passes(model, schedule, frames, mixes, len(positive), encode)
        return conditionings[mixes]

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        count = len(positive) + len(negative)
        found = model.estimate(x.repeat(count, 1, 1, 1), sigma.repeat(count), conditioning()).chunk(count)
        wanted, unwanted = found[: len(positive)], found[len(positive) :]
        if not unwanted:
            estimate = _sum(positive, wanted)
            watch.call(Call(x, sigma, estimate, None, estimate))
            return estimate
        base = _sum(negative, unwanted)
        changes = [each - base for each in wanted]
        estimate = base + _sum(positive, changes)
        watch.call(Call(x, sigma, base + _sum(plain, changes), base, estimate))
        return estimate

    return denoise


def _columns(rows: Sequence[Sequence[float]]) -> list[Tensor | None]:
    """Returns the weights of each pass, one for each frame; None if all are 1."""
    columns = [torch.tensor(column).view(-1, 1, 1, 1) for column in zip(*rows, strict=True)]
    return [None if bool((column == 1).all()) else column for column in columns]


def _sum(weights: Sequence[Tensor | None], passes: Sequence[Tensor]) -> Tensor:
    parts = [each if w is None else w.to(each) * each for w, each in zip(weights, passes, strict=True)]
    return functools.reduce(torch.add, parts)


def _passes(
    model: LoadedModel,
    schedule: Schedule,
    frames: Sequence[Frame],
    mixes: Sequence[Sequence[Mix[str]]],
    positive: int,
    encode: Encode,
) -> Conditioning:
    """Returns the conditionings of some passes, one batch after another, of which the first ones are `positive`.

    `mixes` has one mix for each frame of each pass.
    """
    own = [model.loras.in_text(frame) for frame in frames]
    found = [_conditioning(model, schedule, mix, own, encode) for mix in mixes]
    seeds, variety = [frame.seed.items for frame in frames], schedule.recipe.variety
    found[:positive] = [varied(each, seeds, variety, family=model.family) for each in found[:positive]]
    if model.distilled:
        found = [_with_guidance(each, [frame.cfg for frame in frames]) for each in found]
    # A mask hides the zeros after a shorter prompt, so that each pass is what it would be alone.
    usual = "zero" if all(MASK in each.extra for each in found) else FAMILIES[model.family].lengths
    lengths = schedule.recipe.lengths or usual
    empty = encode("", ()) if lengths == "empty" else None
    return functools.reduce(lambda first, second: stacked(first, second, lengths, empty), found)


def _with_guidance(conditioning: Conditioning, guidance: Sequence[float]) -> Conditioning:
    """Returns a conditioning with the guidance that a distilled model takes as an input, one value for each frame."""
    extra = {**conditioning.extra, "guidance": torch.tensor(guidance)}
    return Conditioning(conditioning.tokens, conditioning.pooled, extra, conditioning.shared - {"guidance"})


def _empty(model: LoadedModel, schedule: Schedule, encode: Encode) -> Conditioning:
    """Returns the conditioning of no prompt and no guidance, with which pictures are inverted."""
    found = _conditioning(model, schedule, [Mix.one("")], [()], encode)
    return _with_guidance(found, [1.0]) if model.distilled else found


def stacked(first: Conditioning, second: Conditioning, lengths: str, empty: Conditioning | None = None) -> Conditioning:
    """Returns the concatenation of two conditionings along the batch axis.

    The policy `lengths` aligns different numbers of token rows. The policy "empty" needs `empty`, the conditioning of
    "". Equal values of `extra` are kept; different ones become one value per frame. Raises `MixError` for a key that
    only one conditioning has, or whose value is neither a number nor a tensor.
    """
    sources = (first, second)
    rows = [part.tokens for part in sources]
    tokens = torch.cat(aligned(rows, 1, lengths, "prompt and negative", empty=None if empty is None else empty.tokens))
    if (first.pooled is None) != (second.pooled is None) or first.extra.keys() != second.extra.keys():
        raise MixError("prompt and negative: only one of them has a pooled vector or a key of extra; give it in both")
    pooled = [part.pooled for part in sources if part.pooled is not None]
    extra: dict[str, Any] = {}
    for key, value in first.extra.items():
        values = [value, second.extra[key]]
        if same(*values) and (key in first.shared or not _of_frames(value, first)):
            extra[key] = value
            continue
        parts = [_for_each_frame(key, given, len(part)) for given, part in zip(values, sources, strict=True)]
        axis = 1 if key == MASK else TOKEN_AXES.get(key)
        if axis is not None:
            parts = aligned(parts, axis, lengths, key, empty=None if empty is None else empty.extra.get(key))
        extra[key] = torch.cat(parts)
    return Conditioning(tokens, torch.cat(pooled) if pooled else None, extra, first.shared & second.shared)


def _of_frames(value: Any, conditioning: Conditioning) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0 and len(value) == len(conditioning)


def _for_each_frame(key: str, value: Any, frames: int) -> Tensor:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return torch.full((frames,), float(value))
    if not isinstance(value, Tensor) or value.ndim == 0 or len(value) not in (1, frames):
        raise MixError(
            f'extra["{key}"]: it differs between prompt and negative; give numbers, or tensors of all frames'
        )
    return value.expand(frames, *value.shape[1:])


def _conditioning(
    model: LoadedModel, schedule: Schedule, mixes: Sequence[Mix[str]], own: Sequence[Strengths], encode: Encode
) -> Conditioning:
    """Returns the conditioning of each mix of prompts. Each prompt is encoded once per set of LoRA strengths."""
    rows = zip(mixes, own, strict=True)
    sources, weights = weights_of([[((prompt, ours), weight) for prompt, weight in mix.items] for mix, ours in rows])
    recipe = schedule.recipe
    encoded = [encode(*source) for source in sources]
    for (prompt, _), conditioning in zip(sources, encoded, strict=True):
        if not all(
            bool(part.isfinite().all()) for part in (conditioning.tokens, conditioning.pooled) if part is not None
        ):
            raise BlankFrame(f"prompt {prompt!r}: the text encoder gave numbers that are not finite")
    return mix_conditioning(
        encoded,
        weights,
        how="lerp" if recipe.mix == OUTPUT else recipe.mix,
        lengths=recipe.lengths,
        family=model.family,
        # Without the traveling LoRAs, since the padding of a frame must not depend on other frames.
        empty=encode("", ()),
    )
