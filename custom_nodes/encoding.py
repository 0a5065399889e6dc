"""Encodes prompts with a CLIP of the host, by any rule of emphasis and chunks.

Texts are tokenized by the host and encoded without weights, once for all weights that they occur with. The weights are
applied to the output afterwards, where it is known which of its numbers belong to which token.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import folder_paths
import torch
from comfy.sd1_clip import SDTokenizer
from torch import Tensor

from remix.digest import sha256
from remix.engine.passes import texts_of
from remix.errors import BadInput, Unsupported
from remix.mix.emphasis import emphasized
from remix.plan import Schedule
from remix.prompt import Chunk, Reading, Run, cut
from remix.prompt.embeddings import for_comfyui, split
from remix.prompt.encoders import EncoderTexts

from .pictures import file_hash

Entries = list[list[Any]]
"""A CONDITIONING."""

Encode = Callable[[str], Entries]
"""A function from a prompt to its CONDITIONING."""

Tokens = Mapping[str, Sequence[Sequence[tuple[Any, ...]]]]
"""The host's tokens: for each text encoder its chunks, rows of (token, weight)."""

KEPT = 256 * 1024**2
"""Cache size per CLIP in bytes of encoded prompts, in addition to those of the current schedule.

A prompt without weights is kept twice, by its text and by its tokens, and counts once.
"""

COMMA = ",</w>"
"""The comma in CLIP's vocabulary."""

_encoded: WeakKeyDictionary[Any, OrderedDict[tuple[Any, ...], Entries]] = WeakKeyDictionary()


class Part(NamedTuple):
    """The rows and columns of the output of text encoder `key` in a conditioning."""

    key: str
    rows: slice
    columns: slice


def encoder(clip: Any, reading: Reading) -> Encode:
    """Returns a function from a prompt to its CONDITIONING. Its cache lives as long as `clip`."""
    if clip is None:
        raise BadInput("clip: is None; this checkpoint holds no text encoder, connect a CLIP loader")
    kept = _encoded.setdefault(clip, OrderedDict())
    # Nodes clone a CLIP before they change it. The key includes the attributes that may still change in place.
    state = (getattr(clip, "layer_idx", None), str(getattr(getattr(clip, "patcher", None), "patches_uuid", "")))

    def keep(key: tuple[Any, ...], make: Callable[[], Entries]) -> Entries:
        key = (*key, *state)
        if key in kept:
            kept.move_to_end(key)
            return kept[key]
        entries = kept[key] = make()
        while len(kept) > 1 and _bytes(list({id(each): each for each in kept.values()}.values())) > KEPT:
            kept.popitem(last=False)
        return entries

    names = embedding_names()

    def encode(prompt: str) -> Entries:
        prompt = for_comfyui(prompt, names)
        return keep(("prompt", prompt, reading), lambda: _Encoding(clip, reading, keep).conditioning(prompt))

    return encode


def embedding_names() -> dict[str, str]:
    """Returns the files of the embeddings that the host knows, by their names in prompts."""
    return {Path(name).stem: name for name in folder_paths.get_filename_list("embeddings")}


def embedding_paths() -> dict[str, Path]:
    """Returns the paths of the embeddings that the host knows, by their names in prompts."""
    found = {name: folder_paths.get_full_path("embeddings", file) for name, file in embedding_names().items()}
    return {name: Path(path) for name, path in found.items() if path is not None}


def embedding_hashes(schedule: Schedule) -> dict[str, str]:
    """Returns the hashes of the embeddings that a film's prompts name."""
    paths = embedding_paths()
    used = {name for text in texts_of(schedule) for _, name in split(text, paths) if name}
    return {f"embedding {name}": file_hash(paths[name]) for name in sorted(used)}


class _Encoding(NamedTuple):
    """The encoding of a prompt with a CLIP; `keep` returns what was encoded before."""

    clip: Any
    reading: Reading
    keep: Callable[[tuple[Any, ...], Callable[[], Entries]], Entries]

    def conditioning(self, prompt: str) -> Entries:
        host_rule = self.reading == Reading("comfy", "comfy")
        tokens = self._tokens(prompt)
        if not _is_weighted(tokens):
            return self._raw(tokens)
        plain = {key: [[(each[0], 1.0) for each in row] for row in rows] for key, rows in tokens.items()}
        raw = self._raw(plain)
        parts = [_parts(plain, entry[0]) for entry in raw]
        if not all(parts):
            if host_rule:
                return self._encode(tokens)
            raise Unsupported(
                f"emphasis: {self.reading.emphasis!r} is not known for this text encoder "
                f'({type(self.clip.cond_stage_model).__name__}); set emphasis = "comfy", or write no weights'
            )
        blank = {key: [_blank(self.clip, key, len(rows[0]))] for key, rows in tokens.items()}
        empty = self._raw(blank) if self.reading.emphasis == "comfy" else raw
        return [
            [self._weighted(entry[0], tokens, placed, bare[0], _parts(blank, bare[0]) or placed), dict(entry[1])]
            for entry, placed, bare in zip(raw, parts, empty, strict=True)
        ]

    def _weighted(
        self, cond: Tensor, tokens: Tokens, parts: Sequence[Part], empty: Tensor, blanks: Sequence[Part]
    ) -> Tensor:
        """Returns the rows of a conditioning with the weights of their tokens, chunk by chunk."""
        found = cond.clone()
        for part, blank in zip(parts, blanks, strict=True):
            rows = found[:, part.rows, part.columns]
            at = 0
            for row in tokens[part.key]:
                chunk = rows[:, at : at + len(row)]
                weights = torch.tensor([each[1] for each in row[: chunk.shape[1]]], dtype=torch.float32)
                bare = empty[:, blank.rows, blank.columns][:, : chunk.shape[1]]
                chunk.copy_(emphasized(chunk, weights, self.reading.emphasis, bare))
                at += len(row)
        return found

    def _raw(self, tokens: Tokens) -> Entries:
        """Returns the conditioning of tokens that have no weights."""
        key = [[[_key(each[0]) for each in row] for row in rows] for _, rows in sorted(tokens.items())]
        return self.keep(("tokens", sha256(repr(key).encode())), lambda: self._encode(tokens))

    def _encode(self, tokens: Tokens) -> Entries:
        with torch.inference_mode():
            entries: Entries = self.clip.encode_from_tokens_scheduled(tokens)
        return entries

    def _tokens(self, prompt: str) -> Tokens:
        """Returns the tokens and weights of a prompt, in chunks. A text encoder may have a text of its own."""
        texts = EncoderTexts.of(prompt)
        tokens = dict(self._tokens_of(texts.shared))
        texts.refuse_unknown(tokens)
        if texts.own:
            tokens |= {key: self._tokens_of(text)[key] for key, text in texts.own.items()}
            cut = {key: rows for key, rows in tokens.items() if _tokenizer(self.clip, key).pad_to_max_length}
            most = max(map(len, cut.values()), default=0)
            for key, rows in cut.items():
                tokens[key] = [*rows, *[_blank(self.clip, key, len(rows[0]))] * (most - len(rows))]
        return tokens

    def _tokens_of(self, prompt: str) -> Tokens:
        if self.reading == Reading("comfy", "comfy"):
            found: Tokens = self.clip.tokenize(prompt)
            return found
        sections = self.reading.sections(prompt)
        found = {}
        for key in self.clip.tokenize(""):
            tokenizer = _tokenizer(self.clip, key)
            runs = [[run for text, weight in section for run in _runs(tokenizer, text, weight)] for section in sections]
            if not tokenizer.pad_to_max_length:  # T5 encodes prompts of any length at once, and BREAK does not cut them
                runs = [[run for section in runs for run in section]]
            comma = tokenizer.tokenizer.get_vocab().get(COMMA)
            chunks = cut(runs, _room(tokenizer), self.reading.chunks, comma)
            found[key] = [_row(tokenizer, chunk) for chunk in chunks]
        return found


def _tokenizer(clip: Any, key: str) -> Any:
    """Returns the host's tokenizer of a text encoder. Raises Unsupported for one of another kind."""
    whole = clip.tokenizer
    for name in (key, f"clip_{key}", getattr(whole, "clip", "")):
        found = getattr(whole, name, None)
        if isinstance(found, SDTokenizer) and not getattr(found, "pad_left", False):
            return found
    raise Unsupported(
        f"emphasis: the tokenizer of this text encoder ({type(whole).__name__}) cuts prompts in its own way; set "
        'emphasis and chunks to "comfy"'
    )


def _runs(tokenizer: Any, text: str, weight: float) -> Iterator[Run[Any]]:
    """Yields the tokens of a text, as the host tokenizes it. Brackets are letters, and embeddings stay whole."""
    letters = text.replace("(", "\\(").replace(")", "\\)")
    runs: dict[int, list[Any]] = {}
    for row in tokenizer.tokenize_with_weights(letters, return_word_ids=True):
        for token, _, word in row:
            if word:  # 0: a token of start, end or padding
                runs.setdefault(word, []).append(token)
    for tokens in runs.values():
        yield Run(tokens, weight, any(isinstance(token, Tensor) for token in tokens))


def _room(tokenizer: Any) -> int:
    """Returns the number of tokens of a prompt that fit into a chunk."""
    if not tokenizer.pad_to_max_length:
        return sys.maxsize
    ends = sum(token is not None for token in (tokenizer.start_token, tokenizer.end_token))
    return int(tokenizer.max_length) - ends


def _row(tokenizer: Any, chunk: Chunk[Any]) -> list[tuple[Any, float]]:
    """Returns a chunk with the tokens of start, end and padding."""
    row = list(zip(chunk.tokens, chunk.weights, strict=True))
    if tokenizer.start_token is not None:
        row.insert(0, (tokenizer.start_token, 1.0))
    if tokenizer.end_token is not None:
        row.append((tokenizer.end_token, 1.0))
    length = tokenizer.max_length if tokenizer.pad_to_max_length else tokenizer.min_length or 0
    return row + [(tokenizer.pad_token, 1.0)] * (length - len(row))


def _blank(clip: Any, key: str, length: int) -> list[tuple[Any, float]]:
    """Returns the tokens of the empty prompt, padded to a length."""
    tokenizer = _tokenizer(clip, key)
    row = _row(tokenizer, Chunk((), ()))
    return row + [(tokenizer.pad_token, 1.0)] * (length - len(row))


def _is_weighted(tokens: Tokens) -> bool:
    return any(each[1] != 1.0 for rows in tokens.values() for row in rows for each in row)


def _parts(tokens: Tokens, cond: Tensor) -> list[Part]:
    """Returns where the outputs of the text encoders are in a conditioning; [] if that is not known.

    One text encoder gives a row for each of its tokens. CLIP-L and CLIP-G (SDXL, SD3) are side by side, and T5 (SD3,
    Flux) has rows of its own. Language models are left to the host, which applies weights to some of them.
    """
    counts = {key: sum(map(len, rows)) for key, rows in tokens.items()}
    if not all(key in CLIPS or "t5" in key for key in counts):
        return []
    length, everything = cond.shape[1], slice(0, cond.shape[2])
    if len(counts) == 1 or counts.keys() == {"l", "t5xxl"}:
        key = "t5xxl" if "t5xxl" in counts else next(iter(counts))
        return [Part(key, slice(0, length), everything)] if counts[key] == length else []
    if not {"l", "g"} <= counts.keys() <= {"l", "g", "t5xxl"}:
        return []
    clip = min(counts["l"], counts["g"])
    sides = [Part("l", slice(0, clip), slice(0, CLIP_L)), Part("g", slice(0, clip), slice(CLIP_L, CLIP_L + CLIP_G))]
    if length == clip:
        return sides
    return [*sides, Part("t5xxl", slice(clip, length), everything)] if length == clip + counts.get("t5xxl", 0) else []


CLIPS = ("l", "g", "h")
"""The host's names of CLIP's text encoders."""

CLIP_L, CLIP_G = 768, 1280
"""The widths of CLIP's text encoders in SDXL and SD3."""


def _key(token: Any) -> Any:
    return sha256(token.float().cpu().numpy().tobytes()) if isinstance(token, Tensor) else token


def _bytes(value: Any) -> int:
    """Returns the total size in bytes of the tensors in a CONDITIONING."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return sum(map(_bytes, parts))
