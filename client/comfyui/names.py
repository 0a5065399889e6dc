"""Resolves the names in a recipe to model files on a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from remix.client.comfyui.server import Server
from remix.errors import Unsupported
from remix.hosts.comfyui.graph import Graph, Link
from remix.hosts.model_names import FULL_CHECKPOINTS, match_name, suggestion
from remix.plan import Frame, Model, Schedule
from remix.plan.wording import listed

PLAYGROUND = "RemixPlayground"
"""The node that loads the bundled model."""

LOADERS = {
    "checkpoint": ("CheckpointLoaderSimple", "ckpt_name", "checkpoints"),
    "vae": ("VAELoader", "vae_name", "vae"),
    "lora": ("LoraLoader", "lora_name", "loras"),
}
"""Kind of file -> its loader node, the input of that node, and the server's folder."""


@dataclass(frozen=True)
class Names:
    """The server's names of a recipe's checkpoint, VAE and LoRAs. The LoRAs are keyed by the recipe's names.

    `checkpoint` is None for the bundled model, which a node loads.
    """

    checkpoint: str | None
    vae: str | None
    loras: Mapping[str, str]

    @classmethod
    def find(cls, server: Server, schedule: Schedule) -> Names:
        """Returns the names. Raises `Unsupported`, with the most similar name, for a file that the server lacks."""
        model = schedule.recipe.model
        if bundled := model.checkpoint == Model().checkpoint:
            _require_playground(server)
        loras = {lora.name: "" for lora in (*model.loras, *schedule[0].loras)}
        return cls(
            None if bundled else _found(server, "checkpoint", model.checkpoint, "model.checkpoint"),
            None if model.vae is None else _found(server, "vae", model.vae, "model.vae"),
            {name: _found(server, "lora", name, "model.loras") for name in loras},
        )

    def identity(self, server: Server) -> dict[str, str]:
        """Returns the name, size and age of each model file, as far as the server reports them."""
        named = {
            "checkpoint": {} if self.checkpoint is None else {"checkpoint": self.checkpoint},
            "vae": {} if self.vae is None else {"vae": self.vae},
            "lora": {f"lora {number + 1}": name for number, name in enumerate(self.loras.values())},
        }
        found = {"checkpoint": Model().checkpoint} if self.checkpoint is None else dict[str, str]()
        for kind, files in named.items():
            details = server.file_details(LOADERS[kind][2], files.values()) if files else {}
            found |= {what: f"{name} ({details[name]})" if name in details else name for what, name in files.items()}
        return found

    def loaded(self, graph: Graph, model: Model, frame: Frame, *, travel: bool = False) -> tuple[Link, Link, Link]:
        """Returns the model, CLIP and VAE of a frame, with its LoRA strengths and the recipe's clip skip.

        With `travel`, the LoRAs of keyframes are left out.
        """
        if self.checkpoint is None:
            unet, clip, vae = graph.several(PLAYGROUND, 3)
        else:
            unet, clip, vae = graph.several("CheckpointLoaderSimple", 3, ckpt_name=self.checkpoint)
        loras = {lora.name: lora for lora in (*model.loras, *frame.loras)}
        if travel:
            own = {lora.name for lora in frame.loras}
            loras = {name: lora for name, lora in loras.items() if name not in own}
        for name, lora in loras.items():
            how = {"lora_name": self.loras[name], "strength_model": lora.strength, "strength_clip": lora.in_text}
            unet, clip = graph.several("LoraLoader", 2, model=unet, clip=clip, **how)
        if model.clip_skip > 1:
            clip = graph.one("CLIPSetLastLayer", clip=clip, stop_at_clip_layer=-model.clip_skip)
        if self.vae is not None:
            vae = graph.one("VAELoader", vae_name=self.vae)
        return unet, clip, vae


def _require_playground(server: Server) -> None:
    """Raises `Unsupported` if the server lacks the node that loads the bundled model."""
    if server.node(PLAYGROUND) is None:
        known = listed(server.choices(*LOADERS["checkpoint"][:2])) or "none"
        raise Unsupported(
            f"model.checkpoint: {Model().checkpoint!r} needs the node Remix Playground, which this server does not "
            f"have; install or update the Remix nodes there, or choose one of its checkpoints with --checkpoint NAME "
            f"(it has {known})"
        )


def _found(server: Server, kind: str, name: str, field: str) -> str:
    """Returns the server's name of the file `name`. Refreshes the server's list before it rejects a name."""
    node, socket, _ = LOADERS[kind]
    found = match_name(name, server.choices(node, socket)) or match_name(name, server.choices(node, socket, again=True))
    if len(found) == 1:
        return found[0]
    if found:
        raise Unsupported(f"{field}: {name!r} may be any of {listed(found)}; write one of them in full")
    about = f" ({FULL_CHECKPOINTS})" if kind == "checkpoint" else ""
    raise Unsupported(f"{field}: the server has no {name!r}; {suggestion(name, server.choices(node, socket))}{about}")
