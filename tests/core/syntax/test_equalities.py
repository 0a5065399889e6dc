"""Equalities of syntaxes: the texts of a group, in the syntaxes of several tools, give the same schedule."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remix.plan import Keyframe, Recipe, Schedule, plan
from remix.syntax import detect, read

Text = tuple[str, str]  # the syntax, and a text in it


def schedule(name: str, text: str, **options: Any) -> Schedule:
    return plan(read(text, name, **{"frames": 48, **options}).recipe(mix="lerp").replace(mix="lerp", fps=12.0))


def frames(name: str, text: str, **options: Any) -> list[dict[str, Any]]:
    return [frame.to_dict() for frame in schedule(name, text, **options)]


TRAVEL = [
    ("fizznodes", '"0": "a", "24": "b"'),
    ("fizznodes", '"0": "a", "max_f/2": "b",'),
    ("fizznodes", '"24": "b",\n"0" : "a"'),
    ("fizznodes", "'0': 'a', '24': 'b'"),
    ("animatediff-evolved", '"0": "a", "24": "b"'),
    ("animatediff-evolved", '0 = "a", 0.5 = "b"'),
    ("animatediff-evolved", '{"0": "a", "-24": "b"}'),
    ("animatediff-evolved", '0:1 = "a", 24:48 = "b"'),
    ("sd-webui-animatediff", "0: a\n24: b"),
    ("freenoise", '{0: "a", 24: "b"}'),
    ("freenoise", "prompt={0: 'a', 24: 'b'}"),
    ("freenoise", 'pipe(prompt={0: "a", 24: "b"}, num_frames=48)'),
    ("prompt-travel", "a\nb\nb\nTravel steps between stages: 24, 23"),
    ("stable-diffusion-videos", 'prompts=["a", "b", "b"], num_interpolation_steps=[25, 24]'),
    ("deforum-settings", '{"prompts": {"0": "a", "24": "b"}, "animation_mode": "Interpolation", "max_frames": 48}'),
    ("json", '{"frames": 48, "keyframes": [{"at": 0, "prompt": "a"}, {"at": 24, "prompt": "b"}]}'),
    ("toml", 'frames = 48\n[[keyframes]]\nat = 0\nprompt = "a"\n[[keyframes]]\nat = 24\nprompt = "b"'),
]

HELD = [
    ("deforum-prompts", '{"0": "a", "24": "b"}'),
    ("deforum-prompts", '{"0": "a", "(max_f+1)/2": "b"}'),
    ("deforum-settings", '{"prompts": {"0": "a", "24": "b"}, "max_frames": 48, "animation_mode": "2D"}'),
    ("animatediff-evolved", '"0:": "a", "24:": "b"'),
    ("animatediff-evolved", '0:24 = "a", 24: = "b"'),
    ("fizznodes", '"0": "a", "23": "a", "24": "b"'),
    ("sd-webui-animatediff", "0: a\n23: a\n24: b"),
    ("toml", 'frames = 48\nease = "hold"\n[[keyframes]]\nat = 0\nprompt = "a"\n[[keyframes]]\nat = 24\nprompt = "b"'),
]

NEGATIVE = [
    ("fizznodes", '"0": "a --neg x", "47": "b --neg y"'),
    ("fizznodes", '"0": "a--neg x", "max_f-1": "b    --neg   y "'),
    ("freenoise", 'prompt={0: "a", 47: "b"}, negative_prompt={0: "x", 47: "y"}'),
    ("prompt-travel", "a\nb\nNegative prompt: x\ny"),
    ("prompt-travel", "a\n\nb\nNegative prompt: x\n\ny\nTravel steps between stages: 47"),
    ("animatediff-evolved", '0 = "a --neg x", -1 = "b --neg y"'),
]

ROUND = [
    ("sd-webui-animatediff", "0: a\n24: b"),
    ("animatediff-cli", '{"prompt_fixed_ratio": 0, "prompt_map": {"0": "a", "24": "b"}}'),
    ("animatediff-cli", '{"prompt_fixed_ratio": 0.0, # no rest\n"prompt_map": {"24": "b", "0": "a",},}'),
    ("prompt-travel", "a\nb"),
    ("prompt-travel", "a\nb\nTravel steps between stages: 24"),
]

SEEDS = [
    ("seed-travel", "1, 2, 4"),
    ("seed-travel", "1, (9), 2, (3), 4"),
    ("seed-travel", "Seed: 1\nDestination seeds: 2, 4"),
    ("seed-travel", "1,2,4\nInterpolation curve: Linear\nCurve strength: 3"),
    ("stable-diffusion-videos", 'prompts=["", "", ""], seeds=[1, 2, 4]'),
    ("json", '{"frames": 49, "keyframes": [{"seed": 1}, {"seed": 2}, {"seed": 4}]}'),
]

MIXED = [
    ("deforum-prompts", '{"0": "a :0.7 AND b :0.3"}'),
    ("deforum-prompts", '{"0": "(a):0.7 AND (b):0.3"}'),
    ("deforum-prompts", '{"0": "a:7 AND b:3 --neg "}'),
    ("parseq", '{"rendered_frames": [{"frame": 0, "deforum_prompt": "a :0.7 AND b :0.3"}]}'),
    ("json", '{"frames": 48, "keyframes": [{"prompt": {"a": 0.7, "b": 0.3}}]}'),
]

NUMBERS = [
    ("deforum-values", "0:(7), 24:(9)"),
    ("deforum-values", "0: 7, 24: 9"),
    ("deforum-values", "cfg: 0:(7), 24:(9)"),
    ("deforum-values", 'cfg_scale_schedule = "0:(7), 24:(9)"'),
    ("deforum-values", '"cfg_scale_schedule": "0:(7), 24:(9)",'),
    ("deforum-values", '"0": (7), "24": (9),'),
    ("deforum-values", '0:("7"), 24:("9")'),
    ("deforum-values", "24:(9), 0:(7.0)"),
    ("deforum-values", "0:(7+t/12), 24:(9)"),
    ("deforum-values", "0:(min(7 + t/12, 9))"),
    ("deforum-values", "0:(where(t < 24, 7 + t/12, 9))"),
    ("animatediff-evolved", '"0": 7, "24": 9.0'),
    ("animatediff-evolved", "0 = 7, 0.5 = 9"),
    ("deforum-settings", '{"prompts": {"0": ""}, "cfg_scale_schedule": "0:(7), 24:(9)"}'),
    ("json", '{"frames": 48, "keyframes": [{"at": 0, "cfg": 7}, {"at": 24, "cfg": 9}]}'),
]

WRITTEN_IN = [
    ("fizznodes", '"0": "(sea:`t/10`)"'),
    ("deforum-prompts", '{"0": "(sea:`t/10`)"}'),
    ("deforum-prompts", '{"0": "(sea:`0.1*t`)", "10": "(sea:`t * 0.1`)"}'),
    ("fizznodes", '"0": "(sea:`t/10`)", "max_f-1": "(sea:`sqrt(t*t)/10`)"'),
]


@pytest.mark.parametrize(
    ("group", "options"),
    [
        (TRAVEL, {}),
        (HELD, {}),
        (NEGATIVE, {}),
        (SEEDS, {"frames": 49}),
        (NUMBERS, {"field": "cfg"}),
        (WRITTEN_IN, {}),
    ],
    ids=["travel", "held", "negative", "seeds", "numbers", "written in"],
)
def test_a_group_is_one_schedule(group: list[Text], options: dict[str, Any]) -> None:
    first = frames(*group[0], **options)
    assert len({json.dumps({**frame, "index": 0}, sort_keys=True) for frame in first}) > 1
    for name, text in group[1:]:
        assert frames(name, text, **options) == first, (name, text)


def test_mixes_are_one_schedule() -> None:
    wanted = plan(Recipe(frames=1, keyframes=(Keyframe(prompt={"a": 0.7, "b": 0.3}),)))[0]
    for name, text in MIXED:
        assert schedule(name, text)[0] == wanted, text


def test_closed_ways_are_one_schedule() -> None:
    wanted = [(frame.index, frame.prompt) for frame in schedule(*ROUND[0], loop=True)]
    assert dict(wanted[36][1].items) == {"a": 0.5, "b": 0.5}
    for name, text in ROUND[1:]:
        assert [(frame.index, frame.prompt) for frame in schedule(name, text, loop=True)] == wanted, text


def test_a_way_past_the_end_goes_as_far_as_it_would() -> None:
    home = schedule("fizznodes", '"0": "a", "24": "b", "max_f": "a"')
    for frame, other in zip(home, schedule(*ROUND[0], loop=True), strict=True):
        assert dict(frame.prompt.items) == pytest.approx(dict(other.prompt.items), abs=2e-9)


@pytest.mark.parametrize(("name", "text"), [*TRAVEL, *HELD, *NEGATIVE, *ROUND, *SEEDS, *MIXED, *NUMBERS, *WRITTEN_IN])
def test_each_of_them_is_told_by_how_it_looks(name: str, text: str) -> None:
    """Where two syntaxes look the same, such as pairs in quotes, the one with the same meaning is detected."""
    same = {"animatediff-evolved": ("fizznodes", "deforum-values")}
    found = detect(text)
    assert found == name or (
        found in same.get(name, ()) and frames(found, text, field="cfg") == frames(name, text, field="cfg")
    )


@given(
    st.lists(st.integers(0, 47), min_size=1, max_size=6, unique=True),
    st.lists(st.text("abc ,.:()", min_size=1, max_size=8).map(str.strip).filter(bool), min_size=6, max_size=6),
)
def test_fizznodes_and_evolved_agree_on_plain_keys(at: list[int], prompts: list[str]) -> None:
    text = ", ".join(f'"{frame}": "{prompt}"' for frame, prompt in zip(at, prompts, strict=False))
    assert frames("fizznodes", text) == frames("animatediff-evolved", text)


def test_a_range_to_the_end_reaches_as_far_as_the_film() -> None:
    a, b = "cat :1~0 AND dog :0~1", '"0": "cat", "47": "dog"'
    assert frames("shift-attention", a) == frames("fizznodes", b)
    assert frames("shift-attention", "(cat:0~1)") == frames("deforum-prompts", '{"0": "(cat:`t/max_f`)"}')
