"""From an answer to pictures: nothing is believed that it does not show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from remix.catalog.schedulers import AUTOMATIC
from remix.client.a1111.server import picture_of
from remix.client.a1111.stock import Choice
from remix.client.masking import read_within
from remix.engine import Picture
from remix.errors import BadReply, BlankFrame, HostError, RecipeError, WrongModel
from remix.hosts.a1111.infotext import parse_infotext
from remix.motion import only_colour
from remix.plan import Schedule
from remix.plan.documents import read_json

LEAST_SETTINGS = ("Sampler", "Steps")
"""What every text about a picture has, in A1111 and in Forge."""


@dataclass(frozen=True)
class Answer:
    """An answer taken apart: what the server says of the pictures, their texts, and the pictures as they were sent."""

    where: str
    info: Mapping[str, Any]
    texts: tuple[Mapping[str, str], ...]
    images: tuple[str, ...]


def read_answer(reply: Any, where: str) -> Answer:
    """Returns an answer taken apart, its pictures not yet decoded; BadReply where it is none."""
    if not isinstance(reply, Mapping) or not isinstance(reply.get("images"), list):
        raise BadReply(f"{where}: the answer has no pictures; is this the address of A1111 or Forge?")
    try:
        info = read_within(reply.get("info", ""), partial(read_json, source="info"))
    except RecipeError as error:
        raise BadReply(f"{where}: what the server says of its pictures cannot be read ({error})") from error
    if not isinstance(info, Mapping):
        raise BadReply(f"{where}: the server says nothing of its pictures")
    first = info.get("index_of_first_image", 0)
    first = first if isinstance(first, int) and 0 <= first <= len(reply["images"]) else 0
    images = reply["images"][first:]
    told = info.get("infotexts")
    texts = [read_within(text, _settings) for text in told] if isinstance(told, list) else []
    return Answer(where, info, tuple(texts[first:]), tuple(images))


def _settings(text: str) -> Mapping[str, str]:
    return dict(parse_infotext(text).settings)


def check_model(answer: Answer, choice: Choice) -> None:
    """Raises `WrongModel` where another model rendered than was asked for."""
    checkpoint, info = choice.checkpoint, answer.info
    # A script's answer says it in the texts of its pictures alone.
    claims = [(info.get("sd_model_name"), info.get("sd_model_hash"))]
    claims += [(text.get("Model"), text.get("Model hash")) for text in answer.texts]
    for named, hashed in claims:
        if (named and named != checkpoint.name) or (hashed and checkpoint.hash and hashed != checkpoint.hash):
            raise WrongModel(
                f"{answer.where}: {_shown(named, hashed)} rendered in place of "
                f"{_shown(checkpoint.name, checkpoint.hash)}; the server could not load that, its console says why"
            )


def check_answer(answer: Answer, schedule: Schedule, choice: Choice) -> None:
    """Raises `WrongModel`, or `HostError`, where another model, sampler or setting rendered than was asked for."""
    check_model(answer, choice)
    for text in answer.texts:
        if not all(name in text for name in LEAST_SETTINGS):
            continue
        if text.get("RNG", "GPU") != "CPU":
            raise HostError(
                f"{answer.where}: its noise was drawn by {text.get('RNG', 'GPU')}, though CPU was asked for; the "
                "server passes over override_settings, so set Random number generator source to CPU in its settings"
            )
        _compare(answer.where, "sampler", text["Sampler"], choice.sampler)
        if choice.scheduler != AUTOMATIC:
            _compare(answer.where, "schedule type", text.get("Schedule type", choice.scheduler), choice.scheduler)
        _compare(answer.where, "clip skip", text.get("Clip skip", "1"), str(schedule.recipe.model.clip_skip))


def _compare(where: str, what: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise HostError(f"{where}: its {what} was {found!r} in place of {wanted!r}; the picture was not kept")


def picture_in(image: str, index: int, schedule: Schedule) -> Picture:
    """Returns the picture of a frame; BadReply where it is none or of another size, `BlankFrame` where it is blank."""
    recipe, frame = schedule.recipe, schedule[index]
    try:
        picture = picture_of(image)
    except BadReply as error:
        raise BadReply(f"frame {index}: {error}") from error
    height, width = picture.shape[:2]
    if (width, height) != (recipe.width, recipe.height):
        raise BadReply(f"frame {index}: the picture is {width}x{height}; {recipe.width}x{recipe.height} was asked for")
    # A frame that is only decoded may show a given picture of one colour.
    if (colour := only_colour(picture)) and not (frame.image is not None and frame.denoise == 0):
        raise BlankFrame(
            f"frame {index}: every pixel of the picture is {colour}; start the server with --no-half-vae or "
            "--no-half, which compute in float32, or lower cfg"
        )
    return picture


def pictures_in(answer: Answer, frames: Sequence[int], schedule: Schedule) -> list[Picture]:
    """Returns the pictures of these frames, each checked; BadReply where there are not as many."""
    if len(answer.images) != len(frames):
        raise BadReply(f"{answer.where}: {len(answer.images)} pictures came where {len(frames)} are due")
    return [picture_in(image, index, schedule) for image, index in zip(answer.images, frames, strict=True)]


def _shown(name: Any, hashed: Any) -> str:
    return f"{name!r} [{hashed}]" if hashed else repr(name)
