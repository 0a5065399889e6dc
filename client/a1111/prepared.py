"""A schedule prepared for a server: the server's models, settings and capabilities, and the requests of frames."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remix.client.a1111 import plain, scripted
from remix.client.a1111.calls import Request
from remix.client.a1111.models import NotListed, ResolvedModels, ServerModels, resolve
from remix.client.a1111.replies import Answer, check_answer, check_checkpoint, pictures_in
from remix.client.a1111.server import Server
from remix.engine import Capabilities, Picture
from remix.engine.pack import Pack
from remix.engine.prompts import reading_for
from remix.errors import Unsupported
from remix.hosts.a1111.settings import (
    FRESH,
    PORTABLE,
    READINGS,
    clip_skip_remarks,
    current_settings,
    reading_settings,
    request_settings,
    wildcard_seed,
)
from remix.plan import Schedule

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """A schedule prepared for the server: the server's models, the ones in use, and the settings of each request.

    `pack` is the server's Remix script, None if it is not installed.
    """

    schedule: Schedule
    models: ServerModels
    resolved: ResolvedModels
    settings: Mapping[str, Any]
    pack: Pack | None

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the Remix script, or of the server's own API."""
        return plain.CAPABILITIES if self.pack is None else scripted.capabilities(self.pack)

    @property
    def remarks(self) -> list[str]:
        """Remarks about the way in which the server renders the schedule."""
        if self.pack is None:
            rendering = plain.remarks(self.schedule)
        else:
            rendering = self.pack.remarks(self.schedule, "the server's Remix script")
        return [
            *self.models.remarks,
            *rendering,
            *clip_skip_remarks(self.schedule.recipe.model.clip_skip, forge=self.models.forge),
        ]

    @property
    def identity(self) -> dict[str, str]:
        """The names of checkpoint, VAE and LoRAs, and what each frame depends on in addition to its own values."""
        resolved = self.resolved
        loras = {f"lora {number + 1}": name for number, name in enumerate(resolved.loras.values())}
        vae = {"vae": resolved.vae} if resolved.vae else {}
        film = dict[str, str]()
        if self.pack is not None:
            film = {**self.pack.depends_on(self.schedule), **wildcard_seed(self.schedule)}
            film |= self.pack.embeddings_of(self.schedule)
        # Earlier versions read weights by "a1111-no-norm"; their jobs cannot continue with frames of another rule.
        other = reading_for(self.schedule, READINGS[:1]) is None
        emphasis = {"emphasis": self.schedule.recipe.reading.emphasis} if other else {}
        return {"checkpoint": resolved.checkpoint.name, **vae, **loras, **film, **emphasis}

    def trial(self) -> Request:
        """Returns the request that loads the model, and sets each setting to the value that the server has."""
        known = self.models.options
        settings = current_settings({**PORTABLE, **FRESH} if known is None else known, self.settings)
        return plain.trial(settings, plain.seconds(self.schedule, 1))

    def check_model(self, answer: Answer) -> None:
        """Raises `WrongModel` if another model rendered."""
        check_checkpoint(answer, self.resolved.checkpoint)

    def infotexts(self, answer: Answer, request: Request) -> dict[int, str]:
        """Returns no infotexts: the job has the recipe of its frames."""
        return {}

    def pictures(self, answer: Answer, request: Request) -> list[Picture]:
        """Returns the verified pictures of an answer. Raises `WrongModel` or `HostError` if a setting differs."""
        check_answer(answer, self.schedule, self.resolved)
        return pictures_in(answer, request.frames, self.schedule)

    def requests(self, frames: Sequence[int], inputs: Mapping[str, Picture], batch: int | None) -> Iterator[Request]:
        """Yields the requests that render these frames."""
        if self.pack is not None:
            yield from scripted.requests(
                self.schedule, frames, self.models, self.resolved, self.settings, inputs, batch
            )
            return
        for index in frames:
            yield plain.request(self.schedule, index, self.resolved, self.settings, inputs)


def prepare(server: Server, schedule: Schedule) -> Prepared:
    """Returns a schedule prepared for a server.

    Raises `Unsupported` for a model, sampler or scheduler that the server lacks, and `HostError` if it does not answer.
    """
    models = server.models()
    _check_lossless(models)
    try:
        resolved = resolve(models, schedule)
    except NotListed as error:
        log.info("%s; the server reads its folders again", server.mask(str(error)))
        models = server.models(refresh=True)
        resolved = resolve(models, schedule)
    host_reading = reading_for(schedule, READINGS) or READINGS[0]
    settings = request_settings(
        {*PORTABLE, *FRESH} if models.options is None else models.options,
        checkpoint=resolved.checkpoint.bare,
        vae=resolved.vae,
        clip_skip=schedule.recipe.model.clip_skip,
        scheduler=resolved.scheduler,
        prompts=reading_settings(host_reading, schedule.recipe.reading.chunks),
    )
    pack = server.pack(resolved.checkpoint.bare) if scripted.NAME in models.scripts else None
    return Prepared(schedule, models, resolved, settings, pack)


def _check_lossless(models: ServerModels) -> None:
    """Raises `Unsupported` for a server that returns lossy pictures."""
    kind = models.option("samples_format", "png")
    if str(kind).lower() != "png":
        raise Unsupported(
            f"{models.address}: it sends pictures as {kind!r}, which lose detail; set its option samples_format "
            "(Settings, Saving images/grids, File format for images) to png"
        )
