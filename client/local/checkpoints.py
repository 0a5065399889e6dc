"""Opens checkpoints by name: the playground model, a diffusers folder, a Hub id, or a single file."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Any, Protocol

from remix.client.local.devices import Place
from remix.client.local.flow_file import GGUF, FlowFile, is_flow_file
from remix.client.local.folder import Folder, from_folder
from remix.client.local.hub import from_hub
from remix.client.local.parts import INDEX, WHOLE, lacking, loaded_files
from remix.client.local.single_file import SingleFile, is_vae, read_vae
from remix.client.playground import WEIGHTS
from remix.digest import update_sampled_hash
from remix.errors import Unsupported
from remix.plan import Model

PICKLED = frozenset({".ckpt", ".pt", ".pth", ".bin", ".pkl"})
"""Suffixes of files that may execute code when loaded."""

SINGLE = (".safetensors", GGUF)
"""Suffixes of single files."""


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

    def settings(self) -> dict[str, Any]:
        """Returns the settings of the pipeline, with diffusers' names."""
        ...

    def can_be_quantized(self) -> bool:
        """Returns whether its weights can be quantized while they are loaded."""
        ...


def open_checkpoint(name: str) -> Checkpoint:
    """Returns the checkpoint called `name`. Raises `Unsupported` if it does not exist or cannot be used."""
    path = checkpoint_path(name)
    if path.is_dir():
        return Folder(path)
    return FlowFile(path) if is_flow_file(path) else SingleFile(path)


def open_vae(model: Model, checkpoint: Checkpoint, place: Place, kind: Any) -> Any:
    """Returns the VAE that a recipe names, or the checkpoint's own, of the class `kind`."""
    place = place.unquantized()
    if model.vae is None:
        return checkpoint.component("vae", kind, place)
    path = vae_path(model.vae)
    return place.put(read_vae(path, checkpoint.vae_scale()) if path.is_file() else from_folder(path, kind, place))


def checkpoint_path(name: str) -> Path:
    """Returns the folder or file of a checkpoint. Other names are looked up on the Hub."""
    if name == "playground":
        return WEIGHTS
    path = given_path(name, "model.checkpoint")
    if path.is_file() and path.suffix in SINGLE:
        return path
    if not (path / INDEX).is_file():
        if path.exists():
            raise Unsupported(
                f"model.checkpoint: {name!r} is not a diffusers folder (it has no {INDEX}) and no safetensors "
                "or GGUF file; give a folder saved by diffusers, a .safetensors or .gguf file, or a hub id"
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


def checkpoint_fingerprints(name: str) -> dict[str, str]:
    """Returns the fingerprint of a checkpoint, and of the folder that has the other parts of a single file, if any."""
    path = checkpoint_path(name)
    found = {"fingerprint": fingerprint(path)}
    if path.is_file() and is_flow_file(path):
        checkpoint = FlowFile(path)
        found["folder"] = fingerprint(checkpoint.path, without=checkpoint.parts())
    return found


def fingerprint(path: Path, *, without: Collection[str] = ()) -> str:
    """Returns a short hash of a file, or of the files that are loaded from a folder. Large files are sampled.

    The weights of the parts `without` are not loaded.
    """
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(loaded_files(path, without)):
        # Only contents count: a folder may be moved and a file renamed.
        digest.update(f"{file.relative_to(path).as_posix()}\0".encode())
        update_sampled_hash(digest, file)
    return digest.hexdigest()[:16]
