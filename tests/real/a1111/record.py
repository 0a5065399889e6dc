"""What a real A1111 answers, written down for the fake: python -m tests.real.a1111.record URL

Pictures are left out of the replies, and folders and times are made the same for every machine.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

KEPT = Path(__file__).parents[2] / "fakes" / "recorded" / "a1111"
API = "/sdapi/v1"
PATIENCE = 120.0

ASKED = {"prompt": "a red apple", "seed": 5, "steps": 2, "width": 64, "height": 64}
SCHEDULED = {"sampler_name": "Euler", "scheduler": "Uniform", "override_settings": {"randn_source": "CPU"}}
LISTS = (
    *("options", "cmd-flags", "samplers", "schedulers", "sd-models", "sd-vae", "loras", "scripts", "script-info"),
    "progress",
)
WRONG: Mapping[str, Mapping[str, Any]] = {
    "steps": {"steps": 0},
    "script": {"script_name": "nothing of that name"},
    "width": {"width": "wide"},
    "setting": {"override_settings": {"nothing of that name": 1}},
    "seed": {"seed": [1]},
}
SUBSTITUTED = {"sampler_name": "nope", "scheduler": "nope", "override_settings": {"sd_model_checkpoint": "nope"}}


def replies(url: str) -> dict[str, Any]:
    """Returns the replies by name: lists as they come, renders with the words of their pictures, refusals."""
    found = {name: requests.get(f"{url}{API}/{name}", timeout=PATIENCE).json() for name in LISTS}
    made = _post(url, "txt2img", {**ASKED, **SCHEDULED})
    found["txt2img"] = _without_pictures(made.json())
    init = {**ASKED, **SCHEDULED, "init_images": made.json()["images"], "denoising_strength": 0.5}
    found["img2img"] = _without_pictures(_post(url, "img2img", init).json())
    found["substituted"] = _without_pictures(_post(url, "txt2img", {**ASKED, **SUBSTITUTED}).json())
    answers = {name: _post(url, "txt2img", {**ASKED, **wrong}) for name, wrong in WRONG.items()}
    found["refused"] = {name: {"status": one.status_code, "body": one.json()} for name, one in answers.items()}
    api = _of_renders(requests.get(f"{url}/openapi.json", timeout=PATIENCE).json())
    return {**{name: _everywhere(reply) for name, reply in found.items()}, "openapi": api}


def _of_renders(api: dict[str, Any]) -> dict[str, Any]:
    """The description of what renders: the types of its fields."""
    paths, schemas = {}, {}
    for path in (f"{API}/txt2img", f"{API}/img2img"):
        content = api["paths"][path]["post"]["requestBody"]["content"]
        paths[path] = {"post": {"requestBody": {"content": content}}}
        name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
        fields = api["components"]["schemas"][name]["properties"]
        types = {field: {"type": about["type"]} if "type" in about else {} for field, about in fields.items()}
        schemas[name] = {"properties": types}
    return {"paths": paths, "components": {"schemas": schemas}}


def kept() -> dict[str, Any]:
    """Returns the replies that were written down, by name."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(KEPT.glob("*.json"))}


def _post(url: str, path: str, body: Mapping[str, Any]) -> requests.Response:
    return requests.post(f"{url}{API}/{path}", json=body, timeout=PATIENCE)


def _without_pictures(reply: dict[str, Any]) -> dict[str, Any]:
    return {**reply, "images": ["" for _ in reply["images"]]}


def _everywhere(value: Any) -> Any:
    """The same reply as any machine gives: no folders of this one, no moments."""
    text = json.dumps(value)
    text = re.sub(r'"(?:/[^"/\\]+)+/([^"/\\]+)"', r'"/models/\1"', text)
    text = re.sub(r'"port": "\d+"', '"port": "7860"', text)
    text = re.sub(r'(\\*"job_timestamp\\*": \\*")\d+', r"\g<1>20260101000000", text)
    return json.loads(text)


def main() -> int:
    KEPT.mkdir(parents=True, exist_ok=True)
    for name, reply in replies(sys.argv[1]).items():
        text = json.dumps(reply, indent=1, ensure_ascii=False, sort_keys=name in ("options", "cmd-flags"))
        (KEPT / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
