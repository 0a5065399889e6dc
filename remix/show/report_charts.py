"""The charts of a film's report: its steps, and the fields of its schedule that travel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from remix.plan import Mix, Schedule
from remix.show.motion import Motion
from remix.show.plot import LONGEST_LEGEND, parts_of, sampled, ticks, traveling_fields

if TYPE_CHECKING:
    from markupsafe import Markup

POINTS = 400
"""The maximum number of places that a chart draws, apart from peaks."""

LONGEST_TEXT = 400
"""The maximum length of a text in a table or legend, in characters."""


@dataclass(frozen=True)
class Curve:
    """A field of the schedule as a chart, with the color's number and the text of each line of its legend."""

    name: str
    chart: Markup
    legend: tuple[tuple[int, str], ...]


def steps_charts(motion: Motion, fps: float | None) -> tuple[Markup, Markup] | None:
    """Returns the curve of the steps, narrow and wide; None for a single frame."""
    from remix.show.page.charts import NARROW, WIDE, line_chart

    if not motion.steps:
        return None
    points = [(float(index), motion.steps[index]) for index in sampled(motion.steps, POINTS)]
    marks = [(float(index), motion.steps[index]) for index in motion.jumps()]
    most = max(range(len(motion.steps)), key=motion.steps.__getitem__)
    alt = (
        f"Line chart of {len(motion.steps)} steps between neighboring frames. "
        f"The typical step is {motion.typical:.3g}, "
        f"the largest one {motion.steps[most]:.3g}, after frame {most}. {len(marks)} jumps are marked."
    )
    narrow, wide = (
        line_chart(
            points,
            alt=alt,
            labels=_labels(len(motion.steps), fps or 12, width),
            marks=marks,
            level=motion.typical,
            from_zero=True,
            width=width,
        )
        for width in (NARROW, WIDE)
    )
    return narrow, wide


def curves_of(schedule: Schedule) -> list[Curve]:
    """Returns the fields that travel as charts."""
    return [_curve(name, values, schedule.recipe.fps) for name, values in traveling_fields(schedule).items()]


def _curve(name: str, values: Sequence[Any], fps: float) -> Curve:
    from remix.show.page.charts import NARROW, line_chart, shares_chart

    labels = _labels(len(values), fps, NARROW)
    if not isinstance(values[0], Mix):
        low, high = min(values), max(values)
        alt = f"Line chart of {name}, from {values[0]:g} to {values[-1]:g}, within {low:g} and {high:g}."
        points = [(float(index), values[index]) for index in sampled(values, POINTS)]
        return Curve(name, line_chart(points, alt=alt, labels=labels), ((0, f"{low:g} to {high:g}"),))
    parts = parts_of(values)
    frames = sampled(values, POINTS)
    legend = [(number, shortened(str(part))) for number, part in enumerate(parts[:LONGEST_LEGEND])]
    if len(parts) > LONGEST_LEGEND:
        legend.append((LONGEST_LEGEND, f"{len(parts) - LONGEST_LEGEND:,} more"))
    alt = f"Area chart of the shares of {len(parts)} values of {name} in each frame. The legend lists them."
    chart = shares_chart(_shares([values[index] for index in frames], parts), alt=alt, places=frames, labels=labels)
    return Curve(name, chart, tuple(legend))


def _shares(mixes: Sequence[Mix[Any]], parts: Sequence[object]) -> list[list[float]]:
    """Returns the shares of the first parts in each mix, and of all others together as the last series."""
    numbers = {part: min(number, LONGEST_LEGEND) for number, part in enumerate(parts)}
    series = [[0.0] * len(mixes) for _ in range(min(len(parts), LONGEST_LEGEND + 1))]
    for place, mix in enumerate(mixes):
        for value, weight in mix.items:
            series[numbers[value]][place] += weight
    return series


def _labels(count: int, fps: float, width: int) -> Sequence[int]:
    """Returns the labeled frames of an axis: half of them on a narrow chart."""
    from remix.show.page.charts import NARROW

    labels = ticks(count, fps)
    return labels[::2] if width == NARROW and len(labels) > 5 else labels


def shortened(text: str) -> str:
    """Returns a text for a table or legend."""
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."
