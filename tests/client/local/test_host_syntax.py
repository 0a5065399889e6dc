"""What a host would read out of a prompt is refused by name, and not rendered as letters."""

from __future__ import annotations

import time

import pytest
import torch

from remix.client import Local
from remix.client.local.encoded import Encoded
from remix.engine.prompts import SYNTAXES
from remix.errors import Unsupported
from remix.plan import plan
from remix.prompt import Reading
from remix.syntax import read


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ("[SEQ:a:0.3:b:0.6]", r"prompt: '\[SEQ:a:0.3:b:0.6\]' is syntax of ComfyUI's prompt-control"),
        ("[a|b:0.1]", r"prompt: '\[a\|b:0.1\]' is syntax of ComfyUI's prompt-control"),
        ("a STYLE(perp) b", "prompt: 'STYLE' is syntax of ComfyUI's prompt-control"),
        ("a TE_WEIGHT(g=0.5) b", "prompt: 'TE_WEIGHT' is syntax of ComfyUI's prompt-control"),
        ("a [CUT:white cat:white] b", r"prompt: '\[CUT:white cat:white\]' is syntax of ComfyUI's prompt-control"),
    ],
)
def test_the_local_engine_refuses_what_prompt_control_alone_reads(prompt: str, sentence: str) -> None:
    with pytest.raises(Unsupported, match=sentence):
        Local().check(plan(read(prompt, "a1111").recipe()))


@pytest.mark.parametrize("prompt", ["<lora:" * 33_000, "[cat:" * 40_000])
def test_a_prompt_full_of_beginnings_takes_little_time(prompt: str) -> None:
    start = time.thread_time()
    assert [found(prompt, "it") for found in SYNTAXES.values()] == [None] * len(SYNTAXES)
    assert time.thread_time() - start < 0.5


def test_brackets_with_a_backslash_are_letters_without_it() -> None:
    model = Local(device="cpu")._loaded.model(plan(read("a cat", "a1111").recipe()))
    escaped, plain = (
        model.encode(prompt, Reading(rule), Encoded(8)).tokens
        for prompt, rule in ((r"a \(red\) cat", "comfy"), ("a (red) cat", "none"))
    )
    assert torch.equal(escaped, plain)
