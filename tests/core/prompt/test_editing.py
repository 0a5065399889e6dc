"""Prompt editing over steps and AND, as A1111 reads them, and hostile prompts."""

from __future__ import annotations

import random
import time

import pytest

from remix.errors import BadInput
from remix.prompt import Reading
from remix.prompt.composition import Part, ends_with_weight, parts_of, with_literal_end
from remix.prompt.editing import is_edited, text_at, turns

ALTERNATING = [(1, "one way"), (2, "two way"), (3, "one way"), (4, "two way")]


@pytest.mark.parametrize(
    ("prompt", "calls", "found"),
    [
        ("a cat", 10, [(10, "a cat")]),
        ("a [dog:3]", 10, [(3, "a "), (10, "a dog")]),
        ("a [ cat : dog : 1 ]!", 10, [(1, "a  cat !"), (10, "a  dog !")]),
        ("a [cat::4]", 10, [(4, "a cat"), (10, "a ")]),
        ("a [:cat:.5]", 10, [(5, "a "), (10, "a cat")]),
        ("[cat:dog:0.25], [sea:hill:0.75]", 8, [(2, "cat, sea"), (6, "dog, sea"), (8, "dog, hill")]),
        ("a[b:[c:d:2]:1]e", 10, [(1, "abe"), (2, "ace"), (10, "ade")]),
        ("[(a (b:1.2):2):3]", 10, [(3, ""), (10, "(a (b:1.2):2)")]),
        ("[one|two] way", 4, ALTERNATING),
        ("[x|] y", 3, [(1, "x y"), (2, " y"), (3, "x y")]),
        ("[x||]", 4, [(1, "x"), (3, ""), (4, "x")]),
        ("([cat:dog:0.5]:1.3)", 8, [(4, "(cat:1.3)"), (8, "(dog:1.3)")]),
        ("[[cat:dog:0.5]]", 8, [(4, "[cat]"), (8, "[dog]")]),
        ("[cat:dog:99]", 8, [(8, "cat")]),
        ("[cat:dog:-1]", 8, [(8, "dog")]),
        ("[cat:dog:-1e999] [cat:dog:-1.e999]", 8, [(8, "dog dog")]),
        ("[cat:dog:1.e999]", 8, [(8, "cat")]),
        ("[cat:dog:1e0]", 8, [(1, "cat"), (8, "dog")]),
        ("at 10:30 a [cat:dog:4] :)", 8, [(4, "at 10:30 a cat :)"), (8, "at 10:30 a dog :)")]),
        ("(a [cat:dog:4]", 8, [(4, "(a cat"), (8, "(a dog")]),
        ("[a:b] [a:b:c:3] [a] (x:1.2)", 8, [(8, "[a:b] [a:b:c:3] [a] (x:1.2)")]),
        ("[x [a:b] y:3]", 8, [(8, "[x [a:b] y:3]")]),
        (r"\[cat:dog:4\] [a\:b:4]", 8, [(4, r"\[cat:dog:4\] "), (8, r"\[cat:dog:4\] a\:b")]),
        ("a | b [c:d:3]", 8, [(8, "a | b [c:d:3]")]),
        ("[a:b:3] \\", 8, [(8, "[a:b:3] \\")]),
        ("[SEQ:a:0.3:b:0.6] [a|b:0.1]", 8, [(8, "[SEQ:a:0.3:b:0.6] [a|b:0.1]")]),
    ],
)
def test_each_step_has_the_text_that_a1111_gives_it(prompt: str, calls: int, found: list[tuple[int, str]]) -> None:
    assert [tuple(turn) for turn in turns(prompt, calls)] == found
    assert is_edited(prompt) == (turns(prompt, calls)[0].text != prompt)


def test_a_change_comes_after_the_call_with_its_number_which_are_counted_from_0() -> None:
    assert [text_at("[a:b:2]", call, 4) for call in range(5)] == ["a", "a", "a", "b", "b"]
    assert [text_at("[a|b]", call, 4) for call in range(5)] == ["a", "a", "b", "a", "b"]
    assert text_at("[a:b:2]", 5, 4) == "a"  # a scheduler with more steps than asked for


@pytest.mark.parametrize(
    ("prompt", "reading", "found"),
    [
        ("a cat", Reading(), [("a cat", 1)]),
        ("a cat :0.5 AND a dog", Reading(), [("a cat", 0.5), (" a dog", 1)]),
        ("a AND b:-.5\n AND c : 1. ", Reading(), [("a", 1), (" b", -0.5), (" c", 1)]),
        ("a AND (b:1.2)", Reading(), [("a", 1), (" (b:1.2)", 1)]),
        ("BAND and ANDs", Reading(), [("BAND and ANDs", 1)]),
        ("ratio 16:9", Reading(), [("ratio 16:9", 1)]),
        ("ratio 16:9", Reading("a1111", "a1111"), [("ratio 16", 9)]),
        ("at 10:30 ", Reading("none"), [("at 10:30 ", 1)]),
    ],
)
def test_parts_and_their_weights(prompt: str, reading: Reading, found: list[tuple[str, float]]) -> None:
    assert parts_of(prompt, reading) == tuple(Part(*each) for each in found)


def test_a_number_at_the_end_can_be_kept_as_text_in_a1111() -> None:
    assert with_literal_end("ratio 16:9") == "ratio 16:9 :1"
    assert parts_of("ratio 16:9 :1", Reading("a1111")) == (Part("ratio 16:9", 1.0),)
    assert with_literal_end("a AND b:9") == "a AND b:9"
    assert not ends_with_weight("a (cat:1.2)")


@pytest.mark.parametrize("bracket", ["[", "[(", "[a:", "[a|("])
def test_hostile_nesting_is_refused_with_its_place(bracket: str) -> None:
    with pytest.raises(BadInput, match=r"more than 50 brackets are open in line 2, column \d+;"):
        turns("a: cat\n" + bracket * 5_000, 20)
    turns("[" * 50 + "a:b:3" + "]" * 50, 20)


@pytest.mark.parametrize("piece", ["[a:b:0.5] (cat:1.2) ", "[a|b|[c:d:3]], ", "(a] [b) :| ", "x AND y :0.5 "])
def test_ten_thousand_letters_are_read_at_once(piece: str) -> None:
    prompt = piece * (10_000 // len(piece))
    spent = []
    for end in ("", "!", "?"):
        start = time.thread_time()
        for part in parts_of(prompt + end, Reading("a1111", "a1111")):
            is_edited(part.text)
        spent.append(time.thread_time() - start)
    assert min(spent) < 0.05  # ten times what it takes


def test_any_text_is_read_or_refused() -> None:
    bits = [*"()[]:|,.\\ ", "cat", "0.5", ":3]", "\\(", " AND ", "\n", "日本", "|"]
    rng = random.Random(5)
    for _ in range(2_000):
        prompt = "".join(rng.choices(bits, k=rng.randrange(24)))
        for part in parts_of(prompt, Reading("a1111")):
            found = turns(part.text, 6)
            assert [turn.last for turn in found] == sorted({turn.last for turn in found})
            assert found[-1].last == 6


def test_a_weight_that_is_no_finite_number_is_refused_with_its_place() -> None:
    with pytest.raises(BadInput, match=r"'9999.*' in line 1, column 7 is not a weight"):
        parts_of("a cat:" + "9" * 400 + " AND a dog", Reading())
    for emphasis in ("comfy", "a1111"):
        with pytest.raises(BadInput, match="is not a weight"):
            Reading(emphasis).sections("a (cat:" + "9" * 400 + ")")
