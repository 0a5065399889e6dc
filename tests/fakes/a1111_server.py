"""As much of A1111's API as the engine touches, fed with replies of a real one: what it substitutes, it substitutes.

Pictures are painted from what decides them, so that the same request gives the same bytes, and another one others.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from remix.engine.pack import REPORT, report
from remix.engine.parts import read_part
from remix.errors import RecipeError
from tests.fakes.faults import Answer, Asked, Fault, FaultyServer

RECORDED = Path(__file__).parent / "recorded" / "a1111"
API = "/sdapi/v1/"
OF_PICTURES = ("prompt", "negative_prompt", "seed", "steps", "cfg_scale", "width", "height", "denoising_strength")
SCRIPT = {"name": "remix", "is_alwayson": False, "is_img2img": False, "args": [{"label": "Recipe"}] * 3}
IDLE = {"skipped": False, "interrupted": False, "stopping_generation": False, "job": "", "job_count": 0}


def recorded(name: str) -> Any:
    """Returns a reply of a real server."""
    return json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))


class A1111Server(FaultyServer):
    """One server. `rendered` is every picture that it made, by what decides it; a trial is not one.

    auth: "user:password" that the API asks for; tasks: whether it has its page, which knows tasks; models: title ->
    name of the models that it has; other: the model that it silently uses instead; paint: what it does to a
    picture; failing: the errors of its own code, one for each frame to come; broken: answers in place of the right
    ones, by the last part of the path; found_later: what it finds when it reads its folders again; sysinfo: its page
    for bug reports; report: what its Remix script reports, None for an older one; gateway_gives_up: a proxy answers
    524 while it renders; gate: what renders wait for.
    """

    def __init__(
        self,
        faults: Sequence[Fault] = (),
        *,
        prefix: str = "",
        auth: str = "",
        tasks: bool = True,
        without: Sequence[str] = (),
        script: bool = False,
    ) -> None:
        super().__init__(faults, prefix=prefix)
        self.auth = auth
        self.tasks = tasks
        self.without = tuple(without)
        self.options = recorded("options")
        self.api: Any = recorded("openapi")
        self.flags: dict[str, Any] = recorded("cmd-flags")
        self.says_flags = True
        self.broken: dict[str, Answer] = {}
        self.found_later: dict[str, list[Any]] = {}
        self.sysinfo: dict[str, Any] | None = None
        self.gateway_gives_up = False
        self._going_on: list[threading.Thread] = []
        self.saved: set[str] = {"sd_model_checkpoint"}
        self.lists = {name: recorded(name) for name in ("samplers", "schedulers", "sd-models", "sd-vae", "loras")}
        self.script_info = recorded("script-info") + ([SCRIPT] if script else [])
        self.report: dict[str, Any] | None = {**report(None), "plain_attention": True}
        self.kept: dict[str, str] = {}
        self.other = ""
        self.failing: list[str] = []
        self.passes_over_settings = False
        self.rendered: list[str] = []
        self.requests: list[Mapping[str, Any]] = []
        self.interrupts = 0
        self.preview: str | None = None
        self.most_at_once = 0
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Event()
        self.state: dict[str, Any] = dict(IDLE)
        self.task = ""
        self.waiting: list[str] = []
        self._queue = threading.Lock()
        self._active = 0

    def answer(self, asked: Asked) -> Answer:
        if asked.path == "/internal/progress" and self.tasks:
            about = self._task(asked.json["id_task"])
            if self.gateway_gives_up and SCRIPT in self.script_info:  # without it, a test calls finish
                self.gate.set()
            return Answer(about)
        if asked.path == "/internal/sysinfo" and self.sysinfo is not None:
            return Answer(self.sysinfo)
        if asked.path == "/openapi.json" and self.api is not None:
            return Answer(self.api)
        if asked.path == REPORT and self.report is not None and SCRIPT in self.script_info:
            return Answer(self.report)
        if not asked.path.startswith(API):
            return Answer({"detail": "Not Found"}, 404)
        if self.auth and asked.headers.get("Authorization") != f"Basic {base64.b64encode(self.auth.encode()).decode()}":
            return Answer(refusal("Not authenticated"), 401)
        name = asked.path.removeprefix(API)
        if name in self.without:
            return Answer({"detail": "Not Found"}, 404)
        if name in self.broken:
            return self.broken[name]
        if name == "refresh-checkpoints":
            for listed, rows in self.found_later.items():
                self.lists[listed] = [*self.lists[listed], *rows]
            return Answer()
        if name in self.lists:
            return Answer(self.lists[name])
        if name == "scripts":
            names = [each["name"] for each in self.script_info]
            return Answer({"txt2img": names, "img2img": names})
        simple = {"options": lambda: self.options, "script-info": lambda: self.script_info, "progress": self._progress}
        simple["cmd-flags"] = lambda: self.flags
        if name == "cmd-flags" and not self.says_flags:  # a Forge with its port among the flags
            return Answer({"error": "ResponseValidationError", "body": self.flags, "message": "1 validation ..."}, 500)
        if name in simple:
            return Answer(simple[name]())
        if name in ("txt2img", "img2img"):
            slow = self.gateway_gives_up and asked.json.get("send_images", True) and not self.kept
            return self._given_up(name, asked.json) if slow else self._in_turn(name, asked.json)
        if name == "interrupt":
            self.interrupts += 1
            self.state["interrupted"] = True
            self.gate.set()
            return Answer({})
        return Answer({"detail": "Not Found"}, 404)

    def forget(self) -> None:
        self.state, self.task, self.saved = dict(IDLE), "", {"sd_model_checkpoint"}

    def _task(self, task: str) -> dict[str, Any]:
        return {"active": task == self.task, "queued": task in self.waiting, "completed": False}

    def _progress(self) -> dict[str, Any]:
        state = {"job_timestamp": "0", "job_no": 0, "sampling_step": 0, "sampling_steps": 0, **self.state}
        busy = bool(state["job_count"])
        return {**recorded("progress"), "progress": 0.5 if busy else 0.0, "state": state, "current_image": self.preview}

    def _given_up(self, name: str, body: dict[str, Any]) -> Answer:
        """Returns the answer of a proxy that does not wait. The server renders until it is asked for its state."""
        self.gate.clear()
        self.begun.clear()
        self._going_on.append(threading.Thread(target=self._in_turn, args=(name, body), daemon=True))
        self._going_on[-1].start()
        self.begun.wait()
        return Answer(b"<html><title>524: A timeout occurred</title>", 524, "text/html")

    def finish(self) -> None:
        """Waits until what a proxy gave up is rendered."""
        self.gate.set()
        for rendering in self._going_on:
            rendering.join()

    def _in_turn(self, name: str, body: dict[str, Any]) -> Answer:
        task = body.get("force_task_id") or "task(of somebody)"
        self.waiting.append(task)
        with self._queue:
            self.waiting.remove(task)
            self._active += 1
            self.most_at_once = max(self.most_at_once, self._active)
            self.task = task
            self.state = {**IDLE, "job": f"scripts_{name}", "job_count": 1}
            self.state |= {"sampling_step": 3, "sampling_steps": body.get("steps", 20)}
            self.begun.set()
            try:
                while not self.gate.wait(0.02):
                    if self.ending.is_set():
                        return Answer(b"", 500)
                return self._made(name, body)
            finally:
                self._active -= 1
                self.state |= {"job": "", "job_count": 0}
                self.task = ""

    def _made(self, name: str, body: dict[str, Any]) -> Answer:
        if self.failing and body.get("send_images", True):
            error = self.failing.pop(0)
            return Answer({"error": error.partition(":")[0], "detail": "", "body": "", "errors": error}, 500)
        if name == "img2img" and not body.get("init_images"):
            return Answer(refusal("Init image not found"), 404)
        self.requests.append(body)
        before = dict(self.options)
        self._override(body.get("override_settings") or {})
        try:
            return self._pictures(name, body)
        finally:
            # As the real one: what the config file does not know yet is not put back.
            for key in body.get("override_settings") or {}:
                if key in self.saved:
                    self.options[key] = before[key]
                self.saved.add(key)

    def _override(self, settings: Mapping[str, Any]) -> None:
        for key, value in settings.items():
            known = {listed["title"] for listed in self.lists["sd-models"]}
            if key == "sd_model_checkpoint" and value not in known:
                continue  # silently
            if not self.passes_over_settings or key == "sd_model_checkpoint":
                self.options[key] = value

    def _pictures(self, name: str, body: Mapping[str, Any]) -> Answer:
        sampler = self._known("samplers", "name", body.get("sampler_name")) or "DPM++ 2M"
        scheduler = self._known("schedulers", "label", body.get("scheduler")) or "Automatic"
        loaded = [each for each in self.lists["sd-models"] if each["title"] == self.options["sd_model_checkpoint"]]
        made_by = [sampler, scheduler, self.other or loaded[0]["model_name"]]
        if not body.get("script_name"):
            images = self.pictures(body, made_by) if body.get("send_images", True) else []
            return Answer(self._answer(name, body, made_by, images))
        if SCRIPT not in self.script_info:
            return Answer(refusal("Script 'remix' not found"), 422)
        try:
            images = self.scripted(body["script_args"][0], made_by)
        except RecipeError as error:
            return Answer(refusal(str(error)), 422)
        # What the script gives back was rendered by others, which it only tells in the texts of pictures.
        return Answer(self._answer(name, body, made_by, images, sd_model_name=None, sd_model_hash=None))

    def _answer(
        self, name: str, body: Mapping[str, Any], made_by: Sequence[str], images: list[str], **other: Any
    ) -> Any:
        """The body of an answer with pictures, as the real one writes it."""
        sampler, scheduler, model = made_by
        text = f"x\nSteps: {body['steps']}, Sampler: {sampler}, Schedule type: {scheduler}, Seed: 5, Model: {model}"
        if (noise := self.options["randn_source"]) != "GPU":
            text += f", RNG: {noise}"
        if (clip_skip := self.options["CLIP_stop_at_last_layers"]) > 1:
            text += f", Clip skip: {clip_skip}"
        info = {**json.loads(recorded(name)["info"]), "sampler_name": sampler, "sd_model_name": model, **other}
        info["infotexts"] = [text] * max(1, len(images))
        return {"images": images, "parameters": {}, "info": json.dumps(info)}

    def _known(self, name: str, label: str, asked: Any) -> str | None:
        """Returns the label that has this name or alias, or None."""
        for each in self.lists[name]:
            if asked in (each["name"], each[label], *(each["aliases"] or ())):
                return str(each[label])
        return None

    def scripted(self, fields: Mapping[str, Any], made_by: Sequence[str]) -> list[str]:
        """Returns the pictures that the Remix script gives; those that it made before it only reads."""
        part = read_part(fields["part"])
        recipe, images = part.recipe, []
        for frame in part[fields["first"] : fields["first"] + fields["count"]]:
            decides = {key: value for key, value in frame.to_dict().items() if key != "index"}
            painted, about = self.painted(decides, made_by, recipe.width, recipe.height)
            if about not in self.kept:
                self.rendered.append(about)
                self.kept[about] = base64.b64encode(png(painted)).decode("ascii")
            images.append(self.kept[about])
        return images

    def pictures(self, body: Mapping[str, Any], made_by: Sequence[str]) -> list[str]:
        """Returns the pictures of a request, in base64."""
        decides = {key: body.get(key) for key in (*OF_PICTURES, "init_images")}
        width, height = (body[side] - body[side] % 8 for side in ("width", "height"))
        painted, about = self.painted(decides, made_by, width, height)
        self.rendered.append(about)
        if self.state["interrupted"]:
            painted = painted // 2
        return [base64.b64encode(png(painted)).decode("ascii")]

    def painted(self, decides: Any, made_by: Sequence[str], width: int, height: int) -> tuple[np.ndarray, str]:
        """Returns the picture of what decides it, and that in short."""
        about = hashlib.sha256(json.dumps([decides, list(made_by)], sort_keys=True).encode()).hexdigest()
        picture = np.zeros((height, width, 3), np.uint8)
        picture[:] = np.frombuffer(bytes.fromhex(about)[:3], np.uint8)
        picture[: height // 2] //= 2
        return picture, about


def refusal(sentence: str) -> dict[str, str]:
    """Returns the body of a refusal."""
    return {"error": "HTTPException", "detail": sentence, "body": "", "errors": ""}


def png(picture: np.ndarray) -> bytes:
    """Returns a picture as the server sends it."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()
