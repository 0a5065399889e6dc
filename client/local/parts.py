"""The files of a diffusers folder that are loaded: settings, vocabularies, and one variant of the weights.

Folders from the Hub contain more: weights in other precisions or for training, a safety checker, pictures.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from remix.errors import EngineError
from remix.plan.documents import read_file, read_json

WHOLE = "give a checkpoint that is whole, with its weights as safetensors"

INDEX = "model_index.json"
NETWORKS = ("unet", "transformer", "vae", "text_encoder")
LOADED = (*NETWORKS, "tokenizer", "scheduler")
"""Prefixes of the folders that are loaded. A safety checker and similar parts are not."""

OWN_SETTINGS = {"tokenizer": "tokenizer_config.json", "scheduler": "scheduler_config.json"}
"""Settings files that are not called config.json."""

OPTIONAL = ("text_encoder_3", "tokenizer_3")
"""Parts that a checkpoint may lack: SD3's T5."""

SETTINGS = ("*.json", "*.txt", "spiece.model")
"""Files of a part that are not weights."""

VOCABULARIES = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("spiece.model",))
"""Alternative sets of files that contain a tokenizer's vocabulary."""

VARIANTS = ("", ".fp16", ".bf16")
"""Precision infixes in the names of weights. The first one that a folder has is loaded."""

NUMBER = "-?????-of-?????"
"""Pattern in the file names of weights that are split into several files."""


def weights(variant: str) -> list[str]:
    """Returns the file name patterns of a variant's weights. Older diffusers puts the number first."""
    middles = (variant, variant + NUMBER, NUMBER + variant)
    return [f"{stem}{middle}.safetensors" for stem in ("model", "diffusion_pytorch_model") for middle in middles]


def variant_of(folder: Path) -> str | None:
    """Returns the variant of a part's weights that is loaded, or None if none is in safetensors format."""
    names = [file.name for file in folder.glob("*.safetensors")]
    return next((variant for variant in VARIANTS if any(_fits(name, weights(variant)) for name in names)), None)


def parts_of(index: Mapping[str, Any]) -> dict[str, bool]:
    """Returns the loaded parts that a model_index.json names, and whether the model has each."""
    return {
        name: all(kind)
        for name, kind in index.items()
        # A part is a library and a class. Settings such as text_encoder_select_layers are lists of numbers.
        if name.startswith(LOADED) and isinstance(kind, list) and kind and not isinstance(kind[0], int)
    }


def lacking(path: Path, without: Collection[str] = ()) -> str:
    """Returns a description of what the checkpoint in a folder lacks, or "" if it is complete.

    The weights of the parts `without` are elsewhere.
    """
    for part, there in parts_of(read_settings(path / INDEX)).items():
        if not there and part in OPTIONAL:
            continue
        if not there or not (path / part).is_dir():
            return f"no folder {part!r}, which its {INDEX} names"
        if missing := _lacking(path / part, weights=part not in without):
            return f"no {missing} in its folder {part!r}"
    return ""


def loaded_files(path: Path, without: Collection[str] = ()) -> list[Path]:
    """Returns the files of a checkpoint or part that are loaded. The weights of the parts `without` are elsewhere."""
    if not (path / INDEX).is_file():
        return _files(path)
    parts = [part for part, there in parts_of(read_settings(path / INDEX)).items() if there]
    found = [file for part in parts for file in _files(path / part, weighted=part not in without)]
    return [path / INDEX, *found]


def read_settings(path: Path) -> dict[str, Any]:
    """Returns the JSON object in a file of a checkpoint. Raises `EngineError` if it is missing or not an object."""
    if not path.is_file():
        raise EngineError(f"{path}: is missing; the checkpoint is not whole, download it again")
    found = read_json(read_file(path), source=str(path))
    if not isinstance(found, dict):
        raise EngineError(f"{path}: holds no settings; {WHOLE}")
    return found


def _lacking(folder: Path, *, weights: bool) -> str:
    kind = next(kind for kind in LOADED if folder.name.startswith(kind))
    if not (folder / (settings := OWN_SETTINGS.get(kind, "config.json"))).is_file():
        return repr(settings)
    # A tokenizer without its vocabulary fails silently.
    if kind == "tokenizer" and not any(all((folder / file).is_file() for file in files) for files in VOCABULARIES):
        return "vocabulary"
    return "weights as safetensors" if weights and kind in NETWORKS and variant_of(folder) is None else ""


def _files(folder: Path, *, weighted: bool = True) -> list[Path]:
    variant = variant_of(folder) if weighted else None
    patterns = [*SETTINGS, *([] if variant is None else weights(variant))]
    return [file for file in folder.iterdir() if _fits(file.name, patterns) and file.is_file()]


def _fits(name: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
