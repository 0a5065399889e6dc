"""Texts that crash the tools they were written for, or silently give wrong results there."""

from __future__ import annotations

import pytest

from remix.errors import RecipeError
from remix.plan import Schedule, plan
from remix.syntax import detect, read


def schedule(text: str, name: str | None = None, frames: int = 48, **options: object) -> Schedule:
    return plan(read(text, name, frames=frames, **options).recipe())  # type: ignore[arg-type]


def prompt(text: str, frame: int, name: str | None = None) -> str:
    return schedule(text, name)[frame].prompt.values[0]


@pytest.mark.parametrize(
    ("text", "frame", "expected"),
    [
        ('{"0": "(sea:`sqrt(t)`)"}', 16, "(sea:4)"),  # the t of sqrt is not the frame
        ('{"0": "`int_`"}'.replace("int_", "tan(0)"), 3, "0"),
        ('{"0": "(a:`where(t > 3, 1, 0)`), film"}', 4, "(a:1), film"),
        ('{"0": "`max(1, min(t, 5))` birds"}', 9, "5 birds"),
        ('{"0": "a road in 1980"}', 0, "a road in 1980"),  # its last 0 stays
        ('"0": "a road in 1980", "47": "a road in 2000"', 47, "a road in 2000"),
        ('{"0": "a \\"big\\" cat"}', 0, 'a "big" cat'),
        ("{'0': 'a \"big\" cat'}", 0, 'a "big" cat'),
        ('{"0": "a \\(small\\) cat"}', 0, "a \\(small\\) cat"),  # what JSON refuses, as prompts need it
        ('"0": "a cat\n   on a mat"', 0, "a cat on a mat"),  # and not "a caton a mat"
        ('{"30": "b", "0": "a"}', 0, "a"),
        ('{"100": "b", "20": "a"}', 0, "a"),
        ('{"0": "caf\\u00e9 \\ud83d\\ude00"}', 0, "café \U0001f600"),
        ("0: a\n8: it is 8: exactly", 8, "it is 8: exactly"),
        ("0: a\n\n\n8:   b", 8, "b"),
        ("0: a\r\n8: b\r\n", 8, "b"),
        ('# mine\n"0": "a", # first\n"12": "b"', 12, "b"),
        ('animation_prompts = {\n 0: "a",\n 20: "b",\n}', 19, "a"),
        ('# by me\nprompts = {"0": "a", "20": "b"} # end', 20, "b"),
        ('0: "closed mouth",\n8: "open mouth"', 8, "open mouth"),
        ("0: (1girl:1.2), smile\n8: (1boy:1.2), smile", 8, "(1boy:1.2), smile"),
        ("0: ((closed mouth)), smile\n8: ((open mouth)), smile", 0, "((closed mouth)), smile"),
        ("0: (e:1.2)", 0, "(e:1.2)"),
        ('\ufeff{"0": "a"}', 0, "a"),
    ],
)
def test_a_prompt_says_what_is_written(text: str, frame: int, expected: str) -> None:
    assert prompt(text, frame) == expected


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0:(where(t>3,1,0)), 6:(5)", [0, 0, 0, 0, 1, 1, 5, 5]),
        ("0:(max(1,2)), 4:(min(t,5,9))", [2, 2, 2, 2, 4, 5, 5, 5]),
        ("0:(max(1,\n2))", [2] * 8),
        ("0:(3), 4:(3), 4.0+3:(6)", [3, 3, 3, 3, 3, 4, 5, 6]),
        ("3:(1)", [1] * 8),
        ("0:(t), 60:(9)", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("0:(1), 4:(t), 60:(t*2), 70:(3)", [1, 1.75, 2.5, 3.25, 4, 5, 6, 7]),
        ("0:(0), 16:(t)", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("60:(t)", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("4:(t), 2:(2)", [2, 2, 2, 3, 4, 5, 6, 7]),
        ("0:(1), 14:(15)", [1, 2, 3, 4, 5, 6, 7, 8]),  # the way there, as far as it comes, and not 1 throughout
        ("0:(1e1), max_f:(-0)", [10, 60 / 7, 50 / 7, 40 / 7, 30 / 7, 20 / 7, 10 / 7, 0]),
        ("0:(s), 6:(s+7)", [0, 0, 0, 0, 0, 0, 7, 7]),
        ('"0": "(7)", "4": "9"', [7, 7.5, 8, 8.5, 9, 9, 9, 9]),
    ],
)
def test_values_are_what_is_written(text: str, values: list[float]) -> None:
    assert [frame.cfg for frame in schedule(text, "deforum-values", 8, field="cfg")] == pytest.approx(values, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "line", "column", "problem"),
    [
        ('"0": "a", "0": "b"', 1, 12, "frame 0 is given twice, first in line 1"),
        ('"24": "a",\n"max_f/2": "b"', 2, 2, "frame 24 is given twice, first in line 1"),
        ('{"0": "a", "00": "b"}', 1, 13, "frame 0 is given twice"),
        ("0: a cat, 24: a dog", 1, 11, "'24:' is a second key on this line; write it on its own line"),
        ("0: apple; 50:banana", 1, 11, "'50:' is a second key on this line"),
        ('"0": "closed mouth"\n"8": "open mouth"', 2, 1, "a comma is missing before this"),
        ("0: a\n8: b\n8: c", 3, 1, "frame 8 is given twice"),
        ('"0": "a "big" cat"', 1, 10, 'write \\" for a quote within it'),
        ('"0": "a\n"12": "b"', 2, 2, 'write \\" for a quote within it'),
        ('"0": "a" "12": "b"', 1, 10, "a comma is missing before this"),
        ('"0": "a", "12": "b', 1, 17, "this quote is not closed"),
        ('{"0": "a"', 1, 1, "this brace is not closed"),
        ('"0": "a", "12"', 1, 15, "there is no : after '12'"),
        ('"0": "a `sqrt(q)`"', 1, 15, "there is no number named 'q'"),
        ('"0": "say \\"hi\\" `1 +`"', 1, 22, "the expression ends where a value is missing"),
        ('"0": "a `t"', 1, 9, "this backtick is not closed"),
        ('"0": "a --neg b --neg c"', 1, 17, "--neg appears twice"),
        ('"0": "a", "x/2": "b"', 1, 12, "there is no number named 'x'"),
        ('{"12.5": "a", "max_f": "b"}', 1, 3, "'12.5' is between two frames; write 12 or 13"),
        ('{"-0.5": "a", "max_f": "b"}', 1, 3, "'-0.5' is between two frames"),
        ('{"-7": "a", "max_f": "b"}', 1, 3, "frame -7 is before the first frame (0)"),
        ('"max_f - 60": "a"', 1, 2, "frame -12 is before the first frame (0)"),
        ('"99999999999999999999": "a"', 1, 2, "is too far away"),
        ("0:(7), 24:(sni(t))", 1, 12, "there is no function named 'sni'"),
        ("0:(7), 24:(9", 1, 11, "this bracket is not closed"),
        ("0:(7), 24:9)", 1, 12, "this ) closes nothing"),
        ("0:(7) 24:(9)", 1, 9, "put a comma before the next key"),
        ("0:(107)", 1, 3, "107 is not a cfg from 0 to 100"),
        ("0:(t*10)", 1, 3, "110 at frame 11 is not a cfg from 0 to 100"),
        ("0: (1/(t-3))", 1, 6, "1 / 0 has no finite value at t = 3"),
        ('0 = "a", 5:2 = "b"', 1, 10, "'5:2' runs backwards"),
        ('0 = "a", :9 = "b"', 1, 10, "is not a key"),
        ('0:12 = "a", 8 = "b"', 1, 13, "frame 8 belongs to the key '0:12' too"),
        ('0 = "a", 1.5 = "b"', 1, 10, "1.5 is not a share from 0 to 1"),
        ('0 = "a", -99 = "b"', 1, 10, "-99 is before the first frame of 48"),
        ('0 = "a", 8 = b', 1, 14, "'b' is not in quotes"),
        ("0: a\nsmile\n8: b", 2, 1, "'smile' is between keys and has none"),
        ("0: a\n20 c\n48: b", 2, 1, "'20 c' is between keys and has none"),
        ("head\nsmile\nSteps: 5, CFG scale: x\nNegative prompt: a", 3, 22, "'x' is not a number"),
        ('{"prompt_map": {"60": "a"}}', 1, 16, "there are no prompts below frame 48; give more frames"),
        ('{"prompt_map": {"0": 3}}', 1, 22, "the prompt 3 is not text"),
        ('{"prompt_map": {"0": "a"}, "steps": "many"}', 1, 37, "steps 'many' is not a number"),
        ('{"prompt_map": {"0": "a",, "8": "b"}}', 1, 26, "',' does not begin a key"),
        ("prompt={0: f()}", 1, 12, "'f' is not a value"),
        ('prompts=["a", "b"], seeds=[1]', 1, 27, "1 seeds for 2 prompts; give one for each"),
        ('prompts=["a", "b"], num_interpolation_steps=[3, 4]', 1, 45, "2 numbers for 1 gaps"),
        ("a\nb\nc\nTravel steps between stages: 3", 4, 30, None),
        ("a\nb\nc\nTravel steps between stages: 3, 4, 5", 4, 30, "3 numbers for 2 gaps between stages"),
        ("a\nb\nTravel steps between stages: x", 3, 30, "'x' is not a number of steps"),
        ("(cat:1~~0)", 1, 6, "'1~~0' is not a range"),
        ("(cat:1~0) THEN(sead=3) b", 1, 11, "'sead=3' is not seed=2 or cfg=5"),
        ("Destination seeds: 1, 2, x3", 1, 26, "'x3' is not a seed"),
        ("1, 2\nInterpolation curve: Slow strat", 2, 22, 'did you mean "slow start"?'),
        ("7, 12:3", 1, 4, "is not a seed with a strength to 1"),
        ('{"rendered_frames": [{"frame": 0}, {"frame": 2}]}', 1, 37, "2 where 1 should follow"),
        ('{"rendered_frames": [{"seed": "x"}]}', 1, 23, "'x' is not a number"),
        ('{"rendered_frames": []}', 1, 2, "let Parseq render"),
        ('{"prompts": {"0": "a"}, "seed_behavior": "jump"}', 1, 42, "'jump' is not a seed behavior"),
        ('{"prompts": {"0": "a"}, "cfg_scale_schedule": "0:(7), 9:(x)"}', 1, 58, "there is no number named 'x'"),
        ('frames = 3\n[[keyframes]]\npromt = "a"', 3, 1, 'did you mean "prompt"?'),
        ('{"frames": 3, "keyframes": [{"at": 9}]}', 1, 30, "9 is past the last frame (2)"),
        ("", 1, 1, "there is nothing in this text"),
        ("a cat", 1, 1, "this is one line of plain text"),
        ("a cat", 1, 1, "write each prompt on its own line after its frame: 0: first"),
        ("a [cat:dog:0.5]\nb", 1, 1, "name the syntax"),
    ],
)
def test_what_is_wrong_is_shown_in_its_line_with_a_caret(
    text: str, line: int, column: int, problem: str | None
) -> None:
    if problem is None:
        read(text)
        return
    known = '"frames"' in text or "frames =" in text
    with pytest.raises(RecipeError) as caught:
        read(text, frames=None if known else 48, source="my.txt", field="cfg")
    error = caught.value
    assert problem in error.problem
    assert (error.line, error.column, error.source) == (line, column, "my.txt")
    shown, caret = error.excerpt.split("\n")
    assert shown == text.split("\n")[line - 1].rstrip("\r")
    assert caret == " " * (column - 1) + "^"
    assert str(error) == f"my.txt:{line}:{column}: {error.problem}\n{error.excerpt}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('"0": "a", "max_f/2": "b"', "max_f is known only when the number of frames is; give frames (--frames 48)"),
        ('0 = "a", -1 = "b"', "-1 depends on the number of frames; give frames (--frames 48)"),
        ('"0": "`t` birds"', "a number in backticks needs the number of frames"),
        ("0:(t)", "an expression needs the number of frames"),
        ("(cat:1~0)", "the number of steps is not in the text; give frames"),
        ('{"prompt_map": {"0": "a"}}', "the length of the film is not in the text; give frames (--frames 128)"),
    ],
)
def test_frames_are_asked_for_where_they_are_needed(text: str, sentence: str) -> None:
    with pytest.raises(RecipeError, match="frames") as caught:
        read(text, field="cfg")
    assert sentence in caught.value.problem


def test_frames_that_a_text_leaves_open_are_asked_for_with_its_last_key() -> None:
    parts = read('"0": "a", "23": "b"')
    with pytest.raises(RecipeError) as caught:
        parts.recipe()
    assert "give frames (--frames 24 ends on its last key)" in str(caught.value)
    assert parts.recipe(frames=30).frames == 30
    with pytest.raises(RecipeError, match=r"give frames \(--frames 48, or a time: 4s\)"):
        read("a cat\na dog").recipe()
    with pytest.raises(RecipeError, match=r"give frames \(--frames 37 ends on its last key\)"):
        read("0s: a\n3s: b").recipe()
    with pytest.raises(RecipeError, match=r"give frames \(--frames 31 ends on its last key\)"):
        read("0s: a\n3s: b", fps=10).recipe()


def test_a_key_past_the_end_is_told() -> None:
    parts = read('"0": "a", "96": "b"', frames=48)
    assert parts.notes == ("frame 96 is past the last frame (47); what leads there is cut off",)
    assert dict(plan(parts.recipe())[47].prompt.items)["b"] == pytest.approx(47 / 96)


def test_evolved_travels_straight_and_does_not_compound() -> None:
    found = schedule('"0": "a", "15": "b"', "animatediff-evolved", 16)
    assert [dict(frame.prompt.items).get("b", 0) for frame in found] == pytest.approx([i / 15 for i in range(16)])


@pytest.mark.parametrize("text", ['{"0": "a"}', '"0": "a", "24": "b"', "0:(7)", "0: a"])
def test_detection_needs_no_length(text: str) -> None:
    assert detect(text) == detect(text * 1)
