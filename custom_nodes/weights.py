"""Weights of several inputs in a mix: the inputs that the mixing nodes share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from comfy_api.latest import io

from remix.errors import BadInput, MixError
from remix.mix.comfy_types import latent_count
from remix.plan import EASINGS
from remix.plan.shares import MIXED, scheduled_shares, travelled_shares, written_shares

from .inputs import only, schedule_input, schedule_of

MOST_INPUTS = 50
MOST_FRAMES = 4096


def several(name: str, item: io.Input, tooltip: str) -> io.Input:
    """Returns an autogrow input: two or more of `item`, called ``name0``, ``name1`` and so on."""
    template = io.Autogrow.TemplatePrefix(item, prefix=name, min=2, max=MOST_INPUTS)
    return io.Autogrow.Input(f"{name}s", template=template, tooltip=tooltip)


def in_order(given: Mapping[str, Any], name: str) -> list[Any]:
    """Returns the values of an autogrow input, in the order of its sockets."""
    return [value for _, value in sorted(given.items(), key=lambda item: int(item[0].removeprefix(name)))]


@contextmanager
def naming_sockets(given: Mapping[str, Any], name: str) -> Iterator[None]:
    """Names sockets in errors of the mix: ``latent1`` instead of ``sources[1]``."""
    sockets = sorted(given, key=lambda socket: int(socket.removeprefix(name)))
    try:
        yield
    except MixError as error:
        raise MixError(re.sub(r"sources\[(\d+)\]", lambda match: sockets[int(match[1])], str(error))) from error


def chosen(choice: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Returns a choice with single values, from the lists that a node with list inputs receives."""
    return {name: only(name, values) for name, values in choice.items()}


def frames_of(rows: Sequence[Any], counts: Sequence[int]) -> int:
    """Returns the number of frames that result from rows of weights and sources with `counts` frames."""
    return max(len(rows), *counts)


def cut_as(sources: Sequence[Sequence[Any]]) -> int:
    """Returns the default batch size: that of the longest list of sources, or 0 for a single batch.

    Lists stay lists, so that downstream nodes run as often as upstream nodes.
    """
    longest = max(sources, key=len)
    return max(map(_rows, longest)) if len(longest) > 1 else 0


def _rows(part: Any) -> int:
    """Returns the number of frames of a CONDITIONING, LATENT or MASK."""
    if isinstance(part, Mapping):
        return latent_count(part, 0)
    return len(part[0][0]) if isinstance(part, list) and part else len(part)


def weights_input() -> io.Input:
    """Returns the input for weights: equal, written, a travel, or from a schedule."""
    return io.DynamicCombo.Input(
        "weights",
        options=[
            io.DynamicCombo.Option("equal", []),
            io.DynamicCombo.Option("numbers", [_numbers()]),
            io.DynamicCombo.Option("travel", _travel()),
            io.DynamicCombo.Option("schedule", _schedule()),
        ],
        tooltip="The weight of each input. equal: the same for all. numbers: your own. travel: from input to input "
        "over a number of frames. schedule: from a recipe.",
    )


def _numbers() -> io.Input:
    return io.String.Input(
        "numbers",
        default="1, 1",
        multiline=True,
        tooltip="One relative weight per input, such as 0.7, 0.3. One line per frame.",
    )


def _travel() -> list[io.Input]:
    return [
        io.Int.Input(
            "frames",
            default=16,
            min=1,
            max=MOST_FRAMES,
            tooltip="Number of frames from the first input to the last.",
        ),
        io.Combo.Input(
            "ease",
            options=list(EASINGS),
            default="linear",
            tooltip="Easing from each input to the next.",
        ),
        io.Boolean.Input(
            "loop",
            default=False,
            tooltip="Return from the last input to the first. The frame that would repeat the first one is omitted.",
        ),
    ]


def _schedule() -> list[io.Input]:
    return [
        schedule_input("The schedule with the weights of each frame, from Remix Recipe."),
        io.Combo.Input(
            "of",
            options=list(MIXED),
            default="prompt",
            tooltip="Whose weights to use. The first prompt (or seed, or picture) of the schedule is "
            "the first input, and so on.",
        ),
    ]


def weight_rows(weights: Mapping[str, Any], count: int) -> list[list[float]]:
    """Returns the weights of each frame for `count` inputs, from the value of `weights_input`."""
    choice = weights.get("weights")
    if choice == "equal":
        return written_shares(" ".join(["1"] * count), count)
    if choice == "numbers":
        return written_shares(weights["numbers"], count)
    if choice == "travel":
        return travelled_shares(count, weights["frames"], ease=weights["ease"], loop=weights["loop"])
    if choice == "schedule":
        return scheduled_shares(schedule_of(weights["schedule"]), weights["of"], count)
    raise BadInput(f"weights: {choice!r} is not known; choose equal, numbers, travel or schedule")
