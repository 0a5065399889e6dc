"""What a host would read out of a prompt is refused by name, and not rendered as letters."""

from __future__ import annotations

import time

import pytest
import torch

from remix.client import Local
from remix.engine.prompts import SYNTAXES
from remix.errors import Unsupported
from remix.plan import plan
from remix.syntax import read


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ("a [cat:dog:0.5]", r"prompt: prompt editing '\[cat:dog:0.5\]' changes over the steps of one picture"),
        ("a [cat|dog]", r"prompt: alternation '\[cat\|dog\]' changes over the steps"),
        ("[SEQ:a:0.3:b:0.6]", r"prompt: prompt editing '\[SEQ:a:0.3:b:0.6\]'"),
        ("a (red:1.4) fish AND b", r"prompt: .*the emphasis '\(red:1.4\)'"),
        (r"a (very red \(1\)) fish", r"prompt: .*the emphasis '\(very red"),
    ],
)
def test_the_local_engine_refuses_what_changes_over_steps(prompt: str, sentence: str) -> None:
    with pytest.raises(Unsupported, match=sentence):
        Local().check(plan(read(prompt, "a1111").recipe()))


@pytest.mark.parametrize("prompt", ["a [grey] cat at 10:30", "a road [1980s]"])
def test_other_square_brackets_are_letters_and_that_is_told(prompt: str) -> None:
    told = Local().check(plan(read(prompt, "a1111").recipe()))
    assert "prompt: '[' is read by A1111 (less emphasis), and as a letter elsewhere" in told


@pytest.mark.parametrize("prompt", ["<lora:" * 33_000, "(" * 200_000, "(\\" * 100_000])
def test_a_prompt_full_of_beginnings_takes_little_time(prompt: str) -> None:
    start = time.thread_time()
    assert [SYNTAXES[name](prompt, "it") for name in ("LoRA tags", "emphasis")] == [None, None]
    assert time.thread_time() - start < 0.5


def test_brackets_with_a_backslash_are_letters_without_it() -> None:
    model = Local(device="cpu")._load(plan(read("a cat", "a1111").recipe()))
    assert torch.equal(model.encode(r"a \(red\) cat").tokens, model.encode("a (red) cat").tokens)
    Local().check(plan(read(r"a \(red\) cat", "a1111").recipe()))
