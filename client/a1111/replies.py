"""From an answer to pictures: nothing is believed that it does not show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remix.client.a1111.server import picture_of
from remix.client.a1111.stock import Choice
from remix.errors import BadReply, BlankFrame, HostError, RecipeError, WrongModel
from remix.job import Picture
from remix.job.infotext import parse_infotext
from remix.plan import Schedule
from remix.plan.labels import AUTOMATIC
from remix.plan.read import read_json

LEAST_SETTINGS = ("Sampler", "Steps")
"""What every text about a picture has, in A1111 and in Forge."""


@dataclass(frozen=True)
class Answer:
    """An answer taken apart: what the server says of the pictures, their texts, and the pictures as they were sent."""

    where: str
    info: Mapping[str, Any]
    texts: tuple[Mapping[str, str], ...]
    images: tuple[str, ...]


def read_answer(reply: Any, where: str, count: int) -> Answer:
    """Returns an answer with `count` pictures, taken apart and not yet decoded; BadReply where it is none."""
    if not isinstance(reply, Mapping) or not isinstance(reply.get("images"), list):
        raise BadReply(f"{where}: the answer has no pictures; is this the address of A1111 or Forge?")
    try:
        info = read_json(str(reply.get("info", "")), source="info")
    except RecipeError as error:
        raise BadReply(f"{where}: what the server says of its pictures cannot be read ({error})") from error
    if not isinstance(info, Mapping):
        raise BadReply(f"{where}: the server says nothing of its pictures")
    first = info.get("index_of_first_image", 0)
    first = first if isinstance(first, int) and 0 <= first <= len(reply["images"]) else 0
    images = reply["images"][first:]
    if len(images) != count:
        raise BadReply(f"{where}: {len(images)} pictures came where {count} are due")
    told = info.get("infotexts")
    texts = [parse_infotext(str(text)).settings for text in told] if isinstance(told, list) else []
    return Answer(where, info, tuple(texts[first : first + count]), tuple(images))


def check_model(answer: Answer, choice: Choice) -> None:
    """Raises `WrongModel` where another model rendered than was asked for."""
    checkpoint = choice.checkpoint
    named, hashed = answer.info.get("sd_model_name"), answer.info.get("sd_model_hash")
    if named != checkpoint.name or (hashed and checkpoint.hash and hashed != checkpoint.hash):
        raise WrongModel(
            f"{answer.where}: {_shown(named, hashed)} rendered in place of "
            f"{_shown(checkpoint.name, checkpoint.hash)}; the server could not load that, its console says why"
        )


def check_answer(answer: Answer, schedule: Schedule, choice: Choice) -> None:
    """Raises `WrongModel`, or `HostError`, where another model, sampler or setting rendered than was asked for."""
    check_model(answer, choice)
    wanted = {"sampler_name": choice.sampler, "clip_skip": schedule.recipe.model.clip_skip}
    for name, value in wanted.items():
        if answer.info.get(name, value) != value:
            found = answer.info[name]
            raise HostError(f"{answer.where}: {name} was {found!r} in place of {value!r}; the picture was not kept")
    for text in answer.texts:
        _check_text(answer.where, text, choice)


def _check_text(where: str, text: Mapping[str, str], choice: Choice) -> None:
    """What only the text of a picture says: which noise it began with, and along which levels it went."""
    if not all(name in text for name in LEAST_SETTINGS):
        return
    noise = text.get("RNG", "GPU")
    if noise != "CPU":
        raise HostError(
            f"{where}: its noise was drawn by {noise}, though CPU was asked for; the server passes over "
            "override_settings, so set Random number generator source to CPU in its settings"
        )
    schedule = text.get("Schedule type", choice.scheduler)
    if choice.scheduler != AUTOMATIC and schedule != choice.scheduler:
        raise HostError(f"{where}: the schedule was {schedule!r} in place of {choice.scheduler!r}")


def picture_in(image: str, index: int, schedule: Schedule) -> Picture:
    """Returns the picture of frame `index`; BadReply where it is none or of another size, `BlankFrame` for one colour."""
    recipe, frame = schedule.recipe, schedule[index]
    try:
        picture = picture_of(image)
    except BadReply as error:
        raise BadReply(f"frame {index}: {error}") from error
    height, width = picture.shape[:2]
    if (width, height) != (recipe.width, recipe.height):
        raise BadReply(
            f"frame {index}: the picture is {width}x{height}; {recipe.width}x{recipe.height} was asked for"
        )
    # A frame that is only decoded may show a given picture of one colour.
    if picture.min() == picture.max() and not (frame.image is not None and frame.denoise == 0):
        raise BlankFrame(
            f"frame {index}: every value of the picture is {picture.max()}; start the server with --no-half-vae or "
            "--no-half, which compute in float32, or lower cfg"
        )
    return picture


def pictures_in(answer: Answer, frames: Sequence[int], schedule: Schedule) -> list[Picture]:
    """Returns the pictures of these frames, each checked."""
    return [picture_in(image, index, schedule) for image, index in zip(answer.images, frames, strict=True)]


def _shown(name: Any, hashed: Any) -> str:
    return f"{name!r} [{hashed}]" if hashed else repr(name)
