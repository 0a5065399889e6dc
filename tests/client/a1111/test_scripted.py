"""With the Remix script on the server: blocks of frames in one request, by the server's names."""

from __future__ import annotations

import base64
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from remix.engine import render
from remix.engine.pack import report
from remix.engine.parts import read_part
from remix.errors import BadReply, OtherRecipe, Unsupported
from remix.motion import save_picture
from remix.plan import Recipe, plan
from tests.client.a1111.conftest import Serve, engine, recipe
from tests.fakes.a1111_server import A1111Server

TRAVEL = {"frames": 10, "keyframes": [{"prompt": "a red apple", "seed": 5}, {"prompt": "the sea", "seed": 7}]}


def blocks(server: A1111Server) -> list[Any]:
    """Returns the arguments of the script."""
    return [body["script_args"][0] for body in server.requests if body.get("script_name")]


def test_a_block_of_frames_is_one_request(serve: Serve, tmp_path: Path) -> None:
    server = serve(script=True)
    wanted = recipe(**TRAVEL)
    render(wanted, engine(server, batch=4), tmp_path / "job", film=None)
    arguments = blocks(server)
    assert [(each["start"], each["count"], each["batch"]) for each in arguments] == [(0, 4, 4), (4, 4, 4), (8, 2, 4)]
    assert {each["first"] for each in arguments} == {0}
    assert len({each["film"] for each in arguments}) == 1
    sent = [(frame.prompt, frame.seed, frame.cfg) for each in arguments for frame in read_part(each["part"])]
    assert sent == [(frame.prompt, frame.seed, frame.cfg) for frame in plan(wanted)]
    assert len(server.requests) == 4
    assert len(server.rendered) == 10


def test_what_a_recipe_leaves_out_is_said_beside_it(serve: Serve, tmp_path: Path) -> None:
    server = serve(script=True)
    render(recipe(**TRAVEL), engine(server), tmp_path / "job", film=None)
    body = server.requests[-1]
    request = {"prompt": "", "negative_prompt": "", "seed": 0, "steps": 4, "cfg_scale": 7, "width": 64, "height": 64}
    assert {key: body[key] for key in request} == request
    assert (body["sampler_name"], body["scheduler"], len(body["script_args"])) == ("Euler", "Uniform", 3)
    assert body["override_settings"]["randn_source"] == "CPU"


def test_only_missing_frames_are_asked_for_in_the_blocks_where_they_lie(serve: Serve, tmp_path: Path) -> None:
    server = serve(script=True)
    wanted = recipe(**TRAVEL)
    render(wanted, engine(server, batch=4), tmp_path / "job", film=None)
    for index in (1, 2, 3, 4, 9):
        (tmp_path / "job" / "frames" / f"{index:06d}.png").unlink()
    server.requests.clear()
    render(wanted, engine(server, batch=4), tmp_path / "job", film=None)
    asked = [(each["start"], len(read_part(each["part"])), each["first"], each["count"]) for each in blocks(server)]
    assert asked == [(0, 4, 1, 3), (4, 4, 0, 1), (8, 2, 1, 1)]
    assert len(server.rendered) == 10


def test_without_a_batch_it_is_chosen_by_size(serve: Serve, tmp_path: Path) -> None:
    sizes = {(64, 64): 16, (512, 512): 8, (1024, 1024): 2, (2048, 2048): 1}
    for (width, height), count in sizes.items():
        server = serve(script=True)
        server.scripted = lambda request, made_by: []  # type: ignore[method-assign]
        with pytest.raises(BadReply, match=f"0 pictures came where {count} were expected"):
            next(
                engine(server).render(
                    plan(recipe(**{**TRAVEL, "frames": 16}, size=[width, height])), range(16), {}, print
                )
            )


def test_names_are_the_servers(serve: Serve, tmp_path: Path) -> None:
    server = serve(script=True)
    server.lists["loras"] = [{"name": "film grain"}, {"name": "ink"}]
    server.lists["sd-vae"] = [{"model_name": "soft.vae.pt"}]
    model = {"checkpoint": "tiny-sd15", "vae": "soft.vae", "loras": [{"name": "film grain.safetensors"}]}
    keyframes = [{"prompt": "a", "loras": {"ink.safetensors": 0}}, {"loras": {"ink.safetensors": 1}}]
    render(recipe(model=model, keyframes=keyframes), engine(server), tmp_path / "job", film=None)
    arguments = blocks(server)[0]["part"]["recipe"]
    assert arguments["model"] == {"checkpoint": "tiny-sd15.safetensors", "loras": [{"name": "film grain"}]}
    assert [keyframe["loras"] for keyframe in arguments["keyframes"]] == [{"ink": share / 4} for share in range(5)]
    assert server.requests[-1]["override_settings"]["sd_vae"] == "soft.vae.pt"


def test_init_pictures_go_once_each_in_the_order_of_the_recipe_and_masks_after_them(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(script=True)
    for name, value in (("a.png", 10), ("b.png", 20), ("c.png", 30), ("d.png", 40)):
        save_picture(tmp_path / name, np.full((64, 64, 3), value, np.uint8))
    keyframes = [{"image": "b.png", "denoise": 0.5, "mask": "d.png"}, {"image": "a.png", "mask": "c.png"}]
    wanted = recipe(keyframes=[*keyframes, {"image": "b.png"}]).replace(folder=str(tmp_path))
    render(wanted, engine(server), tmp_path / "job", film=None)
    sent = [Image.open(BytesIO(base64.b64decode(each))) for each in server.requests[-1]["init_images"]]
    assert [np.asarray(picture)[0, 0, 0] for picture in sent] == [20, 10, 40, 30]


@pytest.mark.parametrize(("keyframe", "denoise"), [({}, 0.5), ({"denoise": 0.8}, 0.8)])
def test_the_script_is_given_the_denoise_that_is_planned_here(
    serve: Serve, tmp_path: Path, keyframe: dict[str, Any], denoise: float
) -> None:
    # Where no keyframe sets one, the script takes that of the request's own field.
    server = serve(script=True)
    save_picture(tmp_path / "a.png", np.zeros((64, 64, 3), np.uint8))
    wanted = recipe(keyframes=[{"image": "a.png", **keyframe}]).replace(folder=str(tmp_path))
    render(wanted, engine(server), tmp_path / "job", film=None)
    assert server.requests[-1]["denoising_strength"] == denoise


def test_what_the_script_refuses_is_told_in_its_sentence(serve: Serve, tmp_path: Path) -> None:
    server = serve(script=True)

    def scripted(request: Any, made_by: Any) -> list[str]:
        return server.__class__.scripted(
            server, {**request, "part": {**request["part"], "recipe": {"keyframes": [{}]}}}, made_by
        )

    server.scripted = scripted  # type: ignore[method-assign]
    with pytest.raises(Unsupported, match=r'frames 0 to 4: recipe.frames: is missing; write 48 or "4s"'):
        render(recipe(), engine(server), tmp_path / "job", film=None)


def test_what_the_script_remarks_is_logged_once(serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = serve(script=True)
    arguments = server._answer

    def remarking(*args: Any, **other: Any) -> Any:
        answer = arguments(*args, **other)
        about = {"extra_generation_params": {"Remix remarks": ["batch: 4 frames at once do not fit", 7]}}
        return {**answer, "info": json.dumps({**json.loads(answer["info"]), **about})}

    server._answer = remarking  # type: ignore[method-assign]
    render(recipe(**TRAVEL), engine(server, batch=4), tmp_path / "job", film=None)
    assert [text for text in caplog.messages if "batch" in text] == [
        "frames 0 to 3: batch: 4 frames at once do not fit"
    ]


def edited(last: str = "a pear", seed: int = 5) -> Recipe:
    """The travel with another last prompt, and another first seed."""
    return recipe(frames=10, keyframes=[{"prompt": "a red apple", "seed": seed}, {"prompt": last, "seed": 7}])


@pytest.mark.parametrize(("plain_attention", "kept"), [(True, True), (False, False), (None, False)])
def test_of_an_edited_recipe_frames_stay_where_they_do_not_depend_on_other_prompts(
    serve: Serve, tmp_path: Path, plain_attention: bool | None, kept: bool
) -> None:
    server = serve(script=True)
    server.report = {**report(None), "plain_attention": plain_attention}
    folder = tmp_path / "job"
    render(recipe(**TRAVEL), engine(server), folder, film=None, frames=[0])
    if kept:
        assert render(edited(), engine(server), folder, film=None).rendered == 9
        return
    with pytest.raises(OtherRecipe, match="another set of prompts, on which every frame depends with this model"):
        render(edited(), engine(server), folder, film=None)
    assert render(recipe(**TRAVEL), engine(server), folder, film=None).rendered == 9


def test_another_file_of_an_embedding_belongs_to_another_film(serve: Serve, tmp_path: Path) -> None:
    server, folder = serve(script=True), tmp_path / "job"
    server.lists["loras"] = [{"name": "fog"}]
    server.report = {**report(None, embeddings={"ink": "1a", "fog": "2b"}), "plain_attention": True}
    render(edited("a boat in INK <lora:fog:0>"), engine(server), folder, film=None, frames=[0])
    server.report["embeddings"]["fog"] = "3c"
    assert render(edited("a boat in INK <lora:fog:0>"), engine(server), folder, film=None).rendered == 9
    server.report["embeddings"]["ink"] = "3c"
    with pytest.raises(OtherRecipe, match="embedding ink"):
        render(edited("a boat in INK <lora:fog:0>"), engine(server), folder, film=None)


def test_frames_with_wildcards_stay_with_the_first_seed_of_the_film_alone(serve: Serve, tmp_path: Path) -> None:
    server, folder = serve(script=True), tmp_path / "job"
    render(edited("a __pear__"), engine(server), folder, film=None, frames=[9])
    with pytest.raises(OtherRecipe, match="another first seed, on which every frame with wildcards depends"):
        render(edited("a __pear__", seed=6), engine(server), folder, film=None)
    render(edited(), engine(server), tmp_path / "without", film=None, frames=[9])
    assert render(edited(seed=6), engine(server), tmp_path / "without", film=None).rendered == 9


def test_an_older_script_is_refused_a_denoise_that_it_may_round_and_named_otherwise(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(script=True)
    save_picture(tmp_path / "a.png", np.zeros((64, 64, 3), np.uint8))
    moving = recipe(keyframes=[{"image": "a.png", "denoise": 0.5}, {"denoise": 0.6}]).replace(folder=str(tmp_path))
    assert render(moving, engine(server), tmp_path / "new", film=None).rendered == 5
    server.report = None
    with pytest.raises(Unsupported, match=r"denoise: .*Remix script may round .*older \(update it there\)"):
        render(moving, engine(server), tmp_path / "old", film=None)
    (remark,) = render(recipe(**TRAVEL), engine(server), tmp_path / "texts", film=None).remarks
    assert "Remix script is older" in remark
