"""The tokenizer and the text encoder."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch

from remix.client.playground import WEIGHTS, words
from remix.client.playground.text import (
    LENGTH,
    WIDTH,
    AttributeHeads,
    caption_batch,
    load_tokenizer,
    naming_loss,
    new_text_encoder,
    token_ids,
    write_tokenizer,
)
from remix.client.playground.world import ATTRIBUTES, Caption


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(path)
    return path


def test_the_model_ships_the_tokenizer_that_the_trainer_writes(folder: Path) -> None:
    assert json.loads((folder / "vocab.json").read_text("utf-8")) == json.loads(
        (WEIGHTS / "tokenizer/vocab.json").read_text("utf-8")
    )
    assert (folder / "merges.txt").read_bytes() == (WEIGHTS / "tokenizer/merges.txt").read_bytes()


def test_every_word_of_the_world_is_one_token(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    for word in (word for kind in words().values() for word in kind):
        assert tokenizer.tokenize(word) == [word + "</w>"]


def test_other_text_falls_back_to_pieces_and_none_is_lost(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    for word in ("crimson", "zebra", "été", "星"):
        ids = tokenizer(word, add_special_tokens=False).input_ids
        assert tokenizer.unk_token_id not in ids
        assert tokenizer.decode(ids).strip() == word


def test_token_numbers_are_padded_and_cut_to_length(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    ids = token_ids(tokenizer, ["a red star", "", "star " * 50])
    start, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    assert ids.shape == (3, LENGTH)
    assert ids[:, 0].tolist() == [start] * 3
    assert ids[0, 4:].tolist() == [end] * (LENGTH - 4)
    assert ids[1, 1:].tolist() == [end] * (LENGTH - 1)
    assert ids[2, -1] == end


def test_the_encoder_depends_on_its_seed_alone(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    ids = token_ids(tokenizer, ["a red star"])
    with torch.no_grad():
        hidden = [new_text_encoder(tokenizer, seed)(ids).last_hidden_state for seed in (1, 1, 2)]
    assert hidden[0].shape == (1, LENGTH, WIDTH)
    assert torch.equal(hidden[0], hidden[1])
    assert not torch.equal(hidden[0], hidden[2])


def _logits_for(labels: list[list[int]]) -> list[torch.Tensor]:
    """Returns logits that are sure of the given labels."""
    columns = zip(*labels, strict=True)
    sizes = [len(values) for values in ATTRIBUTES.values()]
    return [30 * torch.nn.functional.one_hot(torch.tensor(c), n) for c, n in zip(columns, sizes, strict=True)]


def test_naming_everything_right_costs_nothing() -> None:
    scenes, captions = caption_batch(16, random.Random(0))
    logits = [values.float() for values in _logits_for([scene.labels() for scene in scenes])]
    assert naming_loss(logits, scenes, captions).item() == pytest.approx(0, abs=1e-6)


def test_what_a_caption_does_not_name_costs_nothing() -> None:
    scenes, _ = caption_batch(4, random.Random(0))
    wrong = [[(label + 1) % 3 for label in scene.labels()] for scene in scenes]
    logits = [values.float() for values in _logits_for(wrong)]
    silence = [Caption("", (False,) * 8)] * 4
    assert naming_loss(logits, scenes, silence).item() == 0
    nameless = [Caption("a thing", (False, *[True] * 7))] * 4
    named = [Caption("a star", (True,) * 8)] * 4
    assert naming_loss(logits, scenes, nameless) < naming_loss(logits, scenes, named)


def test_silent_captions_still_give_every_head_a_gradient() -> None:
    scenes, _ = caption_batch(2, random.Random(0))
    heads = AttributeHeads()
    silence = [Caption("", (False,) * 8)] * 2
    naming_loss(heads(torch.randn(2, LENGTH, WIDTH)), scenes, silence).backward()
    assert all(parameter.grad is not None for parameter in heads.parameters())
