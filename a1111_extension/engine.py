"""The engine for the host's `process_images`: each call renders a group of frames with one conditioning per picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from remix.catalog.samplers import SAMPLERS
from remix.catalog.schedulers import AUTOMATIC
from remix.engine import Capabilities, Engine, Listener, Picture
from remix.engine.blocks import blocks, in_one_call
from remix.engine.memory import halving
from remix.engine.pack import has_unet
from remix.engine.passes import OUTPUT, texts_of
from remix.engine.pictures import verified
from remix.engine.prompts import EVERY
from remix.errors import EngineError, Unsupported
from remix.hosts.a1111.settings import wildcard_seed
from remix.job import prompts_that_meet
from remix.mix.inversion import Inversion
from remix.plan import Frame, Mix, Recipe, Schedule
from remix.plan.denoise import is_between
from remix.prompt.composition import ends_with_weight, is_composed
from remix.prompt.tags import networks_of, without_tags

from . import host
from .conditioning import Way
from .frames import Batch, travelling
from .identity import embeddings_of, made_by
from .run_settings import RunSettings
from .tags import networks_of_frame, plain, written

CACHES = ("cached_c", "cached_uc", "cached_hr_c", "cached_hr_uc")
"""Where the host keeps encoded prompts between calls. A film has its own: the host's may be read by other rules."""

Sources = tuple[tuple[str, ...], tuple[str, ...]]
"""Distinct prompts, and distinct negative prompts."""

TOO_LARGE = (
    "not even one frame fits into the host's memory; finished frames are kept. Make the size smaller, or start the "
    "host with --medvram"
)
"""What is wrong if a single frame does not fit, and what to do."""

LONGEST_INFOTEXT = 12 * 2**10
"""The longest infotext, in bytes, that is written into a frame in addition to the complete recipe."""


class HostEngine(Engine):
    """Renders in this A1111 or Forge with the host's processing of `p`, which holds everything that recipes do not set.

    Frames are rendered in fixed blocks of `batch`. A block is split where frames differ in values that the host accepts
    only once for all pictures: cfg, denoise, the strengths of LoRAs.
    """

    def __init__(self, p: Any, recipe: Recipe, *, batch: int, portable: bool, about: Mapping[str, str]) -> None:
        self.name = host.NAME
        self._p = p
        self._batch = batch
        self._portable = portable
        self._cancelled = False
        self._settings = RunSettings(p, recipe.model.checkpoint, portable=portable)
        self._about = dict(about)
        self._infotexts: dict[int, str] = {}
        self._inversions: dict[tuple[str, str], Inversion] = {}

    def capabilities(self, schedule: Schedule) -> Capabilities:
        """Returns what this host can render."""
        return Capabilities(
            who="this host",
            recipe="width height sampler scheduler steps cfg mix lengths emphasis chunks restore invert variety",
            model="checkpoint vae loras clip_skip",
            keyframe="prompt negative seed cfg denoise image mask loras",
            prompts=EVERY,
        )

    def _check(self, schedule: Schedule) -> list[str]:
        recipe, p = schedule.recipe, self._p
        self._settings.require_labels(recipe)
        self._check_files(schedule)
        if any(frame.mask is not None for frame in schedule) and getattr(p, "image_mask", None) is not None:
            raise Unsupported("mask: keyframes set one, and the host has its own; leave one of them out")
        if any(frame.image is not None for frame in schedule) and not host.is_img2img(p):
            raise Unsupported("image: keyframes set pictures; run the script in img2img")
        corrected = not self._portable and host.option("img2img_color_correction", False)
        one_alone = getattr(p, "image_mask", None) is not None or corrected
        if one_alone and len({name for frame in schedule if frame.image for name in frame.image.values}) > 1:
            raise Unsupported("image: with a mask, or color correction, there is one picture; leave the others out")
        if float(p.subseed_strength or 0) > 0:
            raise Unsupported(
                "variation seed: its strength is above 0; write mixes of seeds into keyframes, or travel from seed to "
                "seed, and set it to 0"
            )
        if min(p.seed_resize_from_h or 0, p.seed_resize_from_w or 0) > 0:
            raise Unsupported("resize seed: is not read here; set it to 0")
        self._check_inversion(recipe)
        return [*self._check_denoise(schedule), *self._remarks(recipe)]

    def _check_inversion(self, recipe: Recipe) -> None:
        """Raises Unsupported for an inversion with the host's own noise, or with a sampler that needs other noise."""
        if recipe.invert and not self._portable:
            raise Unsupported("invert: needs Portable noise; turn it on, or leave invert out")
        row = SAMPLERS[recipe.sampler]
        if recipe.invert and (row.whole_times or row.starts_elsewhere):
            raise Unsupported(
                f"invert: {recipe.sampler!r} starts at other noise levels here; use another sampler, such as euler"
            )

    def _check_files(self, schedule: Schedule) -> None:
        """Raises Unsupported for a missing VAE or LoRA, which the host would silently leave out."""
        named = schedule.recipe.model.vae
        if named is not None and self._settings.vae(schedule.recipe) != host.vae_of(named):
            raise Unsupported(
                f"model.vae: {named!r} would not be loaded, because the host's --vae-path or its preferences for this "
                "checkpoint go before it; change these, or leave it out"
            )
        for kind, name in self._networks(schedule):
            if kind == "lora" and host.has_networks() and host.network_file(kind, name) is None:
                raise Unsupported(f"lora: there is no {name!r} here; correct its name, or leave it out")

    def _remarks(self, recipe: Recipe) -> list[str]:
        """Returns remarks for the user on a run that is supported."""
        p, remarks = self._p, []
        own, labels = (p.sampler_name, p.scheduler or AUTOMATIC), self._settings.labels(recipe)
        if self._settings.is_hosts_own(recipe) and own[0] != labels[0]:
            remarks.append(
                f"sampler: {own[0]} is rendered as {labels[0]} with the schedule {labels[1]}, which gives the same "
                "frames in every tool; turn Portable noise off for the host's own"
            )
        if p.n_iter > 1 or p.batch_size > 1:
            remarks.append(
                f"batch count {p.n_iter}, batch size {p.batch_size}: are not read; the recipe says how many frames "
                "there are, and a field of the script how many are rendered together"
            )
        if self._portable and (differing := host.differing(recipe.model)):
            remarks.append(differing)
        return remarks

    def _check_denoise(self, schedule: Schedule) -> list[str]:
        """Returns a remark if denoise moves in whole steps. Raises Unsupported if portable runs cannot avoid it."""
        recipe = schedule.recipe
        between = [frame for frame in schedule if frame.image is not None and is_between(recipe.steps, frame.denoise)]
        if self._portable and between and SAMPLERS[recipe.sampler].whole_times:
            raise Unsupported(
                f"sampler: {recipe.sampler!r} cannot begin frame {between[0].index} at denoise "
                f"{between[0].denoise:g}, between two whole steps; use another sampler, such as euler"
            )
        if self._portable or len({frame.denoise for frame in between}) < 2:
            return []
        return ["denoise: moves in whole steps with the host's own noise; turn on Portable noise for a smooth travel"]

    def identity(self, schedule: Schedule) -> dict[str, str]:
        """Returns the host's name, the hashes of its files, and everything else in it that affects the pictures."""
        noise = "portable" if self._portable else f"host {host.option('randn_source')}"
        settings = self._settings.overrides(schedule)
        vae = self._settings.vae(schedule.recipe)
        networks = self._networks(schedule)
        unet = has_unet(Path(self._settings.checkpoint.filename))
        meeting = prompts_that_meet(schedule, plain_attention=bool(unet))
        film = {**meeting, **wildcard_seed(schedule)}
        files = {
            **made_by(self._p, self._settings.checkpoint, vae, settings, networks),
            **embeddings_of(texts_of(schedule)),
        }
        return {**files, "noise": noise, **film}

    @property
    def model_name(self) -> str:
        """Returns the name of the checkpoint, as the host writes it into infotexts."""
        return str(self._settings.checkpoint.name_for_extra)

    def cancel(self) -> None:
        """Stops a running `render` after the frames in progress."""
        self._cancelled = True

    def texts(self, index: int) -> dict[str, str]:
        """Returns the host's infotext of a frame, if the host writes it into pictures and it is not too long."""
        text = self._infotexts.pop(index, "")
        return {"parameters": text} if text and len(text.encode()) <= LONGEST_INFOTEXT else {}

    def render(
        self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
    ) -> Iterator[Picture]:
        """Yields the pictures of these frames in this order.

        Ends early if the user interrupts or skips, which discards the frames in progress, or stops the generation,
        which finishes them. Raises `BlankFrame` for a picture of one color.
        """
        self._cancelled = False
        wanted = set(frames)
        groups = [group for group in self._groups(schedule) if not wanted.isdisjoint(group)]
        host.state.job_count = len(groups)
        host.state.processing_has_refined_job_count = False
        for cache in CACHES:
            setattr(self._p, cache, [None, None])
        film = None if self._changes(schedule) else self._film_sources(schedule)
        waiting = list(frames)
        pictures: dict[int, Picture] = {}
        rendered = halving(
            groups,
            wanted,
            lambda group: self._pictures(schedule, group, inputs, film),
            stop=lambda: self._cancelled or host.state.stopping_generation,
            shrink=self._shrink,
            too_large=TOO_LARGE,
        )
        for _, found in rendered:
            pictures.update(found)
            while waiting and waiting[0] in pictures:
                yield pictures.pop(waiting.pop(0))

    def _groups(self, schedule: Schedule) -> list[list[int]]:
        """Returns the frames of each call: those of a block that agree in all values that apply to a whole call."""

        def more(frame: Frame) -> tuple[str, int | None]:
            alone = self._has_parts(schedule.recipe, frame)
            return self._tags(schedule.recipe, frame), frame.index if alone else None

        return [group for block in blocks(len(schedule), self._batch) for group in in_one_call(schedule, block, more)]

    @staticmethod
    def _has_parts(recipe: Recipe, frame: Frame) -> bool:
        """Returns whether a frame has to be rendered alone because its prompts have parts with weights.

        Forge uses the weights of a batch's last picture for all of it, and with AND padding depends on the others.
        """
        if recipe.mix == OUTPUT and host.FORGE:
            return True
        return any(is_composed(prompt) or ends_with_weight(prompt) for prompt in plain(frame.prompt).values)

    @staticmethod
    def _sources(frames: Iterable[Frame]) -> Sources:
        """Returns the distinct prompts and negative prompts of frames, without tags."""
        prompts, negatives = set[str](), set[str]()
        for frame in frames:
            prompts.update(plain(frame.prompt).values)
            negatives.update(plain(frame.negative).values)
        return tuple(sorted(prompts)), tuple(sorted(negatives))

    @staticmethod
    def _film_sources(schedule: Schedule) -> Sources:
        """Returns the distinct prompts and negative prompts of the whole film, without tags."""
        prompts, negatives = (
            {without_tags(text) for text in texts} for texts in (schedule.prompts, schedule.negatives)
        )
        return tuple(sorted(prompts)), tuple(sorted(negatives))

    @staticmethod
    def _networks(schedule: Schedule) -> list[tuple[str, str]]:
        """Returns the kinds and names of the LoRAs and other extra networks of all frames."""
        loras = schedule.recipe.model.loras
        mixes = {(frame.prompt, frame.loras): frame for frame in schedule}.values()
        return sorted({(net.kind, net.name) for frame in mixes for net in networks_of_frame(frame, loras)})

    @staticmethod
    def _tags(recipe: Recipe, frame: Frame) -> str:
        return written(networks_of_frame(frame, recipe.model.loras))

    def _changes(self, schedule: Schedule) -> bool:
        """Returns whether other weights encode prompts in another call: LoRAs that travel, or another model."""
        if self._p.refiner_checkpoint or len({self._tags(schedule.recipe, frame) for frame in schedule}) > 1:
            return True
        # Other parts of the film may have other shares of the prompts, and of the tags in them.
        return schedule.whole is not None and len({tuple(networks_of(text).items()) for text in schedule.prompts}) > 1

    def _pictures(
        self, schedule: Schedule, group: Sequence[int], inputs: Mapping[str, Picture], film: Sources | None
    ) -> dict[int, Picture]:
        """Returns the pictures of a group, none if the user interrupted or skipped, which also ends the run.

        `film` holds the prompts of all frames if the host may keep them encoded between calls.
        """
        call = travelling(self._p, self._batch_of(schedule, group, inputs, film))
        self._settings.apply(call, schedule)
        done = host.process(call)
        if host.state.interrupted or host.state.skipped:
            self._cancelled = True
            return {}
        if call.remix_failed:
            raise EngineError(f"frame {group[0]}: {call.remix_failed[0]}; repair the extension, or turn it off")
        start = done.index_of_first_image
        images = done.images[start : start + len(group)]
        count = len(done.images) - start
        if count != len(group):
            raise EngineError(
                f"frame {group[0]}: the host gave {count} pictures for {len(group)} frames; turn off the extension "
                "that adds or removes some"
            )
        self._infotexts |= dict(zip(group, done.infotexts[start:], strict=False))
        return {
            index: verified(np.asarray(image.convert("RGB")), schedule, index)
            for index, image in zip(group, images, strict=True)
        }

    def _shrink(self, count: int, fewer: int) -> None:
        host.free()
        self._p.comment(
            f"batch: {count} frames at once do not fit into the host's memory; continuing with {fewer}. "
            f'Set "Frames at once" to {fewer}'
        )

    def _batch_of(
        self, schedule: Schedule, group: Sequence[int], inputs: Mapping[str, Picture], film: Sources | None
    ) -> Batch:
        recipe, frames = schedule.recipe, tuple(schedule[index] for index in group)
        prompts, negatives = film or self._sources(frames)
        return Batch(
            frames=frames,
            prompts=prompts,
            negatives=negatives,
            tags=self._tags(recipe, frames[0]),
            way=Way(recipe.mix, recipe.lengths),
            variety=recipe.variety,
            portable=self._portable,
            seed=schedule.first_seed,
            images={name: Image.fromarray(inputs[name]) for name in _names(frame.image for frame in frames)},
            masks={name: torch.from_numpy(inputs[name].copy()) for name in _names(frame.mask for frame in frames)},
            infotext=self._infotext,
            checkpoint=self._settings.checkpoint.filename,
            reading=self._settings.reading(schedule),
            literal_ends=self._settings.has_literal_ends(recipe),
            inversions=self._inversions if recipe.invert else None,
        )

    def _infotext(self, frame: Frame) -> dict[str, str]:
        return {**self._about, "Remix frame": str(frame.index)}


def _names(mixes: Iterable[Mix[str] | None]) -> set[str]:
    return {name for mix in mixes if mix is not None for name in mix.values}
