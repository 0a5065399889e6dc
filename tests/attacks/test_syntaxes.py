"""Schedules come from strangers: any text is read, or refused with its line and a caret, in no time.

The texts in `syntaxes/` are one of each syntax, and those that crash or mislead the tools they were written for. They
are read in every syntax, mutated, and mixed with each other.
"""

from __future__ import annotations

import random
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remix.errors import RecipeError
from remix.plan import plan
from remix.syntax import SYNTAXES, detect, read

CORPUS = {path.stem: path.read_bytes().decode() for path in sorted((Path(__file__).parent / "syntaxes").glob("*.txt"))}
TEXTS = list(CORPUS.values())
NAMES = [None, *SYNTAXES]
LIMIT = 0.1

PIECES = [
    *("()[]{}\"'`,:;=+-*/%<>|~\\#. \n\t0159at", '"0"', '"12": "', "--neg", "AND", "THEN", "THEN(seed=2)", "max_f"),
    *(
        "sqrt(t)",
        "0:(",
        '"a": ',
        "[[keyframes]]",
        "frames = ",
        "prompt = ",
        "null",
        "1e400",
        "NaN",
        "-1",
        "0.5",
        ":0.3",
    ),
    *(
        "Negative prompt: ",
        "Steps: 3, Seed: 4",
        "\ud800",
        "é",
        "日",
        "prompts=[",
        "prompt={",
        '"prompts":',
        "\0",
        "`t`",
    ),
    *(
        "[0s: ",
        "[1s-2s]",
        "(0s)",
        "[/duration=5s]",
        "[/new_shot] ",
        " | ",
        "0 | prompt | ",
        "0, ",
        "0\uff1a",
        "\u7b2c0\u5e27\uff1a",
        "\u00ab0\u00bb: ",
        "Start: ",
        "\nEnd: ",
        ".blend(",
        '("a", "b")',
    ),
    *(
        '{"6": {"class_type": "BatchPromptSchedule", "inputs": {"text": ',
        '"nodes": [',
        '"links": []',
        '"local_prompts": ',
    ),
    *('"prompt_map":', '"rendered_frames":', "<lora:x:1>", "[SEQ:", "0: ", "8: ", '"seeds":', "\r\n", "9" * 30, "1~0"),
]


def attack(text: str, name: str | None, frames: int | None, limit: float = LIMIT, field: str | None = None) -> None:
    """Reads a text and checks what comes of it within so many seconds: parts, or an error about a place in it."""
    taken, error = _timed(text, name, frames, field)
    if taken >= limit:  # once may be the machine's fault
        taken, error = _timed(text, name, frames, field)
    assert taken < limit, (taken, text[:200], name)
    if error is not None:
        assert error.line is not None
        assert error.column is not None
        line = text.removeprefix("\ufeff").split("\n")[error.line - 1]
        assert 1 <= error.column <= len(line) + 1
        assert error.excerpt.endswith("^")
        assert len(str(error)) < 1000


def _timed(text: str, name: str | None, frames: int | None, field: str | None) -> tuple[float, RecipeError | None]:
    start = time.thread_time()
    error = None
    try:
        read(text, name, frames=frames, field=field)
    except RecipeError as caught:
        error = caught
    return time.thread_time() - start, error


@pytest.mark.parametrize("text", TEXTS, ids=CORPUS.keys())
def test_every_text_of_the_corpus_in_every_syntax(text: str) -> None:
    for name in NAMES:
        for frames in (None, 1, 48, 600):
            attack(text, name, frames)
            attack(text, name, frames, field="cfg")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        *((name, name) for name in SYNTAXES if name in CORPUS),
        ("evolved", "animatediff-evolved"),
        ("evolved-values", "animatediff-evolved"),
        ("deforum-samplers", "deforum-values"),
        ("recipe-toml", "toml"),
        ("recipe-json", "json"),
        ("sqrt-in-prompt", "fizznodes"),
        ("keys-out-of-order", "fizznodes"),
        ("ends-in-0", "fizznodes"),
        ("commas-in-functions", "deforum-values"),
    ],
)
def test_the_corpus_has_texts_of_every_syntax_that_are_read(text: str, name: str) -> None:
    assert detect(CORPUS[text]) == name
    assert len(plan(read(CORPUS[text], frames=48, field="cfg").recipe())) == 48


@pytest.mark.parametrize("text", TEXTS, ids=CORPUS.keys())
def test_every_text_of_the_corpus_with_all_that_can_be_given(text: str) -> None:
    for name in NAMES:
        for field in ("cfg", "seed", "sampler"):
            with suppress(RecipeError):
                parts = read(
                    text, name, frames=48, seed=2**64 - 1, loop=True, before="a --neg b", after="c AND d:1", field=field
                )
                assert any(key.seed is not None for key in parts.keyframes)


@pytest.mark.parametrize("shard", range(10))
def test_a_hundred_thousand_random_and_mutated_texts(shard: int) -> None:
    chance = random.Random(shard)
    for _ in range(10_000):
        kind = chance.random()
        if kind < 0.6:
            text = _mutated(chance, chance.choice(TEXTS))
        elif kind < 0.9:
            text = "".join(chance.choices(PIECES, k=chance.randrange(40)))
        else:
            most = chance.choice((128, 300, 0x3000))
            text = "".join(chr(chance.randrange(most)) for _ in range(chance.randrange(60)))
        field = chance.choice((None, "cfg", "denoise", "strength", "seed"))
        attack(text, chance.choice((None, *NAMES)), chance.choice((None, 48, 48, 1, 600)), field=field)


def _mutated(chance: random.Random, text: str) -> str:
    letters = list(text)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        kind, at = chance.random(), chance.randrange(len(letters) + 1)
        if kind < 0.3:
            letters[at:at] = chance.choice(PIECES)
        elif kind < 0.55:
            del letters[at : at + chance.randrange(1, 6)]
        elif kind < 0.7:
            other = chance.randrange(len(letters) + 1)
            letters[at:at] = letters[min(at, other) : max(at, other)][:200]
        elif kind < 0.85:
            letters[at : at + 1] = chance.choice(PIECES)
        else:
            other = chance.choice(TEXTS)
            letters[at:] = other[chance.randrange(len(other) + 1) :]
    return "".join(letters)


@given(st.text(max_size=300), st.sampled_from(NAMES))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text: str, name: str | None) -> None:
    attack(text, name, 48)


@given(st.lists(st.sampled_from([*PIECES, *TEXTS]), max_size=40).map("".join), st.sampled_from(NAMES))
@settings(max_examples=300, deadline=None)
def test_any_heap_of_pieces_is_read_or_refused(text: str, name: str | None) -> None:
    attack(text, name, 48)


@given(st.sampled_from(TEXTS), st.integers(0, 400), st.integers(0, 40), st.text(max_size=10), st.sampled_from(NAMES))
@settings(max_examples=300, deadline=None)
def test_any_change_to_a_text_is_read_or_refused(text: str, at: int, out: int, into: str, name: str | None) -> None:
    attack(text[:at] + into + text[at + out :], name, 48)


UNITS = [
    *('"', "\\", "[", "{", "(", "]", "1~", "1", "1~0 ", "0: a\n", "a\n", "[a:b:0.5]", "[[a|b]:", "THEN(", "AND ", "`"),
    *(
        " \n",
        "\n",
        '"a": ',
        "0:(1), ",
        "<lora:",
        "Steps: 1, ",
        "#\n",
        "0=",
        "0.5:",
        "--neg ",
        '{"0":',
        "x(",
        ". ",
        "\t",
        ", 24: ",
        "# x\n0: ",
        "0: (a",
        "a:1 AND ",
        "prompts = {",
        "[0s: ",
        "[0s] a\n",
        "[/duration=1] a\n",
        "a | ",
        "0: a | ",
        "0 | prompt | a\n",
        "0, a\n",
        '{"class_type": "',
        '("a",',
        "pipe(",
    ),
]
"""What is repeated without end is where a reader's time could grow with the square of the length."""


@pytest.mark.parametrize("unit", UNITS)
def test_long_texts_take_time_in_proportion(unit: str) -> None:
    for head in ("", '{"0": "', "0:("):
        for name in NAMES:
            attack(head + unit * (4000 // len(unit)), name, 48)


RUNS = [
    ("", "1", "x"),
    ("", "1.", "x"),
    ("[a:b:", "1", "x]"),
    ("[a:b:1,", "1,", "x]"),
    ("[a|b:", "1", " x]"),
    ("a:", "1", "x AND b:1"),
    ("0:(", "1", "x)"),
    ("0:", "1", "x"),
    ('0: "a", 1', "1", '.5: "b"'),
    ("1, 2: ", "1", "x"),
    ('{"prompts": {"0": "a"}, "seed": ', "1", "x}"),
    ('{"prompt_map": {"0": "a"}, "guidance_scale": 1.', "1", "x}"),
    ("prompts = [", "1", "x]"),
    ("0: a\nSteps: 1, ", "a ", ""),
    ("0: a\nSteps: 1, a: ", '"', ""),
    ("0: a\nSteps: 1, ", "a: {", ""),
    ("0: a\nSteps: 1, ", "a: 1, ", "b"),
    ("a <lora:", "<lora:", "x"),
    ("a", " ", "x"),
    ("a THEN(", "1~", "x"),
]
"""Long runs between a head and a tail that fits nothing: where a pattern could try each way through them again."""


@pytest.mark.parametrize("run", RUNS, ids=lambda run: "".join(run)[:30])
def test_a_text_of_hundreds_of_pages_is_read_or_refused_in_little_time(run: tuple[str, str, str]) -> None:
    head, unit, tail = run
    for size in (20_000, 200_000):
        for name in NAMES:
            attack(head + unit * (size // len(unit)) + tail, name, 48, LIMIT * size / 20_000)


@pytest.mark.parametrize(
    "unit",
    [
        *(" ", "\t", "0 ", "0\t", "0:", "0s", "0-", "[0-", "[0s:", "(0 ", "[0s: ", "00:", "1.", "|", "- "),
        *(
            "frame ",
            "max_f",
            "\u201c",
            "\u2018",
            "\u201c0\u201d: ",
            "0: \u201c",
            '"0": ',
            '"0": "a"\n',
            "0: a\n",
            "0s: a\n",
        ),
        *("0 | a\n", "a |\n", "1. a\n", "Scene 1: a\n", "cfg: ", "cfg: 0:", "zoom ", "Steps: 1\n", "Seed: 1\n", "\n"),
    ],
)
def test_lines_that_look_keyed_are_read_or_refused_in_time_that_grows_with_the_text(unit: str) -> None:
    for around in ("{}", "head\n{}", "0{}", "0: a\n{}", '"0": "a",\n{}', "[0{}", "cfg: 0:(7){}"):
        attack(around.format(unit * (20_000 // len(unit))), None, 48, limit=0.5)
