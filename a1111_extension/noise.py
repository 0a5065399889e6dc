"""The noise of frames, drawn from each frame's seeds at every step, in place of the host's own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from torch import Tensor

from remix.mix import StepNoise, mix, weights_of
from remix.plan import Mix

Source = Callable[[Sequence[int], Sequence[int]], Any]
"""Returns, for a shape and seeds, an object whose `next` returns the host's noise of each seed."""


class FrameNoise:
    """Replaces the host's ImageRNG: `next` returns the initial noise first, then that of each step.

    Each seed is drawn separately, and the draws of a mix of seeds are mixed at every step. `source` is the host's own
    noise, None for the noise that is the same in every tool. `start` replaces the initial noise, if it is set in time.
    """

    start: Tensor | None = None

    def __init__(self, mixes: Sequence[Mix[int]], shape: Sequence[int], device: Any, source: Source | None) -> None:
        self.shape = tuple(map(int, shape))
        self._device = device
        self.seeds, self._weights = weights_of(mixes)
        self._steps = StepNoise(mixes, self.shape) if source is None else None
        self._host = None if source is None else source(self.shape, self.seeds)
        self._initial: Tensor | None = None

    def next(self) -> Tensor:
        """Returns the next draw of every frame: float32 [frames, *shape]."""
        if self._steps is not None:
            draw = self._steps.next().to(self._device)
        else:
            draw = self.mixed(self._host.next())  # type: ignore[union-attr]
        if self._initial is None:
            self._initial = draw = draw if self.start is None else self.start.to(draw)
        return draw

    def between(self, level: float, next_level: float) -> Tensor:
        """Returns the noise of a step from one noise level to the next, like `StepNoise.between`."""
        assert self._steps is not None
        return self._steps.between(level, next_level).to(self._device)

    def initial(self) -> Tensor:
        """Returns the first draw again, with the host's scale."""
        assert self._initial is not None
        return self._initial

    def first(self) -> Tensor:
        """Returns the initial noise, under the name that the host's own object uses."""
        return self.next()

    def mixed(self, draws: Tensor) -> Tensor:
        """Returns the noise of each frame from that of each seed, [seeds, *shape]."""
        return mix(draws.float(), self._weights, how="noise").to(draws.dtype)


def take_step_noise(sampler: Any, noise: Callable[[], FrameNoise], portable: bool) -> None:
    """Makes a sampler of the host take the noise of its steps from `noise()`, the noise of the frames.

    With `portable`, each step takes the next draws of each frame's seeds. Otherwise, a sampler with a Brownian tree
    gets one tree for each seed, and their noise is mixed.
    """
    make = sampler.create_noise_sampler

    def create(x: Tensor, sigmas: Tensor, p: Any) -> Callable[..., Tensor] | None:
        frames = noise()
        if portable:
            return lambda sigma, sigma_next: frames.between(float(sigma), float(sigma_next)).to(x)
        rows = x[:1].expand(len(frames.seeds), *x.shape[1:])
        seeds = SimpleNamespace(all_seeds=list(frames.seeds), iteration=0, batch_size=len(frames.seeds))
        trees = make(rows, sigmas, seeds)
        if trees is None:  # the host is set to ignore the order of a batch
            return None
        return lambda sigma, sigma_next: frames.mixed(trees(sigma, sigma_next))

    sampler.create_noise_sampler = create
    # The host replaces the noise of k-diffusion's own samplers, but not that of Forge's DDPM.
    if "noise_sampler" in inspect.signature(sampler.func).parameters:
        sampler.func = functools.partial(sampler.func, noise_sampler=lambda sigma, sigma_next: noise().next())
