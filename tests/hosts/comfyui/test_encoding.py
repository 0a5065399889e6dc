"""Prompts encoded by any rule of emphasis with the host's tokenizers, each text once for all of its weights."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from remix.errors import Unsupported
from remix.mix.emphasis import emphasized
from remix.prompt import Reading
from tests.hosts.comfyui.conftest import room

SIZE = 8
WIDTHS = {"l": 768, "g": 1280, "t5xxl": 2048}
Rows = list[list[tuple[Any, ...]]]


class Clip:
    """A text encoder of the host with a tokenizer for each of `keys`. A token is a word."""

    def __init__(self, tokenizer: type, *keys: str) -> None:
        self.tokenizer = SimpleNamespace()
        self.cond_stage_model = object()
        self.encoded: list[Any] = []
        for key in keys:
            made = tokenizer()
            padded = key != "t5xxl"
            vars(made).update(
                tokenizer=SimpleNamespace(get_vocab=lambda: {",</w>": ","}),
                max_length=SIZE if padded else 10**9,
                min_length=None if padded else 5,
                pad_to_max_length=padded,
                start_token="S" if padded else None,
                **{"end_token": "E", "pad_token": "P", "tokenize_with_weights": self._words},
            )
            setattr(self.tokenizer, f"clip_{key}" if padded else key, made)
        self._keys = keys

    def _words(self, text: str, return_word_ids: bool = False) -> Rows:
        words = re.findall(r"\\[()]|[^\s\\,()]+|,|[()]", text)
        return [[("S", 1.0, 0), *((word.lstrip("\\"), 1.0, 1) for word in words), ("E", 1.0, 0)]]

    def tokenize(self, prompt: str) -> dict[str, Rows]:
        """ComfyUI's own reading, with one weight: (word:1.5)."""
        words = re.sub(r"\((\w+):1.5\)", r"!\1", prompt).split()
        weighted = [(word.lstrip("!"), 1.5 if word.startswith("!") else 1.0) for word in words]
        found = {}
        for key in self._keys:
            start, length = ([("S", 1.0)], SIZE) if key != "t5xxl" else ([], 5)
            row = [*start, *weighted, ("E", 1.0)]
            found[key] = [row + [("P", 1.0)] * (length - len(row))]
        return found

    def encode_from_tokens_scheduled(self, tokens: dict[str, Rows]) -> list[list[Any]]:
        assert all(weight == 1 for rows in tokens.values() for row in rows for _, weight in row)
        self.encoded.append(tokens)
        parts = {key: torch.cat([self.rows(key, row) for row in rows], dim=1) for key, rows in tokens.items()}
        if parts.keys() == {"l", "t5xxl"}:
            cond = parts["t5xxl"]
        else:
            cond = torch.cat([parts[key] for key in ("l", "g") if key in parts], dim=2)
            if "t5xxl" in parts:
                cond = torch.cat([cond, parts["t5xxl"]], dim=1)
        return [[cond, {"pooled_output": cond[:, 0]}]]

    @staticmethod
    def rows(key: str, row: list[tuple[Any, ...]]) -> torch.Tensor:
        numbers = [sum(map(ord, f"{key}{word}")) + at for at, (word, *_) in enumerate(row)]
        return (torch.tensor(numbers)[:, None] + torch.arange(WIDTHS[key]) / 9).sin()[None] + 0.4


@pytest.fixture
def made(pack: ModuleType) -> Callable[..., Clip]:
    import comfy.sd1_clip

    return lambda *keys: Clip(comfy.sd1_clip.SDTokenizer, *keys)


def encode(pack: ModuleType, clip: Clip, prompt: str, *rules: str) -> torch.Tensor:
    found: torch.Tensor = room(pack, "encoding").encoder(clip, Reading(*rules))(prompt)[0][0]
    return found


ROW = ["S", "a", "cat", "naps", "E", "P", "P", "P"]
BLANK = ["S", "E", *"P" * 6]


@pytest.mark.parametrize("keys", [("l",), ("g", "l"), ("l", "g", "t5xxl"), ("l", "t5xxl")])
@pytest.mark.parametrize("rule", ["comfy", "a1111", "a1111-no-norm"])
def test_weights_apply_to_each_text_encoder_by_itself(
    pack: ModuleType, made: Callable[..., Clip], keys: tuple[str, ...], rule: str
) -> None:
    found = encode(pack, made(*keys), "a (cat:1.5) naps", rule)

    def wanted(key: str) -> torch.Tensor:
        row, blank = (ROW, BLANK) if key != "t5xxl" else (ROW[1:6], ["E", *"PPPP"])
        weights = torch.tensor([1.5 if word == "cat" else 1.0 for word in row])
        return emphasized(*(Clip.rows(key, [(w,) for w in row]), weights), rule, Clip.rows(key, [(w,) for w in blank]))

    if keys == ("l", "t5xxl"):
        assert torch.equal(found, wanted("t5xxl"))
        return
    clip = torch.cat([wanted(key) for key in ("l", "g") if key in keys], dim=2)
    assert torch.equal(found[:, :SIZE], clip)
    if "t5xxl" in keys:
        assert torch.equal(found[:, SIZE:], wanted("t5xxl"))


def test_a_text_is_encoded_once_for_all_of_its_weights(pack: ModuleType, made: Callable[..., Clip]) -> None:
    clip = made("l")
    for weight in ("0.5", "1", "1.5"):
        encode(pack, clip, f"a (cat:{weight}) naps", "a1111")
    assert len(clip.encoded) == 1
    encode(pack, clip, "a (cat:1.5) naps", "comfy")
    assert len(clip.encoded) == 2  # and the empty prompt


@pytest.mark.parametrize(
    ("prompt", "rules", "rows"),
    [
        ("a BREAK b", ("a1111", "a1111"), 16),
        ("a BREAK b", ("a1111", "comfy"), 8),
        ("a , b c d e f g", ("a1111",), 16),
        (r"a \(b\)", ("a1111",), 8),
    ],
)
def test_prompts_are_cut_by_the_rule(
    pack: ModuleType, made: Callable[..., Clip], prompt: str, rules: tuple[str, ...], rows: int
) -> None:
    clip = made("l")
    assert encode(pack, clip, prompt, *rules).shape[1] == rows
    words = [word for row in clip.encoded[0]["l"] for word, _ in row]
    assert ("(" in words) == ("(" in prompt)


def test_an_encoder_that_is_not_known_keeps_comfyuis_rule(pack: ModuleType, made: Callable[..., Clip]) -> None:
    clip = made("l")
    clip.tokenizer = SimpleNamespace()
    clip.encode_from_tokens_scheduled = lambda tokens: [[torch.ones(1, 3, 4), {}]]  # type: ignore[method-assign]
    assert encode(pack, clip, "a (cat:1.5)", "comfy").shape == (1, 3, 4)
    with pytest.raises(Unsupported, match='emphasis and chunks to "comfy"'):
        encode(pack, clip, "a (cat:1.5)", "a1111")


@pytest.mark.parametrize("rule", ["comfy", "a1111-no-norm"])
def test_a_text_encoder_may_have_a_text_of_its_own(pack: ModuleType, made: Callable[..., Clip], rule: str) -> None:
    encode = room(pack, "encoding").encoder(made("l", "g", "t5xxl"), Reading(rule, "comfy"))
    ((found, _),) = encode("one TE(g=(two:1.5) three) TE(t5xxl=four)")
    ((one, _),), ((two, _),), ((four, _),) = encode("one"), encode("(two:1.5) three"), encode("four")
    assert torch.equal(found[:, :SIZE, :768], one[:, :SIZE, :768])
    assert torch.equal(found[:, :SIZE, 768:], two[:, :SIZE, 768:])
    assert torch.equal(found[:, SIZE:], four[:, SIZE:])
    with pytest.raises(Unsupported, match="no text encoder 'h', which TE names; it has l, g, t5xxl"):
        encode("one TE(h=two)")


def test_texts_of_their_own_get_equal_numbers_of_chunks(pack: ModuleType, made: Callable[..., Clip]) -> None:
    encode = room(pack, "encoding").encoder(made("l", "g"), Reading("a1111", "a1111"))
    ((found, _),) = encode("one TE(g=two BREAK three)")
    ((one, _),), ((empty, _),), ((both, _),) = encode("one"), encode(""), encode("two BREAK three")
    assert torch.equal(found[..., :768], torch.cat([one, empty], dim=1)[..., :768])
    assert torch.equal(found[..., 768:], both[..., 768:])
