"""The ComfyUI engine with a fake server: its requests, and what it does with the replies."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.catalog.samplers import SAMPLERS
from remix.client import ComfyUI
from remix.client.auth import Auth
from remix.client.comfyui.names import Names
from remix.client.comfyui.server import Server
from remix.client.http import Http
from remix.client.servers import diagnose
from remix.engine import Event, Picture
from remix.engine.pack import report
from remix.engine.parts import read_part
from remix.errors import BadReply, EngineError, HostRefused, OtherRecipe, Unsupported, WorkflowRejected, WrongSize
from remix.hosts.comfyui.graph import Graph
from remix.motion import save_picture
from remix.plan import Keyframe, Lora, Model, Recipe, plan
from tests.client.comfyui.runs import FRAMES, QUICK, frames, plain, recipe, right, run
from tests.fakes.a1111_server import A1111Server
from tests.fakes.comfyui_server import ComfyServer, Script, Trouble
from tests.fakes.faults import Answer, Asked, Fault, FaultyServer
from tests.fakes.later import later


def graphs(server: ComfyServer) -> list[dict[str, Any]]:
    """The graphs that were done, as inputs by kind of node."""
    return [
        {node["class_type"]: node["inputs"] for node in entry["prompt"][2].values()}
        for entry in server.history.values()
    ]


def test_frames_come_through_the_remix_nodes_in_chunks(tmp_path: Path) -> None:
    with ComfyServer().started() as server:
        outcome = run(server.url, tmp_path, recipe(frames=20))
        assert outcome.rendered == 20
        assert np.array_equal(frames(tmp_path), right(recipe(frames=20)))
        assert set(server.rendered.values()) == {1}
        parts = [(graph["RemixRender"]["first"], graph["RemixRender"]["count"]) for graph in graphs(server)]
        assert parts == [(0, 16), (0, 4)]
        sent = [graph["RemixRender"]["schedule"] for graph in graphs(server)]
        assert "sd15" not in json.dumps(sent)
        found = [frame.prompt for part in sent for frame in read_part(part)]
        assert found == [frame.prompt for frame in plan(recipe(frames=20))]
        prefixes = [graph["RemixRender"]["filename_prefix"] for graph in graphs(server)]
        assert [prefix.rpartition("/")[2] for prefix in prefixes] == ["000000", "000016"]
        assert len({prefix.rpartition("/")[0] for prefix in prefixes}) == 1


@pytest.mark.parametrize(("plain_attention", "kept"), [(True, True), (False, False), (None, False)])
def test_of_an_edited_recipe_frames_stay_where_they_do_not_depend_on_other_prompts(
    tmp_path: Path, plain_attention: bool | None, kept: bool
) -> None:
    edited = recipe(keyframes=(*recipe().keyframes, Keyframe(at="100%", prompt="c", seed=2))[::2], frames=FRAMES)
    with ComfyServer().started() as server:
        server.report = {**report(None), "plain_attention": plain_attention}
        run(server.url, tmp_path, frames=[0])
        if kept:
            assert run(server.url, tmp_path, edited).rendered == FRAMES - 1
            return
        with pytest.raises(OtherRecipe, match="another set of prompts, on which every frame depends with this model"):
            run(server.url, tmp_path, edited)
        assert run(server.url, tmp_path).rendered == FRAMES - 1


def test_another_file_of_an_embedding_belongs_to_another_film(tmp_path: Path) -> None:
    asked = recipe(keyframes=(Keyframe(prompt="a boat in ink", seed=1),), frames=2)
    with ComfyServer().started() as server:
        server.report = {**report(None, embeddings={"ink": "1a", "fog": "2b"}), "plain_attention": True}
        run(server.url, tmp_path, asked, frames=[0])
        server.report["embeddings"] = {"ink": "3c"}
        with pytest.raises(OtherRecipe, match="embedding ink"):
            run(server.url, tmp_path, asked)


def test_without_the_remix_nodes_a_remark_says_that_files_of_embeddings_are_not_reported() -> None:
    asked = recipe(keyframes=(Keyframe(prompt="a boat in embedding:ink", seed=1),), frames=1)
    for pack, expected in ((False, 1), (True, 0)):
        with ComfyServer(pack=pack).started() as server:
            found = ComfyUI(server.url, timeouts=QUICK).check(plan(asked))
        assert sum("does not report the file of the embedding 'ink'" in remark for remark in found) == expected


def test_frame_by_frame_no_frame_depends_on_other_prompts(tmp_path: Path) -> None:
    edited = plain(keyframes=(*plain().keyframes[:1], Keyframe(at="100%", prompt="c")))
    with ComfyServer(pack=False).started() as server:
        run(server.url, tmp_path, plain(), frames=[0])
        assert run(server.url, tmp_path, edited).rendered == FRAMES - 1


def test_a_job_goes_on_after_the_server_learned_to_report_its_model_s_family(tmp_path: Path) -> None:
    with ComfyServer().started() as server:
        reported, server.report = server.report, None
        run(server.url, tmp_path, frames=range(4))
        server.report = reported
        assert run(server.url, tmp_path).rendered == FRAMES - 4
        server.report = None
        assert run(server.url, tmp_path).rendered == 0


def test_older_nodes_are_refused_a_denoise_that_they_may_round_and_named_otherwise(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png", np.zeros((16, 32, 3), np.uint8))
    moving = recipe(
        steps=20, keyframes=(Keyframe(image="a.png", denoise=0.5), Keyframe(denoise=0.6)), folder=str(tmp_path)
    )
    whole = moving.replace(keyframes=(Keyframe(image="a.png", denoise=0.5), Keyframe(denoise=0.5)))
    with ComfyServer().started() as server:
        assert run(server.url, tmp_path / "new", moving).rendered == FRAMES
        server.report = None
        with pytest.raises(Unsupported, match=r"denoise: .*Remix nodes may round .*older \(update them there\)"):
            run(server.url, tmp_path / "old", moving)
        assert run(server.url, tmp_path / "old", whole).remarks == ()
        (remark,) = run(server.url, tmp_path / "texts").remarks
        assert "Remix node pack is older" in remark


def test_missing_frames_are_asked_for_in_the_same_parts(tmp_path: Path) -> None:
    asked = recipe(frames=20)
    with ComfyServer().started() as server:
        run(server.url, tmp_path, asked, batch=4)
        for index in (5, 6, 17):
            (tmp_path / "frames" / f"{index:06d}.png").unlink()
        server.history.clear()
        run(server.url, tmp_path, asked, batch=4)
        sent = [graph["RemixRender"] for graph in graphs(server)]
    assert [(len(read_part(one["schedule"])), one["first"], one["count"]) for one in sent] == [(16, 5, 2), (4, 1, 1)]
    assert np.array_equal(frames(tmp_path), right(asked))


def test_the_bundled_model_needs_no_checkpoint_where_the_nodes_are(tmp_path: Path) -> None:
    asked = recipe(frames=2, model=Model())
    with ComfyServer().started() as server:
        outcome = run(server.url, tmp_path, asked)
        (graph,) = graphs(server)
    assert "CheckpointLoaderSimple" not in graph
    assert graph["RemixPlayground"] == {}
    assert any("the playground model paints best at 128x128" in remark for remark in outcome.remarks)
    assert json.loads((tmp_path / "job.json").read_text())["engine"] == {
        "engine": "comfyui",
        "checkpoint": "playground",
    }


def test_the_next_chunk_is_queued_before_the_last_one_is_fetched(tmp_path: Path) -> None:
    with ComfyServer().started() as server:
        run(server.url, tmp_path, recipe(frames=60))
    sent = [line for line in server.asked if line in ("POST /prompt", "GET /view")]
    assert sent[:3] == ["POST /prompt", "POST /prompt", "GET /view"]
    assert sent.index("POST /prompt", 3) == 2 + 16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "this is an A1111 or Forge; use --engine a1111"),
        ({"auth": "me:secret"}, "this is an A1111 or Forge; use --engine a1111"),
        ({"without": ("progress",)}, "this is no ComfyUI; is it the right address?"),
    ],
)
def test_another_kind_of_server_is_told_by_name(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    server = A1111Server(**options)
    with server.started(), pytest.raises(Unsupported, match=re.escape(f"{server.url}: {message}")):
        run(server.url, tmp_path, recipe())


def test_without_the_remix_nodes_it_goes_frame_by_frame(tmp_path: Path) -> None:
    with ComfyServer(pack=False).started() as server:
        run(server.url, tmp_path, plain())
        found = graphs(server)
        assert len(found) == FRAMES
        assert [graph["SaveImage"]["filename_prefix"][-7:] for graph in found[:2]] == ["/000000", "/000001"]
        shares = [graph.get("ConditioningAverage", {}).get("conditioning_to_strength") for graph in found]
        assert shares[0] is shares[-1] is None
        assert shares[1] == pytest.approx(8 / 9)
        assert found[3]["KSampler"]["seed"] == 1
        assert set(server.rendered.values()) == {1}


@pytest.mark.parametrize(
    ("asked", "pack", "sentence"),
    [
        (
            recipe(model=Model()),
            False,
            "'playground' needs the node Remix Playground, which this server does not",
        ),
        (
            recipe(model=Model("flux1-dev.safetensors")),
            True,
            "'flux1-dev.safetensors'; it has sd15.safetensors, folder",
        ),
        (recipe(model=Model("flux1-dev")), True, "(only full checkpoints are loaded, with text encoder and VAE)"),
        (recipe(model=Model("sd16")), True, "the server has no 'sd16'; did you mean 'sd15.safetensors'"),
        (recipe(model=Model("sd15.safetensors", vae="x")), True, "model.vae: the server has no 'x'"),
        (recipe(model=Model("sd15.safetensors", loras=(Lora("x"),))), True, "model.loras: the server has no 'x'"),
        (
            recipe(),
            False,
            "seed: frame 1 mixes 2, and the server without the Remix nodes cannot render that; install the Remix nodes",
        ),
        *[
            (plain(sampler=name), False, f"sampler: {name!r}, and it draws noise at its steps")
            for name, row in sorted(SAMPLERS.items())
            if row.stochastic and "comfyui" in row.hosts
        ],
        (plain(mix="slerp"), False, "mix: the server's own nodes cannot do 'slerp'"),
        (
            plain(keyframes=(Keyframe(at=0, prompt="a" * 76), Keyframe(at="100%", prompt="b"))),
            False,
            "fill the shorter",
        ),
        (plain(keyframes=(Keyframe(prompt="a <lora:x:1>"),)), True, "model.loras: the server has no 'x'"),
        (plain(keyframes=(Keyframe(prompt="[a:b:0.5]"),)), False, "changes over the steps of one picture"),
        (
            plain(keyframes=(Keyframe(image="a.png", mask="b.png"),)),
            False,
            "mask: keyframes[0] sets it, and the server's own nodes round it",
        ),
        (
            plain(steps=20, keyframes=(Keyframe(image="a.png", denoise=0.5), Keyframe(denoise=0.6))),
            False,
            "which the server without the Remix nodes rounds to whole steps; use 0.5",
        ),
    ],
)
def test_what_a_server_cannot_do_is_refused_before_the_first_frame(asked: Recipe, pack: bool, sentence: str) -> None:
    with ComfyServer(pack=pack).started() as server:
        with pytest.raises(Unsupported) as refused:
            ComfyUI(server.url, timeouts=QUICK).check(plan(asked))
        assert sentence in str(refused.value)
        assert "POST /prompt" not in server.asked


@pytest.mark.parametrize("name", ["sd15.safetensors", "sd15", "other", "other.ckpt", "folder/other"])
def test_a_name_is_found_without_its_folder_or_suffix(name: str) -> None:
    with ComfyServer().started() as server:
        found = ComfyUI(server.url, timeouts=QUICK).identity(plan(recipe(model=Model(name))))
    assert found["checkpoint"].partition(" ")[0] in ("sd15.safetensors", "folder/other.ckpt")
    assert " bytes of 20" in found["checkpoint"]


@pytest.mark.parametrize("name", ["SD15/win.safetensors", "SD15\\win.safetensors", "SD15/win", "win"])
def test_names_of_a_server_on_windows_are_found_with_either_slash(name: str) -> None:
    listed = "SD15\\win.safetensors"
    with ComfyServer(loras=[listed], checkpoints=[listed, "other/win2.safetensors"]).started() as server:
        asked = recipe(model=Model(name, loras=(Lora(name),)))
        found = ComfyUI(server.url, timeouts=QUICK).identity(plan(asked))
    assert found["checkpoint"].startswith(f"{listed} (")
    assert found["lora 1"] == listed


class Windows:
    """What a server on Windows lists."""

    def choices(self, node: str, name: str, *, again: bool = False) -> list[str]:
        return {"ckpt_name": ["sd15.safetensors"], "vae_name": ["v\\y.pt"], "lora_name": ["a\\x.pt"]}[name]


def test_a_vae_and_traveling_loras_of_a_server_on_windows_are_found_with_either_slash() -> None:
    keyframes = (Keyframe(at=0, prompt="a", loras={"a/x.pt": 0}), Keyframe(at="100%", loras={"a/x.pt": 1}))
    given: Any = Windows()
    found = Names.find(given, plan(recipe(keyframes=keyframes, model=Model("sd15", vae="v/y.pt"))))
    assert (found.vae, dict(found.loras)) == ("v\\y.pt", {"a/x.pt": "a\\x.pt"})


def test_a_list_is_read_again_before_a_name_is_refused() -> None:
    with ComfyServer(checkpoints=["sd15.safetensors"]).started() as server:
        engine = ComfyUI(server.url, timeouts=QUICK)
        engine.check(plan(recipe()))
        server.checkpoints.append("new.safetensors")
        engine.check(plan(recipe(model=Model("new"))))


def test_a_list_of_files_that_stalls_does_not_end_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remix.client.comfyui.server.FILES_TIMEOUT", 0.1)
    with ComfyServer([Fault("/experiment/models", 0, "stall")]).started() as server:
        assert run(server.url, tmp_path).rendered == FRAMES
        found = ComfyUI(server.url, timeouts=QUICK).identity(plan(recipe()))
    assert found["checkpoint"] == "sd15.safetensors"


@pytest.mark.parametrize("fault", ["stall", "status", "garbage", "reset"])
@pytest.mark.parametrize("first", [True, False], ids=["listed later", "not listed later"])
def test_a_list_of_files_that_comes_in_one_run_alone_does_not_change_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: str, first: bool
) -> None:
    monkeypatch.setattr("remix.client.comfyui.server.FILES_TIMEOUT", 0.1)
    faults = [[Fault("/experiment/models", 0, fault)], []]
    for number, found in enumerate(faults if first else reversed(faults)):
        with ComfyServer(found).started() as server:
            outcome = run(server.url, tmp_path, recipe(frames=8, fps=8 + number))
            assert outcome.rendered == (0 if number else 8)
            assert ("another file of the same name would not be noticed" in caplog.text) == bool(found)
            caplog.clear()
    with ComfyServer().started() as server:
        server.modified = 1_700_000_000.0
        with pytest.raises(OtherRecipe, match=r"another checkpoint \('sd15.safetensors \("):
            run(server.url, tmp_path, recipe(frames=8))


def test_an_entry_of_the_history_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remix.client.comfyui.server.HISTORY_LIMIT", 10_000)
    with ComfyServer().started() as server:
        server.history_padding = "x" * 20_000
        with pytest.raises(BadReply, match=r"/history/.* bytes were announced; at most 10000 are read"):
            run(server.url, tmp_path)


def test_a_picture_of_another_size_ends_the_run_with_both_sizes(tmp_path: Path) -> None:
    with ComfyServer().started() as server:
        server.size = (640, 480)
        with pytest.raises(WrongSize, match=r"^frame 0: picture: 640x480; expected 32x16"):
            run(server.url, tmp_path)
        assert len([line for line in server.asked if line == "GET /view"]) == 1


def test_texts_of_a_server_are_cut_where_they_are_shown(tmp_path: Path) -> None:
    huge = "x" * 5_000_000
    with ComfyServer(script=Script(id=huge)).started() as server:
        assert run(server.url, tmp_path / "id").rendered == FRAMES  # found in the queue under the id that was sent
    trouble = Script(troubles=[Trouble("ValueError", huge)])
    with ComfyServer(script=trouble).started() as server, pytest.raises(EngineError) as failed:
        run(server.url, tmp_path / "trouble")
    assert "xxx" in str(failed.value)
    assert len(str(failed.value)) < 3_000


def test_another_checkpoint_is_another_job(tmp_path: Path) -> None:
    with ComfyServer().started() as server:
        run(server.url, tmp_path)
        with pytest.raises(OtherRecipe):
            run(server.url, tmp_path, recipe(model=Model("folder/other.ckpt")))


@pytest.mark.parametrize("emphasis", [None, "a1111"])
def test_the_nodes_read_emphasis_by_any_rule(emphasis: str | None) -> None:
    asked = recipe(keyframes=(Keyframe(prompt="a (cat:1.2)"),), emphasis=emphasis)
    with ComfyServer().started() as server:
        assert ComfyUI(server.url, timeouts=QUICK).check(plan(asked)) == []


def test_without_the_nodes_emphasis_is_comfyuis() -> None:
    with ComfyServer(pack=False).started() as server:
        engine = ComfyUI(server.url, timeouts=QUICK)
        engine.check(plan(plain(keyframes=(Keyframe(prompt="a (cat:1.2)"),))))
        with pytest.raises(Unsupported, match=r"'a \(cat:1.2\)' is read by the rule 'a1111'.*emphasis to 'comfy'"):
            engine.check(plan(plain(keyframes=(Keyframe(prompt="a (cat:1.2)"),), emphasis="a1111")))
        with pytest.raises(Unsupported, match="chunks: 'a1111' is the rule for long prompts"):
            engine.check(plan(plain(keyframes=(Keyframe(prompt="a cat, " * 40),), emphasis="a1111")))


@pytest.mark.parametrize("pack", [True, False])
def test_init_pictures_are_put_on_the_server_under_names_of_their_own(tmp_path: Path, pack: bool) -> None:
    pictures = {name: np.full((16, 32, 3), level, np.uint8) for name, level in (("a b.png", 40), ("c.png", 80))}
    for name, picture in pictures.items():
        save_picture(tmp_path / name, picture)
    mask = "c.png" if pack else None
    keyframes = [Keyframe(at=0, image="a b.png", mask=mask, denoise=0.5), Keyframe(at=1, image="c.png", denoise=0.5)]
    asked = plain(frames=2, keyframes=tuple(keyframes), folder=str(tmp_path))
    with ComfyServer(pack=pack).started() as server:
        run(server.url, tmp_path / "job", asked)
        there = sorted(name for kind, folder, name in server.files if (kind, folder) == ("input", "remix"))
        assert len(there) == 2
        assert all(name.endswith("_32x16.png") for name in there)
        if pack:
            sent = graphs(server)[0]["RemixRender"]["schedule"]["recipe"]
            named = [keyframe["image"] for keyframe in sent["keyframes"]]
            assert sent["keyframes"][0]["mask"] == sent["keyframes"][1]["image"]
        else:
            named = [graph["LoadImage"]["image"] for graph in graphs(server)]
        assert sorted(named) == [f"remix/{name}" for name in there]


def test_what_neither_way_can_do_is_told_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a server whose Remix nodes are older than LoRAs that travel."""
    from remix.client.comfyui import routes

    monkeypatch.setattr(routes, "LORAS", "something newer")
    keyframes = (Keyframe(at=0, prompt="a", seed=1, loras={"x": 0}), Keyframe(at=9, seed=2, loras={"x": 1}))
    with ComfyServer(loras=["x.safetensors"]).started() as server:
        engine = ComfyUI(server.url, timeouts=QUICK)
        with pytest.raises(
            Unsupported, match=r"loras: their strengths travel.*and frame by frame, seed: frame 1 mixes 2"
        ):
            engine.check(plan(recipe(keyframes=keyframes)))
        (remark,) = engine.check(plan(recipe(keyframes=(keyframes[0], Keyframe(at=9, loras={"x": 1})))))
    assert remark.endswith("update the Remix nodes there; frames are rendered one by one on the server's own nodes")


def test_loras_that_travel_are_the_nodes_and_others_are_loaded_in_front(tmp_path: Path) -> None:
    keyframes = (Keyframe(at=0, prompt="a", seed=1, loras={"x": 0}), Keyframe(at="100%", seed=2, loras={"x": 1}))
    model = Model("sd15", loras=(Lora("y", 0.5), Lora("x", 0.75)))
    with ComfyServer(loras=["x.safetensors", "styles/y.safetensors"]).started() as server:
        run(server.url, tmp_path / "travel", recipe(model=model, keyframes=keyframes))
        (graph,) = graphs(server)
        run(server.url, tmp_path / "still", recipe(model=model, keyframes=keyframes[:1]))
        still = [*server.history.values()][-1]["prompt"][2]
    assert graph["LoraLoader"]["lora_name"] == "styles/y.safetensors"
    strengths = [keyframe["loras"] for keyframe in graph["RemixRender"]["schedule"]["recipe"]["keyframes"]]
    assert [list(each) for each in strengths] == [["x.safetensors"]] * FRAMES
    assert [each["x.safetensors"] for each in strengths] == pytest.approx(
        [index / (FRAMES - 1) for index in range(FRAMES)]
    )
    loaded = [node["inputs"] for node in still.values() if node["class_type"] == "LoraLoader"]
    assert [(node["lora_name"], node["strength_model"]) for node in loaded] == [
        ("styles/y.safetensors", 0.5),
        ("x.safetensors", 0.0),
    ]


def test_loras_vae_and_clip_skip_are_loaded_in_front() -> None:
    from remix.client.comfyui.names import Names

    graph = Graph()
    model = Model("a", vae="v", loras=(Lora("x", 0.5), Lora("y")), clip_skip=2)
    asked = plan(recipe(model=model, keyframes=(Keyframe(prompt="a", loras={"y": {"strength": 0.25, "text": 1}}),)))
    Names("a.ckpt", "v.pt", {"x": "x.st", "y": "y.st"}).loaded(graph, model, asked[0])

    def lora(before: str, name: str, strength: float, text: float) -> dict[str, Any]:
        wires = {"model": [before, 0], "clip": [before, 1], "lora_name": name}
        return {**wires, "strength_model": strength, "strength_clip": text}

    assert [(node["class_type"], node["inputs"]) for node in graph.nodes.values()] == [
        ("CheckpointLoaderSimple", {"ckpt_name": "a.ckpt"}),
        ("LoraLoader", lora("1", "x.st", 0.5, 0.5)),
        ("LoraLoader", lora("2", "y.st", 0.25, 1)),
        ("CLIPSetLastLayer", {"clip": ["3", 1], "stop_at_clip_layer": -2}),
        ("VAELoader", {"vae_name": "v.pt"}),
    ]


def test_progress_comes_with_frame_and_step(tmp_path: Path) -> None:
    events: list[Event] = []
    with ComfyServer(seconds=0.02).started() as server:
        run(server.url, tmp_path, listen=events.append)
    steps = [event for event in events if event.stage == "steps"]
    assert steps
    assert [event.frame for event in steps] == sorted(event.frame or 0 for event in steps)
    assert all(0 < event.done <= event.total == FRAMES for event in steps)


def test_a_preview_comes_as_a_picture(tmp_path: Path) -> None:
    from remix.motion.pictures import png_bytes

    shown = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    previews: list[Picture] = []

    def listen(event: Event) -> None:
        if event.preview is None:
            server.say_bytes((1).to_bytes(4, "big") + (2).to_bytes(4, "big") + png_bytes(shown))
        else:
            previews.append(event.preview)

    with ComfyServer(seconds=0.03).started() as server:
        run(server.url, tmp_path, listen=listen, previews=True)
        assert next(iter(server.history.values()))["prompt"][3]["preview_method"] == "latent2rgb"
    assert previews
    assert np.array_equal(previews[0], shown)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "rejected_inputs",
            [
                "EmptyLatentImage (1), height is 65536: Value 65536 bigger than max of 16384",
                "VAEDecode (3), vae: Required input is missing",
                "SaveImage (5), images: images, received_type(VAE) mismatch input_type(IMAGE)",
            ],
        ),
        ("rejected_part", ['CheckpointLoaderSimple (1), ckpt_name is "none.safetensors": ckpt_name: \'none.saf']),
        ("rejected_kind", ["Node 'CheckpointLoaderSimple' not found. The custom node may not be installed."]),
    ],
)
def test_a_rejected_workflow_is_told_line_by_line_and_not_sent_again(
    tmp_path: Path, name: str, lines: list[str]
) -> None:
    """As the real server words it; also where it takes one part of a workflow and refuses another."""
    with ComfyServer(script=Script(rejections=[name])).started() as server:
        with pytest.raises(WorkflowRejected) as refused:
            run(server.url, tmp_path)
        assert server.asked.count("POST /prompt") == 1
    sent = str(refused.value).splitlines()
    assert all(any(line in message for message in sent) for line in lines)


@pytest.mark.parametrize("status", [200, 400])
def test_a_rejection_is_shown_without_the_secret_and_not_obeyed(status: int) -> None:
    secret = 'se"cret-1'

    class Rude(FaultyServer):
        def answer(self, asked: Asked) -> Answer:
            wrong = {
                "message": "\x1b[2J",
                "details": secret,
                "extra_info": {"input_name": "\x9b", "received_value": "v" * 75 + secret},
            }
            return Answer(
                {"error": {"message": "no"}, "node_errors": {"1": {"class_type": "A", "errors": [wrong]}}}, status
            )

    with Rude().started() as server, pytest.raises(WorkflowRejected) as refused:
        Server(Http(server.url, Auth(secret)), "me").submit("id", {}, {})
    assert str(refused.value) == (f'the server refuses the workflow; A (1), \\u009b is "{"v" * 75}***": ***')


def test_a_server_behind_a_path_that_minds_origins_is_asked_without_one(tmp_path: Path) -> None:
    events: list[Event] = []
    with ComfyServer(prefix="/some/prefix", seconds=0.02).started() as server:
        run(server.url, tmp_path, listen=events.append)
    assert "GET /ws" in server.asked
    assert not any("Origin" in headers for headers in server.headers)
    assert any(event.stage == "steps" for event in events)


def test_a_server_that_minds_where_requests_come_from_says_what_to_start_it_with(tmp_path: Path) -> None:
    with (
        ComfyServer([Fault("/prompt", 1, "status", 403)]).started() as server,
        pytest.raises(HostRefused, match=r"403: .*start it with --enable-cors-header"),
    ):
        run(server.url, tmp_path)
    assert server.asked.count("POST /prompt") == 1


def test_no_port_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    with ComfyServer(seconds=0.01).started() as server:
        monkeypatch.setattr(socket.socket, "listen", lambda self, *waiting: opened.append(self.getsockname()))
        run(server.url, tmp_path, previews=True)
        diagnose(server.url)
        assert "GET /ws" in server.asked
    assert opened == []


def test_what_is_no_comfyui_is_told(tmp_path: Path) -> None:
    with ComfyServer().started() as server, pytest.raises(Unsupported, match="elsewhere: this is no ComfyUI"):
        run(server.url + "/elsewhere", tmp_path)


def test_equal_nodes_are_one() -> None:
    graph = Graph()
    first, second = (graph.one("CLIPTextEncode", text="a", clip=graph.one("Load", name="x")) for _ in range(2))
    assert first == second
    assert len(graph.nodes) == 2
    assert graph.nodes["2"]["inputs"] == {"text": "a", "clip": ["1", 0]}


@pytest.mark.parametrize("pack", [True, False])
def test_a_field_that_the_engine_does_not_know_is_refused(pack: bool) -> None:
    with ComfyServer(pack=pack).started() as server, ComfyUI(server.url, timeouts=QUICK) as engine:
        engine.check(plan(later(plain(), 0.0)))
        with pytest.raises(Unsupported, match=r"^tilt: 0.5 is set, and the server"):
            engine.check(plan(later(plain())))
