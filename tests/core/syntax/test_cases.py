"""Texts that people have for other tools, by the kind of mistake that was once made with one: each is read or refused.

Each kind has the smallest text of it elsewhere in this folder; here are its siblings.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from remix.errors import RecipeError
from remix.plan import plan
from remix.plan.expression import Expression
from remix.syntax import read

FRAMES = 24

HALF = {"a": 0.5, "b": 0.5}
TRAVEL = [{"a": 1.0}, HALF, {"b": 1.0}]
HOLD = [{"a": 1.0}, {"a": 1.0}, {"b": 1.0}]


def settings(**fields: Any) -> str:
    return json.dumps({"prompts": {"0": "a", "12": "b"}, "max_frames": FRAMES, **fields})


READ = {
    "unknown texts of several lines": [
        ("‘0’: ‘a’,\n‘12’: ‘b’", "fizznodes", TRAVEL),
        ("„0“: „a“,\n„12“: „b“", "fizznodes", TRAVEL),
        ("{“0”: “a”, “12”: “b”}", "deforum-prompts", HOLD),
        ("0ms: a\n1000ms: b", "moments", TRAVEL),
        ("0 s: a\n1.0 s: b", "moments", TRAVEL),
        ("0%: a\n50 %: b", "moments", TRAVEL),
        ("FRAME 0: a\nframe 12: b", "moments", TRAVEL),
        ("0,a\n12,b", "comfyroll", TRAVEL),
        ("0|prompt|a\n1|prompt|b", "animator", HOLD),
        ("0\uff1aa\n12\uff1ab", "sd-webui-animatediff", TRAVEL),
        ("0s\uff1aa\n50%\uff1ab", "moments", TRAVEL),
        ("a | b", "wan", HOLD),
        ("[0-1s] a\n[1-2s] b", "time-brackets", HOLD),
        ("[0s] a\n[1s] b", "time-brackets", HOLD),
        ("[00:00-00:01] a\n[00:01-00:02] b", "time-brackets", HOLD),
        ("[/duration=12] a\n[/duration=12] b", "wangp", HOLD),
        ("[/duration=50%] a\n[/duration=50%] b", "wangp", HOLD),
    ],
    "notebooks": [
        ('animation_prompts = {0: "a", 12: "b"}\nneg_prompts = {0: "x"}', "deforum-prompts", HOLD),
        ('neg_prompts = {0: "x"}\nanimation_prompts = {0: "a", 12: "b",}', "deforum-prompts", HOLD),
        (settings(prompts=[], animation_prompts={"0": "a", "12": "b"}), "deforum-settings", HOLD),
        (settings(neg_prompts={}), "deforum-settings", HOLD),
    ],
    "keys that stand twice": [
        ('"0": "a", "0": "a", "12": "b"', "fizznodes", TRAVEL),
        ("0: a\n0: a\n12: b", "sd-webui-animatediff", TRAVEL),
        ('{"0": "a", "12": "b", "12": "b"}', "deforum-prompts", HOLD),
    ],
    "ranges of shares": [
        ('"0.0:0.5": "a", "0.5:1.0": "b"', "animatediff-evolved", HOLD),
        ('0.0:0.5 = "a", 0.5: = "b"', "animatediff-evolved", HOLD),
        ('"0:0.5": "a", "0.5:": "b"', "animatediff-evolved", HOLD),
    ],
    "missing weights of AND": [
        ('{"0": "a AND b"}', "deforum-prompts", None),
        ('{"0": "a AND b :1"}', "deforum-prompts", [HALF] * 3),
        ('{"0": "a :1 AND b"}', "deforum-prompts", [HALF] * 3),
        ('{"0": "a AND b :1 AND c :0"}', "deforum-prompts", [HALF] * 3),
        ('{"0": "a :0 AND b"}', "deforum-prompts", [{"b": 1.0}] * 3),
    ],
    "keys past the end of animatediff-cli": [
        (json.dumps({"prompt_map": {"0": "a", "24": "b"}}), "animatediff-cli", [{"a": 1.0}] * 3),
        (json.dumps({"prompt_map": {"0": "a", "99": "b"}}), "animatediff-cli", [{"a": 1.0}] * 3),
        (json.dumps({"prompt_map": {"0": "a", "24": "b", "25": "c"}}), "animatediff-cli", [{"a": 1.0}] * 3),
    ],
    "scripts": [
        (
            "from x import walk\n\nout = walk(\n prompts=['a', 'b'],\n seeds=[1, 2],\n num_interpolation_steps=13,\n)",
            "stable-diffusion-videos",
            TRAVEL,
        ),
        ("import torch\npipe(prompt={0: 'a', 12: 'b'}, num_frames=24).frames", "freenoise", TRAVEL),
        ("x = 3\nframes = pipe(prompt={0: 'a', 12: 'b'})", "freenoise", TRAVEL),
    ],
    "lines of pairs": [
        ("0:'a'\n12:'b'", "deforum-prompts", HOLD),
        ('0:"a"\n\n12:"b"', "deforum-prompts", HOLD),
        ("0: 'a'\n12: 'b'", "deforum-prompts", HOLD),
    ],
    "mixes and segments": [
        ('("a", "b").blend(2, 2)', "compel", [HALF] * 3),
        ('("a", "b").blend()', "compel", [HALF] * 3),
        ("('a', 'b').blend(0.5, 0.5)", "compel", [HALF] * 3),
        (json.dumps({"local_prompts": "a | b"}), "prompt-relay", HOLD),
        (json.dumps({"local_prompts": "a|b", "segment_lengths": "12,12"}), "prompt-relay", HOLD),
        (json.dumps({"local_prompts": "a | b", "segment_lengths": "12, 12, "}), "prompt-relay", None),
        ("0: a | 12: b", "replicate", TRAVEL),
        ("0:a|12:b", "replicate", TRAVEL),
        ("0: a | 12: b |", "replicate", TRAVEL),
    ],
}

KEYS_FROM_1 = ("{}s", "{} seconds", "{}/24:", "{}f:", "{} frames:", "**{}**:", "**{}:**", "{}\uff05:")
"""Keys that no tool reads, also where the first is not 0."""

REFUSED = {
    "unknown texts of several lines": [
        ("f0: a\nf12: b", "looks like a key"),
        ("#0: a\n#12: b", "looks like a key"),
        ("t=0: a\nt=12: b", "looks like a key"),
        *((f"{form.format(1)} a\n{form.format(12)} b", "looks like a key") for form in KEYS_FROM_1),
    ],
    "keys that stand twice": [
        ('"0": "a", "0": "x"', "given twice"),
        ("0: a\n0: x", "given twice"),
        ('{"0": "a", "0": "x"}', "twice"),
    ],
    "scripts": [
        ('from y import walk\nwalk(["a", "b"], [1, 2], 12)', "looks like a script"),
        ("import torch\npipe = f()\npipe('a cat')", "looks like a script"),
        ('pipe = Pipe.load("x")\na cat', "looks like a script"),
    ],
    "documents of other kinds": [
        (json.dumps({"keyframes": [{"frame": 0, "deforum_prompt": "p"}], "options": {}}), "let Parseq render"),
        (json.dumps({"prompts": {"positive": "p"}, "keyframes": [{"frame": 0}]}), "let Parseq render"),
        (json.dumps({"0": "C:/a.jpg"}), "these are pictures"),
        (json.dumps({"0": "https://x.y/a.webp", "12": "b.png"}), "these are pictures"),
    ],
    "numbers without a field": [
        ("0:(1.02)", "a zoom has no field"),
        ("0: (5), 12: (7)", "a zoom has no field"),
        ("zoom: 0:(1.02)", "'zoom' has no place"),
        ('"angle": "0:(5)"', "'angle' has no place"),
        ("translation_z: 0:(5)", "'translation_z' has no place"),
        ("steps: 0:(20), 12:(30)", "'steps' has no place"),
        ('"subseed_strength_schedule": "0:(0.5)"', "has no place"),
    ],
}


def each(kinds: dict[str, list[Any]]) -> list[Any]:
    return [pytest.param(*row, id=f"{kind} {at}") for kind, rows in kinds.items() for at, row in enumerate(rows)]


@pytest.mark.parametrize(("text", "syntax", "mixes"), each(READ))
def test_siblings_of_texts_that_were_read_wrongly(text: str, syntax: str, mixes: list[dict[str, float]] | None) -> None:
    parts = read(text, frames=FRAMES)
    assert parts.syntax == syntax
    film = plan(parts.recipe())
    if mixes is not None:
        assert [dict(film[index].prompt.items) for index in (0, 6, 12)] == mixes


@pytest.mark.parametrize(("text", "words"), each(REFUSED))
def test_siblings_of_texts_that_were_taken_for_prompts(text: str, words: str) -> None:
    with pytest.raises(RecipeError) as refused:
        read(text, frames=FRAMES)
    assert words in str(refused.value)
    assert refused.value.line


def test_prompts_with_words_of_a_language_stay_prompts() -> None:
    text = "import export business\nfrom dusk to dawn\na sign (in neon)\nprint of a cat\n80s film\n90s film"
    assert [key.prompt.values[0] for key in read(text).keyframes if key.prompt] == text.split("\n")


@pytest.mark.parametrize("seeds", [[-1], [-1, -1], -1])
def test_random_seeds_are_named(seeds: Any) -> None:
    parts = read(json.dumps({"prompt_map": {"0": "a"}, "seed": seeds}), frames=FRAMES)
    assert any("seed -1 means a random seed" in note for note in parts.notes)


@pytest.mark.parametrize("behavior", ["iter", "ladder", "alternate", "random"])
def test_seeds_of_each_frame_are_exact_and_their_flicker_is_named(behavior: str) -> None:
    """A recipe has no expression of seeds, so each frame that changes it has a keyframe."""
    parts = read(settings(seed=5, seed_behavior=behavior, zoom="0:(1.02)"))
    film = plan(parts.recipe())
    assert {len(frame.seed.values) for frame in film} == {1}
    assert sum(one.seed != two.seed for one, two in zip(film, list(film)[1:], strict=False)) == FRAMES - 1
    notes = " ".join(parts.notes)
    assert "flickers" in notes
    assert '"seed_behavior": "fixed"' in notes
    assert "zoom" in notes


@pytest.mark.parametrize(
    ("field", "text", "expression"),
    [
        ("cfg", "0:(7), 12:(7+sin(t))", True),
        ("cfg", "0:(5*abs(cos(t/4)))", True),
        ("denoise", "0:(0.5+0.1*sin(t))", True),
        ("cfg", "0:(7), 12:(9)", False),
    ],
)
def test_expressions_of_values_are_not_unrolled(field: str, text: str, expression: bool) -> None:
    keyframes = read(text, frames=FRAMES, field=field).keyframes
    assert len(keyframes) <= 2
    assert any(isinstance(getattr(key, field), Expression) for key in keyframes) is expression
