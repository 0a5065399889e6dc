"""The text encoders of the host's model, and the embeddings (textual inversions) that they know."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modules import shared

from remix.prompt.embeddings import for_a1111, split

from .settings import FORGE

SUFFIXES = (".safetensors", ".pt", ".bin")
"""The files of embeddings, apart from pictures with one inside."""

NAMES = {
    "FrozenCLIPEmbedderWithCustomWords": "l",
    "FrozenOpenCLIPEmbedderWithCustomWords": "h",
    "FrozenOpenCLIPEmbedder2WithCustomWords": "g",
    "T5TextProcessingEngine": "t5xxl",
}
"""A class of the host -> ComfyUI's name of that text encoder."""


def text_encoders() -> list[Any]:
    """Returns the text encoders of the loaded model; [] if it has one that applies weights in another way."""
    model = shared.sd_model
    parts = vars(model).values() if FORGE else model.modules()
    encoders = [part for part in parts if hasattr(part, "tokenize_line")]
    return encoders if all(hasattr(part, "process_tokens") for part in encoders) else []


def encoder_name(encoder: Any) -> str:
    """Returns ComfyUI's name of a text encoder, such as l, g or t5xxl; "" for one that has none.

    Forge's text encoders for CLIP tell their own name. SD3 in A1111 has one for both CLIPs, which has none.
    """
    if key := getattr(encoder, "embedding_key", ""):
        return str(key).removeprefix("clip_")
    return next((NAMES[kind.__name__] for kind in type(encoder).__mro__ if kind.__name__ in NAMES), "")


def has_chunks(encoder: Any) -> bool:
    """Returns whether a text encoder cuts prompts into chunks, as CLIP does, and T5 does not."""
    return hasattr(encoder, "chunk_length")


def embedding_at(encoder: Any, tokens: Sequence[int], at: int) -> tuple[Any, int]:
    """Returns the embedding whose name begins at a token, and the number of tokens of its name; None without one."""
    known = _embeddings(encoder)
    if known is None:
        return None, 0
    embedding, length = known.find_embedding_at_position(tokens, at)
    return embedding, length or 0


def with_bare_embeddings(prompts: Sequence[str]) -> list[str]:
    """Returns prompts in which the names of known embeddings have no ``embedding:``, as the hosts read them."""
    known = {name for encoder in text_encoders() for name in getattr(_embeddings(encoder), "word_embeddings", ())}
    return [for_a1111(prompt, known) if "embedding:" in prompt else prompt for prompt in prompts]


def embedding_files() -> dict[str, Path]:
    """Returns the files of the host's embeddings by their names, also of those that do not fit the loaded model."""
    walked = os.walk(shared.cmd_opts.embeddings_dir, followlinks=True)
    files = sorted(Path(place, file) for place, _, names in walked for file in names)
    return {file.stem: file for file in files if file.suffix.lower() in SUFFIXES}


def reload_embeddings(prompts: Sequence[str]) -> None:
    """Loads the embeddings that prompts name if their files have changed.

    A1111 looks only for files that are new or gone, and Forge for none, so both would use an overwritten file's old
    vectors.
    """
    files = embedding_files()
    used = sorted({name for prompt in prompts for _, name in split(prompt, files) if name})
    for known in filter(None, map(_embeddings, text_encoders()) if used else ()):
        for name in used:
            about = files[name].stat()
            version = about.st_size, about.st_mtime_ns
            if getattr(known.word_embeddings.get(name), "remix_version", None) != version:
                known.load_from_file(str(files[name]), files[name].name)
            if name in known.word_embeddings:
                known.word_embeddings[name].remix_version = version


def take_fixes(encoder: Any, count: int) -> list[list[Any]]:
    """Returns the embeddings of each chunk that the host is about to encode, as pairs of a place and an embedding."""
    held = _fixes(encoder)
    return (getattr(held, "fixes", None) if held is not None else None) or [[] for _ in range(count)]


def put_fixes(encoder: Any, fixes: list[list[Any]]) -> None:
    """Sets the embeddings of the chunks that are encoded next."""
    held = _fixes(encoder)
    if held is not None:
        held.fixes = fixes


def _embeddings(encoder: Any) -> Any:
    hijack = getattr(encoder, "hijack", None)
    return getattr(encoder, "embeddings", None) if hijack is None else hijack.embedding_db


def _fixes(encoder: Any) -> Any:
    return getattr(encoder, "hijack", None) or getattr(encoder, "embeddings", None)
