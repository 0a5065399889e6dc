"""Noise that every host shares: of a seed, of a mix of seeds, on a closed circle, of each step; and noise levels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import index as whole
from typing import Any

import torch
from torch import Tensor

from remix.errors import MixError
from remix.mix.checks import numbers, sequence, shown, size
from remix.mix.interpolate import mix, result_of
from remix.mix.product import product
from remix.mix.sources import sources_of, weight_table
from remix.plan.denoise import schedule_length

LARGEST_SEED = 2**64 - 1

# The Mersenne Twister of torch's CPU generator uses the low 32 bits of a seed. Seeds that share them have identical
# noise in every host, and mixing it with itself would not be a mix.
STREAMS = 2**32


def noise_of_seed(seed: int, shape: Sequence[int]) -> Tensor:
    """Returns the initial noise of `seed`: float32 [1, *shape] on the CPU, unit variance.

    It is the first draw of a CPU generator with that seed: bit for bit the noise of ComfyUI for one picture, and of
    A1111 with the CPU source. `seed` is 0 to 2**64 - 1; `shape` is that of one latent, without the batch: (4, height /
    8, width / 8) for SD.
    """
    return torch.randn((1, *_shape(shape)), generator=_generator(seed))


def noise_of_mixes(mixes: Iterable[Any], shape: Sequence[int], *, out: Tensor | None = None) -> Tensor:
    """Returns the initial noise of each frame: float32 [F, *shape], from a mix of seeds for each.

    A mix is a sequence of (seed, weight), a mapping from seed to weight, or an object with such pairs in `.items`;
    weights sum to 1. One seed gives `noise_of_seed` bit for bit, two are mixed by slerp over the whole sample, more by
    the weighted sum over the root of the summed squares. Each seed is drawn once; seeds with the same low 32 bits are
    one. `out` is a buffer as in `mix`.
    """
    return StepNoise(mixes, shape).next(out=out)


def noise_on_circle(
    seed_a: int,
    seed_b: int,
    turns: Tensor | Sequence[float],
    shape: Sequence[int],
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Returns noise on a closed circle: float32 [F, *shape], cos(2π turn) a + sin(2π turn) b.

    `turns` [F]: 0, 1 and every whole turn give the noise of `seed_a` bit for bit; a quarter turn gives that of
    `seed_b`. Unit variance is kept on the way, since a and b are independent.
    """
    if _seed(seed_a, "seed_a") % STREAMS == _seed(seed_b, "seed_b") % STREAMS:
        raise MixError(
            f"seed_b: {seed_b} has the same noise as seed_a, {seed_a}, which makes a line and no circle; give"
            " another seed."
        )
    at = numbers("turns", turns, "one turn for each frame")
    if at.ndim != 1 or not torch.isfinite(at).all():
        raise MixError(f"turns: {size(at.shape)}, or not finite; give a list with one turn for each frame.")
    # Whole quarters are counted separately, so that cos and sin are exact there and every turn closes.
    quarters = torch.floor(at * 4)
    rest = (at * 4 - quarters) * (math.pi / 2)
    cosine, sine = torch.cos(rest), torch.sin(rest)
    table = torch.empty(len(at), 2, dtype=torch.float64)
    for quarter, pair in enumerate(((cosine, sine), (-sine, cosine), (-cosine, -sine), (sine, -cosine))):
        here = quarters.remainder(4) == quarter
        table[here] = torch.stack(pair, dim=1)[here]
    ends = sources_of([noise_of_seed(seed_a, shape), noise_of_seed(seed_b, shape)])
    result = result_of(ends, len(at), out)
    if len(at):
        product(table, ends, result.view(len(at), -1))
    return result


class StepNoise:
    """The noise of frames for samplers that draw noise at every step, independent of the batch.

    Every seed has its own generator. The first draw is the initial noise, each later step uses the next draw (as A1111
    does for each picture with the CPU source), and the draws of a mix of seeds are mixed by the rule of
    `noise_of_mixes` at every step.

    >>> noise = StepNoise([[(7, 1.0)], [(7, 0.5), (8, 0.5)]], (4, 8, 8))
    >>> initial, first_step = noise.next(), noise.next()
    >>> torch.equal(initial[:1], noise_of_seed(7, (4, 8, 8)))
    True
    """

    def __init__(self, mixes: Iterable[Any], shape: Sequence[int]) -> None:
        given = sequence("mixes", mixes, "a mix of seeds for each frame")
        merged = [_merged(index, one) for index, one in enumerate(given)]
        # Sorted, so that a frame's sources have the same order whatever else is in the batch.
        seeds = sorted({seed for one in merged for seed in one})
        column = {seed: at for at, seed in enumerate(seeds)}
        table = torch.zeros(len(merged), len(seeds), dtype=torch.float64)
        for row, one in enumerate(merged):
            for seed, weight in one.items():
                table[row, column[seed]] = weight
        self._table = weight_table(table, len(seeds))
        self._generators = [_generator(seed) for seed in seeds]
        self._shape = _shape(shape)
        self._last: tuple[float, float, Tensor] | None = None
        # The seed of each frame, if all have only one.
        self._alone = self._table.argmax(dim=1) if all(len(one) == 1 for one in merged) else None

    def next(self, *, out: Tensor | None = None) -> Tensor:
        """Returns the next draw of every frame: float32 [F, *shape], in `out` if it is given."""
        draws = torch.empty(len(self._generators), *self._shape)
        for draw, generator in zip(draws.split(1), self._generators, strict=True):
            draw.normal_(generator=generator)
        if self._alone is None:
            return mix(draws, self._table, how="noise", out=out)
        # Called at every step, so it skips checks that cannot fail here.
        return result_of(sources_of(draws), len(self._alone), out).copy_(draws[self._alone])

    def between(self, level: float, next_level: float) -> Tensor:
        """Returns the noise of a step from one noise level to the next: float32 [F, *shape], unit variance.

        It is the next draw. A step that starts at the same level as the previous one and goes further shares its noise
        on the common part, as on a Brownian path over the levels (Li et al. 2020, "Scalable Gradients for Stochastic
        Differential Equations"): DPM++ SDE uses the noise to the middle of a step, and then the noise to its end.
        """
        noise = self.next()
        if self._last is not None:
            start, end, known = self._last
            share = (end - start) / (next_level - level) if level == start and next_level != level else 0.0
            if 0 < share < 1:
                noise = math.sqrt(share) * known + math.sqrt(1 - share) * noise
        self._last = (level, next_level, noise)
        return noise


def levels_from(schedule: Callable[[int], Tensor], steps: int, denoise: float) -> Tensor:
    """Returns the noise levels from that of `denoise` down to the schedule's end: [steps + 1] in most cases.

    `schedule(n)` returns the host's levels of n steps, descending, the last of them 0. The result is the last steps + 1
    levels of the schedule of T = steps / denoise steps. If T is an integer, these are the host's own, bit for bit,
    which is ComfyUI's rule. Otherwise each level is interpolated, linearly in log sigma, between the next shorter and
    the next longer schedule, so that a traveling `denoise` moves all levels without a jump. A `denoise` of 0 returns
    only the end.

    Repeated levels of a schedule of fractional length are kept once: a step of length zero moves nothing, and multistep
    samplers divide by it.

    >>> def halves(n):
    ...     return torch.cat([16 * 0.5 ** torch.arange(n), torch.zeros(1)])
    >>> levels_from(halves, 2, 0.5).tolist(), levels_from(halves, 2, 0.4).tolist()
    ([4.0, 2.0, 0.0], [2.0, 1.0, 0.0])
    >>> [round(level, 3) for level in levels_from(halves, 2, 2 / 4.5).tolist()]  # half way, sqrt(4 * 2)
    [2.828, 1.414, 0.0]
    """
    if denoise <= 0:
        return schedule(steps)[-1:]
    length = schedule_length(steps, denoise)
    if length == steps:
        return schedule(steps)
    shorter = schedule(int(length))[-(steps + 1) :]
    share = length - int(length)
    if not share:
        return shorter
    longer = schedule(int(length) + 1)[-(steps + 1) :]
    count = min(len(shorter), len(longer))  # some schedules leave out levels that repeat
    shorter, longer = shorter[-count:], longer[-count:]
    between = torch.lerp(shorter.double().log(), longer.double().log(), share).exp().to(shorter.dtype)
    levels: Tensor = torch.unique_consecutive(torch.cat([between[:-1], shorter[-1:]]))
    return levels


def _merged(index: int, one: Any) -> dict[int, float]:
    """Returns one mix of any form as {stream: weight}; weights of seeds with one stream are added up."""
    pairs = getattr(one, "items", one)
    if isinstance(one, Mapping):
        pairs = one.items()
    merged: dict[int, float] = {}
    try:
        for seed, weight in pairs:
            stream = _seed(seed, f"mixes[{index}]") % STREAMS
            merged[stream] = merged.get(stream, 0.0) + float(weight)
    except (TypeError, ValueError) as error:
        if isinstance(error, MixError):
            raise
        raise MixError(
            f"mixes[{index}]: {shown(one)} is not a list of (seed, weight); give one such as [(7, 0.5), (8, 0.5)]."
        ) from error
    if not merged:
        raise MixError(f"mixes[{index}]: it has no seed; give at least one (seed, weight).")
    return merged


def _seed(seed: Any, where: str) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
        raise MixError(f"{where}: {shown(seed)} is not a seed; give a whole number from 0 to {LARGEST_SEED}.")
    return seed


def _generator(seed: int) -> torch.Generator:
    return torch.Generator("cpu").manual_seed(_seed(seed, "seed"))


def _shape(shape: Sequence[int]) -> tuple[int, ...]:
    try:
        sizes = tuple(map(whole, shape))
    except TypeError as error:
        raise MixError(
            f"shape: {shown(shape)} is not a list of whole numbers; give one such as (4, 64, 64)."
        ) from error
    if not sizes or min(sizes) < 1:
        raise MixError(f"shape: {size(sizes)}; give the shape of one latent, such as (4, 64, 64).")
    return sizes
