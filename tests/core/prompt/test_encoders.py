"""Texts of single text encoders, in the syntax of ComfyUI's prompt-control."""

from __future__ import annotations

import pytest

from remix.errors import BadInput, Unsupported
from remix.prompt.encoders import EncoderTexts


@pytest.mark.parametrize(
    ("prompt", "shared", "own"),
    [
        ("a cat", "a cat", {}),
        ("a TE(l=b) c", "a  c", {"l": "b"}),
        ("TE(l=cat) TE(g = (dog:1.1)) TE(t5xxl=tiger)", "  ", {"l": "cat", "g": "(dog:1.1)", "t5xxl": "tiger"}),
        ("TE(l=foo)TE(l=bar)", "", {"l": "foo bar"}),
        ("TE(l=a = b (c))", "", {"l": "a = b (c)"}),
        ("TE(l=) a", " a", {"l": ""}),
        ('a sign "TE(l=b)" TE(l=c)', 'a sign "TE(l=b)" ', {"l": "c"}),
        ("STATE(l=b) TE_WEIGHT(l=1) TE", "STATE(l=b) TE_WEIGHT(l=1) TE", {}),
    ],
)
def test_each_text_encoder_has_its_own_text_or_the_shared_one(prompt: str, shared: str, own: dict[str, str]) -> None:
    texts = EncoderTexts.of(prompt)
    assert (texts.shared, texts.own) == (shared, own)
    assert texts.at("l") == own.get("l", shared)


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ("a\nb TE(l=(a)", r"'TE\(l=\(a\)' in line 2, column 3 is not closed; end it with \)"),
        ("TE(help)", r"'TE\(help\)' in line 1, column 1 names no text encoder; write its name first"),
        ("TE(=a)", r"'TE\(=a\)' in line 1, column 1 names no text encoder"),
    ],
)
def test_what_names_no_encoder_is_refused_with_its_place(prompt: str, sentence: str) -> None:
    with pytest.raises(BadInput, match=f"prompt: {sentence}"):
        EncoderTexts.of(prompt)


def test_a_text_encoder_that_a_model_lacks_is_refused() -> None:
    with pytest.raises(Unsupported, match="no text encoder 't5xxl', which TE names; it has l, g"):
        EncoderTexts.of("TE(t5xxl=a) TE(l=b)").refuse_unknown(["l", "g"])
    with pytest.raises(Unsupported, match="takes no text of its own"):
        EncoderTexts.of("TE(l=b)").refuse_unknown([])
