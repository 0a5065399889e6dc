"""Opens checkpoints by name: the playground model, a diffusers folder, a Hub id, or a single safetensors file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Protocol

from remix.client.local.damage import raising_damage
from remix.client.local.devices import Place
from remix.client.local.hub import from_hub
from remix.client.local.parts import INDEX, WHOLE, lacking, loaded_files, parts_of, read_settings, variant_of
from remix.client.local.single_file import SingleFile, is_vae, read_vae
from remix.client.playground import WEIGHTS
from remix.digest import update_sampled_hash
from remix.errors import EngineError, Unsupported
from remix.plan import Model

PICKLED = frozenset({".ckpt", ".pt", ".pth", ".bin", ".pkl"})
"""Suffixes of files that may execute code when loaded."""


class Checkpoint(Protocol):
    """A source of the parts of a model. Parts have the names of diffusers' folders."""

    def pipeline(self) -> str:
        """Returns the name of the diffusers pipeline."""
        ...

    def component(self, name: str, kind: Any, place: Place) -> Any:
        """Returns a network in evaluation mode on its device."""
        ...

    def tokenizer(self, name: str, kind: Any = None) -> Any:
        """Returns a tokenizer, by default CLIP's."""
        ...

    def scheduler_config(self) -> dict[str, Any]:
        """Returns the settings of the training noise, with diffusers' names."""
        ...

    def vae_scale(self) -> float:
        """Returns the scaling factor of the VAE's latents."""
        ...

    def has(self, name: str) -> bool:
        """Returns whether the checkpoint has this part."""
        ...

    def is_distilled(self) -> bool:
        """Returns whether the network takes guidance as an input."""
        ...

    def longest_side(self) -> int | None:
        """Returns the largest side of a picture in pixels, or None if there is no limit."""
        ...


class Folder:
    """A checkpoint in a folder saved by diffusers."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pipeline(self) -> str:
        """Returns the name of the diffusers pipeline."""
        index = read_settings(self.path / INDEX)
        return str(index.get("_class_name"))

    def component(self, name: str, kind: Any, place: Place) -> Any:
        """Returns a network in evaluation mode on its device. Raises `EngineError` if it cannot be read."""
        return place.put(_from_folder(self.path / name, kind))

    def tokenizer(self, name: str, kind: Any = None) -> Any:
        """Returns a tokenizer, by default CLIP's. Raises `EngineError` if it cannot be read."""
        from transformers import CLIPTokenizer

        with raising_damage(f"{self.path / name}: the tokenizer could not be loaded", WHOLE):
            return (kind or CLIPTokenizer).from_pretrained(self.path / name, local_files_only=True)

    def has(self, name: str) -> bool:
        """Returns whether the checkpoint has this part."""
        return parts_of(read_settings(self.path / INDEX)).get(name, False)

    def is_distilled(self) -> bool:
        """Returns whether the network takes guidance as an input."""
        return bool(self._transformer().get("guidance_embeds", False))

    def longest_side(self) -> int | None:
        """Returns the largest side of a picture in pixels: SD3 has a limited number of positions."""
        settings = self._transformer()
        if settings.get("pos_embed_max_size") is None:
            return None
        with raising_damage(f"{self.path}: the settings of its transformer or VAE could not be read", WHOLE):
            blocks = read_settings(self.path / "vae" / "config.json")["block_out_channels"]
            return int(settings["pos_embed_max_size"] * settings["patch_size"] * 2 ** (len(blocks) - 1))

    def _transformer(self) -> dict[str, Any]:
        config = self.path / "transformer" / "config.json"
        return read_settings(config) if config.is_file() else {}

    def scheduler_config(self) -> dict[str, Any]:
        """Returns the settings of the training noise, with diffusers' names."""
        return read_settings(self.path / "scheduler" / "scheduler_config.json")

    def vae_scale(self) -> float:
        """Returns the scaling factor of the VAE's latents."""
        return float(read_settings(self.path / "vae" / "config.json").get("scaling_factor", 0.18215))


def open_checkpoint(name: str) -> Checkpoint:
    """Returns the checkpoint called `name`. Raises `Unsupported` if it does not exist or cannot be used."""
    path = checkpoint_path(name)
    return SingleFile(path) if path.is_file() else Folder(path)


def open_vae(model: Model, checkpoint: Checkpoint, place: Place, kind: Any) -> Any:
    """Returns the VAE that a recipe names, or the checkpoint's own, of the class `kind`."""
    if model.vae is None:
        return checkpoint.component("vae", kind, place)
    path = vae_path(model.vae)
    return place.put(read_vae(path, checkpoint.vae_scale()) if path.is_file() else _from_folder(path, kind))


def checkpoint_path(name: str) -> Path:
    """Returns the folder or file of a checkpoint. Other names are looked up on the Hub."""
    if name == "playground":
        return WEIGHTS
    path = given_path(name, "model.checkpoint")
    if path.is_file() and path.suffix == ".safetensors":
        return path
    if not (path / INDEX).is_file():
        if path.exists():
            raise Unsupported(
                f"model.checkpoint: {name!r} is not a diffusers folder (it has no {INDEX}) and no safetensors "
                "file; give a folder saved by diffusers, a .safetensors file, or a hub id"
            )
        path = from_hub(name)
    if missing := lacking(path):
        raise Unsupported(f"model.checkpoint: {name!r} has {missing}; {WHOLE}")
    return path


def vae_path(name: str) -> Path:
    """Returns the folder or file of a separate VAE."""
    path = given_path(name, "model.vae")
    if path.is_file() and path.suffix == ".safetensors" and is_vae(path):
        return path
    for folder in (path, path / "vae"):
        if (folder / "config.json").is_file():
            return folder
    raise Unsupported(f"model.vae: {name!r} is no VAE; give a folder saved by diffusers, or a .safetensors file")


def given_path(name: str, where: str) -> Path:
    """Returns the path of a model's file or folder, which may not exist.

    Raises `Unsupported` for an invalid path, or a file that may execute code when loaded.
    """
    try:
        path = Path(name).expanduser()
        path.exists()
    except (OSError, RuntimeError) as error:
        raise Unsupported(f"{where}: {name!r} cannot be looked up ({error}); give another path") from error
    if path.suffix.lower() in PICKLED:
        raise Unsupported(
            f"{where}: {str(path)!r} is a pickled file, which can run code when it is read; "
            "give the same model as .safetensors"
        )
    return path


def fingerprint(path: Path) -> str:
    """Returns a short hash of a file, or of the files that are loaded from a folder. Large files are sampled."""
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(loaded_files(path)):
        # Only contents count: a folder may be moved and a file renamed.
        digest.update(f"{file.relative_to(path).as_posix()}\0".encode())
        update_sampled_hash(digest, file)
    return digest.hexdigest()[:16]


def _from_folder(folder: Path, kind: Any) -> Any:
    """Loads a part from safetensors only, without remote code."""
    variant = (variant_of(folder) or "").removeprefix(".") or None
    with raising_damage(f"{folder}: {kind.__name__} could not be loaded", WHOLE):
        network, report = kind.from_pretrained(
            folder, use_safetensors=True, variant=variant, local_files_only=True, output_loading_info=True
        )
    # The libraries initialize missing weights with random numbers.
    if missing := sorted(report["missing_keys"]):
        raise EngineError(f"{folder}: lacks {len(missing)} of its weights, such as {missing[0]}; {WHOLE}")
    return network
