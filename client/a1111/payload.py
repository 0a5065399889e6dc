"""Rendering a recipe with a payload: any fields of the server's API, which keyframes set frame by frame."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remix.client.a1111.calls import Request
from remix.client.a1111.models import Checkpoint, ServerModels, checkpoint_of
from remix.client.a1111.plain import SECONDS, SECONDS_PER_STEP
from remix.client.a1111.plain import trial as plain_trial
from remix.client.a1111.replies import ADVICE, Answer, check_checkpoint
from remix.client.a1111.server import API, Server, decode_base64
from remix.engine import Capabilities, Picture
from remix.engine.capabilities import only_inputs
from remix.engine.pictures import cropped, verified
from remix.errors import BadReply, Unsupported
from remix.motion.pictures import png_bytes
from remix.plan import Mix, Schedule
from remix.plan.fields import show
from remix.plan.inputs import rounded
from remix.plan.wording import nearest

CAPABILITIES = only_inputs("payload", "a field", '"cfg_scale" = 5')
"""What a recipe with a payload may set. All else is a field of the payload."""

UNCHECKED = "payload: the server does not describe its API, so the names of fields are not checked"
"""A remark for a server without ``/openapi.json``."""

SIDE, STEPS, SCALE = 512, 50, 2
"""The server's own width and height, steps, and scale of a second pass."""

NAMES = {"sampler_name": "samplers", "sampler_index": "samplers", "hr_sampler_name": "samplers"}
SCHEDULERS = ("scheduler", "hr_scheduler")
SETTINGS = "override_settings"
"""The field with the server's own settings, which a request may set for itself."""

CHECKPOINT = "sd_model_checkpoint"

OWN = ("send_images", "save_images", "force_task_id", "infotext")
"""Fields that the engine sets, or that silently replace others."""


@dataclass(frozen=True)
class PreparedPayload:
    """A schedule prepared for the server, and the types of the API's fields, {} if unknown."""

    schedule: Schedule
    models: ServerModels
    kinds: Mapping[str, str]

    def body(self, index: int, inputs: Mapping[str, Picture]) -> dict[str, Any]:
        """Returns the fields of a frame's request. Raises `Unsupported` for a field that is not there."""
        payload = self.schedule.recipe.payload
        assert payload is not None
        body: dict[str, Any] = _with_pictures(payload.fields, inputs)
        for name, value in self.schedule[index].inputs:
            plain = rounded(value.values[0] if isinstance(value, Mix) else value, whole=self._is_whole(name))
            if name.startswith(f"{SETTINGS}."):
                settings = body[SETTINGS] = dict(body.get(SETTINGS) or {})
                settings[name.partition(".")[2]] = plain
            else:
                _set(body, name, name.split("."), _with_pictures(plain, inputs))
        if isinstance(first := body.get("init_images"), str):
            body["init_images"] = [first]
        own = {"send_images": True, "save_images": False, "override_settings_restore_afterwards": True}
        # The server's own seed is another one each time.
        return {"seed": 0, "width": SIDE, "height": SIDE, "steps": STEPS, **body, **own}

    def _is_whole(self, name: str) -> bool:
        """Returns whether a field, or a setting of the server, is a whole number."""
        if name.startswith(f"{SETTINGS}."):
            return type(self.models.option(name.partition(".")[2])) is int
        return self.kinds.get(name) == "integer"

    def defaults(self) -> dict[str, Any]:
        """Returns the size of the pictures, and the names of the inputs of keyframes that are whole numbers."""
        assert self.schedule.recipe.payload is not None
        width, height = size_of(self.schedule.recipe.payload.fields)
        names = {name for frame in self.schedule for name, _ in frame.inputs}
        return {"width": width, "height": height, "whole": tuple(sorted(filter(self._is_whole, names)))}

    def infotexts(self, answer: Answer, request: Request) -> dict[int, str]:
        """Returns the infotext of each frame of an answer."""
        return dict(zip(request.frames, answer.written, strict=False))

    def checkpoint(self, index: int) -> Checkpoint:
        """Returns the checkpoint of a frame: that of its settings, or else the loaded one."""
        named = (self.body(index, {}).get(SETTINGS) or {}).get(CHECKPOINT)
        return checkpoint_of(str(named or self.models.option(CHECKPOINT)), self.models)

    @property
    def capabilities(self) -> Capabilities:
        """What the rest of the recipe may set."""
        return CAPABILITIES

    @property
    def remarks(self) -> list[str]:
        """Remarks about the server."""
        return [*self.models.remarks, *([] if self.kinds else [UNCHECKED])]

    @property
    def identity(self) -> dict[str, str]:
        """The names of the checkpoints."""
        names = dict.fromkeys(self.checkpoint(index).name for index in range(len(self.schedule)))
        return {"checkpoint": ", ".join(names)}

    def trial(self) -> Request | None:
        """Returns the request that sets each overridden setting to the value that the server has, None without any.

        Otherwise the server would keep the values of the film.
        """
        settings = self.body(0, {}).get(SETTINGS) or {}
        for frame in self.schedule:
            settings |= {name.partition(".")[2]: None for name, _ in frame.inputs if name.startswith(f"{SETTINGS}.")}
        if not settings:
            return None
        now = {name: self.models.option(name) for name in settings} | {CHECKPOINT: self.checkpoint(0).title}
        return plain_trial(now, SECONDS + SECONDS_PER_STEP)

    def check_model(self, answer: Answer) -> None:
        """Raises `WrongModel` if a model other than that of the first frame rendered."""
        check_checkpoint(answer, self.checkpoint(0))

    def requests(self, frames: Sequence[int], inputs: Mapping[str, Picture], batch: int | None) -> Iterator[Request]:
        """Yields the requests that render these frames: to img2img if they have init pictures, else to txt2img."""
        recipe = self.schedule.recipe
        for index in frames:
            body = self.body(index, inputs)
            path = f"{API}/{'img2img' if body.get('init_images') else 'txt2img'}"
            within = SECONDS + SECONDS_PER_STEP * int(body["steps"]) * max(1.0, recipe.width * recipe.height / SIDE**2)
            yield Request(path, body, (index,), within, size=(recipe.width, recipe.height))

    def pictures(self, answer: Answer, request: Request) -> list[Picture]:
        """Returns the first picture of an answer, verified."""
        (index,) = request.frames
        check_checkpoint(answer, self.checkpoint(index))
        if not answer.images:
            raise BadReply(f"frame {index}: the server sent no picture")
        size = (self.schedule.recipe.width, self.schedule.recipe.height)
        return [
            verified(cropped(decode_base64(answer.images[0]), size, index, "payload"), self.schedule, index, ADVICE)
        ]


def prepare_payload(server: Server, schedule: Schedule) -> PreparedPayload:
    """Returns a schedule prepared for a server. Raises `Unsupported` for what that does not accept."""
    payload, models = schedule.recipe.payload, server.models()
    assert payload is not None
    if not isinstance(payload.fields.get(SETTINGS, {}), dict):
        raise Unsupported(f"{SETTINGS}: is a table of settings; write {{ CLIP_stop_at_last_layers = 2 }}")
    prepared = PreparedPayload(schedule, models, kinds_in(server.fields()))
    for problem in _problems(prepared):
        raise Unsupported(problem)
    return prepared


def size_of(fields: Mapping[str, Any]) -> tuple[int, int]:
    """Returns the width and height of a payload's pictures, with its second pass, as multiples of 8."""
    width, height = (_number(fields.get(side), SIDE) for side in ("width", "height"))
    if fields.get("enable_hr"):
        scale = _number(fields.get("hr_scale"), SCALE)
        width = _number(fields.get("hr_resize_x"), 0) or width * scale
        height = _number(fields.get("hr_resize_y"), 0) or height * scale
    sides = [int(side) - int(side) % 8 for side in (width, height)]
    return sides[0], sides[1]


def kinds_in(api: Any) -> dict[str, str]:
    """Returns the fields of txt2img and img2img and their types, from the server's ``/openapi.json``; {} if unknown."""
    found: dict[str, str] = {}
    for path in ("txt2img", "img2img"):
        body = ("paths", f"{API}/{path}", "post", "requestBody", "content", "application/json", "schema", "$ref")
        reference = _at(api, *body)
        named = str(reference).removeprefix("#/").split("/")
        properties = _at(api, *named, "properties")
        for name, about in properties.items() if isinstance(properties, dict) else ():
            found[str(name)] = str(_at(about, "type") or "")
    return found


def _at(value: Any, *steps: str) -> Any:
    """Returns what is in nested tables, None if it is not there."""
    for step in steps:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _number(value: Any, default: float) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else default


def _problems(prepared: PreparedPayload) -> Iterator[str]:
    """Yields what the server does not accept of the fields, and of the values of all frames."""
    payload = prepared.schedule.recipe.payload
    assert payload is not None
    for name, value in payload.fields.items():
        yield from _problem(prepared, name, value)
    for name, value in payload.fields.get(SETTINGS, {}).items():
        yield from _problem(prepared, f"{SETTINGS}.{name}", value)
    for frame in prepared.schedule:
        for name, value in frame.inputs:
            if isinstance(value, Mix) and len(value.values) > 1:
                yield (
                    f"{name}: travels from one text to another, and a payload has one text; add it to the list: "
                    f'hold = ["{name}"]'
                )
            yield from _problem(prepared, name, value.values[0] if isinstance(value, Mix) else value)
    for index in range(len(prepared.schedule)):
        prepared.checkpoint(index)  # raises for a place that is not in the payload, and for an unknown checkpoint


def _problem(prepared: PreparedPayload, name: str, value: Any) -> Iterator[str]:
    field, kinds, models = name.split(".")[0], prepared.kinds, prepared.models
    if field in OWN:
        yield f"{name}: is set by the engine; leave it out"
    elif kinds and field not in kinds:
        yield f"{name}: the server's API has no such field; {nearest(field, sorted(kinds))}"
    elif name.startswith(f"{SETTINGS}."):
        yield from _problem_of_setting(prepared, name, value)
    elif name in NAMES and value not in models.samplers:
        yield f"{name}: {models.address} does not have {show(value)}; {nearest(str(value), _labels(models.samplers))}"
    elif name in SCHEDULERS and value not in models.schedulers:
        yield f"{name}: {models.address} does not have {show(value)}; {nearest(str(value), _labels(models.schedulers))}"
    elif name == field and (wanted := _wrong_kind(kinds.get(field, ""), value)):
        yield f"{name}: {show(value)} is not {wanted}; write one"


def _problem_of_setting(prepared: PreparedPayload, name: str, value: Any) -> Iterator[str]:
    """Yields why the server does not accept a value of one of its own settings."""
    options, setting = prepared.models.options or {}, name.partition(".")[2]
    now = options.get(setting)
    if options and setting not in options:
        yield f"{name}: the server has no such setting; {nearest(setting, sorted(options))}"
    elif setting != CHECKPOINT and (wanted := _wrong_kind(_KINDS.get(type(now), ""), value)):
        yield f"{name}: {show(value)} is not {wanted}; write one"


_KINDS: Mapping[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}
"""Types of a server's settings -> their names in its API."""


def _labels(names: Mapping[str, str]) -> list[str]:
    return sorted(set(names.values()))


def _wrong_kind(kind: str, value: Any) -> str | None:
    """Returns what a field takes, if a value is something else."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {"integer": number, "number": number, "string": isinstance(value, str), "boolean": isinstance(value, bool)}
    words = {"integer": "a number", "number": "a number", "string": "a text", "boolean": "true or false"}
    return words[kind] if kind in fits and not fits[kind] else None


def _set(target: Any, name: str, steps: list[str], value: Any) -> None:
    """Sets the value at a place such as ``alwayson_scripts.ControlNet.args.0.weight``, in place.

    Raises `Unsupported` if a step but the last is not there.
    """
    for number in range(len(steps), 0, -1):  # names may contain dots
        key: Any = ".".join(steps[:number])
        if isinstance(target, list):
            key = int(key) if key.isdecimal() and int(key) < len(target) else None
        if key is not None and (isinstance(target, list) or key in target or len(steps) == number == 1):
            if number == len(steps):
                target[key] = value
                return
            if isinstance(target[key], dict | list):
                _set(target[key], name, steps[number:], value)
                return
    known = sorted(target) if isinstance(target, dict) else [str(number) for number in range(len(target))]
    raise Unsupported(f"{name}: the payload has no {'.'.join(steps)!r} there; {nearest(steps[0], known)}")


def _with_pictures(value: Any, inputs: Mapping[str, Picture]) -> Any:
    """Returns plain values with the pictures that they name in base64."""
    if isinstance(value, dict):
        return {name: _with_pictures(each, inputs) for name, each in value.items()}
    if isinstance(value, list):
        return [_with_pictures(each, inputs) for each in value]
    if isinstance(value, str) and value in inputs:
        return base64.b64encode(png_bytes(inputs[value])).decode("ascii")
    return value
