"""Remix Noise Travel: the noise of every frame of a schedule, including that of every step."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import comfy.patcher_extension
import comfy.samplers
import torch
from comfy_api.latest import io

from remix.catalog.samplers import SAMPLERS, Sampler
from remix.errors import BadInput, Unsupported
from remix.mix import StepNoise, noise_of_mixes
from remix.mix.comfy_types import join_latents
from remix.mix.masks import is_by_item
from remix.plan import Mix, Schedule

from .inputs import (
    MIX,
    batch_input,
    batches,
    one_or_each,
    only,
    refuse_unwired,
    schedule_input,
    schedule_of,
    schema,
)
from .workflow import surroundings_of

Begin = Callable[[float], torch.Tensor]
"""A function from the noise level at which sampling starts to the noise of all frames of a batch."""


class RemixNoiseTravel(io.ComfyNode):
    """Node that outputs the seeds of a schedule as noise, as latents, and as a model that applies the noise itself."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RemixNoiseTravel",
            display_name="Remix Noise Travel",
            category=MIX,
            description="Makes the noise of each frame from its own seed or mix of seeds, the same as in the other "
            "Remix tools. With the model output, KSampler uses this noise and ignores its own seed. Ancestral and SDE "
            "samplers draw their step noise frame by frame.",
            search_aliases=["seed travel", "slerp noise", "noise interpolation", "variation seed", "seed walk"],
            inputs=[
                schedule_input(),
                batch_input(),
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="The model for KSampler. The model output uses the noise of the schedule.",
                ),
                io.Latent.Input(
                    "latent",
                    optional=True,
                    tooltip="The latents to add noise to: one for all frames, or one for each frame. A list of "
                    "batches is joined. If not connected, empty latents of the recipe's size.",
                ),
            ],
            outputs=[
                io.Noise.Output(
                    "noise", is_output_list=True, tooltip="The noise for SamplerCustomAdvanced, as a list of batches."
                ),
                io.Latent.Output("latent", is_output_list=True, tooltip="One latent per frame, as a list of batches."),
                io.Model.Output(
                    "model",
                    is_output_list=True,
                    tooltip="The model that uses this noise in KSampler and others, one per batch.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            is_input_list=True,
        )

    @classmethod
    def fingerprint_inputs(cls, **inputs: Any) -> str:
        """Returns the part of the workflow that the node depends on: lists that are combined with its own."""
        return repr(surroundings_of(cls))

    @classmethod
    def execute(
        cls,
        schedule: list[Any],
        batch_size: list[int],
        model: list[Any] | None = None,
        latent: list[dict[str, Any]] | None = None,
    ) -> io.NodeOutput:
        """Returns noises, latents and models, in batches."""
        planned = schedule_of(only("schedule", schedule))
        refuse_unwired(planned)
        if not latent and any(frame.image is not None for frame in planned):
            raise BadInput('image: the recipe sets pictures; connect their latent, or use "Remix Render"')
        size, around = only("batch_size", batch_size), surroundings_of(cls)
        around.refuse_unequal(len(planned), size)
        models = one_or_each("model", model or [None], len(planned))
        size = 1 if len(models) > 1 else around.batch_size(size)
        start = _joined(latent) if latent else None
        parts = batches(planned, size)
        return io.NodeOutput(
            [FrameNoise([planned[index].seed for index in frames]) for frames in parts],
            [latent_of(planned, frames, start) for frames in parts],
            [
                None if given is None else with_noise(given, planned, frames)
                for given, frames in zip(models if len(models) > 1 else [*models] * len(parts), parts, strict=True)
            ],
        )


def _joined(latents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns a list of batches, such as the output of Remix Latent Blend, as one batch."""
    return latents[0] if len(latents) == 1 else join_latents(latents)


class FrameNoise:
    """A NOISE from the seeds of each frame, for a batch with one latent per frame."""

    def __init__(self, mixes: Sequence[Mix[int]]) -> None:
        self._mixes = mixes
        self.seed = mixes[0].values[0]

    def generate_noise(self, input_latent: dict[str, Any]) -> torch.Tensor:
        """Returns the noise, float32 on the CPU, in the shape of the latent's samples."""
        samples = input_latent["samples"]
        _refuse_latents(samples, len(self._mixes))
        return noise_of_mixes(self._mixes, samples.shape[1:])


def latent_of(schedule: Schedule, frames: range, latent: dict[str, Any] | None) -> dict[str, Any]:
    """Returns the LATENT of these frames: empty latents, or their part of `latent`.

    Their `batch_index` is always 0, so that a sampler with its own noise uses the same for every frame. A mask for all
    frames, [H, W] or with the time axis of a video, is unchanged. Raises BadInput if the number of masks and frames
    differs.
    """
    alike = {"batch_index": [0] * len(frames)}
    if latent is None:
        recipe = schedule.recipe
        empty = torch.zeros(len(frames), 4, recipe.height // 8, recipe.width // 8)
        return {"samples": empty, "downscale_ratio_spacial": 8, **alike}
    samples, mask = latent["samples"], latent.get("noise_mask")
    if samples.is_nested or len(samples) not in (1, len(schedule)):
        count = "nested" if samples.is_nested else len(samples)
        raise BadInput(f"latent: {count} for {len(schedule)} frames; give one for all, or one for each frame")
    part = {**latent, "samples": _part(samples, frames), **alike}
    if mask is not None and is_by_item(mask, samples.ndim):
        if len(mask) not in (1, len(schedule)):
            raise BadInput(
                f"latent: {len(mask)} noise masks for {len(schedule)} frames; give one for all, or one for each frame"
            )
        part["noise_mask"] = _part(mask, frames)
    return part


def _part(tensor: torch.Tensor, frames: range) -> torch.Tensor:
    return tensor.expand(len(frames), *tensor.shape[1:]) if len(tensor) == 1 else tensor[frames.start : frames.stop]


def with_noise(model: Any, schedule: Schedule, frames: Sequence[int], begin: Begin | None = None) -> Any:
    """Returns a copy of `model` that samples batches of these frames with their own noise, including step noise.

    `begin` returns other noise for the start at a noise level, None the seeds' own.

    An OUTER_SAMPLE wrapper of the host replaces the noise of the sampler node. A sampler that adds noise at its steps
    receives the next draws from each frame's seeds. Samplers that do not support this are rejected by name.

    Patches with a value per frame of the film read the current frames from `ad_params` in the transformer's options,
    the convention of image prompt packs for sliding windows.
    """
    copied, mixes = model.clone(), [schedule[index].seed for index in frames]
    copied.model_options["transformer_options"]["ad_params"] = {"full_length": len(schedule), "sub_idxs": list(frames)}

    def sample(executor: Callable[..., Any], noise: Any, latent: Any, sampler: Any, *args: Any, **kwargs: Any) -> Any:
        _refuse_latents(latent, len(mixes))
        _refuse_conditionings(executor, len(mixes))
        steps = StepNoise(mixes, noise.shape[1:])
        first = steps.next()
        if begin is not None:
            first = begin(float(args[0][0]))
        drawing = _draws_noise(sampler, len(mixes))
        if not torch.count_nonzero(noise):  # KSampler (Advanced) without added noise: a later part of a run
            if drawing:
                raise Unsupported(
                    f"{_name(sampler)}: draws noise at its steps, and a walk that begins in the middle would draw "
                    "that of the first part again; sample all steps in one node, or use a sampler such as euler"
                )
            first = noise
        return executor(first, latent, _with_step_noise(sampler, steps if drawing else None), *args, **kwargs)

    copied.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.OUTER_SAMPLE, "remix_noise", sample)
    return copied


def _draws_noise(sampler: Any, frames: int) -> bool:
    """Returns whether a sampler adds noise at its steps.

    Raises `Unsupported` for a sampler that does not accept noise, or cannot sample this many frames together.
    """
    if not isinstance(sampler, comfy.samplers.KSAMPLER):
        raise Unsupported(
            f"{type(sampler).__name__}: a sampler of its own kind, whose noise cannot be given frame by frame; "
            "use one of KSampler's"
        )
    row = _row(sampler)
    if row is not None and row.one_at_a_time and frames > 1:
        raise Unsupported(
            f"{row.name}: chooses its steps by all {frames} pictures of a batch; set batch_size to 1 in every Remix "
            'node, or use "Remix Render"'
        )
    asks = "noise_sampler" in inspect.signature(sampler.sampler_function).parameters
    return asks and (row is None or row.stochastic)


def _with_step_noise(sampler: Any, steps: StepNoise | None) -> Any:
    """Returns a copy of the sampler that takes the noise of each step from `steps`.

    With a noise mask, it uses the frames' initial noise, since ddim would draw one noise for the whole batch.
    """
    copied = copy.copy(sampler)  # keeps its class and attributes
    copied.extra_options, copied.inpaint_options = dict(sampler.extra_options), {**sampler.inpaint_options}
    copied.inpaint_options["random"] = False
    if steps is not None:
        copied.extra_options["noise_sampler"] = lambda sigma, sigma_next: steps.between(
            float(sigma), float(sigma_next)
        ).to(sigma.device)
    return copied


def _row(sampler: Any) -> Sampler | None:
    """Returns a sampler's row in the catalog, or None for a sampler of another pack."""
    return SAMPLERS.get(_name(sampler).removeprefix("sample_").removesuffix("_function"))


def _name(sampler: Any) -> str:
    return getattr(getattr(sampler, "sampler_function", sampler), "__name__", type(sampler).__name__)


def _refuse_latents(samples: Any, frames: int) -> None:
    if samples.is_nested:
        raise Unsupported(
            "latent: several nested in one (picture and sound), which have no frames here; use a plain one"
        )
    if len(samples) != frames:
        raise BadInput(
            f"latent: {len(samples)} for {frames} frames of the noise; connect the latent of Remix Noise Travel, "
            "and give every Remix node the same batch_size"
        )
    if not bool(torch.isfinite(samples).all()):
        raise BadInput("latent: it holds NaN or inf; make it again, with a VAE in float32 if it overflowed")


def _refuse_conditionings(executor: Any, frames: int) -> None:
    """Raises BadInput for prompts, control pictures and masks for another number of frames.

    The host would silently cut or repeat them.
    """
    conds = getattr(getattr(executor, "class_obj", None), "conds", None) or {}
    for name, entries in conds.items():
        for entry in entries:
            for what, rows, remedy in _by_frame(entry):
                if isinstance(rows, torch.Tensor) and len(rows) not in (1, frames):
                    raise BadInput(f"{name}: {len(rows)} {what} for {frames} latents; {remedy}")


def _by_frame(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Yields entries of a prompt that may have a row per frame: name, tensor, and advice for a mismatch."""
    yield "conditionings", entry.get("cross_attn"), "give every Remix node the same batch_size"
    yield "masks", entry.get("mask"), "give one for all, or one for each frame of the batch"
    control = entry.get("control")
    while control is not None:
        hint = getattr(control, "cond_hint_original", None)
        yield "pictures of its ControlNet", hint, "cut them by Rebatch Images, with the batch_size of the Remix nodes"
        control = getattr(control, "previous_controlnet", None)


NODES = [RemixNoiseTravel]
