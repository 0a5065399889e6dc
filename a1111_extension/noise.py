"""The noise of frames, in the place of the host's own: of each frame's seeds, also that of every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from torch import Tensor

from remix.mix import StepNoise, mix, weights_of
from remix.plan import Mix

Source = Callable[[Sequence[int], Sequence[int]], Any]
"""From a shape and seeds to an object whose `next` gives the host's noise of each seed."""


class FrameNoise:
    """Stands where the host has its ImageRNG: `next` is the initial noise first, then that of each step.

    Every seed is drawn by itself, and the draws of a mix of seeds are mixed at every step. `source` is the host's
    own, None for the noise that is the same in every tool.
    """

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
            self._initial = draw
        return draw

    def initial(self) -> Tensor:
        """Returns the first draw again, with what the host has multiplied it by."""
        assert self._initial is not None
        return self._initial

    def first(self) -> Tensor:
        """Returns the initial noise, as the host's own object has it."""
        return self.next()

    def mixed(self, draws: Tensor) -> Tensor:
        """Returns the noise of each frame from that of each seed, [seeds, *shape]."""
        return mix(draws.float(), self._weights, how="noise").to(draws.dtype)


def step_noise(make: Callable[..., Any], noise: FrameNoise, portable: bool) -> Callable[..., Any]:
    """Returns what takes the place of `make`, a sampler's `create_noise_sampler`: noise of the frames' own seeds.

    Portable: the next draws of each frame's seeds. Else the host's own, a Brownian tree for each seed, mixed.
    """

    def create(x: Tensor, sigmas: Tensor, p: Any) -> Callable[..., Tensor] | None:
        if portable:
            return lambda sigma, sigma_next: noise.next().to(x)
        rows = x[:1].expand(len(noise.seeds), *x.shape[1:])
        seeds = SimpleNamespace(all_seeds=list(noise.seeds), iteration=0, batch_size=len(noise.seeds))
        trees = make(rows, sigmas, seeds)
        if trees is None:  # the host is told not to care for equal batches
            return None
        return lambda sigma, sigma_next: noise.mixed(trees(sigma, sigma_next))

    return create
