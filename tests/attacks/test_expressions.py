"""Expressions come from strangers: any text either parses in no time or is refused with a position."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from remix.errors import RecipeError
from remix.plan.expression import Expression, caret, fill_prompt, parse

NAMES = {"t": 3, "max_f": 47, "s": 2**64 - 1, "fps": 12}
PIECES = [
    *"()+-*/%<>=!&|~,.^_ \t\n0159tse`'\"\\$",
    *("**", "<=", "==", "!=", "&&", "1e", "e9", "1e308", "pi", "max_f", "fps", "where(", "sin(", "log(", "sqrt("),
    *("max(", "min(", "clip(", "arctan2(", "(t>3)", "fmod(", "exp(", "if", "lambda", "__import__", "\ud800", "²", "t"),
]

LIMIT = 0.1


def outcome(text: str) -> RecipeError | None:
    """Returns the error of `text`, or None if its values are finite numbers."""
    try:
        expression = parse(text)
        values = [expression.evaluate(**NAMES), *expression.over(range(600), **_without_t())]
    except RecipeError as error:
        return error
    assert all(map(math.isfinite, values))
    return None


def attack(text: str) -> None:
    start = time.thread_time()
    error = outcome(text)
    assert time.thread_time() - start < LIMIT
    if error is not None:
        assert error.line is not None
        assert error.column is not None
        line = text.split("\n")[error.line - 1]
        assert 1 <= error.column <= len(line) + 1
        assert caret(text, error).endswith("^")
        assert len(str(error)) < 1000


@pytest.fixture(autouse=True, scope="module")
def _numpy_is_loaded() -> None:
    parse("t").over(range(600))  # else the first attack would be charged for it


def _without_t() -> dict[str, float]:
    return {name: value for name, value in NAMES.items() if name != "t"}


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "().__class__.__bases__[0]",
        "t.__class__",
        "open('x')",
        "eval(t)",
        "lambda: 1",
        "[t for t in (1,)]",
        "f'{t}'",
        "9**9**9",
        "9**9**9**9**9**9",
        "2**10000000",
        "10**-1001",
        "1e309",
        "-1e309",
        "exp(710)",
        "(" * 10_000 + "1" + ")" * 10_000,
        "(" * 51 + "1" + ")" * 51,
        "-" * 500 + "1",
        "~" * 500 + "(t > 1)",
        "2**" * 300 + "1",
        "sin(" * 200 + "1" + ")" * 200,
        "1" * 1001,
        " " * 1000 + "1",
        "9" * 1000,
        "max(" + ",".join("1" * 600),
        "\0",
        "t\ud800",
        "nan",
        "inf",
        "1_000",
        "0x10",
        "٣",
        "𝟏 + 1",
        "ｔ + 1",
    ],
)
def test_hostile_texts_are_refused(text: str) -> None:
    start = time.thread_time()
    with pytest.raises(RecipeError) as caught:
        parse(text).evaluate(**NAMES)
    assert caught.value.line == 1
    assert len(str(caught.value)) < 1000
    assert time.thread_time() - start < LIMIT


@pytest.mark.parametrize(
    "text",
    [
        "(" * 50 + "1" + ")" * 50,
        "-" * 50 + "1",
        "+".join("1" * 500),
        "+".join(["(-1)"] * 200),
        "+".join(["sin(1)**-1"] * 90),
        "+".join("t" * 500),
        "max(" + ",".join("t" * 490) + ")",
        "t" + "*t" * 499,
        "9**99",
        "1e308",
        " " * 999 + "1",
        "0." + "3" * 900,
    ],
)
def test_the_limits_themselves_are_allowed(text: str) -> None:
    assert math.isfinite(parse(text).evaluate(t=1))


@given(st.text(max_size=300))
@example("1" * 1001)
@settings(max_examples=300, deadline=None)
def test_any_text_parses_or_is_refused(text: str) -> None:
    attack(text)


@given(st.lists(st.sampled_from(PIECES), max_size=120).map("".join))
@settings(max_examples=600, deadline=None)
def test_any_heap_of_pieces_parses_or_is_refused(text: str) -> None:
    attack(text)


LEAVES = st.sampled_from(["t", "s", "max_f", "0", "1", "pi", "1e-300", "1e300", "0.5", "(t - 3)", "-1"])


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    signs = st.sampled_from(["+", "-", "*", "/", "%", "**", "<", ">=", "=="])
    functions = st.sampled_from(
        [
            "sin",
            "cos",
            "tan",
            "exp",
            "expm1",
            "log",
            "log10",
            "log2",
            "log1p",
            "sqrt",
            "abs",
            "floor",
            "ceil",
            "round",
            "trunc",
            "arcsin",
            "arccos",
            "arctan",
            "sinh",
            "cosh",
            "tanh",
            "arcsinh",
            "arccosh",
            "arctanh",
            "sign",
        ]
    )
    pairs = st.sampled_from(["arctan2", "fmod", "hypot", "min", "max"])
    return st.one_of(
        st.builds("({} {} {})".format, inner, signs, inner),
        st.builds("{}({})".format, functions, inner),
        st.builds("{}({}, {})".format, pairs, inner, inner),
        st.builds("where({} < {}, {}, {})".format, inner, inner, inner, inner),
    )


@given(st.recursive(LEAVES, _grown, max_leaves=25))
@settings(max_examples=400, deadline=None)
def test_wild_but_well_formed_expressions_are_finite_or_refused(text: str) -> None:
    attack(text)


@given(st.recursive(LEAVES, _grown, max_leaves=10))
@settings(max_examples=150, deadline=None)
def test_one_frame_and_many_agree_or_are_both_refused(text: str) -> None:
    frames, names = range(-20, 490), _without_t()

    def hexed(work: Callable[[Expression], list[float]]) -> list[str] | str:
        try:
            return [value.hex() for value in work(parse(text))]
        except RecipeError as error:
            return str(error)

    single = hexed(lambda expression: [expression.evaluate(t=t, **names) for t in frames])
    assert hexed(lambda expression: expression.over(frames, **names)) == single


@given(st.lists(st.sampled_from([*PIECES, "`", "a cat, "]), max_size=60).map("".join))
@settings(max_examples=300, deadline=None)
def test_any_prompt_is_filled_or_refused(prompt: str) -> None:
    start = time.thread_time()
    with contextlib.suppress(RecipeError):
        # The remaining backticks are literal ones, which are written twice.
        assert fill_prompt(prompt, **NAMES).count("`") <= prompt.count("``")
    assert time.thread_time() - start < LIMIT


@pytest.mark.parametrize(
    "prompt",
    [
        "`t`" * 6666,
        "`t`, " * 100,
        ("`t" + "+t*t-1/t" * 24 + "`") * 100,
        "`" * 20_000,
        "`1`" * 6666 + "`",
        "`" + "t+" * 10_000,
        "a" * 99_999 + "`t`",
    ],
)
def test_long_prompts_take_little_time(prompt: str) -> None:
    start = time.thread_time()
    with contextlib.suppress(RecipeError):
        fill_prompt(prompt, t=1)
    assert time.thread_time() - start < 2 * LIMIT  # a prompt holds up to twenty expressions' text
