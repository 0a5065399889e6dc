"""Parses the text of an expression into steps: tokens, precedence, and errors for everything invalid."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from typing import Any

from ..errors import RecipeError
from . import elementary as el
from .fields import show
from .operations import CONSTANTS, FUNCTIONS, OPERATORS, Step, complaint, raising
from .wording import nearest

MAX_LENGTH = 1000
MAX_DEPTH = 50
MAX_EXPONENT = 1000

_TOKEN = re.compile(
    r"""(?P<blank>\s+)
      | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<foreign>//|<<|>>|<>|&&|\|\||\^|=(?!=)|!(?!=)|[−–×·÷√²³’"'?:;{}\[\]])
      | (?P<sign>\*\*|<=|>=|==|!=|[-+*/%<>&|~(),])""",
    re.VERBOSE,
)

_INSTEAD = {
    "//": "write floor(a / b)",
    "<<": "write * 2**n",
    ">>": "write floor(a / 2**n)",
    "<>": "write !=",
    "&&": "write &, with each comparison in brackets",
    "||": "write |, with each comparison in brackets",
    "^": "write ** for a power",
    "=": "write == to compare",
    "!": "write ~ before a comparison in brackets",
    "−": "write the plain -",
    "–": "write the plain -",
    "×": "write *",
    "·": "write *",
    "÷": "write /",
    "√": "write sqrt(...)",
    "²": "write **2",
    "³": "write **3",
    "?": "write where(condition, a, b)",
    "[": "write round brackets",
    "{": "write round brackets",
}

_WORDS = {
    "and": "write &, with each comparison in brackets",
    "or": "write |, with each comparison in brackets",
    "not": "write ~ before a comparison in brackets",
    "if": "write where(condition, a, b)",
    "else": "write where(condition, a, b)",
}

_LEVELS = {
    **dict.fromkeys(("<", "<=", "==", "!=", ">=", ">"), 0),
    "|": 1,
    "&": 2,
    **dict.fromkeys("+-", 3),
    **dict.fromkeys("*/%", 4),
}
"""How tightly each operator between two values binds: Python's order."""


def read_steps(whole: str, start: int, end: int, names: Collection[str] | None) -> tuple[Step, ...]:
    """Returns the steps of the expression in ``whole[start:end]``; the last one is its value.

    Each uses earlier ones. Equal steps are merged, and constants are evaluated. Names other than `names` are refused,
    unless it is None. Raises RecipeError with the line and column in `whole`.
    """
    if end - start > MAX_LENGTH:
        raise refusal(whole, start, f"{end - start} characters are too many for an expression; keep to {MAX_LENGTH}")
    return _Parser(whole, start, end, names).read()


def refusal(whole: str, offset: int, problem: str) -> RecipeError:
    line = whole.count("\n", 0, offset) + 1
    return RecipeError(problem, line=line, column=offset - whole.rfind("\n", 0, offset))


def unknown(name: str, known: Collection[str]) -> str:
    if name in _WORDS:
        return f'"{name}" is not an operator here; {_WORDS[name]}'
    if name.lower() in FUNCTIONS:
        return f"{name} is a function; write {FUNCTIONS[name.lower()].form}"
    return f"there is no number named {show(name)}; {nearest(name, [*known, *CONSTANTS])}"


class _Parser:
    """Reads tokens by recursive descent and appends a step for each operation; equal steps are merged.

    A method that reads a part returns the index of its step.
    """

    def __init__(self, whole: str, start: int, end: int, names: Collection[str] | None) -> None:
        self.whole, self.names = whole, names
        self.tokens = self._split(start, end)
        self.position = self.depth = 0
        self._move(0)
        self.steps: list[Step] = []
        self.seen: dict[Any, int] = {}

    def read(self) -> tuple[Step, ...]:
        if self._kind == "end":
            raise self._refuse("there is no expression; write a number, or something like 0.5*sin(t/8)")
        root = self._number(self._binary(0))
        if self._kind != "end":
            raise self._refuse(self._misplaced())
        return (*self.steps, self.steps[root]) if root != len(self.steps) - 1 else tuple(self.steps)

    def _split(self, start: int, end: int) -> list[tuple[str, str, int]]:
        tokens = []
        while start < end:
            found = _TOKEN.match(self.whole, start, end)
            if not found:
                raise refusal(
                    self.whole,
                    start,
                    f"{show(self.whole[start])} has no meaning here; "
                    "use numbers, names, brackets and + - * / % ** < > & | ~",
                )
            kind, word = str(found.lastgroup), found[0]
            if kind == "foreign":
                instead = _INSTEAD.get(word, "remove it")
                raise refusal(self.whole, start, f"{word} is not used in expressions; {instead}")
            if kind != "blank":
                tokens.append((kind, word, start))
            start = found.end()
        return [*tokens, ("end", "", end)]

    def _move(self, steps: int = 1) -> None:
        self.position += steps
        self._kind, self._word, self._offset = self.tokens[self.position]

    def _refuse(self, problem: str, offset: int | None = None) -> RecipeError:
        return refusal(self.whole, self._offset if offset is None else offset, problem)

    def _misplaced(self) -> str:
        """Returns the reason why the current token cannot follow a complete value."""
        if self._word == ")":
            return "this bracket closes nothing; remove it, or open one before"
        if self._word == ",":
            return "a comma only stands between a function's arguments; write decimals with a point (0.5)"
        if self._word in _WORDS:
            return f'"{self._word}" is not an operator here; {_WORDS[self._word]}'
        return f"{show(self._word)} follows a value directly; put an operator between them, such as *"

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._refuse(f"more than {MAX_DEPTH} levels are too deep; take some brackets or signs away")

    def _binary(self, lowest: int) -> int:
        """Reads values joined by operators of the level `lowest` or tighter, from the left."""
        left = self._signed()
        while (level := _LEVELS.get(self._word, -1)) >= lowest:
            sign, at = self._word, self._offset
            self._move()
            left = self._operate(sign, (left, self._binary(level + 1)), at)
            if level == 0 and _LEVELS.get(self._word) == 0:
                raise self._refuse("comparisons do not chain; write (a < b) & (b < c)")
        return left

    def _signed(self) -> int:
        sign, at = self._word, self._offset
        if sign not in ("-", "+", "~"):
            return self._power()
        self._deeper()
        self._move()
        inner = self._signed()
        self.depth -= 1
        if sign == "+":
            return self._number(inner)
        return self._operate("neg" if sign == "-" else sign, (inner,), at)

    def _power(self) -> int:
        base = self._single()
        if self._word != "**":
            return base
        at = self._offset
        self._deeper()
        self._move()
        start = self._offset
        exponent = self._signed()
        self.depth -= 1
        value = self.steps[exponent].value
        if value is not None and abs(value) > MAX_EXPONENT:
            raise self._refuse(f"{value:g} is too large an exponent; keep to {MAX_EXPONENT}", start)
        return self._operate("**", (base, exponent), at)

    def _single(self) -> int:
        kind, word, at = self._kind, self._word, self._offset
        if kind == "end":
            raise self._refuse("the expression ends where a value is missing; write one, or remove the end")
        self._move()
        if kind == "number":
            value = float(word)
            if not math.isfinite(value):
                raise self._refuse(f"{show(word)} is too large for a number; write a smaller one", at)
            return self._add(Step(at, value))
        if kind == "name":
            return self._call(word, at) if self._word == "(" else self._named(word, at)
        self._move(-1)
        if word != "(":
            raise self._refuse(f"a value is missing before {show(word)}; write one, or remove the sign")
        inner = self._arguments()
        if len(inner) != 1:
            raise self._refuse("these brackets hold no single value; write one, with a point in decimals", at)
        return inner[0]

    def _named(self, name: str, at: int) -> int:
        if name in CONSTANTS:
            return self._add(Step(at, CONSTANTS[name]))
        known = self.names
        if name in _WORDS or name.lower() in FUNCTIONS or (known is not None and name not in known):
            raise self._refuse(unknown(name, known or ()), at)
        return self._add(Step(at, name=name))

    def _call(self, name: str, at: int) -> int:
        function = FUNCTIONS.get(name)
        if function is None:
            if name in ("t", *CONSTANTS, *(self.names or ())):
                raise self._refuse(f"{name} is a number, not a function; write {name} * (...)", at)
            if name in _WORDS:
                raise self._refuse(unknown(name, ()), at)
            raise self._refuse(f"there is no function named {show(name)}; {nearest(name, FUNCTIONS)}", at)
        arguments = self._arguments()
        if not function.least <= len(arguments) <= function.most:
            raise self._refuse(f"{name} is given {len(arguments)} values; write {function.form}", at)
        return self._operate(name, tuple(arguments), at)

    def _arguments(self) -> list[int]:
        """Reads the values between brackets, which open at the current token."""
        self._deeper()
        opening = self._offset
        self._move()
        found: list[int] = []
        while self._word != ")":
            found.append(self._binary(0))
            if self._kind == "end":
                raise self._refuse("this bracket is not closed; add ) where it ends", opening)
            if self._word not in (",", ")"):
                raise self._refuse(self._misplaced())
            if self._word == ",":
                self._move()
                if self._word == ")":
                    raise self._refuse("a value is missing after the comma; write one, or remove the comma")
        self._move()
        self.depth -= 1
        return found

    def _operate(self, label: str, args: tuple[int, ...], at: int) -> int:
        """Returns the step of an operation, which is evaluated at once if all of its arguments are constant."""
        operation = OPERATORS.get(label) or FUNCTIONS[label]
        for i in args[: operation.conditions]:
            if not self.steps[i].truth:
                raise self._refuse(
                    f"{label} needs a comparison, such as (t > 3), where this has a number; "
                    "put each comparison in brackets",
                    at,
                )
        args = (*args[: operation.conditions], *(self._number(i) for i in args[operation.conditions :]))
        values = [self.steps[i].value for i in args]
        apply = raising(values[1]) if label == "**" else operation.apply
        if any(value is None for value in values):
            return self._add(Step(at, label=label, apply=apply, args=args, truth=operation.truth))
        result = apply(el.FLOATS, *values)
        if not math.isfinite(result):
            raise self._refuse(complaint(label, values, result), at)  # type: ignore[arg-type]
        return self._add(Step(at, result, truth=operation.truth))

    def _number(self, i: int) -> int:
        """Returns the step `i`, or one that converts it to 1 or 0 if it is true or false."""
        return self._operate("number", (i,), self.steps[i].at) if self.steps[i].truth else i

    def _add(self, step: Step) -> int:
        key = (step.name, step.label, step.args, repr(step.value))
        if key not in self.seen:
            self.seen[key] = len(self.steps)
            self.steps.append(step)
        return self.seen[key]
