"""The playground's tokenizer and text encoder, and the encoder's training: to name what a caption says."""

from __future__ import annotations

import json
import logging
import random
from collections import Counter
from collections.abc import Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from remix.client.playground.settings import Settings
from remix.client.playground.training import Run, begin, learning_rate, numbers
from remix.client.playground.words import words
from remix.client.playground.world import ATTRIBUTES, Caption, Scene, caption, random_scenes

log = logging.getLogger(__name__)

LENGTH = 32
"""The most tokens of a prompt, start and end included."""

WIDTH = 128
"""The size of a token's embedding."""

STAGE = 1
_BATCH = 64
_RATE = 2e-3
_GENTLY = 0.25
_START, _END = "<|startoftext|>", "<|endoftext|>"

_SPARE = (
    *("with", "without", "picture", "drawing", "photo", "very", "bright", "dark", "light"),
    *("pale", "deep", "soft", "simple", "one", "two"),
)
"""Words with a token of their own that no caption uses yet, so that a larger world can take them up."""


def write_tokenizer(folder: Path) -> None:
    """Writes the files of a CLIP tokenizer in which every word of the world is one token.

    Its byte pairs are merged on the list of these words until none is left to merge. Other text
    falls back to pieces and letters, as in CLIP.
    """
    alphabet = _byte_letters()
    vocabulary = [*alphabet, *(letter + "</w>" for letter in alphabet)]
    merges = _merges([word for kind in words().values() for word in kind] + list(_SPARE))
    vocabulary += dict.fromkeys(a + b for a, b in merges if a + b not in vocabulary)
    vocabulary += [_START, _END]
    special = {"bos_token": _START, "eos_token": _END, "pad_token": _END, "unk_token": _END}
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": LENGTH, "errors": "replace", **special}
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "vocab.json", json.dumps({t: i for i, t in enumerate(vocabulary)}, ensure_ascii=False))
    _write(folder / "merges.txt", "\n".join(["#version: 0.2", *(f"{a} {b}" for a, b in merges)]) + "\n")
    _write(folder / "special_tokens_map.json", json.dumps(special, indent=2) + "\n")
    _write(folder / "tokenizer_config.json", json.dumps(config, indent=2) + "\n")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _byte_letters() -> list[str]:
    """Returns a letter for each byte, in CLIP's order: bytes that print, then the rest from U+0100 up."""
    prints = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(byte) for byte in prints] + [chr(0x100 + i) for i in range(256 - len(prints))]


def _merges(vocabulary: Sequence[str]) -> list[tuple[str, str]]:
    """Returns byte pair merges, the most frequent pair first, by which every given word becomes one token."""
    spelled = [[*word[:-1], word[-1] + "</w>"] for word in sorted(set(vocabulary))]
    merges = []
    while pairs := Counter(pair for word in spelled for pair in pairwise(word)):
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        spelled = [_merged(word, best) for word in spelled]
    return merges


def _merged(word: list[str], pair: tuple[str, str]) -> list[str]:
    joined: list[str] = []
    rest = iter(range(len(word)))
    for i in rest:
        both = tuple(word[i : i + 2]) == pair
        joined.append(word[i] + word[i + 1] if both else word[i])
        if both:
            next(rest)
    return joined


def load_tokenizer(folder: Path) -> Any:
    """Returns the CLIP tokenizer that `write_tokenizer` wrote to `folder`."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(str(folder))


def token_ids(tokenizer: Any, texts: Sequence[str]) -> torch.Tensor:
    """Returns the padded token numbers of texts: [B, LENGTH]."""
    padded = tokenizer(list(texts), padding="max_length", max_length=LENGTH, truncation=True)
    return torch.tensor(padded["input_ids"])


def new_text_encoder(tokenizer: Any, seed: int) -> Any:
    """Returns an untrained `CLIPTextModel`: 2 layers of width 128, 0.37 million parameters."""
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(seed)
    encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=LENGTH,
            projection_dim=WIDTH,
            hidden_act="gelu",
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    # CLIP's initialiser makes small embeddings; wider ones let words differ from the start
    for name, parameter in encoder.named_parameters():
        if name.endswith("token_embedding.weight"):
            nn.init.normal_(parameter, 0, 0.3)
        elif name.endswith("position_embedding.weight"):
            nn.init.normal_(parameter, 0, 0.1)
    return encoder


class AttributeHeads(nn.Module):
    """One linear classifier for each of `ATTRIBUTES`, reading the last position of the text encoder.

    That position is padding, has read the whole caption, and is therefore its summary.
    """

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(WIDTH, len(values)) for values in ATTRIBUTES.values())

    def forward(self, hidden: torch.Tensor) -> list[torch.Tensor]:
        """Returns the logits of each attribute [B, values] from hidden states [B, LENGTH, WIDTH]."""
        return [head(hidden[:, -1]) for head in self.heads]


def naming_loss(logits: Sequence[torch.Tensor], scenes: Sequence[Scene], captions: Sequence[Caption]) -> torch.Tensor:
    """Returns the summed cross-entropy of the attributes, from the logits of `AttributeHeads`.

    Thing, color and background are scored only where the caption names them. The others are
    scored for every caption, since one that omits them nearly always means the usual value, or one thing.
    """
    usual = len(ATTRIBUTES) - 3
    counted = torch.tensor([[*each.named[:3], *[each.text != ""] * usual] for each in captions])
    labels = torch.tensor([scene.labels() for scene in scenes]).masked_fill(~counted, -100)
    counts = counted.sum(0).clamp(min=1).tolist()
    losses = [
        F.cross_entropy(values, labels[:, i].to(values.device), reduction="sum") / counts[i]
        for i, values in enumerate(logits)
    ]
    return torch.stack(losses).sum()


def caption_batch(count: int, rng: random.Random) -> tuple[list[Scene], list[Caption]]:
    """Returns random scenes and a caption for each."""
    scenes = list(islice(random_scenes(rng), count))
    return scenes, [caption(scene, rng) for scene in scenes]


def load_run(folder: Path, settings: Settings, tokenizer: Any) -> Run:
    """Returns the text encoder's training in `folder`: models ``text_encoder`` and ``heads``."""
    encoder = new_text_encoder(tokenizer, settings.seed)
    begin(encoder, settings, "text_encoder")
    models = {"text_encoder": encoder.to(settings.device), "heads": AttributeHeads().to(settings.device)}
    shares = {"text_encoder": _GENTLY if settings.start else 1.0}
    run = Run(folder / "text.safetensors", models, shares=shares, decay=0.98)
    run.load()
    return run


def train_text(folder: Path, settings: Settings) -> None:
    """Trains the text encoder in `folder` up to ``settings.text_steps``, continuing where it was stopped.

    Writes ``tokenizer/`` and, every ``save_every`` steps, ``text.safetensors`` with the encoder and the heads.
    """
    write_tokenizer(folder / "tokenizer")
    tokenizer = load_tokenizer(folder / "tokenizer")
    run = load_run(folder, settings, tokenizer)
    while run.step < settings.text_steps:
        seed = int(numbers(settings.seed, STAGE, run.step).integers(1 << 62))
        scenes, captions = caption_batch(_BATCH, random.Random(seed))
        ids = token_ids(tokenizer, [each.text for each in captions]).to(settings.device)
        hidden = run.models["text_encoder"](ids).last_hidden_state
        loss = naming_loss(run.models["heads"](hidden), scenes, captions)
        rate = learning_rate(run.step, settings.text_steps, _RATE, hold=0.1)
        run.descend(loss, rate, loss.item())
        if run.step % settings.save_every == 0 or run.step == settings.text_steps:
            run.save()
            log.info("text encoder: step %d of %d, loss %.3f", run.step, settings.text_steps, run.loss)
