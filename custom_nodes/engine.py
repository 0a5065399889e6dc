"""The engine that renders a schedule with the model, CLIP and VAE of a workflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import comfy.samplers
import torch

from remix.catalog.families import UNKNOWN
from remix.engine import Capabilities, Engine, Listener, Picture
from remix.engine.blocks import blocks, in_one_call
from remix.engine.pictures import verified
from remix.engine.prompts import EVERY
from remix.engine.tags import TagsApplied
from remix.job import prompts_that_meet
from remix.motion.pictures import to_bytes
from remix.plan import Schedule

from .applied import conditioning_hash
from .conditioning import PromptTravel
from .connected import of_frames
from .encoding import Entries, embedding_hashes, encoder
from .inversion import InitPictures
from .loras import FrameLoras, lora_hashes
from .model import check_model, family_of_model, is_unet, latent_format
from .sampling import OnStep, encoded, sampled

WIRED = {
    "vae": "it is not loaded here: connect a VAE loader",
    "clip_skip": "it is not set here: connect CLIP Set Last Layer",
}
"""Settings of a recipe that the workflow's links decide -> what to connect."""


class ComfyEngine(Engine):
    """Engine that renders in this ComfyUI with its own sampler and VAE.

    `made_by` identifies the sources of the model, CLIP and VAE. Frames are rendered in fixed blocks of `batch_size`.
    Blocks are always computed completely, since matrix products round differently for another number of rows. `texts`
    is the metadata of all frames. `positive` and `negative` replace the prompts of the recipe.
    """

    name = "comfyui"

    def __init__(
        self,
        model: Any,
        clip: Any,
        vae: Any,
        *,
        made_by: Mapping[str, str],
        batch_size: int,
        on_step: OnStep,
        texts: Mapping[str, str] | None = None,
        positive: Entries | None = None,
        negative: Entries | None = None,
    ) -> None:
        self._model, self._clip, self._vae = model, clip, vae
        self._made_by = dict(made_by)
        self._batch_size = batch_size
        self._texts = dict(texts or {})
        given = {"positive": positive, "negative": negative}
        self._given = {name: entries for name, entries in given.items() if entries is not None}
        self._on_step = on_step
        self._cancelled = False
        self._loaders: dict[str, Any] = {}
        self._tags_applied = TagsApplied()

    def capabilities(self, schedule: Schedule) -> Capabilities:
        """Returns the capabilities with the connected inputs."""
        return Capabilities(
            who="this ComfyUI",
            recipe="width height sampler scheduler steps cfg mix lengths emphasis chunks restore invert variety",
            model="checkpoint loras",  # the links decide on the checkpoint; Remix Recipe adds a remark
            keyframe="prompt negative seed cfg denoise image mask loras",
            samplers=comfy.samplers.KSampler.SAMPLERS,
            schedulers=comfy.samplers.KSampler.SCHEDULERS,
            prompts=EVERY,
            instead="leave it out of the recipe",
            reasons=WIRED,
        )

    def _check(self, schedule: Schedule) -> list[str]:
        remarks = check_model(self._model, self._vae, schedule, self._given)
        self._loras(self._tags_applied(schedule)).refuse_misfits()
        for name, entries in self._given.items():
            of_frames(name, entries, [0], len(schedule), {})
        return remarks

    def identity(self, schedule: Schedule) -> dict[str, str]:
        """Returns the engine's name, the sources of model, CLIP, VAE and LoRAs, and prompts if all frames need them."""
        schedule = self._tags_applied(schedule)
        prompts = prompts_that_meet(schedule, plain_attention=is_unet(self._model))
        embeddings = embedding_hashes(schedule)
        given = {name: conditioning_hash(entries) for name, entries in self._given.items()}
        return {"engine": self.name, **self._made_by, **lora_hashes(schedule), **embeddings, **given, **prompts}

    def texts(self, index: int) -> Mapping[str, str]:
        """Returns the workflow, with which ComfyUI opens a frame."""
        return self._texts

    def cancel(self) -> None:
        """Stops a running `render` after the current block."""
        self._cancelled = True

    def render(
        self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
    ) -> Iterator[Picture]:
        """Yields the pictures of these frames in this order, block by block.

        Raises `BlankFrame` for a latent that is not finite, or a picture of a single color.
        """
        self._cancelled = False
        schedule = self._tags_applied(schedule)
        encode, dimensions = encoder(self._clip, schedule.recipe.reading), latent_format(self._model).latent_dimensions
        family = family_of_model(self._model)
        listed = None if family is UNKNOWN else family.name
        prompts = PromptTravel(
            schedule, encode, dimensions=dimensions, family=listed, alone=True, connected=self._given
        )
        wanted = set(frames)
        loras = self._loras(schedule)
        images = {name for frame in schedule if frame.image is not None for name in frame.image.values}
        latents = {name: encoded(self._vae, inputs[name]) for name in sorted(images)}
        given = InitPictures(self._model, latents, lambda: encode(""))
        for block in blocks(len(schedule), self._batch_size):
            if wanted.isdisjoint(block) or self._cancelled:
                continue
            pictures = self._block(schedule, block, prompts, loras, given, inputs)
            yield from (pictures[index] for index in block if index in wanted)

    def _loras(self, schedule: Schedule) -> FrameLoras:
        return FrameLoras(self._model, self._clip, schedule, self._loaders)

    def _block(
        self,
        schedule: Schedule,
        block: range,
        prompts: PromptTravel,
        loras: FrameLoras,
        given: InitPictures,
        inputs: Mapping[str, Picture],
    ) -> dict[int, Picture]:
        latents: dict[int, torch.Tensor] = {}
        for indices in in_one_call(schedule, block, prompts.rows):
            sampled = self._sampled(schedule, indices, prompts, loras, given, inputs)
            latents.update(zip(indices, sampled, strict=True))
        decoded = self._vae.decode(torch.stack([latents[index] for index in block]))
        planes = decoded.reshape(-1, *decoded.shape[-3:])  # a video VAE adds a time axis, here of length 1
        pictures = to_bytes(planes.cpu().numpy())
        return {index: verified(picture, schedule, index) for index, picture in zip(block, pictures, strict=True)}

    def _sampled(
        self,
        schedule: Schedule,
        indices: Sequence[int],
        prompts: PromptTravel,
        loras: FrameLoras,
        given: InitPictures,
        inputs: Mapping[str, Picture],
    ) -> torch.Tensor:
        """Returns the latents of frames with equal values of all that a batch has only once, see `in_one_call`."""
        model, clip = loras.at(schedule[indices[0]])
        encode = None if clip is self._clip else encoder(clip, schedule.recipe.reading)
        controls: dict[int, Any] = {}
        connected = {
            name: of_frames(name, entries, indices, len(schedule), controls) for name, entries in self._given.items()
        }
        conditionings = prompts.conditionings(indices, encode, connected)
        return sampled(model, schedule, indices, conditionings, given, inputs, self._on_step)
