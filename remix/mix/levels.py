"""The noise levels of a frame that begins with a picture: one rule for the schedules of every host."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from remix.plan.denoise import schedule_length


def levels_from(schedule: Callable[[int], Tensor], steps: int, denoise: float) -> Tensor:
    """The noise levels from the one that `denoise` names down to the schedule's end: [steps + 1] in most cases.

    `schedule(n)` gives the host's levels of n steps, falling, the last of them 0. The levels are the last steps + 1 of
    the schedule of T = steps / denoise steps. Where T is whole these are the host's own, bit for bit, which is
    ComfyUI's rule. Between whole numbers each level lies between those of the next shorter and the next longer
    schedule, straight in log sigma, so that a `denoise` that travels moves all levels without a jump. A `denoise` of 0
    gives the end alone.

    Levels that a schedule of fractional length has twice are kept once: a step of no length moves nothing, and
    multistep samplers divide by it.

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
    return torch.unique_consecutive(torch.cat([between[:-1], shorter[-1:]]))
