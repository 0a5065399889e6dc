"""The noise levels that a frame walks down from its picture: continuous, and ComfyUI's own at whole steps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from remix.mix import levels_from
from remix.plan import Keyframe, Recipe, plan

TABLE = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0)
SIGMAS = ((1 - TABLE) / TABLE).sqrt()
"""The levels of SD 1.5, rising."""

Schedule = Callable[[int], Tensor]


def and_zero(levels: Tensor) -> Tensor:
    return torch.cat([levels.float(), torch.zeros(1)])


def normal(n: int) -> Tensor:
    times = torch.linspace(999, 0, n, dtype=torch.float64)
    logs, before = SIGMAS.log(), times.floor().long()
    return and_zero(torch.lerp(logs[before], logs[times.ceil().long()], times.frac()).exp())


def karras(n: int) -> Tensor:
    ends = SIGMAS[-1] ** (1 / 7), SIGMAS[0] ** (1 / 7)
    return and_zero((ends[0] + torch.linspace(0, 1, n, dtype=torch.float64) * (ends[1] - ends[0])) ** 7)


def simple(n: int) -> Tensor:
    return and_zero(SIGMAS[999 - (torch.arange(n, dtype=torch.float64) * (1000 / n)).long()])


def in_stages(n: int) -> Tensor:
    """As ddim_uniform: more levels than n + 1, and the same ones for many n."""
    return and_zero(SIGMAS[1 :: max(1000 // n, 1)].flip(0))


def without_repeats(n: int) -> Tensor:
    """As ComfyUI's beta: fewer levels than n + 1 where they would repeat."""
    return torch.unique_consecutive(simple(n))


def flow(n: int) -> Tensor:
    return and_zero(torch.linspace(1, 1 / n, n))


SCHEDULES: list[Schedule] = [normal, karras, simple, in_stages, without_repeats, flow]
DENOISES = st.floats(0.001, 0.9999)
"""All but what counts as 1: that is the host's whole schedule, however long it is."""


def host_rule(schedule: Schedule, steps: int, length: int) -> Tensor:
    """ComfyUI's: the last steps + 1 levels of int(steps / denoise) steps."""
    return schedule(length)[-(steps + 1) :] if length != steps else schedule(length)


@pytest.mark.parametrize("schedule", SCHEDULES)
@given(steps=st.integers(1, 40), more=st.integers(0, 300))
@settings(max_examples=60, deadline=None)
def test_at_whole_steps_the_levels_are_the_hosts_own_bit_for_bit(schedule: Schedule, steps: int, more: int) -> None:
    length = steps + more
    if steps / (steps / length) == length:  # where the quotient of floats is whole
        assert torch.equal(levels_from(schedule, steps, steps / length), host_rule(schedule, steps, length))


@pytest.mark.parametrize("schedule", SCHEDULES)
@given(steps=st.integers(1, 40), denoise=DENOISES)
@settings(max_examples=60, deadline=None)
def test_levels_fall_and_end_in_0(schedule: Schedule, steps: int, denoise: float) -> None:
    levels = levels_from(schedule, steps, denoise)
    if (steps / denoise).is_integer():  # the host's own, whatever they are
        return
    assert levels[-1] == 0
    assert bool((levels.diff() < 0).all())
    assert len(levels) <= steps + 1


@pytest.mark.parametrize("schedule", [normal, karras, simple, flow])
@given(steps=st.integers(2, 40), denoise=st.floats(0.05, 0.99))
@settings(max_examples=60, deadline=None)
def test_a_little_more_denoise_moves_every_level_up_a_little(schedule: Schedule, steps: int, denoise: float) -> None:
    lower, upper = (levels_from(schedule, steps, d)[:-1].log() for d in (denoise, denoise + 1e-6))
    assert len(lower) == len(upper) == steps
    assert bool((upper - lower > -1e-5).all())
    longer = steps / denoise - steps / (denoise + 1e-6)  # by which the schedule was longer
    assert float((upper - lower).max()) < 5 * longer + 1e-5


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [8, 20])
def test_levels_meet_those_of_whole_steps_from_both_sides(schedule: Schedule, steps: int) -> None:
    for length in range(steps + 1, 3 * steps):
        own = host_rule(schedule, steps, length)[:-1].log()
        for away in (-1e-7, 1e-7):
            near = levels_from(schedule, steps, steps / (length + away))[:-1].log()
            torch.testing.assert_close(near, own[-len(near) :], rtol=0, atol=2e-5)


@pytest.mark.parametrize("schedule", [normal, karras, simple, flow])
@pytest.mark.parametrize("steps", [8, 20, 30])
def test_a_denoise_that_travels_through_48_frames_neither_stands_nor_jumps(schedule: Schedule, steps: int) -> None:
    travel = plan(Recipe(48, (Keyframe(image="a.png", denoise=0.2), Keyframe(denoise=0.9)), steps=steps))
    begin = torch.stack([levels_from(schedule, steps, frame.denoise)[0].log() for frame in travel])
    moves = begin.diff()
    assert float(moves.min()) > 0
    assert float(moves.max()) < 3 * float(moves.median())


def test_no_denoise_walks_nowhere_and_full_denoise_walks_all() -> None:
    assert levels_from(normal, 20, 0.0).tolist() == [0.0]
    assert torch.equal(levels_from(in_stages, 30, 1.0), in_stages(30))
    assert len(in_stages(30)) == 32


def test_levels_keep_their_dtype() -> None:
    assert levels_from(lambda n: normal(n).double(), 8, 0.6).dtype == torch.float64
