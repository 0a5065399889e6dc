"""Remix Playground: the bundled model, for a first film without a download."""

from __future__ import annotations

from comfy_api.latest import io

from .inputs import PLAN, schema


class RemixPlayground(io.ComfyNode):
    """Node that loads the bundled model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Returns the outputs and texts of the node; it has no inputs."""
        return schema(
            node_id="RemixPlayground",
            display_name="Remix Playground",
            category=PLAN,
            description="Loads the small model that comes with Remix Toolkit: no download, no GPU. It makes pictures "
            "of 128x128 pixels from simple words, such as: a red house on a green hill. Replace this node with Load "
            "Checkpoint to use a checkpoint of your own.",
            search_aliases=["bundled model", "tiny model", "load checkpoint", "demo"],
            inputs=[],
            outputs=[
                io.Model.Output("model", display_name="MODEL", tooltip="The model that denoises latents."),
                io.Clip.Output("clip", display_name="CLIP", tooltip="The text encoder."),
                io.Vae.Output("vae", display_name="VAE", tooltip="The VAE, which encodes and decodes pictures."),
            ],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        """Returns the model, its text encoder and its VAE."""
        from . import bundled_model

        return io.NodeOutput(bundled_model.model(), bundled_model.clip(), bundled_model.vae())


NODES = [RemixPlayground]
