"""The local engine: renders in this process with diffusers models and the core's mixing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from remix.client.local.batch import Call, Watch, check_lengths, render_batch
from remix.client.local.devices import Place, frames_at_once
from remix.client.local.embeddings import fingerprints, used_embeddings
from remix.client.local.init_pictures import InitPictures
from remix.client.local.loaded import Loaded
from remix.client.local.models import LoadedModel, check_model, defaults_of, in_full, model_files
from remix.client.local.preview import Previews
from remix.client.local.samplers import SAMPLERS
from remix.client.local.sampling import SCHEDULERS
from remix.client.local.turns import TURNS
from remix.client.playground import advice as playground
from remix.engine import Capabilities, Engine, Listener, Picture
from remix.engine.agreement import read_differently
from remix.engine.blocks import blocks, checked_batch
from remix.engine.memory import halving
from remix.engine.prompts import EVERY
from remix.engine.tags import TagsApplied
from remix.errors import BlankFrame
from remix.plan import Recipe, Schedule

log = logging.getLogger(__name__)


CAPABILITIES = Capabilities(
    who="the local engine",
    recipe="width height sampler scheduler steps cfg mix lengths emphasis chunks restore invert variety",
    model="checkpoint vae loras clip_skip",
    keyframe="prompt negative seed cfg denoise image mask loras",
    samplers=tuple(SAMPLERS),
    schedulers=tuple(SCHEDULERS),
    prompts=EVERY,
)


class Local(Engine):
    """Engine that renders in this process, on a GPU if available.

    device: "auto", "cpu", "cuda", "cuda:1", "mps". batch: frames rendered together; None chooses by picture size and
    memory. precision: "auto" (half on CUDA) or "full" (float32). offload: "model", "group" or "sequential" keeps
    networks in main memory while they do not run. quantize: "4bit" or "8bit" loads weights with bitsandbytes.
    embeddings: the folder of textual inversions; None is the folder `embeddings` where the process runs, if there is
    one. previews: each step's event has a small picture of the batch's first frame, as the model expects it to become.
    A frame's bytes do not depend on which frames are missing: batches always have the same rows, unless memory runs out
    and they are halved.

    Several threads may render, each with its own `Local` or with a shared one. Threads that share a `Local` take turns
    batch by batch, and recipes with the same model share the loaded model.
    """

    name = "local"

    def __init__(
        self,
        device: str = "auto",
        batch: int | None = None,
        precision: str = "auto",
        embeddings: str | None = None,
        *,
        offload: str | None = None,
        quantize: str | None = None,
        previews: bool = False,
    ) -> None:
        self._place = partial(Place.find, device, precision, offload, quantize)
        self._batch = checked_batch(batch)
        self._quantize = quantize
        self._embeddings = embeddings
        self._previews = previews
        self._running: set[threading.Event] = set()
        self._tags_applied = TagsApplied()
        self._loaded = Loaded(self._place, embeddings)

    def capabilities(self, schedule: Schedule) -> Capabilities:
        """Returns what this engine can render."""
        return CAPABILITIES

    def _check(self, schedule: Schedule) -> list[str]:
        schedule = self._tags_applied(schedule)
        check_model(schedule, self._place())
        used_embeddings(schedule, self._embeddings)
        return [*playground.remarks(schedule), *read_differently(schedule)]

    def defaults(self, recipe: Recipe) -> Mapping[str, Any]:
        """Returns the default settings of a recipe's model, keyed by the fields of a recipe."""
        return super().defaults(recipe) or defaults_of(recipe.model)

    def identity(self, schedule: Schedule) -> dict[str, str]:
        """Returns the engine's name, the checkpoint's name, how it is quantized, and the fingerprints of its files."""
        schedule = self._tags_applied(schedule)
        embeddings = fingerprints(used_embeddings(schedule, self._embeddings))
        checkpoint = schedule.recipe.model.checkpoint
        quantized = {"quantize": self._quantize} if self._quantize else {}
        return {"engine": self.name, "checkpoint": checkpoint, **quantized, **model_files(schedule), **embeddings}

    def setting(self, schedule: Schedule) -> dict[str, str]:
        """Returns device, precision and batch, since rounding depends on the device and the batch size."""
        place = self._place()
        precision = "full" if place == place.in_full() else "half"
        return {"device": place.device.type, "precision": precision, "batch": str(self._batch or "auto")}

    def batch_size(self, schedule: Schedule) -> int:
        """Returns the number of frames that are rendered together, unless the model leaves memory for fewer."""
        recipe = schedule.recipe
        place = self._place()
        return self._batch or frames_at_once(place, recipe.width, recipe.height, ())

    def cancel(self) -> None:
        """Stops every running `render` after its current batch, or before the first if the model is still loading."""
        for stop in tuple(self._running):
            stop.set()

    def close(self) -> None:
        """Releases the model and everything encoded with it. The next `render` loads it again."""
        self._loaded.free()

    def render(
        self, schedule: Schedule, frames: Sequence[int], inputs: Mapping[str, Picture], listen: Listener
    ) -> Iterator[Picture]:
        """Yields the pictures of these frames in this order, batch by batch.

        If a batch does not fit into memory, it and all later ones are halved, and the log reports it. Raises
        `OutOfMemory` if a single frame does not fit, and `BlankFrame` if a latent is not finite or a picture has a
        single color in float32 too. Before the first frame, raises `Unsupported` if the size or a LoRA does not fit the
        model, and `MixError` if prompts of different lengths cannot be aligned.
        """
        stop = threading.Event()
        self._running.add(stop)
        try:
            yield from self._rendered(self._tags_applied(schedule), frames, inputs, Watch(listen), stop.is_set)
        finally:
            self._running.discard(stop)

    def watched(
        self, schedule: Schedule, frame: int, inputs: Mapping[str, Picture], listen: Listener = lambda event: None
    ) -> tuple[Picture, list[Call], LoadedModel]:
        """Returns the picture of a frame, the calls of the model while it was sampled, and the model.

        Calls `listen` with each step. Raises the errors of `render`.
        """
        calls = list[Call]()
        watch = Watch(listen, call=calls.append)
        schedule = self._tags_applied(schedule)
        # In a batch of its own, so that the calls have one row.
        [picture] = self._rendered(schedule, [frame], inputs, watch, lambda: False, batch=1)
        return picture, calls, self._loaded.model(schedule)

    def _rendered(
        self,
        schedule: Schedule,
        frames: Sequence[int],
        inputs: Mapping[str, Picture],
        watch: Watch,
        stop: Callable[[], bool],
        *,
        batch: int | None = None,
    ) -> Iterator[Picture]:
        with self._loaded.turn:  # tokenizers are not thread-safe
            model = self._loaded.model(schedule)
            embeddings = [text.embeddings for text in model.clip_texts]
            check_lengths(model, schedule)
        if self._previews:
            with self._loaded.turn, TURNS.shared():
                watch = replace(watch, preview=Previews(model).of)
        wanted, images = set(frames), InitPictures(model, schedule.recipe, inputs)

        def pictures_of(block: Sequence[int]) -> list[Picture]:
            with self._loaded.turn, TURNS.shared():
                self._loaded.restore(model, embeddings)
                return self._pictures(model, schedule, block, images, inputs, watch)

        def shrink(count: int, fewer: int) -> None:
            model.place.free()
            log.warning("%s: %s frames at once do not fit; continuing with %s", model.place.device, count, fewer)

        size = (
            batch
            or self._batch
            or frames_at_once(model.place, schedule.recipe.width, schedule.recipe.height, model.parts().values())
        )
        too_large = (
            f"not even one frame fits into the memory of {model.place.device}; close what else uses it, make the size "
            "smaller, or use device cpu"
        )
        rendered = halving(
            blocks(len(schedule), size), wanted, pictures_of, stop=stop, shrink=shrink, too_large=too_large
        )
        for block, pictures in rendered:
            yield from (picture for index, picture in zip(block, pictures, strict=True) if index in wanted)

    def _pictures(
        self,
        model: LoadedModel,
        schedule: Schedule,
        block: Sequence[int],
        images: InitPictures,
        inputs: Mapping[str, Picture],
        watch: Watch,
    ) -> list[Picture]:
        """Returns the pictures of a block.

        If half precision gives a blank frame, the block is rendered again in float32.
        """
        reading = schedule.recipe.reading
        if model.place.dtype is not torch.float32:
            try:
                encode = self._loaded.encoder(model, reading)
                return render_batch(model, schedule, block, encode, images, inputs, watch)
            except BlankFrame as error:
                if model.fixed:
                    raise BlankFrame(
                        f"{error} in half precision, in which a model that is quantized or offloaded stays; run it "
                        'again with precision "full" and without quantize'
                    ) from error
                log.warning("%s in half precision; frames %s to %s again in float32", error, block[0], block[-1])
        try:
            # Prompts encoded in half precision cannot be reused, so each is encoded again.
            with in_full(model) as changed:
                encode = self._loaded.encoder(model, reading, changed=changed)
                return render_batch(model, schedule, block, encode, images, inputs, watch)
        except BlankFrame as error:
            raise BlankFrame(
                f'{error}, in float32 too (precision "full"); lower cfg, or use another model.vae or model.checkpoint'
            ) from error
