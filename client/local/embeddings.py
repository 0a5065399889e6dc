"""Embeddings (textual inversions) for CLIP text encoders, from the files of a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from remix.client.local.checkpoints import fingerprint
from remix.client.local.pickled import read_pickled
from remix.engine.passes import texts_of
from remix.errors import Unsupported
from remix.plan import Schedule
from remix.prompt.embeddings import split, unknown

FOLDER = "embeddings"
"""The folder of embeddings, unless another one is given, where the command is run."""

SUFFIXES = (".bin", ".pt", ".safetensors")
"""The suffixes of embeddings. Of files with the same name, the last of these is used."""


def embedding_files(folder: str | None) -> dict[str, Path]:
    """Returns the files of a folder by the names of the embeddings. Raises `Unsupported` if there is no such folder."""
    place = Path(folder or FOLDER).expanduser()
    if folder is not None and not place.is_dir():
        raise Unsupported(f"embeddings: there is no folder {folder!r}; give that of your embeddings")
    files = sorted(path for path in place.rglob("*") if path.suffix in SUFFIXES) if place.is_dir() else []
    return {path.stem: path for path in sorted(files, key=lambda path: SUFFIXES.index(path.suffix))}


def used_embeddings(schedule: Schedule, folder: str | None) -> dict[str, Path]:
    """Returns the files of the embeddings that a film's prompts name.

    Raises `Unsupported` for an ``embedding:name`` without a file.
    """
    files = embedding_files(folder)
    used: dict[str, Path] = {}
    for text in texts_of(schedule):
        if missing := unknown(text, files):
            raise Unsupported(
                f"prompt: there is no {missing[0]}.safetensors, .pt or .bin in the folder {folder or FOLDER!r}; put it "
                "there, or name another folder"
            )
        used |= {name: files[name] for _, name in split(text, files) if name}
    return used


def fingerprints(used: Mapping[str, Path]) -> dict[str, str]:
    """Returns the part of an engine's identity that embeddings make up."""
    return {f"embedding {name}": fingerprint(path) for name, path in used.items()}


def use_embeddings(model: Any, used: Mapping[str, Path]) -> None:
    """Gives a loaded model's CLIP text encoders the vectors of embeddings.

    Raises `Unsupported` for a model of another family, and for an embedding that does not fit each text encoder.
    """
    if used and not model.clip_texts:
        raise Unsupported(
            f"prompt: embeddings such as {next(iter(used))!r} are made for SD 1, SD 2 and SDXL; leave them out"
        )
    found = {name: _read(path) for name, path in used.items()}
    for text in model.clip_texts:
        width = text.encoder.config.hidden_size
        text.embeddings = {name: _of_width(name, tensors, width) for name, tensors in found.items()}


def _of_width(name: str, tensors: Sequence[Tensor], width: int) -> Tensor:
    fitting = [each for each in tensors if each.shape[1] == width]
    if not fitting:
        raise Unsupported(
            f"prompt: the embedding {name!r} has no vectors of the width {width}, which a text encoder of this model "
            "has; use one that is made for this family"
        )
    return torch.cat(fitting)


def _read(path: Path) -> list[Tensor]:
    """Returns the tensors of a file as [n, d]."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found = load_file(path).values() if path.suffix == ".safetensors" else read_pickled(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise Unsupported(
            f"prompt: {str(path)!r} is no readable {path.suffix} file ({error}); save it again"
        ) from error
    tensors = [each.float().reshape(-1, each.shape[-1]) for each in found if each.ndim in (1, 2)]
    if not tensors or not all(bool(each.isfinite().all()) for each in tensors):
        raise Unsupported(f"prompt: {str(path)!r} has no vectors that are finite; it is not an embedding")
    return tensors
