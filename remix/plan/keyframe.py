"""Keyframes: the values that a recipe sets at a moment of the film."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

from remix.errors import RecipeError
from remix.plan import fields as check
from remix.plan.curves import easing_name
from remix.plan.expression import Expression, caret, check_prompt, expressions_in, parse
from remix.plan.inputs import Inputs, is_whole_expression, plain_input, read_inputs, variables_of
from remix.plan.mix import Mix
from remix.plan.model import Lora, strengths
from remix.plan.moments import moment
from remix.plan.music import MUSIC_NAMES

LIST = "[[keyframes]] above each (in JSON a list)"
"""How keyframes are written, for error messages."""

MAX_SEED = 2**64 - 1
MAX_CFG = 100.0

CHANGING = ("t", "max_f", "s", "fps")
"""Variables of expressions in every recipe: frame, last frame, the frame's heaviest seed, frames per second."""

VARIABLES = (*CHANGING, *MUSIC_NAMES)
"""Variables of expressions in a recipe with music."""


@dataclass(frozen=True, init=False)
class Keyframe:
    """The values set at a moment. A field that is None travels on past this keyframe.

    - `at`: a frame (24), a time (``"2s"``, ``"500ms"``), a share (``"50%"``), a moment of the music (``"beat 8"``,
      ``"bar 3"``, ``"onset 5"``), or None for evenly spaced keyframes.
    - `prompt`, `negative`, `seed`, `image` and `mask` take one value, ``{value: weight}``, pairs of value and weight,
      or a Mix, and are stored as a Mix. A prompt may contain expressions in backticks.
    - `cfg` and `denoise` take a number, or an expression as text.
    - `mask` is a picture: white is redrawn, black is kept.
    - `loras` takes ``{name: strength}``, or ``{name: {"strength": ..., "text": ...}}`` for another strength in the text
      encoder, and is stored in order of the names.
    - `inputs` takes ``{"KSampler.cfg": 5}``: inputs of the recipe's workflow, or fields of its payload. A value is a
      number, a text, a mix of texts, or true or false. Texts may contain expressions in backticks; one that is
      nothing else is a number.
    - `ease` shapes the travel that starts here.

    Expressions are evaluated for every frame, see `remix.plan.expression`; VARIABLES lists their variables. A numeric
    expression applies until the next keyframe that sets its field. Raises RecipeError for any other value.
    """

    at: int | str | None
    prompt: Mix[str] | None
    negative: Mix[str] | None
    seed: Mix[int] | None
    cfg: float | Expression | None
    denoise: float | Expression | None
    image: Mix[str] | None
    mask: Mix[str] | None
    loras: tuple[Lora, ...] | None
    ease: str | None
    inputs: Inputs | None

    def __init__(
        self,
        at: int | float | str | None = None,
        prompt: str | Mapping[str, float] | Sequence[Any] | Mix[str] | None = None,
        negative: str | Mapping[str, float] | Sequence[Any] | Mix[str] | None = None,
        seed: int | Mapping[int, float] | Sequence[Any] | Mix[int] | None = None,
        cfg: float | str | Expression | None = None,
        denoise: float | str | Expression | None = None,
        image: str | Mapping[str, float] | Sequence[Any] | Mix[str] | None = None,
        mask: str | Mapping[str, float] | Sequence[Any] | Mix[str] | None = None,
        loras: Mapping[str, float | Mapping[str, float]] | Sequence[Lora] | None = None,
        ease: str | None = None,
        inputs: Mapping[str, Any] | Inputs | None = None,
    ) -> None:
        check.settle(
            self,
            at=moment(at),
            prompt=None if prompt is None else check.mixed(prompt, "prompt", _prompt),
            negative=None if negative is None else check.mixed(negative, "negative", _prompt),
            seed=None if seed is None else check.mixed(seed, "seed", _seed, keys=int),
            cfg=None if cfg is None else _number(cfg, "cfg", MAX_CFG),
            denoise=None if denoise is None else _number(denoise, "denoise", 1),
            image=None if image is None else check.mixed(image, "image", check.picture),
            mask=None if mask is None else check.mixed(mask, "mask", check.picture),
            loras=None if loras is None else strengths(loras),
            ease=None if ease is None else easing(ease),
            inputs=None if inputs is None else read_inputs(inputs, _text_input),
        )

    def variables(self) -> Iterator[tuple[str, Collection[str]]]:
        """Yields each field with expressions, and the variables that they use."""
        for field in ("cfg", "denoise"):
            if isinstance(value := getattr(self, field), Expression):
                yield field, value.names
        for field in ("prompt", "negative"):
            if (mix := getattr(self, field)) is not None:
                yield field, {name for text in mix.values for part in expressions_in(text) for name in part.names}
        for input_name, value in self.inputs or ():
            yield f"inputs{check.joined(input_name)}", variables_of(value)


def read_keyframes(value: Any, astray: Mapping[str, str]) -> list[Keyframe]:
    """Returns the keyframes in a list of tables. `astray` has a sentence for each field that belongs elsewhere."""
    if not isinstance(value, (list, tuple)):
        raise RecipeError(f"{check.show(value)} is not a list of keyframes; write {LIST}")
    keyframes = []
    for i, item in enumerate(value):
        with check.under(f"[{i}]"):
            keyframes.append(Keyframe(**check.only(item, KEYFRAME_FIELDS, astray)))
    return keyframes


def plain_keyframe(keyframe: Keyframe) -> dict[str, Any]:
    """Returns the fields that the keyframe sets as plain values; a mix becomes pairs of value and weight."""
    plain: dict[str, Any] = {}
    for name in KEYFRAME_FIELDS:
        value = getattr(keyframe, name)
        if isinstance(value, Mix):
            value = value.items[0][0] if len(value.items) == 1 else [list(item) for item in value.items]
        elif isinstance(value, Expression):
            value = value.text
        elif name == "loras" and value is not None:
            value = {lora.name: lora.value for lora in value}
        elif name == "inputs" and value is not None:
            value = {each: plain_input(one) for each, one in value}
        if value is not None:
            plain[name] = value
    return plain


def easing(value: Any) -> str:
    """Returns the canonical name of the easing `value`, for a field named "ease"."""
    with check.under("ease"):
        if not isinstance(value, str):
            raise RecipeError(f'{check.show(value)} is not the name of an easing; write one, such as "in-out"')
        return easing_name(value)


def _prompt(value: Any, path: str) -> str:
    prompt = check.text(value, path, check.MAX_PROMPT)
    with _pointed_at(prompt, path):
        check_prompt(prompt, VARIABLES)
    return prompt


def _text_input(value: str, path: str) -> Expression | str:
    """Returns a text of an input, or the expression that it consists of."""
    if not is_whole_expression(value):
        return _prompt(value, path)
    with _pointed_at(value, path):
        check_prompt(value, VARIABLES)
    return expressions_in(value)[0]


def _number(value: Any, path: str, high: float) -> float | Expression:
    """Returns `value` as a number from 0 to `high`, or as the expression that its text holds."""
    written = value.text if isinstance(value, Expression) else value
    if not isinstance(written, str):
        return check.number(value, path, 0, high)
    with _pointed_at(written, path):
        try:
            expression = parse(written, VARIABLES)
        except RecipeError:
            if not written.strip().isidentifier():
                raise
            raise RecipeError(
                f"{check.show(written)} is neither a number nor an expression; write a number from 0 to {high:g}, or "
                f"an expression of {', '.join(CHANGING)}"
            ) from None
    if not expression.names:
        raise RecipeError(
            f"{check.show(written)} is the same on every frame; write {expression.evaluate():.9g}, without quotes",
            path=path,
        )
    return expression


@contextmanager
def _pointed_at(text: str, path: str) -> Iterator[None]:
    """Returns a context manager that adds the field at `path` and a caret to errors in expressions of `text`."""
    try:
        yield
    except RecipeError as error:
        raise RecipeError(error.problem, path=path, excerpt=caret(text, error)) from error.__cause__


def _seed(value: Any, path: str) -> int:
    if isinstance(value, int) and value == -1:
        raise RecipeError(
            f"-1 is outside 0 to {MAX_SEED}. It means a random seed in other tools; here a recipe always gives the "
            "same frames, so write a number, or leave the seed out for 0",
            path=path,
        )
    return check.integer(value, path, 0, MAX_SEED)


KEYFRAME_FIELDS = tuple(f.name for f in fields(Keyframe))
