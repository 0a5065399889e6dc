"""Numbers that change with the frame: ``1.2 + 0.3*sin(t/8)``, read by our own parser and never by eval.

    >>> parse("1.2 + 0.3*sin(2*pi*t/40)").evaluate(t=10)
    1.5
    >>> parse("where(t % 8 < 4, 1, 0.5)").over(range(0, 12, 2))
    [1.0, 1.0, 0.5, 0.5, 1.0, 1.0]
    >>> fill_prompt("autumn (leaf:`abs(sin(0.1*t))`)", t=5)
    'autumn (leaf:0.4794)'

The language is that of numexpr, which Deforum and FizzNodes evaluate with, and its precedence is Python's.

**Names** are what the caller gives: `t` (the frame), and as a rule `max_f` (the last frame), `s` (the seed)
and `fps`. A name is a name: the `t` of `sqrt` stays where it is. `pi`, `tau` and `e` are constants.

**Operators**, from the tightest: ``**`` (from the right; ``-2**2`` is -4), ``- + ~`` before one value,
``* / %``, ``+ -``, ``&``, ``|``, and comparisons ``< <= == != >= >``.

- Every number is a float of 64 bits. ``/`` never drops a fraction: ``1/2`` is 0.5. ``floor(a/b)`` does.
- ``a % b`` has the sign of b: ``-1 % 3`` is 2. `fmod` has the sign of a.
- A comparison is true or false; used as a number it is 1 or 0. ``&``, ``|`` and ``~`` join comparisons
  alone, and bind tighter than these, so each goes in brackets: ``(t > 3) & (t < 9)``.
- ``where(condition, a, b)`` is a or b frame by frame; what is not chosen does not matter, so that
  ``where(t > 0, 1/t, 0)`` is 0 at t = 0.
- `round` takes halves to the even neighbor; `min` and `max` (or `minimum` and `maximum`) take two values
  or more.
- Inside, a division by 0 is an infinity, as in IEEE 754, and ``arctan(1/t)`` is right at 0. The *result*
  has to be finite: the root of a negative number, log(0) or 1/0 is refused where it reaches the result.
  A constant part without a finite value is refused when it is read.

**Limits**: 1,000 characters, 50 brackets, signs or powers within each other, constant exponents to 1,000;
in a prompt 100 numbers.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, cast

from ..errors import RecipeError
from . import elementary as el
from .bounds import COLUMN_SPEEDUP, EXPRESSION_WORK, STEP_WORK
from .fields import MAX_PROMPT, number, show
from .grammar import read_steps, refusal, unknown
from .operations import CONSTANTS, FUNCTIONS, Step, culprit

MAX_NUMBERS = 100

_BLOCK = 8192  # frames at a time, so that one step's input and output stay in the processor's cache
_FEW = 500  # up to here, evaluating single numbers is faster than loading numpy


def parse(text: str, names: Collection[str] | None = None) -> Expression:
    """Returns the expression in `text`.

    With `names`, a name that is neither among them nor built in is refused here; otherwise it is refused when the
    expression is evaluated. Raises RecipeError with line and column for invalid text.
    """
    if not isinstance(text, str):
        raise RecipeError(f"{show(text)} is not text; put the expression in quotes")
    return _parse(text, 0, len(text), names)


def fill_prompt(text: str, t: float | None = None, **names: float) -> str:
    """Returns `text` with each expression in backticks replaced by its value.

    A value is written with up to four decimals, the precision of prompt weights. Two consecutive backticks are one
    literal backtick. Raises RecipeError with the line and column in `text`.

    >>> fill_prompt("(snow:`t/max_f`), `2*t` birds", t=8, max_f=24)
    '(snow:0.3333), 16 birds'
    """
    if not isinstance(text, str):
        raise RecipeError(f"{show(text)} is not text; put the prompt in quotes")
    if "`" not in text:
        return text
    given = names if t is None else {"t": t, **names}
    return "".join(part if isinstance(part, str) else _short(part.evaluate(**given)) for part in _template(text))


def prompt_work(text: str) -> int:
    """Returns the cost of `fill_prompt` for one frame, in the units of `Bounds`."""
    return sum(part.work_over(1) for part in _template(text) if isinstance(part, Expression)) if "`" in text else 0


def verbatim(text: str) -> str:
    """Returns `text` with doubled backticks, so that `fill_prompt` restores it unchanged."""
    return text.replace("`", "``")


def check_prompt(text: str, names: Collection[str]) -> None:
    """Raises RecipeError for text that `fill_prompt` cannot read, and for names that are not built in or in `names`."""
    for part in _template(text) if "`" in text else ():
        if isinstance(part, Expression):
            part._check_names(names)


def expressions_in(text: str) -> tuple[Expression, ...]:
    """Returns the expressions in a prompt, in order."""
    parts = _template(text) if "`" in text else ()
    return tuple(part for part in parts if isinstance(part, Expression))


def caret(text: str, error: RecipeError, width: int = 100) -> str:
    """Returns two lines: the line of `text` with the `error`, and a caret below its column.

    A line longer than `width` is cut around the caret. Empty if the error has no column.

    >>> try: parse("1 + sni(t)")
    ... except RecipeError as error: print(caret("1 + sni(t)", error))
    1 + sni(t)
        ^
    """
    if error.column is None:
        return ""
    line = text.split("\n")[(error.line or 1) - 1].rstrip("\r")
    start = max(0, min(error.column - 1 - width // 2, len(line) - width))
    shown = line[start : start + width]
    before = shown[: error.column - 1 - start]
    return shown + "\n" + re.sub(r"[^\t]", " ", before) + "^"


@dataclass(frozen=True)
class Expression:
    """A parsed expression; `text` is its source, `names` are the variables needed to evaluate it."""

    text: str
    names: frozenset[str]
    _steps: tuple[Step, ...] = field(repr=False, compare=False)
    _source: str = field(repr=False, compare=False)

    def evaluate(self, t: float | None = None, **names: float) -> float:
        """Returns the value at frame `t`: finite, and the same number that `over` returns.

        Raises RecipeError if a variable is missing or not a finite number, or if the result is not finite.
        """
        given = names if t is None else {"t": t, **names}
        self._check_names(given)
        return self._at({name: _finite(value, name) for name, value in given.items()})

    def over(self, frames: Sequence[float], **names: float | Sequence[float]) -> list[float]:
        """Returns the values at each of the `frames`, the `t` of the expression.

        The value of a variable is a number, or a sequence with one number for each frame. More than 500 frames are
        evaluated in columns by numpy, which is loaded for it: with the same bits, and a hundred times as fast as frame
        by frame. Raises the same errors as `evaluate`, with the first frame that has no value.
        """
        columns: dict[str, Sequence[float]] = {"t": frames}
        fixed: dict[str, float] = {}
        for name, value in names.items():
            if hasattr(value, "__len__") and not isinstance(value, str):
                columns[name] = cast("Sequence[float]", value)
            else:
                fixed[name] = _finite(value, name)
        self._check_names({**fixed, **columns})
        for name, column in columns.items():
            if len(column) != len(frames):
                raise RecipeError(f"{len(column)} values for {len(frames)} frames; give one for each", path=name)
        if len(frames) > _FEW:
            return self._in_columns(columns, fixed)
        return [
            self._at({**fixed, **{name: _finite(v[i], f"{name}[{i}]") for name, v in columns.items()}})
            for i in range(len(frames))
        ]

    def work_over(self, frames: int) -> int:
        """Returns the cost of `over` for that many frames, in the units of `Bounds`."""
        work = frames * (EXPRESSION_WORK + STEP_WORK * len(self._steps))
        return work // COLUMN_SPEEDUP if frames > _FEW else work

    def _check_names(self, given: Collection[str]) -> None:
        for name in given:
            if name in CONSTANTS or name in FUNCTIONS:
                raise RecipeError("this name is built into expressions; give the value another", path=name)
        for step in self._steps:
            if step.name and step.name not in given:
                raise refusal(self._source, step.at, unknown(step.name, given))

    def _at(self, given: Mapping[str, float]) -> float:
        values: list[Any] = [given[step.name] if step.name else step.value for step in self._steps]
        self._fill(values, el.FLOATS)
        value = values[-1]
        if not math.isfinite(value):
            at, problem = culprit(self._steps, values, given.get("t"))
            raise refusal(self._source, at, problem)
        return float(value) + 0.0  # -0.0 and 0.0 are one number, with one spelling

    def _fill(self, values: list[Any], m: el.Arithmetic, last_use: Mapping[int, int] = MappingProxyType({})) -> None:
        """Computes, in order, the steps whose values are not known yet.

        A column is released after its `last_use`. The next column reuses its memory, which is still in the processor's
        cache; this halves the time.
        """
        for i, step in enumerate(self._steps):
            if values[i] is None and step.apply is not None:
                values[i] = step.apply(m, *[values[j] for j in step.args])
                for j in step.args if last_use else ():
                    if last_use[j] == i:
                        values[j] = None

    def _in_columns(self, columns: Mapping[str, Sequence[float]], fixed: Mapping[str, float]) -> list[float]:
        import numpy as np

        arrays = {name: _column(name, values) for name, values in columns.items() if name in self.names}
        changing = [step.name in arrays for step in self._steps]
        for i, step in enumerate(self._steps):
            changing[i] = changing[i] or any(changing[j] for j in step.args)
        # Steps that are the same on all frames are evaluated once, as a single number.
        known = [fixed.get(step.name) if step.name else step.value for step in self._steps]
        for i, step in enumerate(self._steps):
            if known[i] is None and step.apply is not None and not changing[i]:
                known[i] = step.apply(el.FLOATS, *[known[j] for j in step.args])
        last_use = {j: i for i, step in enumerate(self._steps) for j in step.args}
        result = np.empty(len(columns["t"]))
        with np.errstate(all="ignore"):
            for start in range(0, len(result), _BLOCK):
                part = slice(start, start + _BLOCK)
                values = [
                    arrays[step.name][part] if step.name in arrays else value
                    for step, value in zip(self._steps, known, strict=True)
                ]
                self._fill(values, el.arrays(), last_use)
                result[part] = values[-1]
        bad = np.flatnonzero(~np.isfinite(result))
        if len(bad):
            self._at({**fixed, **{name: float(column[bad[0]]) for name, column in columns.items()}})
        found: list[float] = (result + 0.0).tolist()
        return found


def _finite(value: Any, path: str) -> float:
    """Returns `value` as a float. Raises RecipeError if it is not a finite number."""
    return number(value, path, -sys.float_info.max, sys.float_info.max)


def _column(name: str, values: Sequence[float]) -> Any:
    """Returns `values` as a float64 array. Raises RecipeError if they are not finite numbers."""
    import numpy as np

    plain = not isinstance(values, (range, np.ndarray))
    kind = object if plain and not {bool, np.bool_}.isdisjoint(map(type, values)) else None
    try:
        if isinstance(values, range):
            column: np.ndarray[Any, Any] = np.arange(values.start, values.stop, values.step)
        else:
            column = np.asarray(values, dtype=kind)  # without a kind, True among numbers would become 1
        if column.ndim == 1 and column.dtype.kind in "iuf" and np.isfinite(column).all():
            return column.astype(np.float64)
    except (ValueError, OverflowError):
        pass
    for i, value in enumerate(values):
        _finite(value, f"{name}[{i}]")
    return np.array([float(value) for value in values])


def _short(value: float) -> str:
    """Returns `value` with up to four decimals and no more digits than needed."""
    if abs(value) >= 1e15:
        return f"{value:.6g}"
    shown = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if shown == "-0" else shown


@lru_cache(maxsize=256)
def _template(text: str) -> tuple[str | Expression, ...]:
    """Returns the literal and backticked parts of a prompt in turn; cached, because there are many frames."""
    if len(text) > MAX_PROMPT:
        raise RecipeError(f"{len(text)} characters are too many for a prompt; keep to {MAX_PROMPT}")
    if text.count("`") > 2 * MAX_NUMBERS:
        raise RecipeError(f"more than {MAX_NUMBERS} numbers in backticks are too many for a prompt; write fewer")
    parts: list[str | Expression] = []
    end = -1
    while (start := text.find("`", end + 1)) >= 0:
        parts.append(text[end + 1 : start])
        end = text.find("`", start + 1)
        if end < 0:
            raise refusal(text, start, "this backtick is not closed; put a second one after the expression")
        parts.append("`" if end == start + 1 else _parse(text, start + 1, end, None))
    return (*parts, text[end + 1 :])


def _parse(whole: str, start: int, end: int, names: Collection[str] | None) -> Expression:
    steps = read_steps(whole, start, end, names)
    used = frozenset(step.name for step in steps if step.name)
    return Expression(whole[start:end], used, steps, whole)
