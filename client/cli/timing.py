"""The options of `remix video` about time: order, length, in-betweens and pace."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import click

from remix.errors import BadInput
from remix.motion import Picture, film_order
from remix.motion.formats import Format, rate_for, rate_of
from remix.motion.inbetween import QUALITIES
from remix.motion.retiming import EvenPace, moments_in_order

OPTIONS = (
    click.option("--fps", help="Pictures per second: 12, 23.976, 24000/1001.  [default: the job's rate, else 12]"),
    click.option(
        "--between",
        type=click.IntRange(min=0),
        default=0,
        metavar="N",
        help="Number of in-betweens from each picture to the next. The film lasts as long as without.",
    ),
    click.option("--to-fps", metavar="RATE", help="Frame rate of the film, reached by in-betweens, such as 60."),
    click.option(
        "--quality",
        type=click.Choice(list(QUALITIES)),
        default="fine",
        show_default=True,
        help="Effort for in-betweens. fast takes a third of the time.",
    ),
    click.option(
        "--method",
        metavar="comfyui:MODEL",
        help="Make in-betweens with a RIFE or FILM model of a ComfyUI, such as comfyui:rife47.pth.",
    ),
    click.option("--pace", type=click.Choice(["even"]), help="even: move evenly, with in-betweens where needed."),
    click.option("--loop", is_flag=True, help="The last picture leads back to the first.  [default: as the job]"),
    click.option("--ping-pong", is_flag=True, help="Play forward, then backward, without doubling the end frames."),
    click.option("--repeat", type=click.IntRange(min=1), default=1, show_default=True, help="Number of repetitions."),
    click.option("--length", metavar="TIME", help="Repeat or cut the frames to this many seconds, such as 15s."),
)


@dataclass(frozen=True)
class Timing:
    """When a film shows which picture. `fps` is None for the default of the folder."""

    fps: str | None = None
    between: int = 0
    to_fps: str | None = None
    quality: str = "fine"
    method: str | None = None
    pace: str | None = None
    loop: bool = False
    ping_pong: bool = False
    repeat: int = 1
    length: str | None = None

    def rates(self, row: Format, default: float) -> tuple[Fraction, Fraction]:
        """Returns the rate of the pictures, and that of the film, both per second."""
        if self.to_fps is not None and self.between:
            raise BadInput("--between and --to-fps: both set the number of in-betweens; give one of them")
        shown = rate_of(self.fps or default)
        return shown, rate_for(row, self.to_fps or shown * (self.between + 1))

    def moments(self, count: int, shown: Fraction, film: Fraction, loop: bool) -> list[float]:
        """Returns the moments of a film of `count` pictures, at rates as `rates` returns them."""
        step = shown / film
        wanted = None if self.length is None else self._wanted(film)
        order = self._order(count, None if wanted is None else wanted * step)
        return moments_in_order(order, step, loop=loop, ping_pong=self.ping_pong)[:wanted]

    @property
    def model(self) -> str | None:
        """Returns the name of the ComfyUI model that makes the in-betweens, None for the toolkit's own."""
        if self.method is None:
            return None
        server, _, name = self.method.partition(":")
        if server != "comfyui" or not name:
            raise BadInput(f"--method: {self.method!r}; write comfyui: and the name of a model, comfyui:rife47.pth")
        if self.pace is not None:
            raise BadInput("--method and --pace: a model makes in-betweens at even parts only; leave one of them out")
        return name

    def _wanted(self, film: Fraction) -> int:
        if self.repeat > 1:
            raise BadInput("--length and --repeat: both set the length; give one of them")
        assert self.length is not None
        read = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)\s*(?:s|sec|seconds)?", self.length.strip())
        wanted = round(Fraction(read[1]) * film) if read else 0
        if wanted < 1:
            raise BadInput(f"--length: {self.length!r}; give seconds, at least one frame long, such as 15s")
        return wanted

    def _order(self, count: int, pictures: Fraction | None) -> list[int]:
        """Returns the pictures in the order in which they are shown, at least `pictures` of them."""
        if pictures is None:
            return film_order(count, ping_pong=self.ping_pong, repeat=self.repeat)
        cycle = film_order(count, ping_pong=self.ping_pong)
        # One more, because the last of them leads to it.
        return film_order(count, ping_pong=self.ping_pong, repeat=int(-(-(pictures + 1) // len(cycle))))


def even(
    moments: Sequence[float], pictures: Sequence[Picture], stops: Sequence[int], loop: bool
) -> tuple[list[float], float]:
    """Returns `moments` at an even pace, and how much the steps vary without it."""
    pace = EvenPace(pictures, stops, loop=loop)
    return [pace(moment) for moment in moments], pace.before


def timing_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds these options to a verb, which receives them as `timing`."""

    @functools.wraps(command)
    def packed(**options: Any) -> None:
        timing = Timing(**{name: options.pop(name) for name in Timing.__dataclass_fields__})
        command(**options, timing=timing)

    for option in reversed(OPTIONS):
        packed = option(packed)
    return packed
