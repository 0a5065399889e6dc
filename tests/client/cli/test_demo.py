"""`remix demo --words`."""

from __future__ import annotations

import pytest

from remix.client import cli
from remix.client.playground import EXAMPLES, words


def test_the_demo_prints_every_word_by_kind_and_prompts_of_each_form(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo", "--words"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for kind, known in words().items():
        assert f"{kind:12}{', '.join(known)}" in lines
    assert all(any(line.endswith(example) for line in lines) for example in EXAMPLES)
