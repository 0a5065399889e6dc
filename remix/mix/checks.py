"""Checks of arguments before any arithmetic: floating-point tensors, plain numbers, sequences, names and shapes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from remix.errors import MixError

# The formats below half precision are for storing weights; torch barely supports arithmetic with them.
SMALLEST = 2

# Characters of a value that an error repeats.
LONGEST = 80


def floating(where: str, value: Any, convert: str = ".float()") -> Tensor:
    """Returns `value` unchanged. Raises MixError unless it is a dense floating-point tensor.

    `convert` is the conversion to floating point that the error suggests.
    """
    if not isinstance(value, Tensor):
        raise MixError(f"{where}: {shown(value)} is not a tensor; give a tensor of floating point numbers.")
    if not value.is_floating_point() or value.dtype.itemsize < SMALLEST:
        raise MixError(f"{where}: {value.dtype} cannot hold a mix; convert it with {convert}.")
    if value.layout != torch.strided or value.is_nested or value.is_meta:
        raise MixError(f"{where}: a meta, nested or sparse tensor; give a dense one.")
    return value


def numbers(where: str, value: Any, wanted: str) -> Tensor:
    """Returns `value`, a number or any table of them, as float64 on the CPU; `wanted` ends the error's sentence."""
    try:
        if isinstance(value, Tensor) and (value.is_complex() or value.is_nested):
            raise TypeError(value.type())
        return torch.as_tensor(value, dtype=torch.float64, device="cpu").detach()
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise MixError(f"{where}: {shown(value)} is not made of numbers; give {wanted}.") from error


def sequence(where: str, given: Any, wanted: str) -> list[Any]:
    """Returns the items of `given`, at least one, as a list. Raises MixError if it is not a sequence."""
    try:
        parts = None if isinstance(given, str | bytes | dict) else list(given)
    except (TypeError, RuntimeError):  # not iterable; torch has its own errors for that
        parts = None
    if parts is None:
        raise MixError(f"{where}: {shown(given)} is no sequence; give {wanted}.")
    if not parts:
        raise MixError(f"{where}: there are none; give at least one.")
    return parts


def shown(value: Any) -> str:
    """Returns `value` as errors show it: short plain values literally, all others by their type.

    >>> shown("x"), shown([1, 2]), shown(torch.zeros(2))
    ("'x'", '[1, 2]', 'a Tensor')
    """
    if value is None or isinstance(value, bool | int | float | str | list | tuple | dict):
        try:
            text = repr(value)
        except ValueError:  # Python does not print numbers of more than 4300 digits
            text = ""
        if 0 < len(text) <= LONGEST and "\n" not in text:
            return text
    return f"a {type(value).__name__}"


def known(name: str, names: Iterable[str], what: str) -> str:
    """Returns `name` unchanged. Raises MixError, suggesting the nearest, unless it is one of `names`.

    >>> known("slrep", ("lerp", "slerp"), "how")
    Traceback (most recent call last):
    remix.errors.MixError: how: 'slrep' is not known; did you mean 'slerp'? Known: lerp, slerp.
    """
    choices = tuple(names)
    if isinstance(name, str) and name in choices:
        return name
    near = difflib.get_close_matches(name, choices, n=1) if isinstance(name, str) else []
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise MixError(f"{what}: {shown(name)} is not known; {hint}Known: {', '.join(choices)}.")


def size(shape: Iterable[int]) -> str:
    """Returns a shape in the usual notation: "1x4x64x64"."""
    return "x".join(str(n) for n in shape) or "a single number"
