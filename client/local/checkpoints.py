"""Checkpoints by name: the playground model, a diffusers folder, a hub id, or a single safetensors file."""

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
"""The suffixes of files that run code when they are read."""


class Checkpoint(Protocol):
    """Where the parts of a model come from; parts are called by the names of diffusers' folders."""

    def pipeline(self) -> str:
        """Returns the name of the diffusers pipeline that it is for."""
        ...

    def component(self, name: str, kind: Any, place: Place) -> Any:
        """Returns one network in evaluation mode at its place."""
        ...

    def tokenizer(self, name: str, kind: Any = None) -> Any:
        """Returns one tokenizer, CLIP's where no other kind is asked for."""
        ...

    def scheduler_config(self) -> dict[str, Any]:
        """Returns the settings of the noise that the model was trained on, by diffusers' names."""
        ...

    def vae_scale(self) -> float:
        """Returns the factor that scales the VAE's latents."""
        ...

    def has(self, name: str) -> bool:
        """Returns whether it has this part."""
        ...

    def is_distilled(self) -> bool:
        """Returns whether guidance is a number that the network reads."""
        ...

    def longest_side(self) -> int | None:
        """Returns how many pixels a side of a picture may have; None without such a limit."""
        ...


class Folder:
    """A checkpoint in a folder saved by diffusers."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pipeline(self) -> str:
        """Returns the name of the diffusers pipeline that it is for."""
        index = read_settings(self.path / INDEX)
        return str(index.get("_class_name"))

    def component(self, name: str, kind: Any, place: Place) -> Any:
        """Returns one network in evaluation mode at its place; `EngineError` when it cannot be read."""
        return place.put(_from_folder(self.path / name, kind))

    def tokenizer(self, name: str, kind: Any = None) -> Any:
        """Returns one tokenizer, CLIP's where no other kind is asked for; `EngineError` when it cannot be read."""
        from transformers import CLIPTokenizer

        with raising_damage(f"{self.path / name}: the tokenizer could not be loaded", WHOLE):
            return (kind or CLIPTokenizer).from_pretrained(self.path / name, local_files_only=True)

    def has(self, name: str) -> bool:
        """Returns whether it has this part."""
        return parts_of(read_settings(self.path / INDEX)).get(name, False)

    def is_distilled(self) -> bool:
        """Returns whether guidance is a number that the network reads."""
        return bool(self._transformer().get("guidance_embeds", False))

    def longest_side(self) -> int | None:
        """Returns how many pixels a side of a picture may have: SD3 knows a limited number of places."""
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
        """Returns the settings of the noise that the model was trained on, by diffusers' names."""
        return read_settings(self.path / "scheduler" / "scheduler_config.json")

    def vae_scale(self) -> float:
        """Returns the factor that scales the VAE's latents."""
        return float(read_settings(self.path / "vae" / "config.json").get("scaling_factor", 0.18215))


def open_checkpoint(name: str) -> Checkpoint:
    """Returns the checkpoint of this name; raises `Unsupported` for one that is not there or cannot be used."""
    path = checkpoint_path(name)
    return SingleFile(path) if path.is_file() else Folder(path)


def open_vae(model: Model, checkpoint: Checkpoint, place: Place) -> Any:
    """Returns the VAE that a recipe names, or else the checkpoint's own."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    if model.vae is None:
        return checkpoint.component("vae", AutoencoderKL, place)
    path = vae_path(model.vae)
    return place.put(read_vae(path, checkpoint.vae_scale()) if path.is_file() else _from_folder(path, AutoencoderKL))


def checkpoint_path(name: str) -> Path:
    """Returns the folder or the file of a checkpoint; one that is neither is asked of the hub."""
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
    """Returns the folder or the file of a VAE given by itself."""
    path = given_path(name, "model.vae")
    if path.is_file() and path.suffix == ".safetensors" and is_vae(path):
        return path
    for folder in (path, path / "vae"):
        if (folder / "config.json").is_file():
            return folder
    raise Unsupported(f"model.vae: {name!r} is no VAE; give a folder saved by diffusers, or a .safetensors file")


def given_path(name: str, where: str) -> Path:
    """Returns the path of a model's file or folder, which may be missing.

    Raises `Unsupported` for one that cannot be looked up, or would run code when it is read.
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
    """Returns a short hash of a file, or of those of a folder that are loaded: large ones by samples."""
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(loaded_files(path)):
        # A folder may be moved and a file renamed: what is in them counts.
        digest.update(f"{file.relative_to(path).as_posix()}\0".encode())
        update_sampled_hash(digest, file)
    return digest.hexdigest()[:16]


def _from_folder(folder: Path, kind: Any) -> Any:
    """Safetensors only, no remote code."""
    variant = (variant_of(folder) or "").removeprefix(".") or None
    with raising_damage(f"{folder}: {kind.__name__} could not be loaded", WHOLE):
        network, report = kind.from_pretrained(
            folder, use_safetensors=True, variant=variant, local_files_only=True, output_loading_info=True
        )
    # The libraries fill the places of weights that are not there with random numbers.
    if missing := sorted(report["missing_keys"]):
        raise EngineError(f"{folder}: lacks {len(missing)} of its weights, such as {missing[0]}; {WHOLE}")
    return network
