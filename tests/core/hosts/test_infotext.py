"""A1111's infotext, by equalities."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remix.hosts.a1111.infotext import Infotext, parse_infotext

THREE = "Steps: 20, Sampler: Euler a, CFG scale: 7"
SET = {"Steps": "20", "Sampler": "Euler a", "CFG scale": "7"}


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("", Infotext("")),
        ("a cat", Infotext("a cat")),
        (f"a cat\n{THREE}", Infotext("a cat", "", SET)),
        (f"a cat\r\nNegative prompt: a dog\r\n{THREE}", Infotext("a cat", "a dog", SET)),
        (f"a\nb\nNegative prompt: c\nd\n{THREE}", Infotext("a\nb", "c\nd", SET)),
        (f"Negative prompt: c\n{THREE}", Infotext("", "c", SET)),
        (f"a\nNegative prompt:\n{THREE}", Infotext("a", "", SET)),
        (THREE, Infotext("", "", SET)),
        ("a: b, c: d", Infotext("a: b, c: d")),
        ("a cat\nNegative prompt: x: 1, y: 2", Infotext("a cat", "x: 1, y: 2")),
        (f"a\n{THREE}, Size: 512x768", Infotext("a", "", {**SET, "Size": "512x768"})),
        (f'a\n{THREE}, Lora hashes: "x: 1, y: 2"', Infotext("a", "", {**SET, "Lora hashes": "x: 1, y: 2"})),
        (f'a\n{THREE}, T: "q \\"q\\", \\n é", U: 1', Infotext("a", "", {**SET, "T": 'q "q", \n é', "U": "1"})),
        (f'a\n{THREE}, Hashes: {{"a": "1, 2"}}, U: 1', Infotext("a", "", {**SET, "Hashes": '{"a": "1, 2"}', "U": "1"})),
        (f'a\n{THREE}, T: "no end, U: 1', Infotext("a", "", {**SET, "T": '"no end', "U": "1"})),
        (f"a\n{THREE}, Hashes: {{no json, U: 1", Infotext("a", "", {**SET, "Hashes": "{no json", "U": "1"})),
        (f"a\n{THREE}, Empty: , U: 1", Infotext("a", "", {**SET, "Empty": "", "U": "1"})),
        (f"a\n{THREE}, Steps: 30", Infotext("a", "", {**SET, "Steps": "30"})),  # the last, as in A1111
        (f"a\n{THREE}, no key, U: 1", Infotext("a", "", {**SET, "U": "1"})),
        (f"a\n{THREE}, Model: a:b", Infotext("a", "", {**SET, "Model": "a:b"})),
        (
            f'a\n{THREE}, ControlNet 0: "Module: canny, Weight: 1"',
            Infotext("a", "", {**SET, "ControlNet 0": "Module: canny, Weight: 1"}),
        ),
        (f"\n\na\n{THREE}\n", Infotext("a", "", SET)),
        # Civitai's list of resources; lines of extensions; indentation; few settings; all on one line.
        (
            f'a\n{THREE}, Civitai resources: [{{"type":"lora","weight":0.8}}], U: 1',
            Infotext("a", "", {**SET, "Civitai resources": '[{"type":"lora","weight":0.8}]', "U": "1"}),
        ),
        (
            f"a\n{THREE}\nTemplate: a {{cat|dog}}, b\nNegative Template: bad",
            Infotext("a", "", {**SET, "Template": "a {cat|dog}, b", "Negative Template": "bad"}),
        ),
        (f"a\n  Negative prompt: b\n{THREE}\n   \n", Infotext("a", "b", SET)),
        ("a\nSteps: 20, Seed: 1", Infotext("a", "", {"Steps": "20", "Seed": "1"})),
        ("a\nb: 1\nSteps: 20", Infotext("a\nb: 1", "", {"Steps": "20"})),
        (f"a cat Negative prompt: bad {THREE}", Infotext("a cat", "bad", SET)),
        (f"a cat {THREE}", Infotext("a cat", "", SET)),
        ("a dog\nTitle: x\nOther: y", Infotext("a dog\nTitle: x\nOther: y")),
    ],
)
def test_infotext(text: str, parsed: Infotext) -> None:
    assert parse_infotext(text) == parsed


words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=30)
keys = st.from_regex(r"[A-Z][a-z0-9]{0,8}", fullmatch=True)


@settings(deadline=None)
@given(prompt=words, negative=words, held=st.dictionaries(keys, words, min_size=3, max_size=6))
def test_what_is_quoted_comes_back_whatever_it_holds(prompt: str, negative: str, held: dict[str, str]) -> None:
    line = ", ".join(f"{key}: {json.dumps(text, ensure_ascii=False)}" for key, text in held.items())
    prompt = prompt.strip().removeprefix("Negative prompt:").strip()
    assert parse_infotext(f"{prompt}\nNegative prompt: {negative}\n{line}") == Infotext(prompt, negative.strip(), held)


@settings(deadline=None)
@given(st.text())
def test_any_text_is_an_infotext(text: str) -> None:
    assert parse_infotext(text).prompt is not None


def test_a_long_hostile_line_is_read_in_little_time() -> None:
    for piece in ("a", "a: ", '"', "{", "a: {", 'a: "', "- ", "a b/"):
        parse_infotext(piece * 20_000)
