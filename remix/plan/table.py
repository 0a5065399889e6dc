"""A schedule as a table of texts: what a person reads before anything is rendered."""

from __future__ import annotations

from collections.abc import Sequence

from remix.plan.mix import UNITS, Mix, share_out
from remix.plan.schedule import Schedule

ROWS = 25
"""How many frames a table shows unless it is asked for all of them."""


def chosen_rows(schedule: Schedule, most: int = ROWS) -> Sequence[int]:
    """The frames that a short table shows: the keyframes, and others evenly between them, about `most` in all."""
    total = len(schedule)
    if total <= most:
        return range(total)
    spread = {k * (total - 1) // (most - 1) for k in range(most)}
    return sorted(spread | set(schedule.recipe.positions()[:most]))


def columns_of(schedule: Schedule) -> list[str]:
    """The names of the columns: frame, time, prompt, seed, cfg, and whatever else travels or is set."""
    more = [name for name in ("negative", "image", "mask", "loras") if _says_something(schedule, name)]
    last = ["denoise"] if _says_something(schedule, "denoise") else []
    return ["frame", "time", "prompt", "seed", *more, "cfg", *last]


def row_of(schedule: Schedule, index: int, columns: Sequence[str]) -> list[str]:
    """The cells of a frame, one for each of the `columns`, which are those of `columns_of`."""
    frame = schedule[index]
    return [str(index), f"{index / schedule.recipe.fps:.2f}s", *(_cell(getattr(frame, name)) for name in columns[2:])]


def text_table(schedule: Schedule, rows: Sequence[int] | None = None, *, widest: int = 60) -> str:
    """The table as plain text, a line for each of `rows` (None: `chosen_rows`); a keyframe's line begins with ``*``.

    Cells of more than `widest` characters are cut.
    """
    rows = chosen_rows(schedule) if rows is None else rows
    keyframes = set(schedule.recipe.positions())
    columns = columns_of(schedule)
    lines = [columns, *(row_of(schedule, index, columns) for index in rows)]
    cut = [[cell if len(cell) <= widest else cell[: widest - 3] + "..." for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*cut, strict=True)]
    marks = [" ", *("*" if index in keyframes else " " for index in rows)]
    return "\n".join(
        f"{mark} {'  '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))}".rstrip()
        for mark, line in zip(marks, cut, strict=True)
    )


def _says_something(schedule: Schedule, name: str) -> bool:
    """Whether a field of the frames changes, or says more than nothing."""
    first = getattr(schedule[0], name)
    if any(getattr(frame, name) != first for frame in schedule):
        return True
    return first.items != (("", 1.0),) if isinstance(first, Mix) else first not in (None, 1.0, ())


def _cell(value: object) -> str:
    if isinstance(value, Mix):
        if len(value.items) == 1:
            return str(value.items[0][0])
        # In thousandths that sum to 1, as the weights do.
        thousandths = share_out([round(weight * UNITS) * 1000 for weight in value.weights], UNITS)
        return " + ".join(f"{n / 1000:.3f} {part}" for n, part in zip(thousandths, value.values, strict=True))
    if isinstance(value, tuple):
        return ", ".join(f"{lora.strength:.3g} {lora.name}" for lora in value)
    return "-" if value is None else f"{value:g}"
