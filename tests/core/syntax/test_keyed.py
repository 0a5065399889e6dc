"""Texts as people paste them: clear keys are read, unclear ones are refused, and prompts stay prompts."""

from __future__ import annotations

from typing import Any

import pytest

from remix.errors import RecipeError
from remix.plan import plan
from remix.syntax import detect, read

PLAIN = [
    "a cat\na dog",
    "2 girls, park\n1 girl, beach",
    "1 girl\n2 girls\n3 girls",
    "2 girls, a park\n3 girls, a beach\n4 girls, a street",
    "1girl, solo, looking at viewer\n2girls, holding hands",
    "3d render of a cat\n2d drawing of a cat",
    "35mm photo of a street\n50mm photo of a street\n85mm portrait",
    "8k, masterpiece\n4k, masterpiece",
    "16:9 frame of a city\n4:3 frame of a city",
    "4:3 photo\n16:9 photo\n21:9 photo",
    "2.35:1 aspect ratio, cinematic\n1.85:1 aspect ratio, cinematic",
    "1:18 scale model of a car\na car",
    "80s anime\n90s anime",
    "80s style, neon\n90s style, grunge",
    "1980s, disco\n1990s, grunge",
    "1980s: disco\n1990s: grunge",
    "50% grey background\n100% white background",
    "50mm lens, f/1.8\n85mm lens, f/1.4",
    "a cat, (fluffy:1.2)\na dog, (wet:0.8)",
    "(1girl:1.2), smile\n(1boy:1.2), smile",
    "((masterpiece)), a cat\n((masterpiece)), a dog",
    "(18 years old woman)\n(80 years old woman)",
    "[grey] cat\n[[grey]] dog",
    "a {red|blue} cat\na {red|blue} dog",
    "{2-3$$red|blue|green} cats\na dog",
    "a cat | high detail\na dog | high detail",
    "portrait: a woman\nlandscape: a valley",
    "Scene: a kitchen at night\nScene: a garden at noon",
    "Blade Runner 2049: neon city\nDune 2: a desert",
    "a photo of a cat: close-up\na photo of a dog: wide shot",
    "cat - oil painting\ndog - oil painting",
    "- a cat\n- a dog",
    "* a cat\n* a dog",
    "#cat #cute\n#dog #cute",
    "a road in 1980\na road in 2000",
    "1980\n2000\n2020 street",
    "0.5 opacity mist\nfull fog",
    "3-headed dragon\n2-headed dragon",
    "3/4 view of a car\nside view of a car",
    "1/3 of a face\n2/3 of a face",
    "100 cats\n10 dogs",
    "12 angry men\n7 samurai",
    "7 samurai\n12 angry men",
    'a sign that says "0"\na sign that says "1"',
    '"HELLO" in neon letters\n"WORLD" in neon letters',
    "“HELLO” in neon letters\n“WORLD” in neon letters",
    "the cat’s hat\nthe dog’s hat",
    "a clock at 12:30\na clock at 00:00",
    "12:30 on a clock tower\nnight",
    "frame of a window\nframe of a door",
    "frames within frames\na frame",
    "t-shirt of a cat\nt-shirt of a dog",
    "max_force, robot\nrobot",
    "5 o'clock shadow\nclean shave",
    "2D, flat\n3D, deep",
    "007 in a tuxedo\na spy",
    "00s fashion\n10s fashion",
    "1, 2, buckle my shoe\na shoe",
    "score_9, score_8_up, a cat\nscore_9, score_8_up, a dog",
    "@artist style, cat\n@artist style, dog",
    "a cat (at night), 4k\na dog (at day), 4k",
    "\\(small\\) cat\n\\(big\\) dog",
    "猫\n犬",
    "16\uff1a9 photo\n4\uff1a3 photo",
    "35mm: a street\n85mm: a portrait",
    "1girl: smiling\n2girls: running",
    "Start: a race\nStart: a fire",
    "The End: credits\nStart: a race",
    "a cat\na dog\nNegative prompt: bad, (worst quality:1.4)\n3 girls",
]
"""Plain prompts of several lines: each is a stage of a travel."""


@pytest.mark.parametrize("text", PLAIN)
def test_prompts_that_only_begin_or_end_oddly_stay_prompts(text: str) -> None:
    assert detect(text) == "prompt-travel"
    lines = text.split("\nNegative prompt:")[0].split("\n")
    assert [key.prompt.values[0] for key in read(text).keyframes if key.prompt][: len(lines)] == lines


REFUSED = [
    ("0s a cat\n2s a dog", 1),
    ("0s - a cat\n2s - a dog", 1),
    ("0s, a cat\n2s, a dog", 1),
    ("0s -> a cat\n2s -> a dog", 1),
    ("[2s: a cat]\na dog", 1),
    ("[2s] a cat\n[4s] a dog", 1),
    ("[0-16] a cat\n[16-32] a dog", 1),
    ("0, a girl\n24", 1),
    ("8, a girl\n16, two girls", 1),
    ("16, a girl\n0, two girls", 2),
    ("frame | prompt\n0 | prompt | cat", 2),
    ("0 | pompt | cat\n10 | pompt | dog", 1),
    ("a cat\n[00:10 - 00:20] a dog", 2),
    ("00:00 a cat\n00:10 a dog", 1),
    ("0:00 - 0:05 a cat\n0:05 - 0:10 a dog", 1),
    ("01:30 a cat\n02:00 a dog", 1),
    ("00:00:00,000 --> 00:00:04,000\na cat", 1),
    ("1\n00:00:00,000 --> 00:00:04,000\na cat\n2\n00:00:04,000 --> 00:00:08,000\na dog", 2),
    ("0-5s: a cat\n5-10s: a dog", 1),
    ("0-16: a cat\n17-32: a dog", 1),
    ("17-32: a dog", 1),
    ("0 to 16: a cat\n17 to 32: a dog", 1),
    ("(0-16) a cat\n(17-32) a dog", 1),
    ("(5-10s) a cat\na dog", 1),
    ("0-16 a cat\n17-32 a dog", 1),
    ("[0] a cat\n[16] a dog", 1),
    ("[0, 16] a cat\n0 = a dog", 2),
    ("0 a girl\n16 a boy\n32 a dog", 1),
    ("0 | a prompt | cat\n10 | a prompt | dog", 1),
    ("0 | a cat", 1),
    ("| 0 | a cat |\n| 16 | a dog |", 1),
    ("frame | prompt\n0 | a cat\n16 | a dog", 2),
    ("frame,prompt\n0,a cat\n16,a dog", 2),
    ("0\ta cat\n16\ta dog", 1),
    ("0; a cat\n16; a dog", 1),
    ("0 => a cat\n16 => a dog", 1),
    ("a cat\n16 -> a dog", 2),
    ("0. a cat\n1. a dog", 1),
    ("1. a cat\n2. a dog\n3. a bird", 1),
    ("1) a cat\n2) a dog", 1),
    ("- 0: a cat\n- 16: a dog", 1),
    ("* 0s: a cat\n* 2s: a dog", 1),
    ("Frame 0 - a cat\nFrame 16 - a dog", 1),
    ("frame 0 a cat\nframe 16 a dog", 1),
    ("frames 0-16: a cat\nframes 16-32: a dog", 1),
    ("Frame: 0 a cat\nFrame: 16 a dog", 1),
    ("frame=0, a cat\nframe=16, a dog", 1),
    ("Scene 1: a cat\nScene 2: a dog", 1),
    ("Shot 1 - a cat\nShot 2 - a dog", 1),
    ("Prompt 1: a cat\nPrompt 2: a dog", 1),
    ("F0: a cat\nF16: a dog", 1),
    ("#0 a cat\n#16 a dog", 1),
    ("@0 a cat\n@16 a dog", 1),
    ("t=0: a cat\nt=16: a dog", 1),
    ("0:(a cat:1.2)\n24:(a dog:1.2)", 1),
    ("0:1girl\n16:2girls", 1),
    ("1.5: a cat\n3: a dog", 1),
    ("0.0: a cat\n0.5: a dog", 1),
    ("-1: a cat\n0: a dog", 1),
    ("max_f/2: a cat\n0: a dog", 1),
    ('a cat\n"16" = "a dog"', 2),
    ("a [cat:dog:0.5]\n0s - a dog", 2),
    ("<0> a cat\n<12> a dog", 1),
    ("\uff10\uff1aa cat\n\uff11\uff12\uff1aa dog", 1),
    ("\u00ab0\u00bb: \u00aba cat\u00bb\n\u00ab12\u00bb: \u00aba dog\u00bb", 1),
    ("\u300c0\u300d\uff1a\u300ca cat\u300d", 1),
    ('"0"\uff1a"a cat"\n"12"\uff1a"a dog"', 1),
    ("0 Sek.: a cat\n2 Sek.: a dog", 1),
    ("\u7b2c0\u5e27\uff1aa cat\n\u7b2c12\u5e27\uff1aa dog", 1),
    ("a cat\nStart: a dog\nEnd: a bird", 2),
    ("First: a cat\nThen: a dog\nFinally: a bird", 1),
    ('"frame","prompt"\n"0","a cat, black"\n"16","a dog"', 2),
    ('frame;prompt\n"0";"a cat"\n"16";"a dog"', 2),
    ('"0","a cat"', 1),
    ("\u201c0\u201d, \u201ca cat\u201d\n\u201c16\u201d, \u201ca dog\u201d", 1),
    ("Opening shot: a cat\nClosing shot: a dog", 1),
]
"""What looks keyed and is in no syntax, with the line that is named."""


@pytest.mark.parametrize(("text", "line"), REFUSED)
def test_what_looks_keyed_and_is_not_understood_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(RecipeError) as caught:
        read(text, frames=48)
    error = caught.value
    assert error.line == line
    assert error.excerpt.split("\n")[0] == text.split("\n")[line - 1]
    assert ": " in error.problem
    assert "write " in error.problem
    assert repr(text.split("\n")[line - 1])[1:12] in error.problem


@pytest.mark.parametrize("text", [text for text, _ in REFUSED if "\n" in text])
def test_a_syntax_that_is_named_reads_them_as_prompts(text: str) -> None:
    lines = [line.strip() for line in text.split("\n")]
    assert [key.prompt.values[0] for key in read(text, "prompt-travel").keyframes if key.prompt] == lines


STRAYS = [
    ("0: a\n48: b\n96 c", 3),
    ("0 a\n20: b\n48: c", 1),
    ("0: a\n20 c\n48: b", 2),
    ("0: a\n48: b\n96, c", 3),
    ("0: a\n48: b\n96) c", 3),
    ("0: a\n48: b\n96 | c", 3),
    ("0: a\n48: b\n96 - c", 3),
    ("0: a\n48: b\n[96] c", 3),
    ("0: a\n48: b\n00:10 c", 3),
    ("0: a\n48: b\n96:(c:1.2)", 3),
    ("0: a\n48: b\nFrame 96 - c", 3),
    ("- 0: a\n48: b", 1),
    ("4, a star\n8: b", 1),
    ("0s: a\n1s: b\n2s c", 3),
    ("0s a\n1s: b\n2s: c", 1),
    ("0%: a\n50% b\n100%: c", 2),
    ("0s: a\n1s: b\n2s - c", 3),
    ("Frame 0: a\nFrame 16: b\n32 c", 3),
    ("0: a\n48: b\nNegative prompt: bad\n24: worse", 4),
    ("0s: a\n4s: b\nNegative prompt: 0s: bad\n2s: worse", 3),
    ("prompts:\n0: a\n16: b", 1),
    ("Keyframes =\n0s: a\n2s: b", 1),
    ("animation_prompts:\n0: a\n16: b", 1),
    ("0: a\u202816: b\n32: c", 1),
]


@pytest.mark.parametrize(("text", "line"), STRAYS)
def test_a_line_among_keys_that_lacks_its_mark_is_refused(text: str, line: int) -> None:
    with pytest.raises(RecipeError, match=r"write|give") as caught:
        read(text, frames=100)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("around", "text"),
    [
        ("1girl, solo", "{}\n0: a\n8: b"),
        ("1 girl, solo", "{}\n0: a\n8: b"),
        ("2 girls", "{}\n0: a\n8: b"),
        ("2 girls", "0: a\n8: b\n{}"),
        ("8k, 16:9", "0: a\n8: b\n{}"),
        ("35mm photo", "{}\n0: a\n8: b"),
        ("(best quality:1.2)", "0: a\n8: b\n{}"),
        ("1girl, solo", "{}\n0s: a\n0.5s: b"),
        ("50% grey background", "{}\n0s: a\n0.5s: b"),
        ("80s anime", "{}\n0: a\n8: b"),
        ("3d render", "0s: a\n0.5s: b\n{}"),
    ],
)
def test_lines_around_keys_belong_to_every_prompt(around: str, text: str) -> None:
    parts = read(text.format(around), frames=9)
    wanted = f"{around}, a" if text.startswith("{}") else f"a, {around}"
    assert parts.keyframes[0].prompt is not None
    assert parts.keyframes[0].prompt.values == (wanted,)
    assert parts.notes == ()


def prompts_at(text: str, **given: Any) -> dict[int, str]:
    """The prompts of a film of 48 frames where one stands alone, by frame."""
    recipe = read(text, **{"frames": 48, **given}).recipe()
    schedule = plan(recipe)
    return {frame: schedule[frame].prompt.values[0] for frame in sorted(recipe.positions())}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0s: a\n2s: b", {0: "a", 24: "b"}),
        ("0s:a\n2s:b", {0: "a", 24: "b"}),
        ("0 s: a\n1.5s: b\n3 sec: c", {0: "a", 18: "b", 36: "c"}),
        ("0ms: a\n500ms: b\n1 second: c\n2 Seconds: d", {0: "a", 6: "b", 12: "c", 24: "d"}),
        ("0,0s: a\n1,5s: b\n2,25 s: c", {0: "a", 18: "b", 27: "c"}),
        ("0,0%: a\n12,5%: b", {0: "a", 6: "b"}),
        ("0%: a\n50%: b\n100%: c", {0: "a", 24: "b", 47: "c"}),
        ("50%: b\n0%: a", {0: "a", 24: "b"}),
        ("Frame 0: a\nFrame 16: b", {0: "a", 16: "b"}),
        ("frame 0: a\nframe #16 : b\nKeyframe 32: c", {0: "a", 16: "b", 32: "c"}),
        ("0: a\n1s: b\n100%: c", {0: "a", 12: "b", 47: "c"}),
        ("head\n0s: a\n2s: b\ntail", {0: "head, a, tail", 24: "head, b, tail"}),
        ("1s: (1girl:1.2), [a|b]\n2s: at 12:30, 2s: later", {12: "(1girl:1.2), [a|b]", 24: "at 12:30, 2s: later"}),
        ("0s: a\r\n2s: b\r\n", {0: "a", 24: "b"}),
    ],
)
def test_moments_before_prompts_are_read(text: str, found: dict[int, str]) -> None:
    assert detect(text) == "moments"
    assert prompts_at(text) == found


def test_moments_keep_their_words_and_what_stands_below_them() -> None:
    parts = read("0s: a\n50%: b\nNegative prompt: bad\nSteps: 9, Seed: 7", fps=10)
    assert [key.at for key in parts.keyframes] == ["0s", "50%"]
    assert (parts.steps, parts.mix, parts.frames, parts.syntax) == (9, "lerp", None, "moments")
    first = plan(parts.recipe(frames="3s"))[0]
    assert (first.negative.values, first.seed.values) == (("bad",), (7,))


def test_what_leads_past_the_end_is_cut_off_and_told() -> None:
    parts = read("0s: a\n8s: b", frames=49)
    assert parts.notes == ("frame 96 is past the last frame (48); what leads there is cut off",)
    assert dict(plan(parts.recipe())[48].prompt.items) == {"a": 0.5, "b": 0.5}


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("0s: a\n1s: b\n12: c", 3, "frame 12 is given twice, first in line 2"),
        ("0s: a\n50%: b\n50.0%: c", 3, "is given twice, first in line 2"),
        ("0%: a\n101%: b", 2, "101% is past the end of the film"),
        ("80s: a\n90s: b", 1, "'80s' is past the last frame (47), and so are all keys"),
        ("0s: a\n999999999999s: b", 2, "is too far away"),
    ],
)
def test_moments_that_cannot_be_are_refused_with_their_line(text: str, line: int, problem: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read(text, frames=48)
    assert problem in caught.value.problem
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("“0”: “a cat”,\n“16”: “a dog”", {0: "a cat", 16: "a dog"}),
        ("{“0”: “a cat”, “16”: “the dog’s hat”}", {0: "a cat", 16: "the dog’s hat"}),
        ("„0“: „a cat“,\n„16“: „a dog“", {0: "a cat", 16: "a dog"}),
        ("‘0’: ‘a cat’s hat’,\n‘16’: ‘a dog’", {0: "a cat’s hat", 16: "a dog"}),
        ("0: “a cat”,\n16: “a dog”", {0: "a cat", 16: "a dog"}),
        ('"0": “a cat”,\n"16": “a dog”', {0: "a cat", 16: "a dog"}),
    ],
)
def test_curly_quotes_are_quotes_where_they_stand_around_keys_and_prompts(text: str, found: dict[int, str]) -> None:
    assert prompts_at(text) == found


@pytest.mark.parametrize(
    "text",
    [
        '/* first */ {"0": "a /* b */", // then\n "16": "c"}',
        '{"0": "a /* b */", /* two\nlines **/ "16": "c", # end\n}',
        '"0": "a /* b */", /**/ "16": "c"',
    ],
)
def test_comments_between_pairs_are_left_out(text: str) -> None:
    assert [(key.at, key.prompt and key.prompt.values[0]) for key in read(text, frames=48).keyframes] == [
        (0, "a /* b */"),
        (16, "c"),
    ]


def test_a_number_after_a_comma_without_a_colon_begins_a_prompt() -> None:
    assert detect("0, 50% grey\n16, 2s later") == "comfyroll"


def test_curly_quotes_within_straight_ones_stay() -> None:
    assert prompts_at('"0": "a “big” cat"') == {0: "a “big” cat"}
    assert prompts_at("0: a “big” cat\n16: b") == {0: "a “big” cat", 16: "b"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('head,\n"0": "a",\n"12": "b"\ntail', {0: "head, a, tail", 12: "head, b, tail"}),
        ('"0": "a",\n"12": "b"\ntail', {0: "a, tail", 12: "b, tail"}),
        ('head\n"0": "a", "12": "b",', {0: "head, a", 12: "head, b"}),
        ('1girl,\nsolo,\n0: "a",\n12: "b"', {0: "1girl, solo, a", 12: "1girl, solo, b"}),
        ('head\n"0": "a\n   b",\n"max_f/2": "c"', {0: "head, a b", 24: "head, c"}),
        ('# mine\nhead\n"0": "a",  # first\n"12": "b"\n# end\ntail', {0: "head, a, tail", 12: "head, b, tail"}),
    ],
)
def test_lines_around_fizznodes_pairs_belong_to_every_prompt(text: str, found: dict[int, str]) -> None:
    assert detect(text) == "fizznodes"
    assert prompts_at(text) == found


def test_what_stands_around_fizznodes_pairs_goes_to_both_sides() -> None:
    parts = read(
        'head\n"0": "a --neg x",\n"12": "b"\ntail\nNegative prompt: bad', before="big", after="best", frames=48
    )
    first, later = (plan(parts.recipe())[frame] for frame in (0, 12))
    assert (first.prompt.values, first.negative.values) == (("big, head, a, tail, best",), ("x, bad",))
    assert (later.prompt.values, later.negative.values) == (("big, head, b, tail, best",), ("bad",))


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ('head\n"0": "a",\nmiddle\n"12": "b"', 4, "the line above has no key"),
        ('head\n"0": "a",\n"12": "b\ntail', 3, "this quote is not closed"),
        ('head\n"0": "a"\n"12": "b"\ntail', 3, "a comma is missing before this"),
        ('0 | head\n"0": "a",\n"12": "b"', 1, "'0 | head' looks like a key in a form that is not supported"),
        ('head\n"0": "a",\n"12": "b"\n24 | c', 4, "'24 | c' looks like a key in a form that is not supported"),
        ('head\n"0": "a",\n"0": "b"', 3, "frame 0 is given twice, first in line 2"),
    ],
)
def test_lines_around_fizznodes_pairs_that_cannot_be_are_refused(text: str, line: int, problem: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read(text, frames=48)
    assert problem in caught.value.problem
    assert caught.value.line == line
    assert caught.value.excerpt.split("\n")[0] == text.split("\n")[line - 1]


VALUES = ["0:(1.02), 30:(1.00+0.02*sin(t/10))", "0:(7)", '"0": 1.0, "16": 1.3', "0 = 1, 0.5 = 2", "0: 0.65, 24: 0.5"]


@pytest.mark.parametrize("text", VALUES)
def test_values_without_a_field_are_refused_and_with_one_are_read(text: str) -> None:
    with pytest.raises(RecipeError, match="these numbers may set any field; write which one before"):
        read(text, frames=48)
    assert len(plan(read(text, frames=48, field="cfg").recipe())) == 48


@pytest.mark.parametrize(
    ("text", "field", "values"),
    [
        ("cfg: 0:(7), 2:(9)", "cfg", [7, 8, 9]),
        ("CFG = 0:(7), 2:(9)", "cfg", [7, 8, 9]),
        ("cfg scale: 0: 7, 2: 9", "cfg", [7, 8, 9]),
        ('"cfg_scale_schedule": "0:(7), 2:(9)",', "cfg", [7, 8, 9]),
        ('cfg_scale_schedule = "0:(7), 2:(9)"', "cfg", [7, 8, 9]),
        ('cfg: "0": (7), "2": "9"', "cfg", [7, 8, 9]),
        ("strength_schedule: 0:(0.75), 2:(0.25)", "denoise", [0.25, 0.5, 0.75]),
        ("denoise:\n0:(0.25),\n2:(0.75)", "denoise", [0.25, 0.5, 0.75]),
        ("seeds: 0:(7), 2:(9)", "seed", [7, 8, 9]),
    ],
)
def test_a_field_before_values_says_what_they_are_of(text: str, field: str, values: list[float]) -> None:
    assert detect(text) == "deforum-values"
    parts = read(text, frames=3)
    found = [getattr(key, field) for key in parts.keyframes]
    assert found
    assert None not in found
    if field != "denoise":  # which needs a picture, that a text of values has not
        frames = [getattr(frame, field) for frame in plan(parts.recipe())]
        assert [frame if field == "cfg" else frame.values[0] for frame in frames] == values


def test_a_field_that_is_asked_for_is_that_of_the_text() -> None:
    assert read("cfg: 0:(7)", field="cfg", frames=2).keyframes[0].cfg == 7
    with pytest.raises(RecipeError, match="these are values of cfg, not of denoise"):
        read("cfg: 0:(7)", field="denoise", frames=2)


@pytest.mark.parametrize(
    "name", ["zoom", '"translation_z"', "rotation_3d_x", "angle", "fov_schedule", "noise_schedule"]
)
def test_motion_of_a_camera_is_refused_by_name(name: str) -> None:
    with pytest.raises(RecipeError, match=f"{name.strip(chr(34))}' has no place in a recipe"):
        read(f"{name}: 0:(1.02), 30:(1)", frames=48)


def test_ranges_of_evolved_that_begin_with_a_decimal_are_its_own() -> None:
    text = '"0.0:0.33": "a",\n"0.33:0.5": "b"'
    assert detect(text) == "animatediff-evolved"
    assert plan(read(text, frames=48).recipe())[10].prompt.values == ("a",)


@pytest.mark.parametrize(
    "text",
    [
        '{"0": "a", "8": "b", "8": "b"}',
        '"0": "a", "8": "b", "max_f/6": "b"',
        "0: a\n8: b\n8: b",
        "0s: a\n8: b\n8: b",
        '{"prompts": {"0": "a", "8": "b", "8": "b"}, "max_frames": 48}',
        'prompt={0: "a", 8: "b", 8: "b"}',
    ],
)
def test_a_key_that_stands_twice_with_one_prompt_is_one_key(text: str) -> None:
    assert prompts_at(text) == {0: "a", 8: "b"}
    with pytest.raises(RecipeError, match="is given twice"):
        read(text[::-1].replace("b", "c", 1)[::-1], frames=48)


def test_settings_on_lines_of_their_own_are_no_negative_prompts() -> None:
    text = "a boy\na girl\nNegative prompt: bad\nSteps: 15\nCFG scale: 7\nSeed: 114514"
    parts = read(text, frames=9)
    assert (parts.steps, parts.cfg) == (15, 7)
    assert {frame.negative.values for frame in plan(parts.recipe())} == {("bad",)}
    assert {frame.seed.values for frame in plan(parts.recipe())} == {(114514,)}


@pytest.mark.parametrize("name", [None, "fizznodes"])
def test_parts_name_the_syntax_that_was_read(name: str | None) -> None:
    assert read('"0": "a"', name).syntax == "fizznodes"
