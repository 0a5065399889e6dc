"""Numbers that change with the frame: what they are worth, on one frame and on many, and what is refused."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remix.errors import RecipeError
from remix.plan import elementary, operations
from remix.plan.expression import Expression, caret, fill_prompt, parse

NAMES = {"t": 5, "max_f": 47, "s": 1234, "fps": 12}


def refusal(text: str, **names: float) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        parse(text).evaluate(**(names or NAMES))
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.2", 1.2),
        (" .5 ", 0.5),
        ("5.", 5.0),
        ("2e-3", 0.002),
        ("1e3*t", 5000.0),
        ("t", 5.0),
        ("max_f/2", 23.5),
        ("s % 1000", 234.0),
        ("t/fps", 5 / 12),
        ("1/2", 0.5),
        ("1 + 2*3", 7.0),
        ("(1 + 2)*3", 9.0),
        ("10 - 4 - 3", 3.0),
        ("100/10/2", 5.0),
        ("2**3**2", 512.0),
        ("-t**2", -25.0),
        ("2**-1", 0.5),
        ("t**-1", 0.2),
        ("t**0", 1.0),
        ("(t*t)**0.5", 5.0),
        ("4**1.5", 8.0),
        ("-3 - -3", 0.0),
        ("+t", 5.0),
        ("-1 % 3", 2.0),
        ("(t - 12) % 3", 2.0),
        ("(t - 12.0) % -3", -1.0),
        ("fmod(-7, t)", -2.0),
        ("5.5 % 2", 1.5),
        ("t > 3", 1.0),
        ("(t > 3)*2", 2.0),
        ("(t > 3) + (t > 2)", 2.0),
        ("(t > 3) & (t < 9)", 1.0),
        ("(t > 3) & ~(t < 9)", 0.0),
        ("(t > 9) | (t == 5)", 1.0),
        ("~(t != 5)", 1.0),
        ("(t > 9) & (t > 9) | (t > 1)", 1.0),
        ("(t > 1) | (t > 9) & (t > 9)", 1.0),
        ("(t > 3) == (t > 2)", 1.0),
        ("1 + 1 > 1 * 1", 1.0),
        ("where(t >= 5, 2, 3)", 2.0),
        ("where(t < 5, 2, 3)", 3.0),
        ("where((t > 1) & (t < 9), t, 0)", 5.0),
        ("min(t, 3)", 3.0),
        ("max(t, 3, 8, 7)", 8.0),
        ("maximum(minimum(t, 4), 1)", 4.0),
        ("clip(t, 0, 3)", 3.0),
        ("floor(2.7) + ceil(2.2) + trunc(-2.7)", 3.0),
        ("floor(-2.5) + ceil(-2.5)", -5.0),
        ("round(2.5) + round(3.5)", 6.0),
        ("abs(-t) + sign(-2) + sign(0)", 4.0),
        ("sqrt(16) + hypot(3, 4)", 9.0),
        ("sin(0)", 0.0),
        ("cos(0)", 1.0),
        ("sin(pi/2)", 1.0),
        ("exp(0)", 1.0),
        ("log(1)", 0.0),
        ("log2(8)", 3.0),
        ("log10(1000)", 3.0),
        ("pi", math.pi),
        ("tau", math.tau),
        ("e", math.e),
        ("t*\n(1 +\t1)", 10.0),
    ],
)
def test_an_expression_is_worth(text: str, value: float) -> None:
    assert parse(text).evaluate(**NAMES) == value


@pytest.mark.parametrize("name", sorted(set(operations.FUNCTIONS) & set(dir(math))))
def test_functions_are_those_of_mathematics(name: str) -> None:
    form = operations.FUNCTIONS[name].form
    if "," not in form:
        for x in (0.1, 0.3, 0.7, 0.99):
            assert parse(f"{name}(t)").evaluate(t=x) == pytest.approx(getattr(math, name)(x), rel=1e-15)


INVERSE = ("arcsin", "arccos", "arctan", "arcsinh", "arctanh")


@pytest.mark.parametrize("name", INVERSE)
def test_inverse_functions_are_those_of_mathematics(name: str) -> None:
    for x in (-0.9, -0.1, 0.0, 0.3, 0.7, 0.99):
        assert parse(f"{name}(t)").evaluate(t=x) == pytest.approx(getattr(math, name.replace("arc", "a"))(x), rel=1e-15)
    assert parse("arccosh(t)").evaluate(t=1.5) == pytest.approx(math.acosh(1.5), rel=1e-15)


@pytest.mark.parametrize("y", [-2.0, -0.0, 0.0, 3.0])
@pytest.mark.parametrize("x", [-1.5, 0.0, 1.0])
def test_arctan2_knows_all_quadrants(y: float, x: float) -> None:
    assert parse("arctan2(y, x)").evaluate(y=y, x=x) == pytest.approx(math.atan2(y + 0.0, x), rel=1e-15)


RANGES = {
    "sin": (-2e8, 2e8),
    "cos": (-2e8, 2e8),
    "exp": (-745, 709),
    "expm1": (-50, 700),
    "log": (1e-300, 1e300),
    "log1p": (-0.999, 1e6),
    "log2": (1e-300, 1e300),
    "sinh": (-700, 700),
    "cosh": (-700, 700),
    "tanh": (-50, 50),
    "arctan": (-1e9, 1e9),
    "arcsin": (-1, 1),
    "arcsinh": (-1e200, 1e200),
    "arccosh": (1, 1e200),
    "arctanh": (-0.9999, 0.9999),
}


@pytest.mark.parametrize("name", RANGES)
@given(data=st.data())
@settings(max_examples=60)
def test_functions_are_within_six_units_in_the_last_place(name: str, data: st.DataObject) -> None:
    low, high = RANGES[name]
    x = data.draw(st.floats(low, high) | st.floats(max(low, -1), min(high, 2)))
    exact = getattr(math, name.replace("arc", "a"))(x)
    if abs(exact) > 1e-290:
        found = getattr(elementary, name)(elementary.FLOATS, x)
        assert abs(found - exact) <= 6 * math.ulp(exact)


def test_the_nearest_floats_of_known_values() -> None:
    # Written with 20 digits by any tool that has them; a machine whose libm differs must still agree.
    assert parse("sin(1)").evaluate() == 0.84147098480789650665
    assert parse("cos(3)").evaluate() == -0.98999249660044545727
    assert parse("sin(100000)").evaluate() == 0.03574879797201650931
    assert parse("log(10)").evaluate() == 2.30258509299404568402
    assert parse("exp(10)").evaluate() == 22026.46579480671651695790


@pytest.mark.parametrize("x", [2.0**27, 1e9 + 0.5, 1e15, 2.0**64, 1e300])
def test_the_largest_angles_are_those_of_libm(x: float) -> None:
    for name in ("sin", "cos"):
        assert parse(f"{name}(t)").evaluate(t=x) == getattr(math, name)(x)


def texts_with_values() -> st.SearchStrategy[tuple[str, float]]:
    """Compares expressions with the same operations in Python."""

    def pairs(inner: st.SearchStrategy[tuple[str, float]]) -> st.SearchStrategy[tuple[str, float]]:
        two = st.tuples(inner, inner)
        return st.one_of(
            two.map(lambda p: (f"({p[0][0]}) + {p[1][0]}", p[0][1] + p[1][1])),
            two.map(lambda p: (f"({p[0][0]}) - ({p[1][0]})", p[0][1] - p[1][1])),
            two.map(lambda p: (f"({p[0][0]})*({p[1][0]})", p[0][1] * p[1][1])),
            two.map(lambda p: (f"min({p[0][0]}, {p[1][0]})", min(p[0][1], p[1][1]))),
            two.map(lambda p: (f"max({p[0][0]},{p[1][0]})", max(p[0][1], p[1][1]))),
            two.map(lambda p: (f"({p[0][0]}) % (abs({p[1][0]}) + 1)", p[0][1] % (abs(p[1][1]) + 1))),
            two.map(lambda p: (f"({p[0][0]})/(1 + abs({p[1][0]}))", p[0][1] / (1 + abs(p[1][1])))),
            two.map(lambda p: (f"where({p[0][0]} < ({p[1][0]}), 1, t)", 1 if p[0][1] < p[1][1] else 5)),
            inner.map(lambda p: (f"-({p[0]})", -p[1])),
            inner.map(lambda p: (f"floor({p[0]})", float(math.floor(p[1])))),
            inner.map(lambda p: (f"sqrt(abs({p[0]}))", math.sqrt(abs(p[1])))),
        )

    leaves = st.one_of(
        st.just(("t", 5.0)),
        st.just(("max_f", 47.0)),
        st.floats(0, 100, allow_subnormal=False).map(lambda x: (repr(x), x)),
    )
    return st.recursive(leaves, pairs, max_leaves=8).filter(lambda p: len(p[0]) <= 900)


@given(texts_with_values())
def test_arithmetic_is_that_of_python(pair: tuple[str, float]) -> None:
    text, value = pair
    # `(a) + b` without brackets around b: the sum on the right is then added from the left.
    assert parse(text).evaluate(t=5, max_f=47) == pytest.approx(value, rel=1e-9, abs=1e-9)


COLUMNS = [
    "1.2 + 0.3*sin(t/8)",
    "t % 7 - (t - 300) % -7 + fmod(t - 300, 7)",
    "where(t > 0, log(t), 0) + where(t % 20 < 10, 1, exp(-t/100))",
    "tan(t/10) + arctan(1/t) + arctan2(t - 9, t - 9) + hypot(t, s)",
    "arcsin(sin(t)) + arccos(cos(t)) + arctanh(sin(t)/2) + arcsinh(t - 50) + arccosh(t + 1)",
    "sinh(t/100) + cosh(t/100)/exp(t/100) + tanh(t - 300) + expm1(t/90) + log1p(t) + log2(t+1) + log10(t+1)",
    "(t - 7)**3 + t**0.3 + 0.99**t + (t+1)**-2 + (t*t)**0.5 + where(t < 9, 0, t)**t",
    "sin(t*1e7) + cos(t*9e8) + tan(s*t)",
    "floor(-t/3) + ceil(-t/3) + round(t/2) + trunc(-t/3) + sign(3 - t) + abs(4 - t)",
    "clip(t, 3, s) + min(t, 5, s) + max(t, 9) + ((t > 3) & ~(t > 9) | (t == 20))*2",
    "arctan(1/round(-t/1e5)) + arctan(1/ceil(-t/1e5)) + arctan(1/trunc(-t/1e5))",
    "s/fps",
    "where(s > 3, t, -t)",
    "-t*0",
]


@pytest.mark.parametrize("text", COLUMNS)
def test_columns_and_single_frames_agree_to_the_last_bit(text: str) -> None:
    text = text.replace("0.3 + 0.99**t", "0.3 + 0.999**t").replace("0, t)**t", "1, 1.001)**t")
    expression = parse(text)
    frames = [0, *range(1, 9000, 2)]
    if text.startswith("arcsin"):
        frames = frames[:3000]
    names = {"s": 40, "fps": 12}
    many = expression.over(frames, **names)
    assert [value.hex() for value in many] == [expression.evaluate(t=t, **names).hex() for t in frames]


@given(
    st.sampled_from(sorted(set(operations.FUNCTIONS) - {"where", "clip"})),
    st.lists(st.floats(width=64), min_size=1, max_size=20),
    st.floats(),
)
@settings(max_examples=400)
def test_functions_agree_on_columns_and_floats_for_every_float(name: str, column: list[float], other: float) -> None:
    operation = operations.FUNCTIONS[name]
    rest = (other,) * (operation.least - 1)
    single = [operation.apply(elementary.FLOATS, x, *rest) for x in column]
    with np.errstate(all="ignore"):
        many = operation.apply(elementary.arrays(), np.array(column), *rest)
    np.testing.assert_array_equal(many, single)


def test_few_and_many_frames_give_the_same() -> None:
    expression = parse("sin(t/7)*t")
    assert expression.over(range(3000))[:20] == expression.over(range(20))
    assert expression.over([]) == []
    assert all(type(value) is float for value in expression.over(range(600)) + expression.over(range(3)))


@pytest.mark.parametrize("kind", [list, tuple, np.array, lambda frames: frames])
@pytest.mark.parametrize("count", [5, 800])
def test_frames_come_in_any_sequence(kind: type, count: int) -> None:
    assert parse("2*t + s").over(kind(range(0, 2 * count, 2)), s=1) == [4.0 * i + 1 for i in range(count)]


@pytest.mark.parametrize("count", [4, 1000])
def test_a_name_may_change_with_the_frame(count: int) -> None:
    assert parse("t + pw_a").over(range(count), pw_a=[0.5] * count) == [i + 0.5 for i in range(count)]
    with pytest.raises(RecipeError, match=f"pw_a: 3 values for {count} frames; give one for each"):
        parse("t + pw_a").over(range(count), pw_a=[1, 2, 3])


@pytest.mark.parametrize("count", [4, 1000])
@pytest.mark.parametrize("wrong", [math.nan, math.inf, "1", None, True, 10**400])
def test_values_that_are_no_finite_numbers_are_refused_by_name(count: int, wrong: object) -> None:
    with pytest.raises(RecipeError, match=r"^s: "):
        parse("t + s").over(range(count), s=wrong)  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match=r"^s\[2\]: "):
        parse("t + s").over(range(count), s=[1, 1, wrong, *[1] * (count - 3)])  # type: ignore[list-item]
    with pytest.raises(RecipeError, match=r"^s: "):
        parse("s").evaluate(s=wrong)  # type: ignore[arg-type]


def test_what_where_does_not_choose_does_not_matter() -> None:
    assert parse("where(t > 0, 1/t, 0)").evaluate(t=0) == 0
    assert parse("where(t < 0, sqrt(t), 1)").over(range(1000)) == [1.0] * 1000


def test_an_infinity_on_the_way_is_no_error() -> None:
    assert parse("arctan(1/t)").evaluate(t=0) == math.pi / 2
    assert parse("1/(1/t)").over(range(1000))[0] == 0


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 1, "there is no expression"),
        ("   ", 4, "there is no expression"),
        ("1 +", 4, "value is missing"),
        ("* 3", 1, "value is missing before '\\*'"),
        ("2t", 2, "'t' follows a value directly; put an operator"),
        ("2 3", 3, "follows a value directly"),
        ("(t", 1, "not closed"),
        ("sin(t", 4, "not closed"),
        ("t)", 2, "closes nothing"),
        ("()", 1, "no single value"),
        ("(1, 2)", 1, "no single value"),
        ("0,5", 2, "decimals with a point"),
        ("max(1, 2,)", 10, "after the comma"),
        ("max(t)", 1, "given 1 values; write max\\(a, b, \\.\\.\\.\\)"),
        ("sin()", 1, "given 0 values; write sin\\(x\\)"),
        ("clip(1, 2)", 1, "write clip\\(x, low, high\\)"),
        ("sin t", 1, "sin is a function; write sin\\(x\\)"),
        ("t(3)", 1, "t is a number"),
        ("sni(t)", 1, 'did you mean "sin"'),
        ("1 + T", 5, 'did you mean "t"'),
        ("x", 1, "no number named 'x'; known: t, max_f, s, fps, pi"),
        ("t > 1 & t < 5", 7, "each comparison in brackets"),
        ("~t", 1, "needs a comparison"),
        ("(t > 1) | t", 9, "needs a comparison"),
        ("where(t, 1, 2)", 1, "needs a comparison"),
        ("0 < t < 5", 7, "do not chain"),
        ("t = 3", 3, "write == to compare"),
        ("t^2", 2, r"write \*\* for a power"),
        ("7 // 2", 3, r"write floor\(a / b\)"),
        ("t and 1", 3, '"and" is not an operator'),
        ("not t", 1, "write ~ before"),
        ("t if t > 1 else 2", 3, "write where"),
        ("t × 2", 3, r"write \*"),
        ("−t", 1, "plain -"),
        ("t$", 2, "has no meaning here"),
        ("1e999", 1, "too large for a number"),
        ("1/0", 2, "1 / 0 has no finite value; keep what it is divided by away from 0"),
        ("2 + 1/(t - 5)", 6, "1 / 0 has no finite value at t = 5"),
        ("sqrt(-t)", 1, r"sqrt\(-5\) is not a real number at t = 5"),
        ("1 + log(t - 5)*2", 5, r"log\(0\) has no finite value"),
        ("arcsin(t)", 1, r"clip\(\.\.\., -1, 1\)"),
        ("(t - 6)**0.5", 8, r"\(-1\) \*\* 0.5 is not a real number"),
        ("exp(t*1000)", 1, "keep the numbers smaller"),
        ("where(t > 1, log(t - 5), 2)", 14, "has no finite value"),
        ("where(t < 1, sqrt(-t), log(t - 5))", 24, r"log\(0\) has no finite value"),
        ("min(sqrt(-t), 3)", 5, "not a real number"),
        ("max(3, sqrt(-t))", 8, "not a real number"),
        ("t % (t - 5)", 3, "away from 0"),
        ("1\n+ 2t", 4, "follows a value"),
    ],
)
def test_what_does_not_fit_is_refused_where_it_stands(text: str, column: int, words: str) -> None:
    with pytest.raises(RecipeError, match=words) as caught:
        parse(text).evaluate(**NAMES)
    assert caught.value.column == column
    assert caught.value.line == 1 + text.count("\n")


def test_the_first_frame_without_a_value_is_named() -> None:
    for last in (800, 20):
        with pytest.raises(RecipeError, match=r"1 / 0 has no finite value at t = 12;") as caught:
            parse("3 + 1/((t - 12)*(t - 15))").over(range(last))
        assert caught.value.column == 6


def test_a_missing_name_is_refused_with_the_known_ones() -> None:
    assert "known: s, pi, tau, e" in refusal("t*2", s=1).problem
    with pytest.raises(RecipeError, match="no number named 'max_f'"):
        parse("t*max_f").over(range(9))
    with pytest.raises(RecipeError, match="no number named 't'"):
        parse("max_f - t", names=("max_f", "s"))
    assert parse("max_f - s", names=("max_f", "s")).names == {"max_f", "s"}


def test_a_name_that_is_built_in_cannot_be_given() -> None:
    with pytest.raises(RecipeError, match="pi: this name is built into expressions"):
        parse("pi").evaluate(pi=3)
    with pytest.raises(RecipeError, match="sin: this name is built"):
        parse("t").over(range(3), sin=3)


def test_names_may_contain_other_names() -> None:
    assert parse("sqrt(tt) + t_t").evaluate(t=1, tt=16, t_t=2) == 6


def test_expressions_are_values() -> None:
    assert parse("t+1") == parse("t+1") != parse("t + 1")
    assert repr(parse("t+1")) == "Expression(text='t+1', names=frozenset({'t'}))"
    assert isinstance(hash(parse("t")), int)
    with pytest.raises(RecipeError, match="3 is not text"):
        parse(3)  # type: ignore[arg-type]


def test_equal_parts_are_worked_out_once_and_constants_never() -> None:
    assert len(parse("sin(t/8) + sin(t/8) + sin(t/8)")._steps) == len(parse("sin(t/8) + sin(t/8)")._steps) + 1
    assert [step.label for step in parse("2*pi*3/4*t")._steps if step.label] == ["*"]


def test_zero_has_one_spelling() -> None:
    assert math.copysign(1, parse("-t").evaluate(t=0)) == 1
    assert math.copysign(1, parse("-t").over(range(1000))[0]) == 1


def test_the_caret_points_at_the_column() -> None:
    assert caret("1 + sni(t)", refusal("1 + sni(t)")) == "1 + sni(t)\n    ^"
    assert caret("1\n+\t2t", refusal("1\n+\t2t")) == "+\t2t\n \t ^"
    assert caret("2t\r\n", refusal("2t\r\n")) == "2t\n ^"
    assert caret("x", RecipeError("no position")) == ""
    long = "1 + " * 60 + "2t" + " + 1" * 60
    shown, mark = caret(long, refusal(long), width=40).split("\n")
    assert len(shown) == 40
    assert shown[len(mark) - 1] == "t"
    assert caret("1 +", refusal("1 +")) == "1 +\n   ^"


@pytest.mark.parametrize(
    ("prompt", "filled"),
    [
        ("no numbers, no change", "no numbers, no change"),
        ("autumn (leaf:`abs(sin(0.1*t))`)", "autumn (leaf:0.4794)"),
        ("`t` birds, `t/max_f`", "5 birds, 0.1064"),
        ("(a:`1.0`) (b:`-0.00001`) (c:`1/3`)", "(a:1) (b:0) (c:0.3333)"),
        ("`12345.678`", "12345.678"),
        ("`1e20`", "1e+20"),
        ("`100*t`", "500"),
        ("`\nt\n`", "5"),
    ],
)
def test_a_prompt_is_filled_with_short_numbers(prompt: str, filled: str) -> None:
    assert fill_prompt(prompt, **NAMES) == filled


@pytest.mark.parametrize(
    ("prompt", "line", "column", "words"),
    [
        ("a cat `t", 1, 7, "not closed"),
        ("` `", 1, 3, "no expression"),
        ("a `t`, b `2t`", 1, 12, "follows a value"),
        ("a,\nb `sqrt(-t)`", 2, 4, "not a real number"),
        ("(x:`pw_a`)", 1, 5, "no number named 'pw_a'"),
    ],
)
def test_errors_in_prompts_have_the_column_of_the_prompt(prompt: str, line: int, column: int, words: str) -> None:
    with pytest.raises(RecipeError, match=words) as caught:
        fill_prompt(prompt, **NAMES)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_a_prompt_has_at_most_100_numbers() -> None:
    assert fill_prompt("`t`" * 100, t=1) == "1" * 100
    with pytest.raises(RecipeError, match="more than 100 numbers in backticks"):
        fill_prompt("`t`" * 101, t=1)


def test_a_prompt_needs_only_the_names_it_uses() -> None:
    assert fill_prompt("`1 + 1`") == "2"
    assert fill_prompt("(a:`pw_a`)", pw_a=0.25) == "(a:0.25)"
    with pytest.raises(RecipeError, match="is not text"):
        fill_prompt(None)  # type: ignore[arg-type]


def test_few_frames_need_no_numpy() -> None:
    code = (
        "import sys; from remix.plan.expression import parse, fill_prompt;"
        "parse('sin(t)*2').over(range(100)); fill_prompt('`t`', t=1);"
        "sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_expression_says_what_it_needs() -> None:
    expression = parse("where(t < max_f/2, s, 0)*pi")
    assert isinstance(expression, Expression)
    assert expression.names == {"t", "max_f", "s"}
