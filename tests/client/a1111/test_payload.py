"""A recipe with a payload: any fields of the API, frame by frame."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix.client import render
from remix.errors import RemixError, Unsupported, WrongModel, WrongSize
from remix.job import frame_path, read_metadata
from remix.motion import load_picture, save_picture
from remix.plan import Recipe
from tests.client.a1111.conftest import Serve, engine
from tests.fakes.a1111_server import A1111Server

PAYLOAD = {
    "prompt": "a cat",
    "steps": 4,
    "width": 64,
    "height": 48,
    "alwayson_scripts": {"Own v1.1": {"args": [True, 1]}},
}


def recipe(*inputs: dict[str, Any], folder: str = "", **fields: Any) -> Recipe:
    keyframes = [{"inputs": each} if each else {} for each in inputs or ({},)]
    return Recipe.from_dict({"frames": 3, "payload": PAYLOAD, **fields, "keyframes": keyframes}, folder=folder)


def run(server: A1111Server, asked: Recipe, folder: Path) -> Any:
    with engine(server) as opened:
        return render(asked, folder, engine=opened, film=None, report=False)


def test_each_frame_is_a_request_with_its_fields(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    place = "alwayson_scripts.Own v1.1.args.1"
    moving = recipe({"cfg_scale": 3, "steps": 4, place: 0}, {"cfg_scale": 6, "steps": 9, place: 1})
    outcome = run(server, moving, tmp_path)
    assert [body["cfg_scale"] for body in server.requests] == [3, 4.5, 6]
    assert [body["steps"] for body in server.requests] == [4, 7, 9]
    assert [body["alwayson_scripts"]["Own v1.1"]["args"] for body in server.requests] == [
        [True, 0],
        [True, 0.5],
        [True, 1],
    ]
    assert {(body["seed"], body["prompt"], body["save_images"]) for body in server.requests} == {(0, "a cat", False)}
    assert (outcome.schedule.recipe.width, outcome.schedule.recipe.height) == (64, 48)
    assert run(server, moving, tmp_path).rendered == 0
    made = read_metadata(frame_path(tmp_path, 1))
    assert made.a1111 is not None
    assert made.a1111.settings["Sampler"] == "DPM++ 2M"


def test_settings_of_the_server_travel_and_are_put_back(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    before = dict(server.options)
    skip, model = "override_settings.CLIP_stop_at_last_layers", "override_settings.sd_model_checkpoint"
    models = [each["title"] for each in server.lists["sd-models"]][:2]
    asked = recipe({skip: 1, model: models[0]}, {skip: 2, model: models[-1]}, frames=3, hold=[model])
    assert run(server, asked, tmp_path).rendered == 3
    film = [body["override_settings"] for body in server.requests if body["send_images"]]
    assert [each["CLIP_stop_at_last_layers"] for each in film] == [1, 2, 2]
    assert [each["sd_model_checkpoint"] for each in film] == [models[0], models[0], models[-1]]
    assert {name: value for name, value in server.options.items() if value != before[name]} == {}


def test_pictures_are_sent_and_make_it_image_to_image(serve: Serve, tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png", np.full((10, 20, 3), 7, np.uint8))
    server = serve()
    run(
        server,
        recipe({"init_images": "a.png", "denoising_strength": 0.5}, folder=str(tmp_path), frames=1),
        tmp_path / "job",
    )
    (sent,) = server.requests[0]["init_images"]
    assert load_picture(io.BytesIO(base64.b64decode(sent))).shape == (10, 20, 3)


@pytest.mark.parametrize(
    ("inputs", "fields", "fact"),
    [
        ({"cfg_scal": 3}, {}, '"cfg_scale"'),
        ({"cfg_scale": "high"}, {}, "not a number"),
        ({"sampler_name": "Eulr"}, {}, '"Euler"'),
        ({"scheduler": "karas"}, {}, "karas"),
        ({"alwayson_scripts.Own.args.1": 3}, {}, "Own v1.1"),
        ({"save_images": True}, {}, "set by the engine"),
        ({}, {"payload": {"stepps": 4}}, '"steps"'),
        ({"override_settings.CLIP_stop_at_last_layer": 2}, {}, '"CLIP_stop_at_last_layers"'),
        ({"override_settings.CLIP_stop_at_last_layers": "two"}, {}, "not a number"),
        ({}, {"payload": {"override_settings": {"randn_sourc": "CPU"}}}, '"randn_source"'),
        ({}, {"payload": {"override_settings": {"sd_model_checkpoint": "nothing"}}}, "nothing"),
        ({"prompt": "a cat"}, {"steps": 4}, "steps"),
    ],
)
def test_fields_and_values_are_checked_before_the_first_frame(
    serve: Serve, tmp_path: Path, inputs: dict[str, Any], fields: dict[str, Any], fact: str
) -> None:
    server = serve()
    with pytest.raises(Unsupported, match=fact):
        run(server, recipe(inputs, **fields), tmp_path)
    assert not server.requests


def test_a_text_that_travels_has_to_be_held(serve: Serve, tmp_path: Path) -> None:
    server, ends = serve(), ({"prompt": "a cat"}, {"prompt": "a dog"})
    with pytest.raises(Unsupported, match="hold"):
        run(server, recipe(*ends), tmp_path)
    run(server, recipe(*ends, hold=["prompt"]), tmp_path)
    assert [body["prompt"] for body in server.requests] == ["a cat", "a cat", "a dog"]


@pytest.mark.parametrize(
    ("change", "error"), [({"other": "another"}, WrongModel), ({"size": [32, 32]}, WrongSize)], ids=["model", "size"]
)
def test_a_picture_of_another_model_or_size_is_not_kept(
    serve: Serve, tmp_path: Path, change: dict[str, Any], error: type[RemixError]
) -> None:
    server = serve()
    server.other = change.get("other", "")
    with pytest.raises(error):
        run(server, recipe(**({"size": change["size"]} if "size" in change else {})), tmp_path)


def test_the_size_is_that_of_the_second_pass() -> None:
    from remix.client.a1111.payload import size_of

    assert size_of({"width": 64, "height": 48, "enable_hr": True}) == (128, 96)
    assert size_of({"width": 64, "height": 48, "enable_hr": True, "hr_scale": 1.7}) == (104, 80)
    assert size_of({"enable_hr": True, "hr_resize_x": 1000, "hr_resize_y": 804}) == (1000, 800)


def test_a_server_that_does_not_describe_its_api_is_used_with_a_remark(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    server.api = None
    assert any("not checked" in remark for remark in run(server, recipe({"own_field": 3}), tmp_path).remarks)
