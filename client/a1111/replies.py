"""Parses replies that contain pictures, and checks them against the request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from remix.catalog.schedulers import AUTOMATIC
from remix.client.a1111.models import Checkpoint, ResolvedModels
from remix.client.a1111.server import decode_base64
from remix.client.masking import parse_shielded
from remix.engine import Picture
from remix.engine.pictures import verified
from remix.errors import BadReply, HostError, RecipeError, WrongModel, WrongSize
from remix.hosts.a1111.infotext import parse_infotext
from remix.plan import Schedule
from remix.plan.documents import read_json
from remix.plan.wording import cut

LEAST_SETTINGS = ("Sampler", "Steps")
"""Settings that every infotext of A1111 and Forge contains."""

LONGEST_VALUE = 200
"""Largest length of a server's text in an error."""

ADVICE = "start the server with --no-half-vae or --no-half, which compute in float32, or lower cfg"
"""Advice for blank pictures."""


@dataclass(frozen=True)
class Answer:
    """A reply: information about all pictures, the infotext of each, and the pictures in base64.

    `infotexts` are the settings in them, `written` the texts themselves.
    """

    where: str
    info: Mapping[str, Any]
    infotexts: tuple[Mapping[str, str], ...]
    images: tuple[str, ...]
    written: tuple[str, ...] = ()


def read_answer(reply: Any, where: str) -> Answer:
    """Returns a reply without decoding its pictures. Raises `BadReply` if it has none."""
    if not isinstance(reply, Mapping) or not isinstance(reply.get("images"), list):
        raise BadReply(f"{where}: the answer has no pictures; is this the address of A1111 or Forge?")
    try:
        info = parse_shielded(reply.get("info", ""), partial(read_json, source="info"))
    except RecipeError as error:
        raise BadReply(f"{where}: the info about the pictures cannot be read ({error})") from error
    if not isinstance(info, Mapping):
        raise BadReply(f"{where}: the answer has no info about its pictures")
    first = info.get("index_of_first_image", 0)
    first = first if isinstance(first, int) and 0 <= first <= len(reply["images"]) else 0
    images = reply["images"][first:]
    texts = info.get("infotexts")
    texts = texts[first:] if isinstance(texts, list) else []
    infotexts = tuple(parse_shielded(text, _settings) for text in texts)
    return Answer(where, info, infotexts, tuple(images), tuple(text for text in texts if isinstance(text, str)))


def _settings(text: str) -> Mapping[str, str]:
    return dict(parse_infotext(text).settings)


def remarks_in(answer: Answer) -> list[str]:
    """Returns remarks of the Remix script about a request, such as a batch that did not fit into memory."""
    about = answer.info.get("extra_generation_params")
    remarks = about.get("Remix remarks") if isinstance(about, Mapping) else None
    return [cut(text, LONGEST_VALUE) for text in remarks if isinstance(text, str)] if isinstance(remarks, list) else []


def check_checkpoint(answer: Answer, checkpoint: Checkpoint) -> None:
    """Raises `WrongModel` if a different checkpoint rendered than requested."""
    info = answer.info
    # A reply of the script names the model only in its infotexts.
    claims = [(info.get("sd_model_name"), info.get("sd_model_hash"))]
    claims += [(text.get("Model"), text.get("Model hash")) for text in answer.infotexts]
    for name, hashed in claims:
        if (name and name != checkpoint.name) or (hashed and checkpoint.hash and hashed != checkpoint.hash):
            raise WrongModel(
                f"{answer.where}: {_shown(name, hashed)} rendered in place of "
                f"{_shown(checkpoint.name, checkpoint.hash)}; the server could not load that, its console says why"
            )


def check_answer(answer: Answer, schedule: Schedule, resolved: ResolvedModels) -> None:
    """Raises `WrongModel` or `HostError` if the model, sampler or a setting differs from the request."""
    check_checkpoint(answer, resolved.checkpoint)
    for text in answer.infotexts:
        if not all(name in text for name in LEAST_SETTINGS):
            continue
        if text.get("RNG", "GPU") != "CPU":
            raise HostError(
                f"{answer.where}: its noise was drawn by {text.get('RNG', 'GPU')}, though CPU was asked for; the "
                "server ignores override_settings, so set Random number generator source to CPU in its settings"
            )
        _compare(answer.where, "sampler", text["Sampler"], resolved.sampler)
        if resolved.scheduler != AUTOMATIC:
            _compare(answer.where, "schedule type", text.get("Schedule type", resolved.scheduler), resolved.scheduler)
        _compare(answer.where, "clip skip", text.get("Clip skip", "1"), str(schedule.recipe.model.clip_skip))


def _compare(where: str, what: str, found: str, wanted: str) -> None:
    if found != wanted:
        found = cut(f"{found}", LONGEST_VALUE)
        raise HostError(f"{where}: its {what} was {found!r} in place of {wanted!r}; the picture was not kept")


def picture_in(image: str, index: int, schedule: Schedule) -> Picture:
    """Returns the picture of a frame. Raises `BadReply`, `WrongSize`, or `BlankFrame` if all pixels are equal."""
    recipe = schedule.recipe
    try:
        picture = decode_base64(image, (recipe.width, recipe.height))
    except (BadReply, WrongSize) as error:
        raise type(error)(f"frame {index}: {error}") from error
    return verified(picture, schedule, index, ADVICE)


def pictures_in(answer: Answer, frames: Sequence[int], schedule: Schedule) -> list[Picture]:
    """Returns the checked pictures of these frames. Raises `BadReply` if there are more or fewer."""
    if len(answer.images) != len(frames):
        raise BadReply(f"{answer.where}: {len(answer.images)} pictures came where {len(frames)} were expected")
    return [picture_in(image, index, schedule) for image, index in zip(answer.images, frames, strict=True)]


def _shown(name: Any, hashed: Any) -> str:
    shown = repr(cut(f"{name}", LONGEST_VALUE))
    return f"{shown} [{cut(f'{hashed}', LONGEST_VALUE)}]" if hashed else shown
