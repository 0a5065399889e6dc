"""Checkpoints by name: the playground model, a diffusers folder, a hub id, or a single safetensors file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Protocol

from remix.client.local.devices import Place
from remix.client.local.single_file import SingleFile, is_vae, read_vae
from remix.client.playground import WEIGHTS
from remix.errors import EngineError, Unsupported
from remix.job.ends import take_ends
from remix.plan import Model
from remix.plan.names import close
from remix.plan.read import read_json

PICKLED = frozenset({".ckpt", ".pt", ".pth", ".bin", ".pkl"})
"""The suffixes of files that run code when they are read."""


STARTS = "relative paths start where the command is run; give a diffusers folder, a .safetensors file or a hub id"
"""Where a checkpoint that is not there may be."""


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
        """Returns what the VAE's latents are multiplied by."""
        ...

    def is_distilled(self) -> bool:
        """Returns whether guidance is a number that the network reads."""
        ...


class Folder:
    """A checkpoint in a folder saved by diffusers."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pipeline(self) -> str:
        """Returns the name of the diffusers pipeline that it is for."""
        index = _json(self.path / "model_index.json")
        return str(index.get("_class_name"))

    def component(self, name: str, kind: Any, place: Place) -> Any:
        """Returns one network in evaluation mode at its place; `EngineError` when it cannot be read."""
        return place.put(_from_folder(self.path / name, kind))

    def tokenizer(self, name: str, kind: Any = None) -> Any:
        """Returns one tokenizer, CLIP's where no other kind is asked for."""
        from transformers import CLIPTokenizer

        return (kind or CLIPTokenizer).from_pretrained(self.path / name, local_files_only=True)

    def is_distilled(self) -> bool:
        """Returns whether guidance is a number that the network reads."""
        config = self.path / "transformer" / "config.json"
        return config.is_file() and bool(_json(config).get("guidance_embeds", False))

    def scheduler_config(self) -> dict[str, Any]:
        """Returns the settings of the noise that the model was trained on, by diffusers' names."""
        return _json(self.path / "scheduler" / "scheduler_config.json")

    def vae_scale(self) -> float:
        """Returns what the VAE's latents are multiplied by."""
        return float(_json(self.path / "vae" / "config.json").get("scaling_factor", 0.18215))


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
    path = Path(name).expanduser()
    refuse_pickle(path, "model.checkpoint")
    if (path / "model_index.json").is_file():
        _refuse_partial(path)
        return path
    if path.is_file() and path.suffix == ".safetensors":
        return path
    if path.exists():
        raise Unsupported(
            f"model.checkpoint: {name!r} is not a diffusers folder (it has no model_index.json) and no safetensors "
            "file; give a folder saved by diffusers, a .safetensors file, or a hub id"
        )
    return _from_hub(name)


LOADED = ("unet", "transformer", "vae", "text_encoder", "tokenizer", "scheduler")
"""How the names of those folders begin that are loaded; a safety checker and its like are not."""


def _refuse_partial(path: Path) -> None:
    for name, kind in _json(path / "model_index.json").items():
        if name.startswith(LOADED) and isinstance(kind, list) and all(kind) and not (path / name).is_dir():
            raise Unsupported(
                f"model.checkpoint: {str(path)!r} has no folder {name!r}, which its model_index.json names; "
                "copy the checkpoint whole"
            )


def vae_path(name: str) -> Path:
    """Returns the folder or the file of a VAE given by itself."""
    path = Path(name).expanduser()
    refuse_pickle(path, "model.vae")
    if path.is_file() and path.suffix == ".safetensors" and is_vae(path):
        return path
    for folder in (path, path / "vae"):
        if (folder / "config.json").is_file():
            return folder
    raise Unsupported(f"model.vae: {name!r} is no VAE; give a folder saved by diffusers, or a .safetensors file")


def refuse_pickle(path: Path, where: str) -> None:
    """Raises `Unsupported` for the name of a file that would run code when it is read."""
    if path.suffix.lower() in PICKLED:
        raise Unsupported(
            f"{where}: {str(path)!r} is a pickled file, which can run code when it is read; "
            "give the same model as .safetensors"
        )


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    if name.endswith(".safetensors"):
        raise Unsupported(f"model.checkpoint: there is no file {name!r} in {Path.cwd()}; {STARTS}")
    wanted = ["*.json", "*.txt", "*/*.json", "*/*.txt", "*/*.safetensors"]
    try:
        # Weights come as safetensors or not at all; nothing from the hub is executed.
        return Path(snapshot_download(name, allow_patterns=wanted))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        near = 'did you mean "playground"?' if close(name, ("playground",)) else ""
        if isinstance(error, LocalEntryNotFoundError):
            hub = "the hub could not be reached to ask for it"
        else:
            hub = f"the hub gives no model of that name ({type(error).__name__})"
        raise Unsupported(
            f"model.checkpoint: {name!r} is no folder in {Path.cwd()}, and {hub}; {near or STARTS}"
        ) from error


def fingerprint(path: Path) -> str:
    """Returns a short hash of a file, or of a folder's files: weights by size and both ends, configs whole."""
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    digest = hashlib.sha256()
    for file in files:
        if file.suffix not in {".json", ".txt", ".safetensors"} or not file.is_file():
            continue
        # A folder may be moved and a file renamed: what is in them counts.
        digest.update(f"{file.relative_to(path).as_posix()}\0".encode())
        take_ends(digest, file)
    return digest.hexdigest()[:16]


def _json(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path.read_bytes(), source=str(path))
    except FileNotFoundError as error:
        raise EngineError(f"{path}: is missing; the checkpoint is not whole, download it again") from error
    return found if isinstance(found, dict) else {}


def _from_folder(folder: Path, kind: Any) -> Any:
    """Safetensors only, no remote code; the half precision files where a folder has no others."""
    names = [path.name for path in folder.glob("*.safetensors")]
    variant = "fp16" if names and all(".fp16." in name for name in names) else None
    try:
        return kind.from_pretrained(folder, use_safetensors=True, variant=variant, local_files_only=True)
    except (OSError, ValueError) as error:
        raise EngineError(f"{folder}: {kind.__name__} could not be loaded: {error}") from error
