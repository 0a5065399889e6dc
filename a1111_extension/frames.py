"""Hooks on the processing object of a call: each picture of its batch is a frame with its own values.

The host computes one conditioning for the prompts of a batch, one noise for its seeds and one latent for its init
picture. `travelling` returns a copy of the processing object whose class overrides this. The host itself is not
changed.
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from remix.engine.passes import OUTPUT
from remix.errors import Unsupported
from remix.hosts.a1111.settings import EMPTY
from remix.mix import masks_of_mixes, mix_latents, weights_of
from remix.mix.inversion import Inversion
from remix.plan import Frame
from remix.plan.denoise import LEAST_DENOISE
from remix.prompt import Reading
from remix.prompt.composition import with_literal_end
from remix.prompt.tags import networks_of, without_tags

from . import host
from .conditioning import Way, evened, mix_negatives, mix_prompts, mix_steps, varied_prompts
from .encoding import reading_by
from .inversion import noise_of_pictures
from .levels import begin_by_rule
from .masks import Kept
from .noise import FrameNoise, take_step_noise
from .prompt_scripts import TEXTS, Fill, every, filled, watched
from .tags import plain, written


@dataclass(frozen=True)
class Batch:
    """The frames of one call.

    `prompts` and `negatives` are the texts that the host encodes, without tags; `tags` apply to all of them. `portable`
    selects the noise: portable, or the host's own. `seed` is the film's first. `images` are the init pictures by the
    names that frames use for them, `masks` those of masks, as uint8 [H, W, 3]. `infotext` returns the texts to write
    into the host's infotext of a frame. `checkpoint` is the file that the host must have loaded. `reading` is how
    prompts are read, None if the host does it by its settings. `literal_ends`: a number at the end of a prompt, as in
    ``ratio 16:9``, is not its weight. `inversions` keeps the noise in the film's init pictures, None if frames start
    with that of seeds. `variety` is the recipe's.
    """

    frames: tuple[Frame, ...]
    prompts: tuple[str, ...]
    negatives: tuple[str, ...]
    tags: str
    way: Way
    portable: bool
    seed: int
    images: Mapping[str, Any]
    masks: Mapping[str, Tensor]
    infotext: Callable[[Frame], Mapping[str, str]]
    checkpoint: str
    reading: Reading | None = None
    literal_ends: bool = False
    inversions: dict[tuple[str, str], Inversion] | None = None
    variety: float = 0.0

    def weights(self, field: str) -> Tensor:
        """Returns the weights [frames, prompts] of `prompts` or `negatives`."""
        name, values = ("prompt", self.prompts) if field == "prompts" else ("negative", self.negatives)
        return weights_of([plain(getattr(frame, name)) for frame in self.frames], values)[1]


def travelling(p: Any, batch: Batch) -> Any:
    """Returns a copy of a processing object that renders these frames in one batch."""
    call = copy.copy(p)
    call.__class__ = _class_of(type(p))
    call.remix_batch = batch
    first = batch.frames[0]
    call.extra_generation_params = dict(p.extra_generation_params)
    call.override_settings = dict(p.override_settings)
    call.batch_size, call.n_iter = len(batch.frames), 1
    call.cfg_scale = first.cfg
    call.seed = call.subseed = first.seed.values[0]
    call.subseed_strength = 0.0
    call.remix_failed = []
    if p.scripts is not None:
        call.scripts = watched(p.scripts, Travelling._seeds_of_frames, Travelling._refill, call.remix_failed)
    call.do_not_save_samples = call.do_not_save_grid = True
    if batch.images:
        call.denoising_strength = first.denoise and max(first.denoise, LEAST_DENOISE)
    return call


_CLASSES: dict[type, type] = {}


def _class_of(kind: type) -> type:
    """Returns a subclass of the host's class with the hooks, the same one each time."""
    return _CLASSES.setdefault(kind, type(kind.__name__, (Travelling, kind), {}))


class Travelling:
    """The methods that a processing object overrides; the host's own class follows in the order of resolution."""

    remix_batch: Batch

    def setup_prompts(self: Any) -> None:
        """Gives the host every prompt of the travel instead of one for each picture."""
        batch, own = self.remix_batch, (self.prompt, self.negative_prompt)
        host.require_checkpoint(batch.checkpoint)
        count = max(len(batch.frames), len(batch.prompts), len(batch.negatives))
        self.prompt = _padded(batch.prompts, count)
        self.negative_prompt = _padded(batch.negatives, count)
        travels_too = getattr(self, "enable_hr", False) and (self.hr_prompt == "", self.hr_negative_prompt == "")
        super().setup_prompts()  # type: ignore[misc]
        self.prompt, self.negative_prompt = own
        self.remix_hires = travels_too or (False, False)
        if self.remix_hires[0]:
            self.hr_prompt = ""
        if self.remix_hires[1]:
            self.hr_negative_prompt = ""
        self.remix_prompts = self.all_prompts[: len(batch.prompts)]
        self.remix_negatives = self.all_negative_prompts[: len(batch.negatives)]
        self._show()

    def _show(self: Any) -> None:
        """Shows scripts the heaviest prompt of each picture, followed by the prompts that are the heaviest of none."""
        batch = self.remix_batch
        shown = every(_heaviest(batch.weights("prompts"), self.remix_prompts), self.remix_prompts)
        shown_negatives = every(_heaviest(batch.weights("negatives"), self.remix_negatives), self.remix_negatives)
        count = max(len(shown), len(shown_negatives))
        self.all_prompts, self.all_negative_prompts = _padded(shown, count), _padded(shown_negatives, count)
        if getattr(self, "enable_hr", False):
            own = self.all_hr_prompts[0], self.all_hr_negative_prompts[0]
            self.all_hr_prompts = list(self.all_prompts) if self.remix_hires[0] else [own[0]] * count
            self.all_hr_negative_prompts = list(self.all_negative_prompts) if self.remix_hires[1] else [own[1]] * count

    def _seeds_of_frames(self: Any) -> None:
        """Gives scripts the seeds of the frames instead of consecutive ones."""
        seeds = [frame.seed.values[0] for frame in self.remix_batch.frames]
        self.all_seeds = seeds + seeds[:1] * (len(self.all_prompts) - len(seeds))
        self.all_subseeds = list(self.all_seeds)

    def _refill(self: Any, fill: Fill) -> None:
        """Runs a script that changes prompts on each prompt separately, with the same result in every call."""
        batch = self.remix_batch
        texts = {name: getattr(self, name)[0] for name in TEXTS if getattr(self, name, None)}

        def made(name: str, given: Sequence[str], sources: Sequence[str]) -> list[dict[str, str]]:
            seeds = [(batch.seed + zlib.crc32(text.encode())) % 2**32 for text in sources]
            return [filled(self, fill, {**texts, name: text}, seed) for text, seed in zip(given, seeds, strict=True)]

        prompts = made("all_prompts", self.remix_prompts, batch.prompts)
        negatives = made("all_negative_prompts", self.remix_negatives, batch.negatives)
        self.remix_prompts = [each["all_prompts"] for each in prompts]
        self.remix_negatives = [each["all_negative_prompts"] for each in negatives]
        for name in TEXTS[2:]:
            if name in texts:
                setattr(self, name, [prompts[0][name]])
        self._show()

    def parse_extra_network_prompts(self: Any) -> None:
        """Reads the prompts as the host's styles and scripts changed them, and gives every picture its own text."""
        batch = self.remix_batch
        self._refuse_changes()
        super().parse_extra_network_prompts()  # type: ignore[misc]
        # These still contain the tags that styles and extensions add to all prompts.
        everywhere = written(networks_of(self.remix_prompts[0]))
        self.remix_prompts = _bare(self.remix_prompts, "prompt")
        self.remix_negatives = _bare(self.remix_negatives, "negative")
        self.extra_network_data = host.parsed(batch.tags + everywhere)
        self.all_prompts = _heaviest(batch.weights("prompts"), self.remix_prompts)
        self.all_negative_prompts = _heaviest(batch.weights("negatives"), self.remix_negatives)
        self.prompts, self.negative_prompts = list(self.all_prompts), list(self.all_negative_prompts)
        self.all_seeds = self.seeds = [frame.seed.values[0] for frame in batch.frames]
        self.all_subseeds = self.subseeds = list(self.all_seeds)
        if getattr(self, "enable_hr", False):
            self._hires_prompts()
        for name in batch.infotext(batch.frames[0]):
            self.extra_generation_params[name] = [batch.infotext(frame)[name] for frame in batch.frames]

    def _refuse_changes(self: Any) -> None:
        """Raises Unsupported if a script changed the pictures' prompts after they were mixed."""
        batch, count = self.remix_batch, len(self.remix_batch.frames)
        for name, now, texts in (
            ("prompts", self.prompts, self.remix_prompts),
            ("negatives", self.negative_prompts, self.remix_negatives),
        ):
            if list(now)[:count] != _heaviest(batch.weights(name), texts):
                raise Unsupported(
                    f"{name}: an extension changed them in a batch that was under way, where they are mixed already; "
                    "turn it off for this run"
                )

    def _hires_prompts(self: Any) -> None:
        batch = self.remix_batch
        prompts, negatives = self.remix_hires
        self.all_hr_prompts = list(self.all_prompts) if prompts else self.all_hr_prompts[: len(batch.frames)]
        self.all_hr_negative_prompts = (
            list(self.all_negative_prompts) if negatives else self.all_hr_negative_prompts[: len(batch.frames)]
        )
        self.remix_hr_prompts = self.remix_prompts if prompts else [without_tags(self.all_hr_prompts[0])]
        self.remix_hr_negatives = self.remix_negatives if negatives else [without_tags(self.all_hr_negative_prompts[0])]
        own = "" if prompts else self.all_hr_prompts[0]
        self.hr_extra_network_data = self.extra_network_data if prompts else host.parsed(own)

    def setup_conds(self: Any) -> None:
        """Encodes each prompt once with the host, and mixes the results for every frame."""
        if getattr(self, "is_hr_pass", False):  # called by the refiner, which continues with calculate_hr_conds
            super().setup_conds()  # type: ignore[misc]
            return
        prompts, negatives = self._padding(self.remix_prompts), self._as_written(self.remix_negatives)
        with (
            _swapped(self, prompts=prompts, negative_prompts=negatives),
            reading_by(self.remix_batch.reading, [*prompts, *negatives]),
        ):
            super().setup_conds()  # type: ignore[misc]
        self.c, self.uc = self._mixed(self.c, self.uc, True, True, self.cfg_scale)

    def calculate_hr_conds(self: Any) -> None:
        """Encodes and mixes the prompts of hires fix."""
        if self.hr_c is not None:
            return
        prompts, negatives = self._padding(self.remix_hr_prompts), self._as_written(self.remix_hr_negatives)
        swapped = _swapped(self, hr_prompts=prompts, hr_negative_prompts=negatives)
        with swapped, reading_by(self.remix_batch.reading, [*prompts, *negatives]):
            super().calculate_hr_conds()  # type: ignore[misc]
        cfg = getattr(self, "hr_cfg", self.cfg_scale)  # Forge has one of its own
        self.hr_c, self.hr_uc = self._mixed(self.hr_c, self.hr_uc, *self.remix_hires, cfg)

    def _padding(self: Any, prompts: Sequence[str], negative: bool = False) -> list[str]:
        """Returns prompts, followed by the empty one if it pads them. The model that will render is loaded by now."""
        if self.remix_batch.literal_ends and not negative:
            prompts = list(map(with_literal_end, prompts))
        host.reload_embeddings(prompts)
        prompts = host.with_bare_embeddings(prompts)
        pads = self.remix_batch.way.lengths == "empty" or not host.has_plain_attention()
        return [*prompts, ""] if pads else list(prompts)

    def _as_written(self: Any, negatives: Sequence[str]) -> list[str]:
        """Returns the negatives that the host is given. For SDXL it encodes none if they are empty."""
        padded = self._padding(negatives, negative=True)
        return [text or EMPTY for text in padded] if self.remix_batch.portable else padded

    def _mixed(self: Any, c: Any, uc: Any, prompts: bool, negatives: bool, cfg: float) -> tuple[Any, Any]:
        """Returns the conditionings of all frames: those of prompts and negatives that travel mixed, others constant.

        The host's conditionings are those of each prompt, followed by that of the empty one if it pads them.
        """
        batch = self.remix_batch
        constant = torch.ones(len(batch.frames), 1, dtype=torch.float64)
        weights = batch.weights("prompts") if prompts else constant
        sources, padding = c.batch[: weights.shape[1]], c.batch[weights.shape[1] :]
        parts = mix_prompts(sources, weights, batch.way, padding[0][0].schedules if padding else None)
        parts = varied_prompts(parts, [frame.seed.items for frame in batch.frames], batch.variety)
        mixed_negatives = None
        if uc is not None:
            weights = batch.weights("negatives") if negatives else constant
            sources, padding = uc[: weights.shape[1]], uc[weights.shape[1] :]
            if batch.way.how == OUTPUT:
                parts, mixed_negatives = mix_negatives(parts, sources, weights, cfg)
            else:
                mixed_negatives = mix_steps(sources, weights, batch.way, next(iter(padding), None))
        groups = [[part.schedules for frame in parts for part in frame]]
        if mixed_negatives is not None:
            groups.append(mixed_negatives)
        positive, *rest = evened(groups)
        schedules = iter(positive)
        whole = [[type(part)(next(schedules), part.weight) for part in frame] for frame in parts]
        return type(c)(shape=(len(whole),), batch=whole), rest[0] if rest else None

    def init(self: Any, *args: Any) -> None:
        """Encodes each init picture once, and mixes the latents for every frame."""
        batch = self.remix_batch
        if not batch.images:
            super().init(*args)  # type: ignore[misc]
            return
        names, weights = weights_of([frame.image for frame in batch.frames])
        latents, conditionings = [], []
        for name in names:
            # One by one, so that the random draws of an encoder for a picture do not depend on the other pictures.
            with _swapped(self, init_images=[batch.images[name]], batch_size=1), host.repeatable():
                super().init(*args)  # type: ignore[misc]
            latents.append(self.init_latent)
            conditionings.append(self.image_conditioning)
        for name in ("overlay_images", "color_corrections"):
            held = getattr(self, name, None)
            if held is not None:  # of a single picture: more than one is refused if there is a mask
                setattr(self, name, list(held[:1]) * len(batch.frames))
        self.remix_latents = dict(zip(names, zip(latents, conditionings, strict=True), strict=True))
        self.init_latent = mix_latents(latents, weights)
        self.image_conditioning = mix_latents(conditionings, weights)

    def sample(self: Any, *args: Any, **kwargs: Any) -> Any:
        """Samples, or returns an init picture unchanged if its mask keeps all of it."""
        batch = self.remix_batch
        if batch.images and batch.frames[0].denoise == 0:
            return self.init_latent
        if batch.images and batch.inversions is not None:
            self.rng.start = noise_of_pictures(self, batch.frames, self.remix_latents, batch.inversions, batch.tags)
        kept = self._kept()
        if kept is None:
            return super().sample(*args, **kwargs)  # type: ignore[misc]
        _hold(kept, self.sampler)
        return kept.put_back(super().sample(*args, **kwargs))  # type: ignore[misc]

    def _kept(self: Any) -> Kept | None:
        """Returns the part of the init pictures that the frames' masks or the host's mask keep, None without a mask."""
        batch = self.remix_batch

        def noise() -> Tensor:
            drawn: Tensor = self.rng.initial()
            return drawn

        if not batch.masks:
            blend = host.blend_of_mask(self)
            if blend is None:
                return None
            mask = self.nmask.flatten(end_dim=-3)[None, :1]  # [4, h, w], in Forge Neo [1, 4, h, w]
            return Kept(self.init_latent, mask, noise, blend)
        if getattr(self, "is_using_inpainting_conditioning", False):
            raise Unsupported(
                "mask: the checkpoint is one for inpainting, which the host tells its own mask alone; use that, or "
                "another checkpoint"
            )
        masks = masks_of_mixes([frame.mask for frame in batch.frames], batch.masks, self.init_latent.shape)
        return Kept(self.init_latent, masks, noise)

    @property
    def rng(self: Any) -> Any:
        """Returns the noise of the frames, in the shape that the host expects."""
        return self.__dict__.get("rng")

    @rng.setter
    def rng(self: Any, given: Any) -> None:
        batch = self.remix_batch
        if given is not None:
            source = None if batch.portable else host.noise_source
            given = FrameNoise([frame.seed for frame in batch.frames], given.shape, host.device(), source)
        self.__dict__["rng"] = given

    @property
    def sampler(self: Any) -> Any:
        """Returns the host's sampler, set to the frames' noise at its steps and to the level of their denoise."""
        return self.__dict__.get("sampler")

    @sampler.setter
    def sampler(self: Any, given: Any) -> None:
        if hasattr(given, "create_noise_sampler"):
            take_step_noise(given, lambda: self.rng, self.remix_batch.portable)
        batch = self.remix_batch
        if given is not None and batch.portable and batch.images and batch.frames[0].denoise > 0:
            begin_by_rule(given, self.steps, batch.frames[0].denoise)
        self.__dict__["sampler"] = given


def _hold(kept: Kept, sampler: Any) -> None:
    """Makes a sampler keep a part of its clean latents. The host creates a sampler for each run."""
    denoiser = sampler.model_wrap_cfg
    forward = host.unmasked(denoiser)
    if host.is_of_times(sampler):
        denoiser.forward = kept.of_times(forward, host.alphas)
    else:
        denoiser.forward = kept.of_sigmas(forward, host.noised(sampler))


def _padded(prompts: Sequence[str], count: int) -> list[str]:
    return [*prompts, *[prompts[0]] * (count - len(prompts))]


def _heaviest(weights: Tensor, texts: Sequence[str]) -> list[str]:
    """Returns the prompt with the largest weight for each frame."""
    return [texts[int(row.argmax())] for row in weights]


def _bare(texts: Sequence[str], field: str) -> list[str]:
    """Returns prompts without tags. Raises Unsupported if an extension added different tags to different prompts."""
    if any(networks_of(text) != networks_of(texts[0]) for text in texts):
        raise Unsupported(
            f"{field}: an extension put tags such as <lora:...> into one prompt and not into another; write them into "
            "the keyframes"
        )
    return [without_tags(text) for text in texts]


@contextmanager
def _swapped(held: Any, **values: Any) -> Iterator[None]:
    before = {name: getattr(held, name) for name in values}
    for name, value in values.items():
        setattr(held, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(held, name, value)
