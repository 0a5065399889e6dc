"""The meaning of `denoise` in steps of a noise schedule, the same for every engine."""

from __future__ import annotations

DENOISE_OF_PICTURES = 0.5
"""The denoise of frames with init pictures if no keyframe sets one.

It keeps the layout of the picture, and the schedule is twice as long as the sampled steps, so that every host's own
rule is exact.
"""

LEAST_DENOISE = 1e-4
"""The smallest effective denoise. Sampling then starts within 4 % of the lowest level, and schedules fit in memory."""

WHOLE = 0.9999
"""Larger values count as 1, as in ComfyUI."""

RULE = 1
"""The version of the rule for schedules of a fractional length. Change it whenever they start at another level."""


def schedule_length(steps: int, denoise: float) -> float:
    """Returns the number of steps in the schedule whose last `steps` a frame takes, for a `denoise` above 0.

    This is steps / denoise, which may be fractional: see `remix.mix.noise.levels_from`.

    >>> schedule_length(20, 0.5), schedule_length(20, 1.0), round(schedule_length(20, 0.6), 3)
    (40.0, 20.0, 33.333)
    """
    return float(steps) if denoise > WHOLE else steps / max(denoise, LEAST_DENOISE)


def is_between(steps: int, denoise: float) -> bool:
    """Returns whether a frame starts between the schedules of two whole numbers of steps.

    >>> is_between(20, 0.5), is_between(20, 0.6), is_between(20, 0.0), is_between(20, 1.0)
    (False, True, False, False)
    """
    return denoise > 0 and not schedule_length(steps, denoise).is_integer()


def nearest_whole(steps: int, denoise: float) -> float | None:
    """Returns the nearest denoise for which a host's own rule, int(steps / denoise) steps, is exact.

    It is as short as possible. None if the rule is already exact, up to errors that no picture shows.

    >>> nearest_whole(20, 0.5), nearest_whole(20, 0.6), nearest_whole(20, 0.60606)
    (None, 0.60606, None)
    """
    length = schedule_length(steps, denoise) if denoise > 0 else 0.0
    if length - int(length) < INVISIBLE:
        return None
    whole = round(length)
    # Rounded down, so that a host that rounds steps / denoise down gets this number. 7 / 0.28 is 24.999999999999996.
    digits = ((10**digits, less) for digits in range(1, 17) for less in (0, 1))
    found = ((int(steps / whole * unit) - less) / unit for unit, less in digits)
    shortest: float = next(each for each in found if each > 0 and 0 <= steps / each - whole < INVISIBLE)
    return shortest


INVISIBLE = 1e-3
"""The part of a step by which a schedule may be too short: colors then differ by less than 1 of 255."""
