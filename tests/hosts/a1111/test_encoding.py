"""Prompts read by a recipe's rules in the host's text encoders, each chunk encoded once."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch

from remix.errors import Unsupported
from remix.mix.emphasis import emphasized
from remix.prompt import Reading
from tests.hosts.a1111.conftest import Runner

START, END, COMMA, SIZE, WIDTH = 90, 91, 9, 10, 4


class Encoder:
    """A text encoder of the host: a token is the length of a word, and a row is made of its token and its place."""

    comma_token, id_end = COMMA, END

    def __init__(self) -> None:
        self.hijack = SimpleNamespace(embedding_db=self, fixes=None)
        self.encoded: list[list[int]] = []

    def find_embedding_at_position(self, tokens: list[int], at: int) -> tuple[Any, Any]:
        return (SimpleNamespace(name="ink", vectors=3), 1) if tokens[at] == 7 else (None, None)

    def tokenize(self, texts: list[str]) -> list[list[int]]:
        return [[COMMA if word == "," else len(word) for word in text.split()] for text in texts]

    def encode_with_transformers(self, tokens: torch.Tensor) -> torch.Tensor:
        self.encoded += tokens.tolist()
        rows = (tokens[..., None] + torch.arange(tokens.shape[1])[None, :, None] / 7 + torch.arange(WIDTH)).sin() + 0.4
        rows.pooled = rows[:, 0]  # type: ignore[attr-defined]
        return rows

    def tokenize_line(self, line: str) -> Any:
        raise AssertionError("the host's own method")

    def process_tokens(self, tokens: Any, weights: Any) -> Any:
        raise AssertionError("the host's own method")

    def encoded_as_host(self, text: str) -> torch.Tensor:
        """What the host does with one prompt."""
        chunks, _ = self.tokenize_line(text)
        rows = []
        for chunk in chunks:
            self.hijack.fixes = [chunk.fixes]
            rows.append(self.process_tokens([chunk.tokens], [chunk.multipliers]))
        return torch.hstack(rows)


class Clip(Encoder):
    """One that reads prompts in chunks."""

    chunk_length, id_start, id_pad = SIZE, START, END


class T5(Encoder):
    """One that reads prompts of any length."""

    min_length, id_pad = 1, 0


@pytest.fixture
def clip(ui: Runner, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clip]:
    encoder = Clip()
    monkeypatch.setattr(ui.host.shared, "sd_model", SimpleNamespace(modules=lambda: [object(), encoder]))
    return encoder


def encoded(clip: Clip, prompt: str, *rules: str) -> torch.Tensor:
    from a1111_extension.encoding import reading_by

    with reading_by(Reading(*rules)):
        return clip.encoded_as_host(prompt)


@pytest.mark.parametrize("rule", ["comfy", "a1111", "a1111-no-norm", "a1111-ignore"])
def test_weights_are_applied_by_the_rule(clip: Clip, rule: str) -> None:
    found = encoded(clip, "a (bcd:1.5) ef", rule)
    row = [START, 1, 3, 2, *[END] * 8]
    raw, empty = (clip.encode_with_transformers(torch.tensor([ids])) for ids in (row, [START, *[END] * 11]))
    weights = torch.tensor([1, 1, 1.5, 1, *[1.0] * 8])
    assert torch.equal(found, emphasized(raw, weights, rule, empty))


def test_a_chunk_is_encoded_once_for_all_of_its_weights(clip: Clip) -> None:
    from a1111_extension.encoding import reading_by

    with reading_by(Reading("comfy")):
        for weight in (0.5, 1, 1.5):
            clip.encoded_as_host(f"a (bcd:{weight}) ef")
    assert clip.encoded == [[START, 1, 3, 2, *[END] * 8], [START, *[END] * 11]]


@pytest.mark.parametrize(
    ("rules", "prompt", "rows"),
    [
        (("a1111", "a1111"), "a , " + "bb " * 9, 24),
        (("a1111", "a1111"), "a BREAK b BREAK c", 36),
        (("comfy", "comfy"), "a BREAK b BREAK c", 12),
        (("comfy", "comfy"), "bb " * 11, 24),
    ],
)
def test_prompts_are_cut_by_the_rule(clip: Clip, rules: tuple[str, str], prompt: str, rows: int) -> None:
    assert encoded(clip, prompt, *rules).shape == (1, rows, WIDTH)


def test_embeddings_are_found_and_stay_whole(clip: Clip) -> None:
    from a1111_extension.encoding import reading_by

    with reading_by(Reading("a1111", "a1111")):
        chunks, count = clip.tokenize_line("a b c d e f g h (embedng:1.2) i")
    assert [chunk.fixes for chunk in chunks] == [[], [(0, chunks[1].fixes[0][1])]]
    assert chunks[1].multipliers[:6] == [1.0, 1.2, 1.2, 1.2, 1.0, 1.0]
    assert count == 12


def test_the_hosts_methods_are_back_afterwards_even_after_an_error(clip: Clip) -> None:
    from a1111_extension.encoding import reading_by

    with pytest.raises(ZeroDivisionError), reading_by(Reading("comfy")):
        raise ZeroDivisionError
    assert set(vars(clip)) == {"hijack", "encoded"}


def test_a_model_without_known_encoders_keeps_the_hosts_rules_alone(
    ui: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    from a1111_extension.encoding import reading_by

    lone = SimpleNamespace(tokenize_line=None)  # as A1111's T5
    monkeypatch.setattr(ui.host.shared, "sd_model", SimpleNamespace(modules=lambda: [lone]))
    with reading_by(Reading("a1111")):
        assert vars(lone) == {"tokenize_line": None}
    with pytest.raises(Unsupported, match="not by 'comfy'"), reading_by(Reading("comfy")):
        pass


class Encoders(NamedTuple):
    """Several text encoders of one model."""

    first: Encoder
    second: Encoder
    t5: Encoder


@pytest.fixture
def encoders(ui: Runner, monkeypatch: pytest.MonkeyPatch) -> Encoders:
    """A model with three text encoders: classes of A1111 tell two apart, and Forge's attribute the third."""

    def named(kind: type[Encoder], name: str) -> Encoder:
        return type(name, (kind,), {})()

    found = Encoders(
        named(Clip, "FrozenCLIPEmbedderForSDXLWithCustomWords"),
        named(Clip, "FrozenOpenCLIPEmbedder2WithCustomWords"),
        named(T5, "T5TextProcessingEngine"),
    )
    found.first.embedding_key = "clip_l"  # type: ignore[attr-defined]
    monkeypatch.setattr(ui.host.shared, "sd_model", SimpleNamespace(modules=lambda: list(found)))
    return found


@pytest.mark.parametrize("rule", ["comfy", "a1111"])
def test_a_text_encoder_reads_a_text_of_its_own(encoders: Encoders, rule: str) -> None:
    from a1111_extension.encoding import reading_by

    with reading_by(Reading(rule)):
        own = [encoder.encoded_as_host("a bb TE(g=(ccc:1.2) dddd) TE(t5xxl=eeeee)") for encoder in encoders]
        alone = [
            encoder.encoded_as_host(text)
            for encoder, text in zip(encoders, ("a bb", "(ccc:1.2) dddd", "eeeee"), strict=True)
        ]
    assert all(map(torch.equal, own, alone))


def test_a_shorter_text_gets_empty_chunks_until_the_chunks_meet(encoders: Encoders) -> None:
    from a1111_extension.encoding import reading_by

    with reading_by(Reading("a1111", "a1111")):
        rows = [encoder.encoded_as_host("a TE(g=bb BREAK ccc) TE(t5xxl=dddd)") for encoder in encoders]
        assert [each.shape[1] for each in rows] == [24, 24, 2]
        assert torch.equal(rows[0], torch.hstack([encoders.first.encoded_as_host(text) for text in ("a", "")]))


def test_a_text_for_a_text_encoder_that_is_not_there_is_refused(encoders: Encoders) -> None:
    from a1111_extension.encoding import reading_by

    prompts = ["a cat", "a dog TE(h=fog)"]
    refused = pytest.raises(Unsupported, match="no text encoder 'h', which TE names; it has l, g, t5xxl")
    with refused, reading_by(Reading("comfy"), prompts):
        pass


def test_a_text_of_its_own_is_never_read_as_words_by_a_model_that_is_not_known(
    ui: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    from a1111_extension.encoding import reading_by

    monkeypatch.setattr(ui.host.shared, "sd_model", SimpleNamespace(modules=lambda: [object()]))
    refused = pytest.raises(Unsupported, match="its text encoder takes no text of its own")
    with refused, reading_by(Reading("a1111"), ["TE(l=fog)"]):
        pass


def test_names_of_known_embeddings_lose_the_prefix_of_comfyui(clip: Clip) -> None:
    from a1111_extension import host

    clip.word_embeddings = {"Ink": object()}  # type: ignore[attr-defined]
    prompts = ["a cat in embedding:ink", "embedding:fog", "ink"]
    assert host.with_bare_embeddings(prompts) == ["a cat in Ink", "embedding:fog", "ink"]


def test_an_embedding_whose_file_was_overwritten_is_loaded_again(ui: Runner, clip: Clip) -> None:
    from a1111_extension import host

    known: dict[str, Any] = {}
    loaded: list[str] = []

    def load_from_file(path: str, filename: str) -> None:
        loaded.append(filename)
        known["ink"] = SimpleNamespace(vec=path)

    clip.word_embeddings, clip.load_from_file = known, load_from_file  # type: ignore[attr-defined]
    file = ui.base / "embeddings" / "ink.pt"
    file.parent.mkdir()
    file.write_bytes(b"one")
    known["ink"] = SimpleNamespace(vec="of the start")
    for _ in range(2):
        host.reload_embeddings(["a cat", "fog in INK"])
        assert loaded == ["ink.pt"]
    file.write_bytes(b"another")
    host.reload_embeddings(["a cat"])
    assert loaded == ["ink.pt"]
    host.reload_embeddings(["embedding:ink"])
    assert loaded == ["ink.pt", "ink.pt"]
