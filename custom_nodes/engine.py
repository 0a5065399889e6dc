"""The engine that renders a schedule with the model, CLIP and VAE on the wires of a workflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import comfy.sample
import comfy.samplers
import torch

from remix.catalog.families import family_of_classes
from remix.catalog.samplers import SAMPLERS, require_sampler
from remix.catalog.schedulers import require_scheduler
from remix.engine import Listener, Picture
from remix.errors import BlankFrame, Unsupported
from remix.job import prompts_that_meet
from remix.mix import levels_from, masks_of_mixes, mix_latents, weights_of
from remix.motion import only_colour
from remix.motion.pictures import to_bytes, to_floats
from remix.plan import Frame, Recipe, Schedule
from remix.plan.denoise import LEAST_DENOISE, is_between

from .conditioning import PromptTravel, encoder
from .inputs import batches, refuse_loras
from .noise import with_noise


@dataclass(frozen=True)
class Given:
    """What the recipe's pictures say: the latents of init pictures, and the pictures of masks, by name."""

    latents: Mapping[str, torch.Tensor]
    pictures: Mapping[str, Picture]

    def mask(self, frames: Sequence[Frame], latents: torch.Size) -> torch.Tensor | None:
        """Returns where these frames are drawn anew, [frames, 1, h, w]; None for everywhere."""
        masks = [frame.mask for frame in frames if frame.mask is not None]
        if not masks:  # a keyframe that sets one sets it for the whole film
            return None
        pictures = {name: torch.from_numpy(self.pictures[name].copy()) for mask in masks for name in mask.values}
        return masks_of_mixes(masks, pictures, latents)


OnStep = Callable[[int, int, int, Any], None]
"""(frames that are sampled together, steps done, steps in all, the model's estimate of them so far)."""


class ComfyEngine:
    """Renders in this ComfyUI, through its own sampler and VAE.

    `made_by` says what the model, CLIP and VAE came from. Frames are rendered in fixed blocks of `batch_size`: a
    matrix product rounds differently for another number of rows, so a block is always worked out whole.
    """

    name = "comfyui"

    def __init__(
        self, model: Any, clip: Any, vae: Any, *, made_by: Mapping[str, str], batch_size: int, on_step: OnStep
    ) -> None:
        self._model, self._clip, self._vae = model, clip, vae
        self._made_by = dict(made_by)
        self._batch_size = batch_size
        self._on_step = on_step
        self._cancelled = False

    def check(self, schedule: Schedule) -> list[str]:
        """Returns remarks; raises `Unsupported`, by name, for what cannot be rendered with what is connected."""
        recipe = schedule.recipe
        require_sampler(recipe.sampler, comfy.samplers.KSampler.SAMPLERS, "this ComfyUI")
        require_scheduler(recipe.scheduler, comfy.samplers.KSampler.SCHEDULERS, "this ComfyUI")
        refuse_loras(schedule)
        kind = type(self._model.model).__name__
        if self._format.latent_dimensions == 1:
            raise Unsupported(f"model: {kind} makes sound; connect a model that makes pictures")
        if self._vae is None:
            raise Unsupported("vae: is None; this checkpoint holds none, connect a VAE loader")
        config = getattr(self._model.model, "model_config", None)
        if family_of_classes(base.__name__ for base in type(config).__mro__).film:
            return [f"model: {kind} is trained on films; every frame is rendered as a film of one picture"]
        return []

    def identity(self, schedule: Schedule) -> dict[str, str]:
        """Returns the engine's name, what the model, CLIP and VAE came from, and prompts where frames depend on all."""
        config = getattr(getattr(self._model.model, "model_config", None), "unet_config", {})
        plain = "model_channels" in config  # a U-Net; transformers attend to padding
        return {"engine": self.name, **self._made_by, **prompts_that_meet(schedule, plain_attention=plain)}

    def cancel(self) -> None:
        """Asks a running `render` to end after the block at hand."""
        self._cancelled = True

    def render(
        self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
    ) -> Iterator[Picture]:
        """Yields the pictures of these frames in this order, block by block.

        Raises `BlankFrame` for a latent that is not finite, or a picture of one colour.
        """
        self._cancelled = False
        wanted, prompts = set(frames), PromptTravel(schedule, encoder(self._clip))
        images = {name for frame in schedule if frame.image is not None for name in frame.image.values}
        given = {name: self._encoded(inputs[name]) for name in sorted(images)}
        for block in batches(schedule, self._batch_size):
            if wanted.isdisjoint(block) or self._cancelled:
                continue
            pictures = self._block(schedule, block, prompts, Given(given, inputs))
            yield from (pictures[index] for index in block if index in wanted)

    @property
    def _format(self) -> Any:
        return self._model.get_model_object("latent_format")

    def _encoded(self, picture: Picture) -> torch.Tensor:
        """The latent of an init picture."""
        latent: torch.Tensor = self._vae.encode(torch.from_numpy(to_floats(picture))[None])
        return latent

    def _block(self, schedule: Schedule, block: range, prompts: PromptTravel, given: Given) -> dict[int, Picture]:
        groups: dict[tuple[Any, ...], list[int]] = {}
        for index in block:
            frame = schedule[index]
            alone = index if SAMPLERS[schedule.recipe.sampler].one_at_a_time else None
            groups.setdefault((frame.cfg, frame.denoise, frame.image is None, alone), []).append(index)
        latents: dict[int, torch.Tensor] = {}
        for indices in groups.values():
            sampled = self._sampled(schedule, indices, prompts, given)
            latents.update(zip(indices, sampled, strict=True))
        decoded = self._vae.decode(torch.stack([latents[index] for index in block]))
        planes = decoded.reshape(-1, *decoded.shape[-3:])  # a VAE of films adds an axis of time, here of length 1
        pictures = dict(zip(block, to_bytes(planes.cpu().numpy()), strict=True))
        for index, picture in pictures.items():
            # A frame that is only decoded may show a given picture of one colour.
            if schedule[index].denoise > 0 and (colour := only_colour(picture)):
                raise BlankFrame(f"frame {index}: every pixel of the picture is {colour}")
        return pictures

    def _sampled(self, schedule: Schedule, indices: Sequence[int], prompts: PromptTravel, given: Given) -> torch.Tensor:
        """The latents of frames with one cfg and one denoise, which the host takes as one number each."""
        recipe, frames = schedule.recipe, [schedule[index] for index in indices]
        (positive,) = prompts.conditionings("prompt", indices)
        (negative,) = prompts.conditionings("negative", indices)
        start = self._start(schedule, frames, given.latents)
        mask = given.mask(frames, start.shape)
        denoise, sigmas = self._beginning(recipe, frames[0])
        samples = comfy.sample.sample(
            with_noise(self._model, schedule, indices),
            torch.ones_like(start),  # in whose place the model puts the frames' own
            recipe.steps,
            frames[0].cfg,
            recipe.sampler,
            recipe.scheduler,
            positive,
            negative,
            start,
            denoise=denoise,
            sigmas=sigmas,
            noise_mask=mask,
            callback=lambda step, x0, x, total: self._on_step(len(indices), step + 1, total, x0),
            disable_pbar=True,
            seed=frames[0].seed.values[0],
        )
        if mask is not None:
            # What is kept is the init picture's own latent: not every sampler ends on its last estimate.
            samples = torch.where(mask.to(samples.device) > 0, samples, start.to(samples.device))
        for index, latent in zip(indices, samples, strict=True):
            if not bool(torch.isfinite(latent).all()):
                raise BlankFrame(f"frame {index}: the model gave numbers that are not finite")
        return samples

    def _beginning(self, recipe: Recipe, frame: Frame) -> tuple[float, torch.Tensor | None]:
        """What the host is given as `denoise` and as noise levels; None where its own rule gives these.

        The host's rule is int(steps / denoise), by which a denoise that travels would move in whole steps.
        """
        if frame.image is None or frame.denoise == 0:
            return frame.denoise, None
        if not is_between(recipe.steps, frame.denoise):
            return max(frame.denoise, LEAST_DENOISE), None
        device = self._model.load_device
        host = comfy.samplers.KSampler(self._model, recipe.steps, device, recipe.sampler, recipe.scheduler)
        return 1.0, levels_from(host.calculate_sigmas, recipe.steps, frame.denoise).to(device)

    def _start(self, schedule: Schedule, frames: Sequence[Frame], given: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """What the noise is laid over: the mixed init pictures, or nothing."""
        if frames[0].image is not None:
            names, weights = weights_of([frame.image for frame in frames])
            mixed: torch.Tensor = mix_latents([given[name] for name in names], weights)
            return mixed
        recipe = schedule.recipe
        shrink = getattr(self._format, "spacial_downscale_ratio", 8)
        if recipe.width % shrink or recipe.height % shrink:
            raise Unsupported(f"size: {recipe.width}x{recipe.height} does not fit the model; use multiples of {shrink}")
        empty = torch.zeros(len(frames), 4, recipe.height // shrink, recipe.width // shrink)
        return comfy.sample.fix_empty_latent_channels(self._model, empty)
