"""One result for every tool: what made a picture, as sampling passes whose fields have the same names everywhere.

A reader of a tool's metadata fills in a `Sampling` for each pass, and an `Origin` around them. Values are as the tool
wrote them: `remix.hosts.remaking` converts samplers and schedulers to a recipe's names.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from remix.errors import Unsupported
from remix.prompt.tags import LORAS, TAG, networks_of

MOST_OTHERS = 60
"""The maximum number of further settings of a pass."""

MOST_LORAS = 200
"""The maximum number of LoRAs, and of ControlNets, of a pass."""

MOST_VALUES = 500_000
"""The maximum number of values in another tool's JSON. A few megabytes of brackets would take a gigabyte."""

MAX_DIGITS = 40
"""The maximum number of digits of a whole number in another tool's JSON."""

_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")
"""An escape in JSON that may be half of a character."""

_LONGEST = 2000
"""The maximum length of a further setting. A longer one is in the text itself."""

_WHOLE = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)
_REAL = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]{0,30})?", re.ASCII)
_SIZE = re.compile(r"\W*([0-9]{1,6})\s*[x×X,*]\s*([0-9]{1,6})\W*", re.ASCII)

WHOLE = ("seed", "steps", "width", "height", "clip_skip")
REAL = ("cfg", "denoise")
NAMES = ("sampler", "scheduler", "model", "vae")
TEXTS = ("prompts", "negatives")

Parsed = TypeVar("Parsed")

Names = Mapping[str, tuple[str, ...]]
"""Field of a `Sampling` -> the keys under which a tool writes it. ``a/b`` is the key b in the object a."""


@dataclass(frozen=True)
class Strength:
    """A LoRA or a ControlNet with its strength; a LoRA's `text` is its strength in the text encoder."""

    name: str
    strength: float
    text: float | None = None

    def __str__(self) -> str:
        text = "" if self.text in (None, self.strength) else f", text encoder {self.text:g}"
        return f"{self.name} {self.strength:g}{text}"


@dataclass(frozen=True)
class Sampling:
    """A sampling pass. None and empty fields are unknown.

    `place` names the pass in its tool. `found` has the place of each value, such as ``parameters: CFG scale``. `other`
    has the tool's further settings, under its own names.
    """

    place: str = ""
    prompts: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()
    seed: int | None = None
    steps: int | None = None
    cfg: float | None = None
    sampler: str | None = None
    scheduler: str | None = None
    denoise: float | None = None
    width: int | None = None
    height: int | None = None
    model: str | None = None
    vae: str | None = None
    loras: tuple[Strength, ...] = ()
    controlnets: tuple[Strength, ...] = ()
    clip_skip: int | None = None
    found: Mapping[str, str] = field(default_factory=dict)
    other: Mapping[str, str] = field(default_factory=dict)

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yields the name and the text of everything that is known."""
        for name, texts in (("prompt", self.prompts), ("negative", self.negatives)):
            yield from ((name, text) for text in texts)
        for name in ("seed", "steps", "cfg", "sampler", "scheduler", "denoise", "model", "vae"):
            value = getattr(self, name)
            if value is not None:
                yield name, f"{value:g}" if isinstance(value, float) else str(value)
            if name == "denoise" and self.width and self.height:
                yield "size", f"{self.width}x{self.height}"
        for name, strengths in (("lora", self.loras), ("controlnet", self.controlnets)):
            yield from ((name, str(each)) for each in strengths)
        if self.clip_skip is not None:
            yield "clip skip", str(self.clip_skip)
        yield from self.other.items()


@dataclass(frozen=True)
class Origin:
    """What made a picture: `kind` is the name of the reader, `tool` that of the program, with its version if known.

    `passes` are in the order in which they ran.
    """

    kind: str
    tool: str
    version: str = ""
    passes: tuple[Sampling, ...] = ()
    notes: tuple[str, ...] = ()


class Texts:
    """The texts of a file by lower-case name. What readers parse is parsed once."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts
        self._parsed: dict[tuple[str, Callable[..., Any]], Any] = {}

    def get(self, name: str) -> str:
        """Returns a text, "" if there is none of that name."""
        return self.texts.get(name, "")

    def object(self, name: str) -> dict[str, Any]:
        """Returns the JSON object in a text, empty if it is not one."""
        value = self.parsed(name, json_of)
        return value if isinstance(value, dict) else {}

    def parsed(self, name: str, parse: Callable[[str], Parsed]) -> Parsed:
        """Returns what a function makes of a text."""
        if (name, parse) not in self._parsed:
            self._parsed[name, parse] = parse(self.get(name))
        result: Parsed = self._parsed[name, parse]
        return result

    def objects(self, *names: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yields the name and the JSON object of each of these texts that is one."""
        for name in names:
            if found := self.object(name):
                yield name, found


def json_of(text: str | bytes) -> Any:
    """Returns the value of another tool's JSON, None if it is not valid or has more than `MOST_VALUES` values.

    The strict recipe reader does not fit: ComfyUI itself writes NaN, for nodes that always run. Numbers that are not
    finite or have more than 40 digits become None, and halves of characters become ``?``: no JSON or UTF-8 that is
    written later can have them.
    """
    try:
        plain = text if isinstance(text, str) else text.decode(json.detect_encoding(text), "replace")
        if sum(map(plain.count, ",[{")) > MOST_VALUES:
            return None
        value = json.loads(plain, parse_constant=lambda _: None, parse_float=_finite, parse_int=_integer)
        if _HALF_CHARACTER.search(plain):
            value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return value


def _finite(digits: str) -> float | None:
    return value if math.isfinite(value := float(digits)) else None


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= MAX_DIGITS else None


def read_fields(data: Mapping[str, Any], place: str, names: Names, **given: Any) -> Sampling:
    """Returns the pass in an object of another tool. `given` are fields that the caller has read, None for unknown.

    Of several keys of a field, the first with a usable value counts.
    """
    values: dict[str, Any] = {name: value for name, value in given.items() if value not in (None, (), "")}
    found, used = dict.fromkeys(values, place), set[str]()
    for name, keys in names.items():
        for key in keys:
            value = field_value(name, _at(data, key))
            used.add(key.partition("/")[0])
            if name not in values and value not in (None, (), ""):
                values[name], found[name] = value, f"{place}: {key}"
    other = further({key: value for key, value in data.items() if key not in used})
    return Sampling(place, **values, found=found, other=other)


def field_value(name: str, value: Any) -> Any:
    """Returns a tool's value as a field of `Sampling`, None if it is of another kind."""
    if name in WHOLE:
        return whole(value)
    if name in REAL:
        return real(value)
    if name in TEXTS:
        return (value,) if isinstance(value, str) and value.strip() else ()
    return value.strip() or None if isinstance(value, str) else None


def further(data: Mapping[str, Any]) -> dict[str, str]:
    """Returns the texts and numbers of an object as texts: at most `MOST_OTHERS`, without very long ones."""
    found: dict[str, str] = {}
    for key, value in data.items():
        if len(found) >= MOST_OTHERS:
            break
        if isinstance(value, str | bool | int | float) and value != "":
            text = str(value).lower() if isinstance(value, bool) else written(value)
            if len(text) <= _LONGEST:
                found[key[:100]] = text
    return found


def written(value: Any) -> str:
    """Returns a value as text, with long numbers cut off."""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, int) and abs(value) > 10**40:
        return "a number of more than 40 digits"
    return str(value)


def whole(value: Any) -> int | None:
    """Returns a whole number that a tool wrote, as a number or a text; None for anything else."""
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**64 else None


def real(value: Any) -> float | None:
    """Returns a number that a tool wrote, as a number or a text; None for anything else."""
    if isinstance(value, str) and _REAL.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e20 and math.isfinite(value) else None


def size(text: Any) -> dict[str, int]:
    """Returns width and height of a text such as ``512x768`` or ``(512, 768)``; {} if it is none."""
    sides = _SIZE.fullmatch(text[:40]) if isinstance(text, str) else None
    return {"width": int(sides[1]), "height": int(sides[2])} if sides else {}


def tagged_loras(prompts: Sequence[str]) -> tuple[Strength, ...]:
    """Returns the LoRAs of tags in prompts, `<lora:name:0.8>`; none of a prompt whose strengths are not numbers."""
    found: dict[str, Strength] = {}
    for prompt in prompts:
        with suppress(Unsupported):
            for network, strengths in networks_of(prompt).items():
                if network.kind == "lora" and len(found) < MOST_LORAS and all(map(math.isfinite, strengths)):
                    text, model = strengths
                    found.setdefault(network.name, Strength(network.name, model, None if text == model else text))
    return tuple(found.values())


def without_loras(prompt: str) -> str:
    """Returns a prompt without the tags of `tagged_loras`, as its host encodes it. Other tags stay."""
    end = prompt.rfind(">") + 1  # each "<" after it would scan the rest in vain
    return TAG.sub(lambda tag: "" if tag[1] in LORAS else tag[0], prompt[:end]) + prompt[end:]


def _at(data: Mapping[str, Any], key: str) -> Any:
    value: Any = data
    for part in key.split("/"):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def objects_of(value: Any) -> list[Mapping[str, Any]]:
    """Returns the objects in a list, at most `MOST_LORAS`; [] if the value is not a list."""
    return [item for item in value[:MOST_LORAS] if isinstance(item, Mapping)] if isinstance(value, list) else []


def text_of(value: Any) -> str:
    """Returns a value if it is a text, otherwise ""."""
    return value if isinstance(value, str) else ""


def strength(name: Any, value: Any, default: float = 1.0) -> Iterator[Strength]:
    """Yields a LoRA or a ControlNet if `name` is one; `default` stands for one that is not a number."""
    number = real(value)
    if isinstance(name, str) and name.strip() and name.strip().lower() != "none":
        yield Strength(name.strip(), default if number is None else number)
