"""The operators, functions and constants of expressions, and the steps that expressions are parsed into."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import elementary as el

_MANY = 1000


@dataclass(frozen=True)
class Operation:
    """An operator or function: its notation, its evaluation, and its arguments.

    The first `conditions` arguments must be true or false; `truth` marks operations whose result is.
    """

    form: str
    apply: el.Function
    least: int
    most: int
    conditions: int = 0
    truth: bool = False


@dataclass(frozen=True)
class Step:
    """One step of an expression: a constant `value`, a variable `name`, or an operation on earlier steps.

    `at` is its position in the text; `args` are the indices of the steps that it uses.
    """

    at: int
    value: float | None = None
    name: str = ""
    label: str = ""
    apply: el.Function | None = None
    args: tuple[int, ...] = ()
    truth: bool = False


def _operator(form: str, apply: el.Function, conditions: int = 0, truth: bool = False) -> Operation:
    count = form.count("a") + form.count("b")
    return Operation(form, apply, count, count, conditions, truth)


def _function(form: str, apply: el.Function, conditions: int = 0) -> Operation:
    count = form.count(",") + 1
    if form.endswith("...)"):
        return Operation(form, apply, count - 1, _MANY, conditions)
    return Operation(form, apply, count, count, conditions)


OPERATORS: Mapping[str, Operation] = {
    "neg": _operator("-a", lambda m, a: -a),
    "number": _operator("a", lambda m, a: m.where(a, 1.0, 0.0), conditions=1),
    "+": _operator("a + b", lambda m, a, b: a + b),
    "-": _operator("a - b", lambda m, a, b: a - b),
    "*": _operator("a * b", lambda m, a, b: a * b),
    "/": _operator("a / b", lambda m, a, b: m.divide(a, b)),
    "%": _operator("a % b", el.remainder),
    "**": _operator("a ** b", el.power),
    "<": _operator("a < b", lambda m, a, b: a < b, truth=True),
    "<=": _operator("a <= b", lambda m, a, b: a <= b, truth=True),
    "==": _operator("a == b", lambda m, a, b: a == b, truth=True),
    "!=": _operator("a != b", lambda m, a, b: a != b, truth=True),
    ">=": _operator("a >= b", lambda m, a, b: a >= b, truth=True),
    ">": _operator("a > b", lambda m, a, b: a > b, truth=True),
    "&": _operator("a & b", lambda m, a, b: a & b, conditions=2, truth=True),
    "|": _operator("a | b", lambda m, a, b: a | b, conditions=2, truth=True),
    "~": _operator("~a", lambda m, a: a ^ True, conditions=1, truth=True),
}
"""Operators by sign; "neg" is the minus before one value, and "number" turns a comparison into 1 or 0."""

FUNCTIONS: Mapping[str, Operation] = {
    operation.form.partition("(")[0]: operation
    for operation in (
        _function("abs(x)", lambda m, x: abs(x)),
        _function("arccos(x)", el.arccos),
        _function("arccosh(x)", el.arccosh),
        _function("arcsin(x)", el.arcsin),
        _function("arcsinh(x)", el.arcsinh),
        _function("arctan(x)", el.arctan),
        _function("arctan2(y, x)", el.arctan2),
        _function("arctanh(x)", el.arctanh),
        _function("ceil(x)", el.ceil),
        _function("clip(x, low, high)", el.clip),
        _function("cos(x)", el.cos),
        _function("cosh(x)", el.cosh),
        _function("exp(x)", el.exp),
        _function("expm1(x)", el.expm1),
        _function("floor(x)", lambda m, x: m.floor(x)),
        _function("fmod(a, b)", lambda m, a, b: m.fmod(a, b)),
        _function("hypot(x, y)", el.hypot),
        _function("log(x)", el.log),
        _function("log10(x)", el.log10),
        _function("log1p(x)", el.log1p),
        _function("log2(x)", el.log2),
        _function("max(a, b, ...)", el.maximum),
        _function("maximum(a, b, ...)", el.maximum),
        _function("min(a, b, ...)", el.minimum),
        _function("minimum(a, b, ...)", el.minimum),
        _function("round(x)", lambda m, x: m.nearest(x)),
        _function("sign(x)", el.sign),
        _function("sin(x)", el.sin),
        _function("sinh(x)", el.sinh),
        _function("sqrt(x)", lambda m, x: m.root(x)),
        _function("tan(x)", el.tan),
        _function("tanh(x)", el.tanh),
        _function("trunc(x)", el.trunc),
        _function("where(condition, a, b)", lambda m, condition, a, b: m.where(condition, a, b), conditions=1),
    )
}
"""Functions by name: those of numexpr with real arguments and results, with min, max and clip as users write them."""

CONSTANTS: Mapping[str, float] = {"pi": math.pi, "tau": math.tau, "e": math.e}

_SMALL = 32

_ADVICE = {
    "/": "keep what it is divided by away from 0, for example with max(..., 0.001)",
    "%": "keep what it is divided by away from 0, for example with max(..., 0.001)",
    "fmod": "keep what it is divided by away from 0, for example with max(..., 0.001)",
    "sqrt": "keep it from falling below 0, for example with max(..., 0)",
    **dict.fromkeys(("log", "log2", "log10"), "keep it above 0, for example with max(..., 0.001)"),
    "log1p": "keep it above -1, for example with max(..., -0.999)",
    **dict.fromkeys(("arcsin", "arccos"), "keep it from -1 to 1, for example with clip(..., -1, 1)"),
    "arctanh": "keep it between -1 and 1, for example with clip(..., -0.999, 0.999)",
    "arccosh": "keep it at 1 or above, for example with max(..., 1)",
    "**": "raise a positive number, to a smaller exponent",
}


def raising(exponent: float | None) -> el.Function:
    """Returns the function that raises to `exponent` (None: variable), by products or the root if possible."""
    if exponent == 0.5:
        return lambda m, x, y: m.root(x)
    if exponent is None or exponent != math.floor(exponent) or not 0 < abs(exponent) <= _SMALL:
        return el.power
    whole = int(exponent)
    return lambda m, x, y: el.small_power(m, whole, x)


def complaint(label: str, values: Sequence[float], result: float, t: float | None = None) -> str:
    """Returns what is wrong with the `result` of the operation `label` on `values`, and what to do."""
    shown = [f"{value + 0.0:.6g}" for value in values]
    if label in FUNCTIONS:
        what = f"{label}({', '.join(shown)})"
    else:
        what = f" {label} ".join(f"({text})" if text.startswith("-") else text for text in shown)
    when = "" if t is None else f" at t = {str(t).removesuffix('.0')}"
    fault = "is not a real number" if math.isnan(result) else "has no finite value"
    return f"{what} {fault}{when}; {_ADVICE.get(label, 'keep the numbers smaller')}"


def culprit(steps: Sequence[Step], values: Sequence[Any], t: float | None) -> tuple[int, str]:
    """Returns the position at which the last of `values` first became not finite, and a sentence about it."""
    i = len(steps) - 1
    while True:
        step = steps[i]
        args = step.args
        if step.label == "where":
            args = (args[1],) if values[args[0]] else (args[2],)
        worse = [j for j in args if not math.isfinite(values[j])]
        if not worse:
            return step.at, complaint(step.label, [values[j] for j in step.args], values[i], t)
        i = worse[0]
