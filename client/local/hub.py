"""Downloads checkpoints from the Hub: only the files that are needed, in one variant. No remote code is executed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from remix.client.local.damage import raising_damage
from remix.client.local.parts import INDEX, NETWORKS, SETTINGS, VARIANTS, parts_of, read_settings, variant_of, weights
from remix.errors import Unsupported
from remix.plan.wording import close

STARTS = "relative paths start where the command is run; give a diffusers folder, a .safetensors file or a hub id"
"""Advice for a checkpoint that does not exist."""


def from_hub(name: str) -> Path:
    """Returns the folder of a checkpoint from the Hub. If the Hub is unreachable, uses the local cache.

    Raises `Unsupported` if the checkpoint is neither on the Hub nor in the cache, and `EngineError` if the download
    fails.
    """
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    if name.endswith(".safetensors"):
        raise Unsupported(f"model.checkpoint: there is no file {name!r} in {Path.cwd()}; {STARTS}")
    if "/" not in name and close(name, ("playground",), 0.8):
        raise Unsupported(f'model.checkpoint: {name!r} is not a folder in {Path.cwd()}; did you mean "playground"?')
    damaged = f"model.checkpoint: {name!r} could not be fetched", "run it again, what is fetched stays"
    with raising_damage(*damaged), _logged_once():
        try:
            return _fetched(name)
        except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError) as error:
            if isinstance(error, LocalEntryNotFoundError):
                hub = "the hub could not be reached to ask for it, nor has it given it whole before"
            else:
                hub = f"the hub gives no diffusers model of that name ({type(error).__name__})"
            raise Unsupported(
                f"model.checkpoint: {name!r} is not a folder in {Path.cwd()}, and {hub}; {STARTS}"
            ) from error


@contextmanager
def _logged_once() -> Iterator[None]:
    """Disables the log handler of the Hub's library, which would duplicate messages of the program's own handlers."""
    library = logging.getLogger("huggingface_hub")
    handlers = list(library.handlers)
    for handler in handlers:
        library.removeHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            library.addHandler(handler)


def _fetched(name: str) -> Path:
    from huggingface_hub import hf_hub_download, snapshot_download

    index = read_settings(Path(hf_hub_download(name, INDEX)))
    parts = [part for part, there in parts_of(index).items() if there]
    wanted = [INDEX, *(f"{part}/{pattern}" for part in parts for pattern in SETTINGS)]
    bare = [part for part in parts if part.startswith(NETWORKS)]
    for variant in VARIANTS:
        wanted += [f"{part}/{pattern}" for part in bare for pattern in weights(variant)]
        path = Path(snapshot_download(name, allow_patterns=wanted))
        bare = [part for part in bare if variant_of(path / part) is None]
        if not bare:
            break
    return path
