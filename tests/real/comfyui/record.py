"""Records replies of a real ComfyUI for the fake server. Run: python -m tests.real.comfyui.record

Writes tests/fakes/recorded/comfyui/NAME.json. A test compares their shapes with what the host says today.
"""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import requests
import websocket

from remix.hosts.comfyui.graph import Graph
from remix.motion.pictures import png_bytes
from tests.real.comfyui.host import CHECKPOINT, ROOT, Host, host_alone, installed

PLACE = ROOT / "tests" / "fakes" / "recorded" / "comfyui"
CLIENT = "00000000-0000-4000-8000-000000000000"
NODES = (
    *("KSampler", "CheckpointLoaderSimple", "VAELoader", "LoraLoader", "CLIPSetLastLayer", "CLIPTextEncode"),
    *("ConditioningAverage", "EmptyLatentImage", "LoadImage", "VAEEncode", "VAEDecode", "SaveImage"),
    *("RemixPlayground", "RemixRecipe", "RemixRender"),
    *("EmptyImage", "ImageBlend", "PreviewImage", "RepeatImageBatch", "CreateVideo", "GetVideoComponents"),
)
RECIPE = 'frames = 2\nsize = [64, 64]\nsteps = STEPS\n[[keyframes]]\nprompt = "PROMPT"\n'


def recordings(host: Host) -> dict[str, Any]:
    """Returns the replies by name."""
    found: dict[str, Any] = {
        "system_stats": host.get("/system_stats"),
        "object_info": {kind: host.get(f"/object_info/{kind}")[kind] for kind in NODES},
        "models": host.get("/experiment/models/checkpoints"),
        "unknown": host.get("/object_info/NoSuchNode"),
    }
    socket = websocket.create_connection(f"{host.websocket}?clientId={CLIENT}", timeout=60)
    socket.send(json.dumps({"type": "feature_flags", "data": {}}))
    done = host.post("/prompt", {"prompt": _rendering("a cat", 2), "client_id": CLIENT}).json()
    found["submitted"] = done
    found["messages"] = _transcript(socket)
    socket.close()
    found["history_done"] = _over(host, done["prompt_id"])
    found["history_unknown"] = host.get(f"/history/{CLIENT}")
    found["history_failed"] = _failure(host)
    found["queue"], found["history_interrupted"] = _interruption(host)
    found |= {f"rejected_{name}": _rejection(host, graph) for name, graph in _wrong().items()}
    picture = ("x.png", png_bytes(np.zeros((8, 8, 3), np.uint8)))
    answer = requests.post(f"{host.url}/upload/image", {"subfolder": "remix"}, files={"image": picture}, timeout=60)
    found["uploaded"] = answer.json()
    return found


def _rendering(prompt: str, steps: int, **changes: Any) -> dict[str, Any]:
    graph = Graph()
    model, clip, vae = graph.several("CheckpointLoaderSimple", 3, ckpt_name=CHECKPOINT)
    text = RECIPE.replace("STEPS", str(steps)).replace("PROMPT", prompt)
    schedule = graph.one("RemixRecipe", recipe=text, frames=0, fps=0.0, width=0, height=0)
    widgets = {"filename_prefix": "remix/recorded", "batch_size": 2, "first": 0, "count": 2, **changes}
    graph.one("RemixRender", model=model, clip=clip, vae=vae, schedule=schedule, **widgets)
    return graph.nodes


def _wrong() -> dict[str, dict[str, Any]]:
    """Graphs that are refused, by what is wrong with them; in part, where another output could be made."""
    graph = Graph()
    latent = graph.one("EmptyLatentImage", width=64, height=65536, batch_size=1)
    _, _, vae = graph.several("CheckpointLoaderSimple", 3, ckpt_name="none.safetensors")
    graph.one("SaveImage", images=graph.one("VAEDecode", samples=latent), filename_prefix="remix/x")
    graph.one("SaveImage", images=vae, filename_prefix="remix/x")
    kind, part = (_rendering("a cat", 2) for _ in range(2))
    kind["1"]["class_type"] = "NoSuchNode"
    part["1"]["inputs"]["ckpt_name"] = "none.safetensors"
    return {"inputs": graph.nodes, "kind": kind, "part": part}


def _rejection(host: Host, graph: dict[str, Any]) -> dict[str, Any]:
    answer = host.post("/prompt", {"prompt": graph, "client_id": CLIENT})
    assert answer.json()["node_errors"] or not answer.ok, answer.text
    return {"status": answer.status_code, "body": answer.json()}


def _transcript(socket: websocket.WebSocket) -> list[Any]:
    """Returns the messages until a prompt is over; of a preview, its event and first bytes."""
    messages: list[Any] = []
    while True:
        message = socket.recv()
        if isinstance(message, bytes):
            messages.append(
                {"event": int.from_bytes(message[:4], "big"), "format": int.from_bytes(message[4:8], "big")}
            )
            continue
        messages.append(json.loads(message))
        if messages[-1]["type"] == "executing" and messages[-1]["data"]["node"] is None:
            return messages


def _failure(host: Host) -> dict[str, Any]:
    """The entry of a prompt whose node fails: a first frame past the last one."""
    prompt = host.queue(_rendering("a dog", 2, first=7))
    return _over(host, prompt)


def _interruption(host: Host) -> tuple[dict[str, Any], dict[str, Any]]:
    """The queue with a prompt at work and one that waits; the entry of the first, interrupted."""
    running, waiting = (host.queue(_rendering(f"a slow {name}", 400)) for name in ("cat", "dog"))
    queue: dict[str, Any] = {}
    while not queue.get("queue_running"):
        time.sleep(0.1)
        queue = host.get("/queue")
    host.post("/queue", {"delete": [waiting]})
    host.post("/interrupt", {"prompt_id": running})
    return queue, _over(host, running)


def _over(host: Host, prompt: str) -> dict[str, Any]:
    while not (entry := host.get(f"/history/{prompt}")):
        time.sleep(0.1)
    return dict(entry)


def shape(value: Any) -> Any:
    """Returns what of a reply matters: its keys and types; lists by the shapes in them."""
    if isinstance(value, dict):
        return {key: shape(part) for key, part in value.items()}
    if isinstance(value, list):
        return [shape(part) for part in value]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def main() -> None:
    """Starts a host, and writes what it says."""
    with host_alone() as host:
        for name, reply in recordings(host).items():
            text = (
                json.dumps(reply, indent=1, ensure_ascii=False)
                .replace(str(host.base), "/base")
                .replace(str(installed()), "/ComfyUI")
            )
            (PLACE / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
