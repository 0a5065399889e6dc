"""Model files of the host: checkpoints, VAEs, LoRAs and hypernetworks, by its names."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modules import extra_networks, sd_models, sd_vae, shared

from remix.catalog.families import FAMILIES
from remix.errors import EngineError, Unsupported
from remix.playground.checkpoint import write_checkpoint

from ..pinned import pinned_settings
from .settings import FORGE


def add_playground() -> Path:
    """Adds the bundled model to the host's folder of checkpoints and to its list, and returns the file.

    Raises Unsupported in Forge, which loads only model families that it knows.
    """
    if FORGE:
        raise Unsupported("the bundled model works in A1111; Forge loads only model families that it knows")
    place = write_checkpoint(Path(shared.cmd_opts.ckpt_dir or sd_models.model_path))
    sd_models.list_models()
    return place


def require_checkpoint(path: str) -> None:
    """Raises EngineError if the host has loaded a checkpoint other than this file."""
    loaded = shared.sd_model.sd_checkpoint_info.filename
    if loaded != path:
        raise EngineError(
            f"checkpoint: {Path(loaded).name} is loaded in place of {Path(path).name}, with which this film began; an "
            "extension or a request has changed it. Generate again to continue with the missing frames"
        )


def checkpoint_of(name: str) -> Any:
    """Returns the host's entry of a checkpoint by any of its names, with either slash. Raises Unsupported."""
    known = sd_models.checkpoint_aliases
    spellings = (name, name.replace("/", "\\"), name.replace("\\", "/"))
    found = next((known[each] for text in spellings for each in (text, f"{text}.safetensors") if each in known), None)
    if found is None:
        names = ", ".join(sorted(info.name for info in sd_models.checkpoints_list.values())[:20])
        raise Unsupported(f"model.checkpoint: this host does not have {name!r}; use one of {names}")
    return found


def chosen_checkpoint(asked: str | None) -> Any:
    """Returns the host's entry of the checkpoint that a request names, or else of the one that the user selected."""
    return checkpoint_of(asked) if asked else sd_models.select_checkpoint()


def checkpoint_file(name: str) -> Path | None:
    """Returns the file of a checkpoint by any name that the host accepts, None if there is none."""
    found = sd_models.get_closet_checkpoint_match(name)
    return None if found is None else Path(found.filename)


def vae_of(name: str) -> Path:
    """Returns the file of a VAE by the host's name. Raises Unsupported if it is unknown."""
    known = {} if FORGE else getattr(sd_vae, "vae_dict", {})
    if name not in known:
        there = f"use one of {', '.join(known)}" if known else "choose it in the host's settings"
        raise Unsupported(f"model.vae: this host does not have {name!r}; {there}")
    return Path(known[name])


def resolved_vae(checkpoint: Any, name: str | None) -> Path | None:
    """Returns the file of the VAE that the host uses with a checkpoint, None for the checkpoint's own.

    `name` is the setting of the VAE if a run overrides it. A flag of the server, or the user's preference for this
    checkpoint, may override that. In Forge a VAE is one of its modules, which are settings.
    """
    if FORGE:
        return None
    with pinned_settings(shared.opts) as own:
        if name is not None:
            own["sd_vae"] = name
        found = sd_vae.resolve_vae(checkpoint.filename).vae
    return None if found is None else Path(found)


def network_file(kind: str, name: str) -> Path | None:
    """Returns the file of a LoRA or a hypernetwork by the host's name, None if there is none."""
    if kind == "hypernet":
        found = getattr(shared, "hypernetworks", {}).get(name)
        return None if found is None else Path(found)
    networks = sys.modules.get("networks")  # of the extension that reads such tags
    for look in (lambda: None, getattr(networks, "list_available_networks", lambda: None)):
        look()  # again for a file that was added after the start, as the host does
        for table in ("available_network_aliases", "available_networks"):
            if (known := getattr(networks, table, {}).get(name)) is not None:
                return Path(known.filename)
    return None


def has_networks() -> bool:
    """Returns whether the host's extension for LoRAs is loaded, with its list of files."""
    return hasattr(sys.modules.get("networks"), "available_networks")


def style_texts(names: Sequence[str]) -> list[Any]:
    """Returns the prompts and negative prompts that styles add; the name itself for an unknown style."""
    known = shared.prompt_styles.styles
    return [[known[name].prompt, known[name].negative_prompt] if name in known else name for name in names]


def has_plain_attention() -> bool:
    """Returns whether the model has plain cross-attention, so that repeating the prompt changes nothing."""
    return any(getattr(shared.sd_model, f"is_{row.name}", False) for row in FAMILIES.values() if row.tiles)


def parsed(tags: str) -> Any:
    """Returns the extra networks of tags, as the host parses them."""
    return extra_networks.parse_prompt(tags)[1]
