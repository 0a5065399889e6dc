"""The client against a real ComfyUI: the same frames by either way, whatever is killed, and replies as recorded."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.client import ComfyUI
from remix.client.comfyui.names import Names
from remix.client.comfyui.routes import RemixNodes
from remix.client.comfyui.server import DONE, LOST, QUEUED, RUNNING, Server
from remix.client.http import Http
from remix.client.timeouts import Timeouts
from remix.engine import Outcome, render
from remix.errors import (
    BlankFrame,
    EngineError,
    HostSilent,
    Interrupted,
    OutOfMemory,
    Unsupported,
    WorkflowRejected,
)
from remix.hosts.comfyui.graph import Graph, Link
from remix.job import recipe_of
from remix.motion import save_picture
from remix.plan import Frame, Keyframe, Lora, Model, Recipe
from tests.client.comfyui.runs import at_frames, frames
from tests.core.engine.runs import contents
from tests.fakes.comfyui_server import recorded
from tests.fakes.proxy import Proxy, Toxic
from tests.real.comfyui.graphs import Builder
from tests.real.comfyui.host import CHECKPOINT, ROOT, Host
from tests.real.comfyui.record import recordings, shape
from tests.real.loras import write_broken_lora, write_lora

TIMEOUTS = Timeouts(poll=0.5, reconnect=0.1)
LAYER = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_out_0"
"""A layer of the checkpoint's U-Net, 320 wide."""
TEXT = "lora_te_text_model_encoder_layers_0_self_attn_q_proj"
"""A layer of its text encoder, 768 wide."""


def recipe(count: int = 6, word: str = "red", **changes: Any) -> Recipe:
    keyframes = (
        Keyframe(at=0, prompt=f"a {word} apple", negative="grey", seed=5, cfg=7),
        Keyframe(at="100%", prompt="the sea", cfg=4),
    )
    size = {"width": 64, "height": 64, "steps": 3}
    return Recipe(frames=count, **{"model": Model(CHECKPOINT), "keyframes": keyframes, **size, **changes})


def run(host: Host, folder: Path, asked: Recipe, *, url: str = "", batch: int = 2, **options: Any) -> Outcome:
    return render(asked, ComfyUI(url or host.url, batch=batch, timeouts=TIMEOUTS), folder, film=None, **options)


def films(host: Host) -> list[Path]:
    """The folders of films on the server, with a job for each part that a client asked for."""
    return sorted((host.output / "remix").glob("client_*"))


def times_rendered(film: Path) -> Counter[str]:
    """How often each frame of a film on the server was written down as made."""
    journals = {job.name: (job / "journal.jsonl").read_text(encoding="utf-8").splitlines() for job in film.iterdir()}
    return Counter(f"{job} {json.loads(line)['file']}" for job, lines in journals.items() for line in lines if line)


def test_replies_are_as_they_were_recorded(host: Host) -> None:
    """Else run `python -m tests.real.comfyui.record`."""
    found = recordings(host)
    assert {str(shape(model)) for model in found["models"]} == {str(shape(model)) for model in recorded("models")}
    for name in ("unknown", "submitted", "uploaded", "history_unknown", "rejected_inputs", "rejected_kind"):
        assert shape(found[name]) == shape(recorded(name)), name
    for name in ("history_done", "history_failed", "history_interrupted"):
        (entry,), (before,) = found[name].values(), recorded(name).values()
        for event in (*entry["status"]["messages"], *before["status"]["messages"]):
            for part in ("traceback", "nodes", "current_inputs", "executed"):
                event[1].pop(part, None)
        assert shape(entry["status"]) == shape(before["status"]), name
        assert entry.keys() == before.keys()
        assert entry["status"]["status_str"] == before["status"]["status_str"]
    assert [len(found["queue"][part][0]) for part in found["queue"]] == [5, 5]
    for kind, about in recorded("object_info").items():
        inputs = found["object_info"][kind]["input"]
        assert {part: list(rows) for part, rows in inputs.items()} == {
            part: list(rows) for part, rows in about["input"].items()
        }
    kinds = {message["type"] for message in recorded("messages") if "type" in message}
    assert {message["type"] for message in found["messages"] if "type" in message} == kinds


@pytest.mark.parametrize("kind", ["prompts", "pictures", "LoRAs"])
def test_either_way_gives_the_same_frames(
    host: Host, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two prompts in their shares, a cfg that travels, LoRAs of model and text encoder; an init picture, restored."""
    asked, pictured = recipe(4), kind == "pictures"
    if kind == "LoRAs":
        folder = host.base / "models" / "loras"
        folder.mkdir(exist_ok=True)
        write_lora(folder / "ink.safetensors", {LAYER: 320, TEXT: 768}, 0.5)
        write_lora(folder / "grain.safetensors", {LAYER: 320}, 0.2)
        first, last = asked.keyframes
        travel = (replace(first, loras={"ink": 0, "grain": 1}), replace(last, loras={"ink": 1, "grain": 1}))
        asked = recipe(4, model=Model(CHECKPOINT, loras=(Lora("grain", 0.5),)), keyframes=travel)
    if pictured:
        gradient = np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
        save_picture(tmp_path / "start.png", gradient)
        keyframes = (Keyframe(at=0, prompt="a", image="start.png", denoise=0), Keyframe(at=2, denoise=0.6))
        asked = recipe(3, keyframes=keyframes, folder=str(tmp_path), restore=True)
    run(host, tmp_path / "through", asked, batch=1)
    monkeypatch.setattr(RemixNodes, "check", _not_there)
    run(host, tmp_path / "bare", asked)
    through, bare = frames(tmp_path / "through"), frames(tmp_path / "bare")
    assert through.std() > 5
    assert np.abs(through.astype(int) - bare).max() <= 1
    assert not pictured or (through[0] == gradient).all()
    assert pictured or np.abs(through[0].astype(int) - through[-1]).max() > 20


def test_a_socket_that_is_cut_and_deaf_afterwards_delays_nothing(host: Host, tmp_path: Path) -> None:
    asked = recipe(20, "yellow", steps=8)
    with Proxy(host.url, Toxic("reset_peer", 500, "/ws", 1)).started() as proxy:
        run(host, tmp_path / "cut", asked, url=proxy.url)
        assert len([path for path in proxy.connections if path.startswith("/ws")]) > 1
    run(host, tmp_path / "whole", asked)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_a_prompt_whose_answer_never_came_is_there(host: Host) -> None:
    builder = Builder()
    latent = builder.add("EmptyLatentImage", width=64, height=64, batch_size=1)[0]
    model, clip, vae = builder.checkpoint()
    prompts = [builder.add("CLIPTextEncode", clip=clip, text=text)[0] for text in ("a", "b")]
    images = builder.add("VAEDecode", samples=builder.sampled(model, *prompts, latent), vae=vae)[0]
    builder.add("SaveImage", images=images, filename_prefix=f"unclear/{uuid.uuid4()}")
    prompt = str(uuid.uuid4())
    with Proxy(host.url, Toxic("timeout", 1000)).started() as proxy:
        lost = Server(Http(proxy.url, timeout=0.5), "unclear")
        with pytest.raises(HostSilent):
            lost.submit(prompt, builder.graph, {})
    server = Server(Http(host.url), "unclear")
    assert server.status(str(uuid.uuid4())).state == LOST
    assert server.status(prompt).state in (QUEUED, RUNNING, DONE)
    host.wait(prompt)
    status = server.status(prompt)
    assert status.state == DONE
    ((made,),) = status.files.values()
    assert server.view(made, (64, 64)).shape == (64, 64, 3)


def test_the_end_of_one_client_ends_nothing_of_another(host: Host, tmp_path: Path) -> None:
    stopping = threading.Event()
    mine, other = recipe(40, "green", steps=12), recipe(8, "blue", steps=8)
    thread = threading.Thread(target=lambda: run(host, tmp_path / "other", other))
    thread.start()
    with pytest.raises(Interrupted, match="left; run it again"):
        run(host, tmp_path / "mine", mine, listen=at_frames(1, stopping.set), stop=stopping.is_set)
    queue = host.get("/queue")
    assert not [row for part in queue.values() for row in part if "green" in json.dumps(row)]
    thread.join()
    assert len(frames(tmp_path / "other")) == 8
    assert len(list((tmp_path / "mine" / "frames").iterdir())) < 40


def test_a_server_that_is_killed_and_started_again_renders_no_frame_twice(host: Host, tmp_path: Path) -> None:
    asked, before = recipe(24, "white", steps=8), films(host)

    def kill() -> None:
        host.stop()
        threading.Thread(target=host.start).start()

    run(host, tmp_path / "killed", asked, listen=at_frames(3, kill))
    (film,) = set(films(host)) - set(before)
    assert set(times_rendered(film).values()) == {1}
    assert len(times_rendered(film)) == 24
    run(host, tmp_path / "whole", asked)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_a_client_that_is_killed_goes_on_and_no_frame_is_rendered_twice(host: Host, tmp_path: Path) -> None:
    asked, before = recipe(24, "black", steps=8), films(host)
    path, job = tmp_path / "recipe.json", tmp_path / "killed"
    path.write_text(asked.to_json(), encoding="utf-8")
    line = [*("render", str(path), "-o", str(job), "-q", "--no-film", "--batch", "2"), "--engine", "comfyui"]
    line = [sys.executable, "-m", "remix.client", *line, "--url", host.url]
    for count in (1, 18):
        client = subprocess.Popen(line, cwd=ROOT)
        _until(lambda count=count: len(list((job / "frames").glob("*.png"))) >= count)  # type: ignore[misc]
        client.kill()
        client.wait()
    assert subprocess.run(line, cwd=ROOT, check=False).returncode == 0
    (made,) = set(films(host)) - set(before)
    assert set(times_rendered(made).values()) == {1}
    run(host, tmp_path / "whole", asked)
    assert contents(job) == contents(tmp_path / "whole")


def test_files_that_are_gone_from_the_server_are_made_again(host: Host, tmp_path: Path) -> None:
    """Though the host keeps what the node gave, and says that it is done at once."""
    asked, before = recipe(5, "purple"), films(host)
    run(host, tmp_path / "first", asked)
    (film,) = set(films(host)) - set(before)
    (job,) = film.iterdir()
    (job / "frames" / "000003.png").unlink()
    run(host, tmp_path / "again", asked)
    assert contents(tmp_path / "again") == contents(tmp_path / "first")
    assert sorted(times_rendered(film).values()) == [1, 1, 1, 1, 2]


def test_a_workflow_that_is_rejected_is_told_line_by_line_and_nothing_runs(host: Host, tmp_path: Path) -> None:
    with pytest.raises(
        WorkflowRejected, match=r"RemixRender \(\d+\), batch_size is 1000000: Value 1000000 bigger than"
    ):
        run(host, tmp_path, recipe(), batch=1_000_000)
    assert not frames_there(tmp_path)


def troubled(monkeypatch: pytest.MonkeyPatch, kind: str, times: int) -> None:
    """On the server the model fails so many times before it is there."""
    whole, name = Names.loaded, str(uuid.uuid4())

    def loaded(names: Names, graph: Graph, model: Model, frame: Frame, **options: Any) -> tuple[Link, Link, Link]:
        unet, clip, vae = whole(names, graph, model, frame, **options)
        return graph.one("TestTrouble", model=unet, trouble=kind, times=times, name=name), clip, vae

    monkeypatch.setattr(Names, "loaded", loaded)


def test_a_full_memory_is_tried_once_more_with_one_frame_at_a_time(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    troubled(monkeypatch, "full", 1)
    assert run(host, tmp_path / "once", recipe(2, "pink")).rendered == 2
    assert "memory is full; continuing with one frame at a time" in caplog.text
    troubled(monkeypatch, "full", 2)
    with pytest.raises(OutOfMemory, match="frames 0 to 1: not even one frame fits"):
        run(host, tmp_path / "twice", recipe(2, "pink"))


def test_what_a_node_says_is_told_and_not_tried_again(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    troubled(monkeypatch, "wrong", 1)
    with pytest.raises(EngineError, match="frames 0 to 1: TestTrouble says: no such thing"):
        run(host, tmp_path, recipe(2, "pink"))
    assert run(host, tmp_path, recipe(2, "pink")).rendered == 2


@pytest.mark.parametrize("way", ["nodes", "bare"])
def test_a_model_that_gives_no_numbers_is_an_error_that_names_the_switch(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    write_broken_lora(host.base / "models" / "loras", LAYER)
    if way == "bare":
        monkeypatch.setattr(RemixNodes, "check", _not_there)
    loaded = Model(CHECKPOINT, loras=(Lora("broken"),))
    asked = recipe(1, keyframes=(Keyframe(prompt="an apple"),)).replace(model=loaded)
    with pytest.raises(BlankFrame, match=r"frame 0: .*--fp32-vae"):
        run(host, tmp_path, asked)
    assert not frames_there(tmp_path)


def frames_there(folder: Path) -> list[Path]:
    return list((folder / "frames").iterdir())


def _not_there(route: RemixNodes) -> list[str]:
    raise Unsupported("the server does not have the Remix nodes")


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_an_even_pace_gives_the_same_film_by_either_way(host: Host, tmp_path: Path) -> None:
    paced = run(host, tmp_path / "paced", recipe(7, pace="even"))
    held = recipe_of(paced.folder)
    assert held.clock is not None
    assert held.clock != tuple(range(7))
    run(host, tmp_path / "again", held)
    assert [np.array_equal(*pair) for pair in zip(frames(paced.folder), frames(tmp_path / "again"), strict=True)] == [
        True
    ] * 7
    assert run(host, tmp_path / "paced", recipe(7, pace="even", fps=24)).rendered == 0
