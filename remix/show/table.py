"""A schedule as a table of texts, to read before anything is rendered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from types import MappingProxyType
from typing import Any

from remix.plan.mix import UNITS, Mix, share_out
from remix.plan.schedule import Frame, Schedule

NO_LETTERS: Mapping[str, str] = MappingProxyType({})
ROWS = 25
"""The number of frames in a short table."""


def chosen_rows(schedule: Schedule, most: int = ROWS) -> Sequence[int]:
    """Returns the frames of a short table: the keyframes, and others evenly spaced, about `most` in all."""
    total = len(schedule)
    if total <= most:
        return range(total)
    spread = {k * (total - 1) // (most - 1) for k in range(most)}
    return sorted(spread | set(schedule.recipe.positions()[:most]))


def columns_of(schedule: Schedule) -> list[str]:
    """Returns the names of the columns: frame, time, prompt, seed, cfg, and other fields that change or are set.

    With a workflow or a payload, these are its inputs.
    """
    if schedule[0].inputs:
        return ["frame", "time", *(name for name, _ in schedule[0].inputs)]
    more = [name for name in ("negative", "image", "mask", "loras") if _says_something(schedule, name)]
    last = ["denoise"] if _says_something(schedule, "denoise") else []
    return ["frame", "time", "prompt", "seed", *more, "cfg", *last]


def row_of(
    schedule: Schedule, index: int, columns: Sequence[str], letters: Mapping[str, str] = NO_LETTERS
) -> list[str]:
    """Returns the cells of a frame, one for each of the `columns` from `columns_of`.

    A text that `letters` holds is shown by its letter there.
    """
    frame = schedule[index]
    cells = (_cell(value_of(frame, name), letters) for name in columns[2:])
    return [str(index), f"{index / schedule.recipe.fps:.2f}s", *cells]


def letters_of(schedule: Schedule, rows: Sequence[int]) -> dict[str, str]:
    """Returns a letter for each prompt, negative and picture name in these frames: A to Z, then AA, AB."""
    frames = [schedule[index] for index in rows]
    names = ("prompt", "negative", "image", "mask", *(name for name, _ in schedule[0].inputs))
    columns = ([value_of(frame, name) for frame in frames] for name in names)
    texts = (text for column in columns for mix in column if isinstance(mix, Mix) for text in mix.values if text)
    return {text: _letter(number) for number, text in enumerate(dict.fromkeys(texts))}


def value_of(frame: Frame, name: str) -> Any:
    """Returns what a frame has in a column: one of its inputs, or else its field of this name."""
    inputs = dict(frame.inputs)
    return inputs[name] if name in inputs else getattr(frame, name)


def _letter(number: int) -> str:
    before, last = divmod(number, len(ascii_uppercase))
    return (_letter(before - 1) if before else "") + ascii_uppercase[last]


def text_table(schedule: Schedule, rows: Sequence[int] | None = None, *, widest: int = 60) -> str:
    """Returns the table as plain text, a line for each of `rows` (None: `chosen_rows`); keyframes begin with ``*``.

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
    """Returns whether a field of the frames changes, or is set at all."""
    first = getattr(schedule[0], name)
    if any(getattr(frame, name) != first for frame in schedule):
        return True
    return first.items != (("", 1.0),) if isinstance(first, Mix) else first not in (None, 1.0, ())


def _cell(value: object, letters: Mapping[str, str]) -> str:
    if isinstance(value, Mix):
        parts = [letters.get(part, part) for part in value.values]
        if len(parts) == 1:
            return str(parts[0])
        # In thousandths that sum to 1, as the weights do.
        thousandths = share_out([round(weight * UNITS) * 1000 for weight in value.weights], UNITS)
        return " + ".join(f"{n / 1000:.3f} {part}" for n, part in zip(thousandths, parts, strict=True))
    if isinstance(value, tuple):
        return ", ".join(f"{lora} {lora.name}" for lora in value)
    if value is None or isinstance(value, bool):
        return {None: "-", True: "true", False: "false"}[value]
    return f"{value:.9g}" if isinstance(value, int) else f"{value:g}"
