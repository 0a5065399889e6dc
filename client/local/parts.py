"""What of a diffusers folder is loaded: settings, vocabularies, and weights in one of their variants.

Folders of the hub have more: the same weights in other precisions, and for training; a safety checker; pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from remix.errors import EngineError
from remix.plan.documents import read_json

WHOLE = "give a checkpoint that is whole, with its weights as safetensors"

INDEX = "model_index.json"
NETWORKS = ("unet", "transformer", "vae", "text_encoder")
LOADED = (*NETWORKS, "tokenizer", "scheduler")
"""The first words of the folders that are loaded. A safety checker and similar ones are not."""

OWN_SETTINGS = {"tokenizer": "tokenizer_config.json", "scheduler": "scheduler_config.json"}
"""The files of settings that are not called config.json."""

OPTIONAL = ("text_encoder_3", "tokenizer_3")
"""What a checkpoint may do without: SD3's T5."""

SETTINGS = ("*.json", "*.txt", "spiece.model")
"""The files of a part that are no weights."""

VOCABULARIES = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("spiece.model",))
"""The files that hold a tokenizer's words, in any of the ways that folders have them."""

VARIANTS = ("", ".fp16", ".bf16")
"""What the names of weights have before their suffix, by precision: the first one that a folder has is loaded."""

NUMBER = "-?????-of-?????"
"""The part of a file name by which large weights are split into several files."""


def weights(variant: str) -> list[str]:
    """Returns the patterns of the names that the weights of a variant have; older diffusers writes the number first."""
    middles = (variant, variant + NUMBER, NUMBER + variant)
    return [f"{stem}{middle}.safetensors" for stem in ("model", "diffusion_pytorch_model") for middle in middles]


def variant_of(folder: Path) -> str | None:
    """Returns the variant of a part's weights that is loaded, None where it has none as safetensors."""
    names = [file.name for file in folder.glob("*.safetensors")]
    return next((variant for variant in VARIANTS if any(_fits(name, weights(variant)) for name in names)), None)


def parts_of(index: Mapping[str, Any]) -> dict[str, bool]:
    """Returns the parts that a model_index.json names, of those that are loaded, and whether the model has each."""
    return {
        name: all(kind) for name, kind in index.items() if name.startswith(LOADED) and isinstance(kind, list) and kind
    }


def lacking(path: Path) -> str:
    """Returns what the checkpoint in a folder lacks, in words; nothing for one that is whole."""
    for part, there in parts_of(read_settings(path / INDEX)).items():
        if not there and part in OPTIONAL:
            continue
        if not there or not (path / part).is_dir():
            return f"no folder {part!r}, which its {INDEX} names"
        if missing := _lacking(path / part):
            return f"no {missing} in its folder {part!r}"
    return ""


def loaded_files(path: Path) -> list[Path]:
    """Returns the files of a checkpoint, or of one part, that are loaded."""
    if not (path / INDEX).is_file():
        return _files(path)
    parts = [part for part, there in parts_of(read_settings(path / INDEX)).items() if there]
    return [path / INDEX, *(file for part in parts for file in _files(path / part))]


def read_settings(path: Path) -> dict[str, Any]:
    """Returns what a JSON file of a checkpoint says; `EngineError` when it is missing or no object."""
    try:
        found = read_json(path.read_bytes(), source=str(path))
    except FileNotFoundError as error:
        raise EngineError(f"{path}: is missing; the checkpoint is not whole, download it again") from error
    if not isinstance(found, dict):
        raise EngineError(f"{path}: holds no settings; {WHOLE}")
    return found


def _lacking(folder: Path) -> str:
    kind = next(kind for kind in LOADED if folder.name.startswith(kind))
    if not (folder / (settings := OWN_SETTINGS.get(kind, "config.json"))).is_file():
        return repr(settings)
    # Without its words a tokenizer knows none, and says nothing.
    if kind == "tokenizer" and not any(all((folder / file).is_file() for file in files) for files in VOCABULARIES):
        return "vocabulary"
    return "weights as safetensors" if kind in NETWORKS and variant_of(folder) is None else ""


def _files(folder: Path) -> list[Path]:
    variant = variant_of(folder)
    patterns = [*SETTINGS, *([] if variant is None else weights(variant))]
    return [file for file in folder.iterdir() if _fits(file.name, patterns) and file.is_file()]


def _fits(name: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
