"""Emphasis as the hosts read it: A1111's doctests and ComfyUI's, its places in errors, and hostile prompts."""

from __future__ import annotations

import random
import re

import pytest

from remix.errors import BadInput
from remix.prompt import Piece, Reading

A1111, COMFY, NONE = Reading("a1111", "a1111"), Reading("comfy", "comfy"), Reading("none", "a1111")


def read(prompt: str, reading: Reading) -> list[list[tuple[str, float]]]:
    return [[(text, round(weight, 6)) for text, weight in section] for section in reading.sections(prompt)]


@pytest.mark.parametrize(
    ("prompt", "a1111", "comfy"),
    [
        ("a cat", [("a cat", 1)], [("a cat", 1)]),
        ("an (important) word", [("an ", 1), ("important", 1.1), (" word", 1)], None),
        (
            "(a (cat:1.5) nap:0.8)",
            [("a ", 0.8), ("cat", 1.2), (" nap", 0.8)],
            [("a ", 0.8), ("cat", 1.5), (" nap", 0.8)],
        ),
        ("((a) cat)", [("a", 1.21), (" cat", 1.1)], None),
        ("(a:1.2e0)", [("a:1.2e0", 1.1)], [("a", 1.2)]),
        ("(a)(cat)", [("acat", 1.1)], [("a", 1.1), ("cat", 1.1)]),
        ("a [grey] cat", [("a ", 1), ("grey", 0.909091), (" cat", 1)], [("a [grey] cat", 1)]),
        ("([on])", [("on", 1)], [("[on]", 1.1)]),
        ("(unbalanced", [("unbalanced", 1.1)], [("(unbalanced", 1)]),
        ("a) (b) c", [("a) ", 1), ("b", 1.1), (" c", 1)], [("a) (b) c", 1)]),
        (r"\(cat\) \[x\] \\", [("(cat) [x] \\", 1)], [(r"(cat) \[x\] \\", 1)]),
        (r"half\way", [("halfway", 1)], [(r"half\way", 1)]),
        ("(a:-0.5)", [("a", -0.5)], [("a", -0.5)]),
        ("at 10:30 (f/1.4:1.2)", [("at 10:30 ", 1), ("f/1.4", 1.2)], None),
    ],
)
def test_each_host_reads_its_own_grammar(prompt: str, a1111: list[Piece], comfy: list[Piece] | None) -> None:
    assert read(prompt, A1111) == [a1111]
    assert read(prompt, COMFY) == [comfy or a1111]
    assert read(prompt, NONE) == [[(prompt, 1)]]


def test_break_begins_a_section_where_chunks_are_a1111s() -> None:
    assert read("a BREAK b (c:0.5)", A1111) == [[("a", 1)], [("b ", 1), ("c", 0.5)]]
    assert read("a BREAK b", COMFY) == [[("a BREAK b", 1)]]
    assert read("a BREAK b", Reading("comfy", "a1111")) == [[("a", 1)], [("b", 1)]]
    assert read("a BREAK b", Reading("a1111", "comfy")) == [[("a BREAK b", 1)]]
    assert read("BREAKFAST", A1111) == [[("BREAKFAST", 1)]]


def test_a_weight_around_break_makes_it_a_word_as_in_a1111() -> None:
    assert read("(a BREAK b:1.2)", A1111) == [[("a", 1.2), ("BREAK", -1.2), ("b", 1.2)]]


@pytest.mark.parametrize("reading", [A1111, COMFY])
def test_what_is_weighted_and_what_differs(reading: Reading) -> None:
    assert reading.is_weighted("a (cat)")
    assert not reading.is_weighted(r"a \(cat\)")
    other = COMFY if reading == A1111 else A1111
    assert reading.differs(other, "a (cat)")
    assert reading.differs(other, "a [cat]")
    assert not reading.differs(other, r"a \(cat\), the sea")


@pytest.mark.parametrize(
    ("emphasis", "chunks", "found"),
    [
        (None, None, Reading("comfy", "comfy")),
        ("a1111", None, Reading("a1111", "a1111")),
        ("a1111-no-norm", "comfy", Reading("a1111-no-norm", "comfy")),
        ("none", None, Reading("none", "comfy")),
    ],
)
def test_chunks_follow_the_emphasis(emphasis: str | None, chunks: str | None, found: Reading) -> None:
    assert Reading.of(emphasis, chunks) == found


@pytest.mark.parametrize("reading", [A1111, COMFY])
def test_hostile_nesting_is_refused_with_its_place(reading: Reading) -> None:
    reading.sections("(" * 50 + "a" + ")" * 50)
    with pytest.raises(BadInput, match="more than 50 brackets are open in line 2, column 52;"):
        reading.sections("a cat\n " + "(" * 5_000)


@pytest.mark.parametrize(("prompt", "reading"), [("a\n(b:1.2.3)", A1111), ("a\n(b:nan)", COMFY), ("a\n(b:inf)", COMFY)])
def test_a_weight_that_is_no_number_is_refused_with_its_place(prompt: str, reading: Reading) -> None:
    with pytest.raises(BadInput, match=r"prompt: '.*' in line 2, column 4 is not a weight"):
        reading.sections(prompt)


def test_any_text_is_read_or_refused_and_keeps_its_words() -> None:
    bits = [*"()[]:,.|\\ ", "cat", "1.2", ":0.5)", "\\(", "BREAK", "\n", "日本"]
    rng = random.Random(5)
    for _ in range(3_000):
        prompt = "".join(rng.choices(bits, k=rng.randrange(20)))
        for reading in (A1111, COMFY):
            try:
                pieces = [piece for section in reading.sections(prompt) for piece in section]
            except BadInput:
                continue
            assert "".join(text for text, _ in pieces).count("cat") == len(re.findall("cat", prompt))
