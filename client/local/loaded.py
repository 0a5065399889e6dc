"""The model that an engine has in memory, with its embeddings and the prompts that it has encoded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from torch import Tensor

from remix.client.local.batch import Encode
from remix.client.local.devices import Place
from remix.client.local.embeddings import fingerprints, use_embeddings, used_embeddings
from remix.client.local.encoded import Encoded
from remix.client.local.models import LoadedModel, open_model
from remix.client.local.traveling import Strengths, divided
from remix.engine.memory import is_out_of_memory
from remix.errors import OutOfMemory, Unsupported
from remix.mix import Conditioning
from remix.plan import Model, Recipe, Schedule
from remix.prompt import Reading
from remix.prompt.encoders import EncoderTexts

PROMPTS_KEPT = 256
"""Number of encoded prompts, and of encoded chunks of them, that stay in memory."""


class Loaded:
    """The model of the schedule that was rendered last. Threads that share it hold `turn` while they use the model.

    place: returns the place where models run. embeddings: as in `Local`.
    """

    def __init__(self, place: Callable[[], Place], embeddings: str | None) -> None:
        self.turn = threading.RLock()
        self._place, self._folder = place, embeddings
        self._model: LoadedModel | None = None
        self._source: tuple[Model, tuple[str, ...]] | None = None
        self._embedded: dict[str, str] | None = None
        self._prompts, self._chunks = Encoded(PROMPTS_KEPT), Encoded(PROMPTS_KEPT)

    def model(self, schedule: Schedule) -> LoadedModel:
        """Returns the model of a schedule with the embeddings that its prompts name. Loads what is not in memory.

        Raises the errors of `open_model`, `OutOfMemory` if the model does not fit, and `Unsupported` for a picture
        size that it cannot make.
        """
        model, traveling = divided(schedule)
        embeddings = used_embeddings(schedule, self._folder)
        files = fingerprints(embeddings)
        with self.turn:
            if self._model is None or self._source != (model, traveling):
                self._forget()
                self._model = self._open(model, traveling)
                self._source = model, traveling
            if self._embedded != files:
                self._forget_prompts()
                use_embeddings(self._model, embeddings)
                self._embedded = files
            loaded = self._model
        _refuse_size(loaded, schedule.recipe)
        return loaded

    def _open(self, model: Model, traveling: Sequence[str]) -> LoadedModel:
        place = self._place()
        try:
            return open_model(model, traveling, place)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise OutOfMemory(
                f"model.checkpoint: {model.checkpoint!r} does not fit into the memory of {place.device}; "
                "close what else uses it, or use a smaller model or device cpu"
            ) from error

    def restore(self, model: LoadedModel, embeddings: Sequence[dict[str, Tensor]]) -> None:
        """Gives a model's text encoders these embeddings again, if another film has put its own there since."""
        pairs = list(zip(model.clip_texts, embeddings, strict=True))
        if all(text.embeddings is own for text, own in pairs):
            return
        for text, own in pairs:
            text.embeddings = own
        if model is self._model:
            self._forget_prompts()

    def encoder(self, model: LoadedModel, reading: Reading, *, changed: bool = False) -> Encode:
        """Returns the function that encodes prompts with a model, and keeps their conditionings.

        For a model that has `changed` its precision, or that another thread has replaced since, it keeps no prompts.
        """
        if changed or model is not self._model:
            chunks = Encoded(PROMPTS_KEPT)
            return lambda prompt, strengths: _encode(model, reading, chunks, prompt, strengths)

        def encode(prompt: str, strengths: Strengths) -> Conditioning:
            key = prompt, reading, strengths
            return self._prompts.get(key, lambda: _encode(model, reading, self._chunks, prompt, strengths))

        return encode

    def free(self) -> None:
        """Releases the model and everything that it encoded."""
        with self.turn:
            place = self._model.place if self._model else None
            self._forget()
            if place:
                place.free()

    def _forget(self) -> None:
        self._model = self._source = None
        self._forget_prompts()

    def _forget_prompts(self) -> None:
        self._embedded = None
        self._prompts.clear()
        self._chunks.clear()


def _refuse_size(model: LoadedModel, recipe: Recipe) -> None:
    """Raises `Unsupported` for a size that does not fit the latents of a model."""
    if recipe.width % model.multiple or recipe.height % model.multiple:
        raise Unsupported(f"size: {recipe.width}x{recipe.height} does not fit; use multiples of {model.multiple}")


def _encode(model: LoadedModel, reading: Reading, encoded: Encoded, prompt: str, strengths: Strengths) -> Conditioning:
    """Returns the conditioning of a prompt with these strengths of the traveling LoRAs."""
    EncoderTexts.of(prompt).refuse_unknown(model.text_names)
    model.release()  # so that a text encoder has the GPU to itself
    with model.loras.at([strengths], model.place.device):
        return model.encode(prompt, reading, encoded.of(strengths))
