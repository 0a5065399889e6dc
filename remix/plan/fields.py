"""Checks of single values: each returns the value in its canonical form, or raises RecipeError.

`path` is the position of the value in the recipe; the message names the value and what to do.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from numbers import Integral, Real
from typing import Any, TypeVar

from remix.errors import RecipeError
from remix.plan.mix import Mix
from remix.plan.wording import close, nearest

V = TypeVar("V")

MAX_PARTS = 64
MAX_NAME = 1000
MAX_PROMPT = 20_000


class _Show(reprlib.Repr):
    """A repr of bounded size, also for integers too long for Python to print."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 60

    def repr_int(self, x: int, level: int) -> str:
        return repr(x) if x.bit_length() <= 128 else "an integer of more than 38 digits"


show = _Show().repr
"""`show(value)`: the value as a message shows it, cut where it is long."""


def settle(target: Any, **values: Any) -> None:
    """Stores checked values on a frozen dataclass during its construction."""
    for field, value in values.items():
        object.__setattr__(target, field, value)


def changed(value: Any) -> dict[str, Any]:
    """Returns the fields of a dataclass's value that are not at their default, in order."""
    return {f.name: getattr(value, f.name) for f in fields(value) if f.compare and getattr(value, f.name) != f.default}


@contextmanager
def under(prefix: str) -> Iterator[None]:
    """Returns a context manager that puts `prefix` in front of the path of a RecipeError."""
    try:
        yield
    except RecipeError as error:
        inner = error.path or ""
        joint = "." if inner and not inner.startswith("[") else ""
        path = f"{prefix}{joint}{inner}"
        raise RecipeError(error.problem, path=path, excerpt=error.excerpt) from error.__cause__


def number(value: Any, path: str, low: float, high: float) -> float:
    """Returns `value` as a finite float from `low` to `high`, both included."""
    kind: type = type(value)
    if kind is bool or not issubclass(kind, Real):
        raise RecipeError(f"{show(value)} is not a number; write one from {low:g} to {high:g}", path=path)
    # Compared before the conversion, because a huge integer has no float.
    if not low <= value <= high:
        raise RecipeError(f"{show(value)} is outside {low:g} to {high:g}; choose one inside", path=path)
    return float(value) + 0.0  # -0.0 and 0.0 are one number, with one spelling


def integer(value: Any, path: str, low: int, high: int) -> int:
    """Returns `value` as an int from `low` to `high`, both included."""
    kind: type = type(value)
    if kind is bool or not issubclass(kind, Integral):
        raise RecipeError(f"{show(value)} is not a whole number; write one from {low} to {high}", path=path)
    if not low <= value <= high:
        raise RecipeError(f"{show(value)} is outside {low} to {high}; choose one inside", path=path)
    return int(value)


def flag(value: Any, path: str) -> bool:
    """Returns `value`, which must be true or false."""
    if not isinstance(value, bool):
        raise RecipeError(f"{show(value)} is neither true nor false; write one of them", path=path)
    return value


def text(value: Any, path: str, limit: int) -> str:
    """Returns `value` as text of at most `limit` characters, all of which can be encoded as UTF-8."""
    if not isinstance(value, str):
        raise RecipeError(f"{show(value)} is not text; put it in quotes", path=path)
    if len(value) > limit:
        raise RecipeError(f"{len(value)} characters are too many; keep to {limit}", path=path)
    half = re.search("[\ud800-\udfff]", value)
    if half:
        raise RecipeError(
            f"character {half.start() + 1} is half of a surrogate pair, which no file can hold; remove it",
            path=path,
        )
    return str(value)


def name(value: Any, path: str) -> str:
    """Returns `value` as a name: text that is not blank and has no control characters."""
    checked = text(value, path, MAX_NAME)
    if not checked.strip():
        raise RecipeError(f"{show(value)} is blank; write a name", path=path)
    if re.search(r"[\x00-\x1f\x7f]", checked):
        raise RecipeError(f"{show(value)} has a control character in it; remove it", path=path)
    return checked


def choice(value: Any, path: str, known: Collection[str], other: Mapping[str, str] | None = None) -> str:
    """Returns `value`, which must be one of the `known` names; `other` maps names of other tools to known ones."""
    if not isinstance(value, str):
        raise RecipeError(f"{show(value)} is not a name; known: {', '.join(known)}", path=path)
    if value not in known:
        meant = (other or {}).get(value.lower())
        advice = f'write "{meant}"' if meant else nearest(value, known)
        raise RecipeError(f"{show(value)} is not known; {advice}", path=path)
    return str(value)


def picture(value: Any, path: str) -> str:
    """Returns `value` as the path of a file or folder below the recipe's own folder, with ``/`` between folders.

    Paths that could lead outside on any system are refused here. Links are checked by the job.
    """
    checked = name(value, path)
    if ".." in checked or checked.startswith(("/", "\\", "~")) or re.search(r"[\\:]", checked):
        raise RecipeError(
            f"{show(value)} may lead out of the recipe's folder; put the file next to the recipe and "
            'write its relative path with "/", without "..", "\\" or ":"',
            path=path,
        )
    return checked


def mixed(value: Any, path: str, check: Callable[[Any, str], V], *, keys: type = str) -> Mix[V]:
    """Returns `value` as a Mix, from one value, ``{value: weight}``, pairs ``[[value, weight], ...]`` or a Mix.

    `check` validates each value. Weights are relative: 2 and 1 are two thirds and one third. `keys=int` also reads the
    keys of a mapping from decimal text, since files have no other keys.
    """
    if isinstance(value, Mix):
        pairs: Sequence[Any] = value.items
    elif isinstance(value, Mapping):
        pairs = list(value.items())
        if keys is int:
            pairs = [(_integer_key(key), weight) for key, weight in pairs]
    elif isinstance(value, (list, tuple)):
        pairs = value
    else:
        return Mix.one(check(value, path))
    if len(pairs) > MAX_PARTS:
        raise RecipeError(f"a mix of {len(pairs)} parts is too large; keep to {MAX_PARTS}", path=path)
    checked = []
    for i, pair in enumerate(pairs):
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise RecipeError(f"{show(pair)} is not a pair; write [value, weight]", path=f"{path}[{i}]")
        where = path if isinstance(value, (Mix, Mapping)) else f"{path}[{i}]"
        checked.append((check(pair[0], where), _weight(pair[1], where)))
    with under(path):
        return Mix(tuple(checked))


def _weight(value: Any, path: str) -> float:
    if isinstance(value, Real) and not isinstance(value, bool) and value < 0:
        raise RecipeError(
            f"the weight {show(value)} is outside 0 to 1e+06, since weights are shares of a mix; use 0, or put what "
            'should not appear into "negative"',
            path=path,
        )
    return number(value, path, 0, 1e6)


def _integer_key(key: Any) -> Any:
    """Returns the integer in a key of a file, or else the key itself."""
    return int(key) if isinstance(key, str) and re.fullmatch(r"-?[0-9]{1,20}", key) else key


def only(data: Any, known: Collection[str], astray: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Returns a copy of the table `data`, which may only have `known` fields.

    `astray` has a sentence for each field that belongs elsewhere.
    """
    if not isinstance(data, Mapping):
        raise RecipeError(f"{show(data)} is not a table of fields; known: {', '.join(known)}")
    for key in data:
        if not isinstance(key, str) or key not in known:
            raise RecipeError(_advice(str(key), known, astray or {}), path=step(str(key)))
    return dict(data)


OTHER_WORDS = {
    "time": "at",
    "frame": "at",
    "position": "at",
    "resolution": "size",
    "length": "frames",
    "duration": "frames",
    "total_frames": "frames",
    "max_frames": "frames",
    "num_frames": "frames",
    "framerate": "fps",
    "frame_rate": "fps",
    "cfg_scale": "cfg",
    "guidance": "cfg",
    "guidance_scale": "cfg",
    "strength": "denoise",
    "denoising_strength": "denoise",
    "negative_prompt": "negative",
    "n_prompt": "negative",
    "text": "prompt",
    "init": "image",
    "init_image": "image",
    "picture": "image",
    "mask_image": "mask",
    "noise_mask": "mask",
    "easing": "ease",
    "interpolation": "mix",
    "closed_loop": "loop",
    "num_inference_steps": "steps",
    "sampler_name": "sampler",
    "ckpt": "checkpoint",
    "ckpt_name": "checkpoint",
    "lora": "loras",
}
"""Names in other tools for the fields of a recipe."""


def _advice(key: str, known: Collection[str], astray: Mapping[str, str]) -> str:
    """Returns what to do about a field that is not `known`."""
    if key in astray:
        return astray[key]
    meant = OTHER_WORDS.get(key.lower(), key.lower())
    if meant in known:
        return f'there is no such field; it is called "{meant}" here'
    if meant in astray and not close(key, known, 0.8):
        return f'there is no such field; it is called "{meant}" here, and {astray[meant]}'
    return f"there is no such field; {nearest(key, known)}"


def joined(key: str) -> str:
    """Returns `key` as what follows a table in a path.

    >>> joined("cfg"), joined("KSampler.cfg")
    ('.cfg', "['KSampler.cfg']")
    """
    found = step(key)
    return found if found.startswith("[") else f".{found}"


def step(key: str) -> str:
    """Returns `key` as a step of a path: bare if possible, else quoted in brackets."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", key) else f"[{show(key)}]"
